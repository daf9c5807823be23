//! The few calls of the API that a load needs to build its world, and the counters on the admin port.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use hyper::header::HeaderValue;
use hyper::{Method, Uri};
use serde_json::{Value, json};

use crate::http::{Answer, Call, HttpClient};

/// A person of the load.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// Its id.
    pub(crate) user_id: String,
    /// Its access token, for the socket's hello.
    pub(crate) token: String,
    /// The same as a header.
    pub(crate) authorization: HeaderValue,
}

/// Where a room stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Its version.
    pub(crate) version: u64,
    /// The sequence number of its last item.
    pub(crate) last_seq: u64,
}

/// Makes the account number `number` of this data folder.
pub(crate) async fn create_account(client: &mut HttpClient, number: usize) -> Result<Account> {
    let body = json!({ "handle": format!("load{number:07}"), "display_name": format!("Load {number}") });
    let answer = post(client, "/v1/dev/accounts", None, &body).await?;
    let token = text(&answer, "access_token")?;
    let authorization = HeaderValue::try_from(format!("Bearer {token}")).context("a token that is no header value")?;
    Ok(Account {
        user_id: text(&answer, "user_id")?,
        token,
        authorization,
    })
}

/// Makes a group of `creator` and `others`; answers its id.
pub(crate) async fn create_group(client: &mut HttpClient, creator: &Account, others: &[&str]) -> Result<String> {
    let body = json!({ "kind": "group", "user_ids": others });
    text(&post(client, "/v1/rooms", Some(creator), &body).await?, "room_id")
}

/// Invites `others` into a group.
pub(crate) async fn invite(client: &mut HttpClient, by: &Account, room_id: &str, others: &[&str]) -> Result<()> {
    let path = format!("/v1/rooms/{room_id}/members");
    post(client, &path, Some(by), &json!({ "user_ids": others }))
        .await
        .map(|_| ())
}

/// Marks a room read up to `seq`; answers where the mark landed.
pub(crate) async fn mark_read(client: &mut HttpClient, by: &Account, room_id: &str, seq: u64) -> Result<HeaderValue> {
    let path = format!("/v1/rooms/{room_id}/read-marker");
    let body = Bytes::from(json!({ "seq": seq }).to_string());
    let answer = command(client, Method::PUT, &path, by, body).await?;
    answer.position.context("a mark that landed nowhere")
}

/// Puts a reaction, a percent-encoded emoji, on a message.
pub(crate) async fn react(
    client: &mut HttpClient,
    by: &Account,
    room_id: &str,
    message_id: &str,
    emoji: &str,
) -> Result<()> {
    let path = format!("/v1/rooms/{room_id}/messages/{message_id}/reactions/{emoji}");
    command(client, Method::PUT, &path, by, Bytes::new()).await.map(drop)
}

/// Gives a message another text.
pub(crate) async fn edit(
    client: &mut HttpClient,
    by: &Account,
    room_id: &str,
    message_id: &str,
    text: &str,
) -> Result<()> {
    let path = format!("/v1/rooms/{room_id}/messages/{message_id}");
    let body = Bytes::from(json!({ "text": text }).to_string());
    command(client, Method::PATCH, &path, by, body).await.map(drop)
}

/// Where a room stands, as one of its members is told.
pub(crate) async fn standing(client: &mut HttpClient, member: &Account, room_id: &str) -> Result<Standing> {
    let room = get(client, &format!("/v1/rooms/{room_id}"), member).await?;
    Ok(Standing {
        version: number(&room, "version")?,
        last_seq: number(&room, "last_seq")?,
    })
}

/// A query, its answer as a tree. For what is not timed.
pub(crate) async fn get(client: &mut HttpClient, path: &str, as_whom: &Account) -> Result<Value> {
    get_at(client, path, as_whom, None).await
}

/// A query of what is there at `position` or later, its answer as a tree.
pub(crate) async fn get_at(
    client: &mut HttpClient,
    path: &str,
    as_whom: &Account,
    position: Option<HeaderValue>,
) -> Result<Value> {
    let uri: Uri = path.parse().context("not a path")?;
    let call = Call::get(uri, Some(as_whom.authorization.clone()));
    let min_position = position;
    decode(client, &Call { min_position, ..call }).await
}

/// The sum of a counter over all its labels.
pub(crate) async fn counter(admin: SocketAddr, name: &str) -> Result<f64> {
    let mut client = HttpClient::new(admin)?;
    let answer = client.call(&Call::get(Uri::from_static("/metrics"), None)).await?;
    ensure!(answer.status.is_success(), "/metrics answered {}", answer.status);
    let text = std::str::from_utf8(&answer.body).context("metrics that are no text")?;
    sum(text, name).with_context(|| format!("the metrics have no counter {name}"))
}

fn sum(metrics: &str, name: &str) -> Option<f64> {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once('}')?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.split_ascii_whitespace().next()?.parse::<f64>().ok()
    });
    values.fold(None, |total, value| Some(total.unwrap_or(0.0) + value))
}

async fn post(client: &mut HttpClient, path: &str, as_whom: Option<&Account>, body: &Value) -> Result<Value> {
    let uri: Uri = path.parse().context("not a path")?;
    let authorization = as_whom.map(|account| account.authorization.clone());
    decode(client, &Call::post(uri, authorization, Bytes::from(body.to_string()))).await
}

async fn command(
    client: &mut HttpClient,
    method: Method,
    path: &str,
    by: &Account,
    body: impl Into<Bytes>,
) -> Result<Answer> {
    let uri: Uri = path.parse().context("not a path")?;
    let call = Call::post(uri, Some(by.authorization.clone()), body);
    succeed(client, &Call { method, ..call }).await
}

async fn succeed(client: &mut HttpClient, call: &Call) -> Result<Answer> {
    let answer = client.call(call).await?;
    ensure!(
        answer.status.is_success(),
        "{} {} answered {}: {}",
        call.method,
        call.uri,
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    Ok(answer)
}

async fn decode(client: &mut HttpClient, call: &Call) -> Result<Value> {
    let answer = succeed(client, call).await?;
    if answer.body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&answer.body).with_context(|| format!("{} {} answered no JSON", call.method, call.uri))
}

fn text(answer: &Value, field: &str) -> Result<String> {
    let value = answer.get(field).and_then(Value::as_str);
    value
        .map(str::to_owned)
        .with_context(|| format!("no text {field} in {answer}"))
}

fn number(answer: &Value, field: &str) -> Result<u64> {
    answer
        .get(field)
        .and_then(Value::as_u64)
        .with_context(|| format!("no number {field} in {answer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_over_labels() {
        let metrics =
            "# TYPE rows counter\nrows{table=\"a b}\"} 3\nrows{table=\"c\"} 4 1700000000\nrows_total 9\n\nplain 2.5\n";
        assert_eq!(sum(metrics, "rows"), Some(7.0));
        assert_eq!(sum(metrics, "plain"), Some(2.5));
        assert_eq!(sum(metrics, "absent"), None);
    }
}
