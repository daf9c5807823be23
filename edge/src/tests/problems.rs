//! Problems: their shape, their codes, and what the errors beneath become.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::IntoResponse;
use cocotalk_application::command_bus::CommandError;
use cocotalk_application::error::StoreError;
use cocotalk_application::use_case::Refusal;
use cocotalk_domain::account::AccountError;
use cocotalk_domain::claim::{ClaimError, ClaimKind};
use cocotalk_domain::id::UserId;
use cocotalk_domain::room::RoomError;
use cocotalk_domain::seat::SeatError;
use serde_json::{Value, json};

use crate::problem::{Code, Problem};
use crate::scope::RequestId;

fn users(ids: &[u128]) -> Vec<UserId> {
    ids.iter().copied().map(UserId::from_u128).collect()
}

fn details(problem: Problem) -> Value {
    serde_json::to_value(problem.into_details(None)).unwrap()
}

fn refusals() -> Vec<Refusal> {
    vec![
        RoomError::NoSuchRoom.into(),
        RoomError::AlreadyOpen.into(),
        RoomError::OnlyInGroups.into(),
        RoomError::NotAllowed.into(),
        RoomError::NoSuchMember.into(),
        RoomError::OwnerStays.into(),
        RoomError::TooFewMembers { min: 3 }.into(),
        RoomError::TooManyMembers { max: 3_000 }.into(),
        RoomError::CannotBeInvited { user_ids: users(&[1]) }.into(),
        RoomError::MentionsNoMember { user_ids: users(&[1]) }.into(),
        RoomError::NoSuchMessage.into(),
        RoomError::RecipientGone.into(),
        SeatError::MutedIntoThePast.into(),
        AccountError::AlreadyRegistered.into(),
        ClaimError::Taken(ClaimKind::Handle).into(),
        Refusal::NoSuchPerson(UserId::from_u128(1)),
    ]
}

#[test]
fn codes_are_one_word_each_and_no_two_alike() {
    let words: HashSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(words.len(), Code::ALL.len());
    for code in Code::ALL {
        assert!(
            code.as_str().chars().all(|c| c.is_ascii_lowercase() || c == '_'),
            "{code:?}"
        );
        assert!(
            code.status().is_client_error() || code.status().is_server_error(),
            "{code:?}"
        );
        assert!(!code.title().is_empty() && !code.title().ends_with('.'), "{code:?}");
    }
}

#[test]
fn every_code_has_its_page_in_the_usual_form() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/problems");
    let index = std::fs::read_to_string(format!("{folder}/README.md")).unwrap();
    for code in Code::ALL {
        let page = std::fs::read_to_string(format!("{folder}/{}.md", code.as_str())).unwrap_or_default();
        let heading = format!(
            "# {}\n\n`{}` - {} ",
            code.title(),
            code.as_str(),
            code.status().as_u16()
        );
        assert!(page.starts_with(&heading), "{code:?}: {page:.80}");
        let (status, code_word, title) = (code.status().as_u16(), code.as_str(), code.title());
        let row = format!("\n| {status} | [`{code_word}`]({code_word}.md) | {title} |\n");
        assert!(index.contains(&row), "{code:?} is not in the index as it is");
        for part in ["\n**When.** ", "\n**What to do.** "] {
            assert!(page.contains(part), "{code:?} lacks {part:?}");
        }
    }
}

#[test]
fn a_refusal_keeps_the_code_that_the_rule_gave_it() {
    for refusal in refusals() {
        let code = refusal.code();
        assert_eq!(Problem::from(refusal).code().as_str(), code);
    }
}

#[test]
fn a_rule_refused_is_a_conflict_with_few_exceptions() {
    let statuses: Vec<u16> = refusals()
        .into_iter()
        .map(|refusal| Problem::from(refusal).code().status().as_u16())
        .collect();
    assert_eq!(
        statuses,
        [
            404, 409, 409, 403, 404, 409, 422, 409, 409, 422, 404, 409, 422, 409, 409, 404
        ]
    );
}

#[test]
fn people_who_cannot_be_invited_are_pointed_at() {
    let error = RoomError::CannotBeInvited {
        user_ids: users(&[5, 7]),
    };
    let named = users(&[7, 4, 5, 5]);
    let details = details(Problem::from(error).locate(&named));
    let entry = |pointer| json!({"pointer": pointer, "code": "cannot_be_invited", "detail": "cannot be invited"});
    assert_eq!(details["errors"], json!([entry("/user_ids/2"), entry("/user_ids/0")]));
}

