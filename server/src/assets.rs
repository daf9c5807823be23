//! What the binary carries with it: the console page and the pages of the problems.

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use cocotalk_edge::problem::{Code, Problem};
use rust_embed::{EmbeddedFile, RustEmbed};

/// What the console may do: its own files and its own server, nothing else.
const CONSOLE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(RustEmbed)]
#[folder = "assets/console/"]
struct Console;

#[derive(RustEmbed)]
#[folder = "../docs/problems/"]
struct ProblemPages;

/// `/`, `/console.css`, `/console.js`, `/docs`, and `/docs/problems/{code}`.
pub fn router() -> Router {
    Router::new()
        .route("/docs", get(docs))
        .route("/", get(async || console("index.html", "text/html; charset=utf-8")))
        .route(
            "/console.css",
            get(async || console("console.css", "text/css; charset=utf-8")),
        )
        .route(
            "/console.js",
            get(async || console("console.js", "text/javascript; charset=utf-8")),
        )
        .route("/docs/problems/{code}", get(problem_page))
}

fn console(name: &str, content_type: &'static str) -> Response {
    let Some(EmbeddedFile { data, .. }) = Console::get(name) else {
        return Problem::new(Code::NotFound).into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, CONSOLE_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (StatusCode::OK, headers, data.into_owned()).into_response()
}

/// Where to read on.
async fn docs() -> Html<String> {
    let problem = |code: &Code| {
        format!(
            "<li><a href=\"/docs/problems/{0}\">{0}</a> {1}</li>",
            code.as_str(),
            code.title()
        )
    };
    let problems: String = Code::ALL.iter().map(problem).collect();
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>CocoTalk API</title><h1>CocoTalk API</h1>\
         <p><a href=\"/docs/api/\">Browse the API</a>, or take its description: \
         <a href=\"/v1/openapi.json\">openapi.json</a>. The live socket is described by \
         <a href=\"/v1/asyncapi.json\">asyncapi.json</a>.</p><h2>Problems</h2><ul>{problems}</ul></html>"
    ))
}

async fn problem_page(Path(code): Path<String>) -> Response {
    let known = Code::ALL.iter().find(|known| known.as_str() == code);
    match known.and_then(|known| ProblemPages::get(&format!("{}.md", known.as_str()))) {
        Some(page) => {
            let content_type = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
            (StatusCode::OK, content_type, page.data.into_owned()).into_response()
        }
        None => Problem::new(Code::NotFound).into_response(),
    }
}
