//! The timeline of a room, paged by seq.

use serde_json::Value;

use crate::harness::client::{Api, list, number};
use crate::harness::person::Person;

/// A room whose items are the invited line (seq 1) and nine messages (seq 2 to 10), and a reader of it.
async fn room_of_ten() -> (Person, String) {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    for number in 2..=10 {
        assert_eq!(anna.say_seq(&room, &format!("글 {number}")).await, number);
    }
    (chulsoo, room)
}

/// The seqs of a page, `has_before` and `has_after`.
async fn page(reader: &Person, room: &str, query: &str) -> (Vec<u64>, bool, bool) {
    let page = reader.see(format!("/v1/rooms/{room}/messages?{query}")).await;
    let seqs = list(&page["items"]).iter().map(|item| number(&item["seq"])).collect();
    let flag = |name: &str| {
        page[name]
            .as_bool()
            .unwrap_or_else(|| panic!("{name} is missing: {page}"))
    };
    (seqs, flag("has_before"), flag("has_after"))
}

#[tokio::test]
async fn without_a_place_the_newest_items_come_ascending() {
    let (reader, room) = room_of_ten().await;
    assert_eq!(page(&reader, &room, "limit=3").await, (vec![8, 9, 10], true, false));
    assert_eq!(
        page(&reader, &room, "limit=10").await,
        ((1..=10).collect(), false, false)
    );
    assert_eq!(page(&reader, &room, "").await, ((1..=10).collect(), false, false));
}

#[tokio::test]
async fn before_gives_what_is_just_below() {
    let (reader, room) = room_of_ten().await;
    assert_eq!(
        page(&reader, &room, "before=8&limit=3").await,
        (vec![5, 6, 7], true, true)
    );
    assert_eq!(
        page(&reader, &room, "before=4&limit=3").await,
        (vec![1, 2, 3], false, true)
    );
    assert_eq!(
        page(&reader, &room, "before=3&limit=3").await,
        (vec![1, 2], false, true)
    );
    assert_eq!(
        page(&reader, &room, "before=11&limit=3").await,
        (vec![8, 9, 10], true, false)
    );
    assert_eq!(page(&reader, &room, "before=1&limit=3").await, (vec![], false, true));
}

#[tokio::test]
async fn after_gives_what_is_just_above() {
    let (reader, room) = room_of_ten().await;
    assert_eq!(
        page(&reader, &room, "after=0&limit=3").await,
        (vec![1, 2, 3], false, true)
    );
    assert_eq!(
        page(&reader, &room, "after=4&limit=3").await,
        (vec![5, 6, 7], true, true)
    );
    assert_eq!(
        page(&reader, &room, "after=7&limit=3").await,
        (vec![8, 9, 10], true, false)
    );
    assert_eq!(
        page(&reader, &room, "after=8&limit=3").await,
        (vec![9, 10], true, false)
    );
    assert_eq!(page(&reader, &room, "after=10&limit=3").await, (vec![], true, false));
}

#[tokio::test]
async fn around_gives_the_item_and_its_neighbours() {
    let (reader, room) = room_of_ten().await;
    for seq in [1, 2, 5, 9, 10] {
        let (seqs, has_before, has_after) = page(&reader, &room, &format!("around={seq}&limit=5")).await;
        assert!(seqs.contains(&seq), "{seqs:?} is not around {seq}");
        assert!(
            seqs.len() <= 5 && seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{seqs:?}"
        );
        assert_eq!(
            (has_before, has_after),
            (seqs[0] > 1, seqs[seqs.len() - 1] < 10),
            "{seqs:?}"
        );
    }
    assert_eq!(page(&reader, &room, "around=5&limit=1").await, (vec![5], true, true));
}

#[tokio::test]
async fn all_pages_together_are_the_whole_timeline() {
    let (reader, room) = room_of_ten().await;
    let (mut found, mut before) = (Vec::new(), 11);
    loop {
        let (seqs, has_before, _) = page(&reader, &room, &format!("before={before}&limit=4")).await;
        before = seqs[0];
        found.splice(0..0, seqs);
        if !has_before {
            break;
        }
    }
    assert_eq!(found, (1..=10).collect::<Vec<_>>());
    assert_eq!(reader.whole_history(&room).await.len(), 10);
}

#[tokio::test]
async fn a_page_that_cannot_be_is_refused() {
    let (reader, room) = room_of_ten().await;
    let queries = [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=x",
        "before=x",
        "after=-1",
        "around=1.5",
        "before=3&after=1",
        "before=3&around=3",
        "after=3&around=3",
        "before=5&after=1&around=3",
        "cursor=abc",
        "sort=desc",
    ];
    for query in queries {
        reader
            .get(format!("/v1/rooms/{room}/messages?{query}"))
            .await
            .problem(422);
    }
    for call in [
        "/members?limit=0",
        "?limit=1",
        "/changes?after_version=x",
        "/changes?after=1",
    ] {
        reader.get(format!("/v1/rooms/{room}{call}")).await.problem(422);
    }
}

#[tokio::test]
async fn a_page_has_50_items_unless_asked_otherwise_and_100_at_most() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    for number in 2..=120 {
        anna.say(&room, &format!("글 {number}")).await;
    }
    let lengths = [
        ("", 50),
        ("limit=100", 100),
        ("after=0", 50),
        ("around=60", 50),
        ("around=60&limit=100", 100),
    ];
    for (query, length) in lengths {
        assert_eq!(page(&chulsoo, &room, query).await.0.len(), length, "{query}");
    }
    let items: Vec<Value> = chulsoo.whole_history(&room).await;
    assert_eq!(items.len(), 120);
}