#[test]
fn mentions_of_no_member_are_pointed_at() {
    let error = RoomError::MentionsNoMember { user_ids: users(&[5]) };
    let details = details(Problem::from(error).locate(&users(&[4, 5])));
    assert_eq!(details["errors"][0]["pointer"], "/mentions/1");
}

#[test]
fn somebody_who_is_not_in_the_list_is_pointed_at_as_a_whole() {
    let error = RoomError::MentionsNoMember { user_ids: users(&[5]) };
    assert_eq!(
        details(Problem::from(error).locate(&[]))["errors"][0]["pointer"],
        "/mentions"
    );
}

#[test]
fn fields_that_a_rule_is_about_are_named() {
    let pointer = |problem| details(problem)["errors"][0]["pointer"].clone();
    assert_eq!(pointer(RoomError::TooFewMembers { min: 3 }.into()), "/user_ids");
    assert_eq!(pointer(SeatError::MutedIntoThePast.into()), "/muted_until");
}

#[test]
fn what_the_store_says_stays_here() {
    let down = || StoreError::unavailable("the event log", "disk /dev/sda1 is full");
    for problem in [
        Problem::from(down()),
        CommandError::Unavailable(Arc::new(down())).into(),
    ] {
        let response = details(problem);
        assert_eq!(
            (&response["status"], &response["code"]),
            (&json!(503), &json!("storage_unavailable"))
        );
        assert!(!response.to_string().contains("disk"), "{response}");
    }
    let damaged = details(StoreError::corrupt("the event log", "room 17 has no seq 4").into());
    assert_eq!(
        (&damaged["status"], &damaged["code"]),
        (&json!(500), &json!("internal_error"))
    );
    assert!(!damaged.to_string().contains("seq"), "{damaged}");
}

#[test]
fn a_5xx_cannot_be_made_to_talk() {
    let details = details(Problem::new(Code::InternalError).detail("secret"));
    assert!(!details.to_string().contains("secret"), "{details}");
}

#[test]
fn what_is_for_later_says_when() {
    for code in Code::ALL
        .iter()
        .filter(|code| code.status() == StatusCode::SERVICE_UNAVAILABLE)
    {
        assert_eq!(
            Problem::new(*code).into_response().headers()["retry-after"],
            "1",
            "{code:?}"
        );
    }
    assert_eq!(
        Problem::new(Code::Busy).retry_after_s(9).into_response().headers()["retry-after"],
        "9"
    );
    assert!(
        !Problem::new(Code::NotFound)
            .into_response()
            .headers()
            .contains_key("retry-after")
    );
}

#[test]
fn the_bus_is_busy_or_knows_the_key() {
    assert_eq!(Problem::from(CommandError::Busy).code(), Code::Busy);
    assert_eq!(
        Problem::from(CommandError::KeyReused).code(),
        Code::IdempotencyKeyReused
    );
}

/// What is written into the log at `info` and above while `work` runs.
fn logged(work: impl FnOnce()) -> String {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&lines);
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || Lines(Arc::clone(&writer)))
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    String::from_utf8(lines.lock().unwrap().clone()).unwrap()
}

struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_is_ours_to_mend_is_logged_once_with_its_cause_and_id() {
    let id = RequestId::next();
    let error = StoreError::unavailable("the event log", std::io::Error::other("disk full"));
    let lines = logged(|| drop(Problem::from(error).into_details(Some(id))));
    assert_eq!(lines.lines().count(), 1, "{lines}");
    for part in [
        "ERROR",
        "storage_unavailable",
        "the event log is not available: disk full",
        &id.to_string(),
    ] {
        assert!(lines.contains(part), "{part} is not in {lines}");
    }
    assert!(logged(|| drop(Problem::new(Code::InternalError).into_details(None))).contains("ERROR"));
    assert!(logged(|| drop(Problem::new(Code::Timeout).into_details(None))).contains("WARN"));
}

#[test]
fn what_is_theirs_to_mend_or_to_wait_for_is_not_logged() {
    let loud = [Code::InternalError, Code::Timeout];
    let quiet = Code::ALL.iter().filter(|code| !loud.contains(code));
    assert_eq!(
        logged(|| quiet.for_each(|code| drop(Problem::new(*code).into_details(None)))),
        ""
    );
}
