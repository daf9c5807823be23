//! A page of history that was edited and reacted to 10,000 times: what is shown is what came of it, so a page costs what is
//! shown, not what happened.

use anyhow::{Context as _, Result, ensure};
use hyper::Uri;
use serde_json::Value;

use super::reads::{PEER_HISTORY_MS, STATEMENTS_BAR};
use crate::api;
use crate::bench::Bench;
use crate::http::{Call, HttpClient};
use crate::readers::{self, PAGE};
use crate::report::{RATIO, Row};
use crate::turns::Turns;
use crate::world::{Room, World};

const FIGURE: &str = "full-page";
/// People in both rooms; in the full one each of them reacts to each message.
const MEMBERS: usize = 150;
/// Edits of each message: with the reactions, 200 changes a message and 10,000 a page.
const EDITS: usize = 50;
const SHORT_PAGE: u64 = 5;
/// As many kinds as a message may have, percent-encoded.
const EMOJIS: [&str; 20] = [
    "%F0%9F%91%8D",
    "%F0%9F%91%8E",
    "%F0%9F%98%80",
    "%F0%9F%98%81",
    "%F0%9F%98%82",
    "%F0%9F%98%83",
    "%F0%9F%98%84",
    "%F0%9F%98%85",
    "%F0%9F%98%86",
    "%F0%9F%98%87",
    "%F0%9F%98%88",
    "%F0%9F%98%89",
    "%F0%9F%98%8A",
    "%F0%9F%98%8B",
    "%F0%9F%98%8C",
    "%F0%9F%98%8D",
    "%F0%9F%98%8E",
    "%F0%9F%98%8F",
    "%F0%9F%98%90",
    "%F0%9F%98%91",
];

/// One reader, by turns the newest page of a plain room and of the full one.
pub(crate) async fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let site = bench.site()?;
    let server = bench.server(&site).await?;
    let mut world = World::of(server.http)?;
    let people = world.accounts(MEMBERS).await?;
    let rooms = world.groups(vec![people.clone(), people]).await?;
    world.fill(&rooms, PAGE as usize).await?;
    let mut client = HttpClient::new(server.http)?;
    change(&mut world, &mut client, &rooms[1]).await?;
    let faults = check(&newest(&mut client, &rooms[1]).await?);

    let mut calls = Vec::new();
    for (room, limit) in [(0, PAGE), (1, PAGE), (1, SHORT_PAGE)] {
        calls.push(call(&rooms[room], limit)?);
    }
    let (mut bytes, mut statements) = (Vec::new(), Vec::new());
    for call in &calls {
        bytes.push(readers::ask(&mut client, call).await?.len() as f64 / 1_024.0);
        let asked = async |client: &mut HttpClient| readers::ask(client, call).await.map(|_| 1);
        statements.push(readers::statements(server.admin()?, &mut client, asked).await?);
    }
    let mut turns = Turns::<2>::new();
    for _ in 0..bench.runs() {
        let ask = async |load: usize| readers::timed(&mut client, &calls[load]).await;
        turns.run(bench.length(), ask).await?;
    }
    server.stop().await?;

    let changes = PAGE as usize * (MEMBERS + EDITS);
    let of = |percentile: &str| format!("page of 50 {percentile}, {changes} edits and reactions");
    let [plain, full, short] = statements[..] else {
        return Err(anyhow::anyhow!("a count for each of the three pages"));
    };
    let counted = format!(
        "statements of that page over one of {SHORT_PAGE} of its messages ({full:.2} over {short:.2} a request)"
    );
    Ok(vec![
        Row::ahead_of(FIGURE, of("p50"), "ms", turns.p50(1), PEER_HISTORY_MS[0]).with_faults(&faults),
        Row::ahead_of(FIGURE, of("p99"), "ms", turns.p99(1), PEER_HISTORY_MS[1]),
        Row::at_most(FIGURE, counted, RATIO, vec![full / short], STATEMENTS_BAR).with_bar("1.0 (within 0.05)"),
        Row::reported(FIGURE, "statements of a plain page of 50", "", vec![plain]),
        Row::reported(FIGURE, "plain page of 50 p50", "ms", turns.p50(0)),
        Row::reported(FIGURE, "plain page of 50 p99", "ms", turns.p99(0)),
        Row::reported(FIGURE, "p50 over that of the plain page", RATIO, turns.ratio(1, 0)),
        Row::reported(FIGURE, "body of the page", "KiB", vec![bytes[1]]),
        Row::reported(FIGURE, "body of the plain page", "KiB", vec![bytes[0]]),
    ])
}

/// Everybody reacts to every message, and its author edits it again and again.
async fn change(world: &mut World, client: &mut HttpClient, room: &Room) -> Result<()> {
    let page = newest(client, room).await?;
    let id = |item: &Value| {
        item["message_id"]
            .as_str()
            .map(str::to_owned)
            .context("an item that is no message")
    };
    let ids = items(&page).iter().map(id).collect::<Result<Vec<_>>>()?;
    ensure!(ids.len() as u64 == PAGE, "a page of {} messages", ids.len());
    world
        .each(ids.len() * MEMBERS, async |client, number| {
            let (message, person) = (number % ids.len(), number / ids.len());
            let emoji = EMOJIS[(message + person) % EMOJIS.len()];
            api::react(client, &room.members[person], &room.id, &ids[message], emoji).await
        })
        .await?;
    for edit in 1..=EDITS {
        world
            .each(ids.len(), async |client, message| {
                let text = format!("edit {edit}: see you at seven in front of the station after all");
                api::edit(client, &room.members[0], &room.id, &ids[message], &text).await
            })
            .await?;
    }
    Ok(())
}

/// What is not on the page as it must be after the changes.
fn check(page: &Value) -> Vec<String> {
    let last = format!("edit {EDITS}: ");
    let whole = |item: &&Value| {
        let reactions = item["reactions"].as_array().map_or(&[][..], Vec::as_slice);
        let people: u64 = reactions.iter().filter_map(|reaction| reaction["count"].as_u64()).sum();
        let mine = reactions.iter().filter(|reaction| reaction["mine"] == true).count();
        let edited = item["text"].as_str().is_some_and(|text| text.starts_with(&last));
        reactions.len() == EMOJIS.len() && people == MEMBERS as u64 && mine == 1 && edited
    };
    let right = items(page).iter().filter(whole).count() as u64;
    let wrong =
        (right != PAGE).then(|| format!("{right} of {PAGE} messages show their last text and everybody's reaction"));
    wrong.into_iter().collect()
}

fn items(page: &Value) -> &[Value] {
    page["items"].as_array().map_or(&[], Vec::as_slice)
}

async fn newest(client: &mut HttpClient, room: &Room) -> Result<Value> {
    api::get(client, &format!("{}?limit={PAGE}", room.messages), &room.members[1]).await
}

fn call(room: &Room, limit: u64) -> Result<Call> {
    let uri: Uri = format!("{}?limit={limit}", room.messages)
        .parse()
        .context("not a path")?;
    Ok(Call::get(uri, Some(room.members[1].authorization.clone())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_is_whole_when_every_message_shows_everything() {
        let reactions: Vec<Value> = (0..20)
            .map(|kind| json!({"emoji": "x", "count": if kind < 10 { 8 } else { 7 }, "mine": kind == 3}))
            .collect();
        let item = json!({"text": format!("edit {EDITS}: yes"), "reactions": reactions});
        let page = |items: Vec<Value>| json!({ "items": items });
        assert!(check(&page(vec![item.clone(); 50])).is_empty());
        let mut edited_before = item.clone();
        edited_before["text"] = json!("edit 4: no");
        assert_eq!(check(&page([vec![item; 49], vec![edited_before]].concat())).len(), 1);
    }
}
