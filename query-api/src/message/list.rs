//! `GET /v1/rooms/{room_id}/messages`: a page of a room's timeline, by `seq`.

use std::collections::{BTreeSet, HashMap};

use axum::Json;
use axum::extract::State;
use cocotalk_application::error::StoreError;
use cocotalk_application::row::{MessageRow, ReplyMeta, RoomRow, UserRoomRow};
use cocotalk_application::sealing::Keys;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::limits::READS_SHOWN_MEMBERS;
use cocotalk_domain::number::Seq;
use cocotalk_domain::text::Emoji;
use cocotalk_edge::auth::Identity;
use cocotalk_edge::describe::bounds;
use cocotalk_edge::page;
use cocotalk_edge::path::Path;
use cocotalk_edge::position::MinPosition;
use cocotalk_edge::problem::Problem;
use cocotalk_edge::query::{self, Query};
use serde::{Deserialize, Serialize};
use tokio::try_join;
use utoipa::{IntoParams, ToSchema};

use crate::checkpoints::Projection;
use crate::frame::MemberRead;
use crate::item::{self, HiddenItem, Item, ReplyTo, TimelineItem};
use crate::state::{QueryState, no_such_room};
use crate::unread::{ENOUGH_BEHIND, Watermarks};
use crate::viewer::Viewer;
use crate::window::{Place, Window};

/// Which page of a timeline: at most one of `before`, `after` and `around`; the newest items if it is none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TimelineQuery {
    /// The items right before this seq.
    #[param(value_type = Option<bounds::AnyNumber>)]
    pub before: Option<u64>,
    /// The items right after this seq.
    #[param(value_type = Option<bounds::AnyNumber>)]
    pub after: Option<u64>,
    /// The item of this seq and its neighbours.
    #[param(value_type = Option<bounds::AnyNumber>)]
    pub around: Option<u64>,
    /// Most items of the page.
    #[param(value_type = Option<bounds::PageLimit>)]
    pub limit: Option<u64>,
}

impl TimelineQuery {
    fn place(&self) -> Result<Place, Problem> {
        match (self.before, self.after, self.around) {
            (None, None, None) => Ok(Place::Newest),
            (Some(seq), None, None) => Ok(Place::Before(Seq(seq))),
            (None, Some(seq), None) => Ok(Place::After(Seq(seq))),
            (None, None, Some(seq)) => Ok(Place::Around(Seq(seq))),
            (_, Some(_), _) => Err(query::invalid("after", ONE_OF_THEM)),
            (Some(_), None, Some(_)) => Err(query::invalid("around", ONE_OF_THEM)),
        }
    }
}

const ONE_OF_THEM: &str = "give one of before, after and around";

/// A page of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Timeline {
    /// The items, rising in `seq`. Of one that I have hidden there is only the place.
    pub items: Vec<TimelineItem>,
    /// Whether there is something to see before them.
    pub has_before: bool,
    /// Whether there is something to see after them.
    pub has_after: bool,
    /// How far the members have read; in rooms of at most 100 members.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub members_read: Option<Vec<MemberRead>>,
}

/// Read the timeline of a room
///
/// Pages by `seq`, which has no holes: `before` and `after` are exclusive, `around` is in the middle of its page, and without
/// any of them the newest items come. Nothing from before your `joined_seq` is in it.
#[utoipa::path(
    get,
    path = "/v1/rooms/{room_id}/messages",
    tag = "messages",
    operation_id = "list_messages",
    params(("room_id" = Uuid, Path, description = "The room"), TimelineQuery),
    responses(
        (status = 200, description = "A page of the timeline", body = Timeline),
        (status = 404, description = "`room_not_found`"),
    ),
)]
pub(crate) async fn list(
    State(state): State<QueryState>,
    me: Identity,
    Path(room_id): Path<RoomId>,
    Query(query): Query<TimelineQuery>,
    MinPosition(position): MinPosition,
) -> Result<Json<Timeline>, Problem> {
    let place = query.place()?;
    let limit = page::limit(query.limit, &state.door.limits)?;
    state.reach(&position, &[Projection::Rooms, Projection::Reads]).await?;

    let (seat, room) = try_join!(state.seat(me.user_id, room_id), state.room(room_id))?;
    let last_seq = room.last.as_ref().map_or(Seq(0), |last| last.seq);
    let visible = |first_seq: Seq| Window::new(place, limit as u64, &(first_seq.0..=last_seq.0));
    let mut first_seq = seat.first_seq().max(Seq(1));
    let mut window = visible(first_seq);
    let around = |window| readers(&state, &room, me.user_id, window);
    let (mut rows, (mut joined, mut watermarks)) = try_join!(page(&state, room_id, window), around(window))?;
    // The members were read after the room, their own place beside it: since then they may have left, or come anew, perhaps twice.
    while let Some(joined_seq) = joined
        && joined_seq > first_seq
    {
        first_seq = joined_seq;
        window = visible(first_seq);
        (rows, (joined, watermarks)) = try_join!(page(&state, room_id, window), around(window))?;
    }
    joined.ok_or_else(no_such_room)?;
    let (answered, hidden, reacted) = try_join!(
        answered(&state, room_id, first_seq, &rows),
        hidden(&state, &seat, first_seq, &rows),
        reactions(&state, me.user_id, room_id, &rows)
    )?;
    let sealed = rows.iter().chain(answered.values()).filter_map(|row| row.body.as_ref());
    let keys = state.sealing.keys(sealed.map(|body| body.subject)).await?;

    let shown = Shown {
        viewer: Viewer::new(first_seq, Some(&hidden)),
        mine: &reacted,
        here: rows.iter().map(|row| (row.seq, row)).collect(),
        answered: &answered,
        watermarks: &watermarks,
        keys: &keys,
    };
    let members_read = (room.member_count <= READS_SHOWN_MEMBERS).then(|| watermarks.all());
    Ok(Json(Timeline {
        items: rows.iter().map(|row| shown.item(row)).collect(),
        has_before: window.has_before,
        has_after: window.has_after,
        members_read,
    }))
}

async fn page(state: &QueryState, room: RoomId, window: Window) -> Result<Vec<MessageRow>, StoreError> {
    match window.page() {
        Some(page) => state.model.messages(room, page).await,
        None => Ok(Vec::new()),
    }
}

/// Since when this person is in a room, if they are, and how far everybody has read: all of it where it is told, else what the
/// items of the page need.
async fn readers(
    state: &QueryState,
    room: &RoomRow,
    me: UserId,
    window: Window,
) -> Result<(Option<Seq>, Watermarks), StoreError> {
    let (model, room_id) = (&state.model, room.room_id);
    if room.member_count <= READS_SHOWN_MEMBERS {
        let (members, reads) = try_join!(model.members(room_id), model.reads(room_id))?;
        let mine = members.iter().find(|member| member.user_id == me);
        let joined = mine.map(|member| member.joined_seq);
        return Ok((joined, Watermarks::new(room.kind, &members, &reads)));
    }
    let (mine, behind) = try_join!(
        model.member(room_id, me),
        model.behind(room_id, window.start..=window.end, ENOUGH_BEHIND)
    )?;
    Ok((mine.map(|member| member.joined_seq), Watermarks::of_page(&behind)))
}

/// The messages that those of a page answer, as far as this person may see them and the page does not have them itself.
async fn answered(
    state: &QueryState,
    room: RoomId,
    first_seq: Seq,
    rows: &[MessageRow],
) -> Result<HashMap<Seq, MessageRow>, StoreError> {
    let Some((first, last)) = rows.first().zip(rows.last()) else {
        return Ok(HashMap::new());
    };
    let elsewhere = |seq: &Seq| *seq >= first_seq && !(first.seq..=last.seq).contains(seq);
    let seqs = rows.iter().filter_map(|row| Some(row.meta.reply_to.as_ref()?.seq));
    let mut seqs: Vec<Seq> = seqs.filter(elsewhere).collect();
    seqs.sort_unstable();
    seqs.dedup();
    if seqs.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = state.model.messages_at(room, &seqs).await?;
    Ok(rows.into_iter().map(|row| (row.seq, row)).collect())
}

/// What the items of a page are made of, beside their own rows.
/// What this person has hidden of a page and of what its messages answer.
async fn hidden(
    state: &QueryState,
    seat: &UserRoomRow,
    first_seq: Seq,
    rows: &[MessageRow],
) -> Result<BTreeSet<Seq>, StoreError> {
    let answered = rows.iter().filter_map(|row| Some(row.meta.reply_to.as_ref()?.seq));
    match rows.iter().map(|row| row.seq).chain(answered).min() {
        Some(from) => state.hidden(seat, from.max(first_seq)).await,
        None => Ok(BTreeSet::new()),
    }
}

/// How this person reacts to the messages of a page.
async fn reactions(
    state: &QueryState,
    me: UserId,
    room: RoomId,
    rows: &[MessageRow],
) -> Result<HashMap<Seq, Emoji>, StoreError> {
    let reacted: Vec<Seq> = rows
        .iter()
        .filter(|row| !row.reactions.is_empty())
        .map(|row| row.seq)
        .collect();
    if reacted.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(state.model.reactions(me, room, &reacted).await?.into_iter().collect())
}

struct Shown<'a> {
    viewer: Viewer<'a>,
    mine: &'a HashMap<Seq, Emoji>,
    here: HashMap<Seq, &'a MessageRow>,
    answered: &'a HashMap<Seq, MessageRow>,
    watermarks: &'a Watermarks,
    keys: &'a Keys,
}

impl Shown<'_> {
    fn item(&self, row: &MessageRow) -> TimelineItem {
        let seq = row.seq;
        if self.viewer.hides(seq) {
            let kind = item::Hidden::Hidden;
            return TimelineItem::Hidden(HiddenItem { seq, kind });
        }
        let reply_to = row.meta.reply_to.as_ref().map(|meta| self.reply_to(meta));
        let unread_member_count = if row.kind.is_message() {
            self.watermarks.unread(row.seq, row.author_id)
        } else {
            0
        };
        let mine = self.mine.get(&seq);
        let item = Item::of_row(row, reply_to, unread_member_count, mine, self.keys);
        TimelineItem::Shown(Box::new(item))
    }

    fn reply_to(&self, meta: &ReplyMeta) -> ReplyTo {
        if !self.viewer.sees(meta.seq) {
            return ReplyTo::unseen(meta.seq);
        }
        let answered = self.here.get(&meta.seq).copied();
        ReplyTo::of_row(meta, answered.or_else(|| self.answered.get(&meta.seq)), self.keys)
    }
}

#[cfg(test)]
mod tests {
    use cocotalk_domain::id::{RoomId, UserId};
    use cocotalk_domain::number::Seq;
    use serde_json::{Value, json};

    use crate::testing::{Api, column};

    fn path(room: RoomId) -> String {
        format!("/v1/rooms/{room}/messages")
    }

    /// A group whose items are the invited line (seq 1) and messages of Mina (seq 2 to `last`).
    fn room_of(api: &Api, last: u64) -> ([UserId; 3], RoomId) {
        let people = api.world.three();
        let room = api.world.group(100, &people);
        for seq in 2..=last {
            assert_eq!(api.world.say(room, people[0], &format!("글 {seq}")), Seq(seq));
        }
        (people, room)
    }

    /// The seqs of a page, `has_before` and `has_after`.
    async fn page(api: &Api, by: UserId, room: RoomId, query: &str) -> (Vec<u64>, bool, bool) {
        let page = api.get(by, &format!("{}?{query}", path(room))).await.ok();
        let seqs = column(&page, "seq").iter().map(|seq| seq.as_u64().unwrap()).collect();
        let flag = |name: &str| page[name].as_bool().unwrap();
        (seqs, flag("has_before"), flag("has_after"))
    }

    #[tokio::test]
    async fn a_timeline_shows_lines_messages_and_read_positions() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let dahee = api.world.person(4, "다희");
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.say(room, mina, "점심 뭐 먹지?");
        api.world.invite(room, jun, &[dahee]);
        api.world.rename(room, jun, "점심");
        api.world.put_up(room, mina, "12시");
        api.world.say_about(room, hana, "냉면", Some(Seq(2)));
        api.world.leave(room, hana);
        insta::assert_json_snapshot!(api.get(mina, &path(room)).await.ok());
    }

    #[tokio::test]
    async fn without_a_place_the_newest_items_come() {
        let api = Api::new();
        let ([mina, ..], room) = room_of(&api, 10);
        assert_eq!(page(&api, mina, room, "limit=3").await, (vec![8, 9, 10], true, false));
        assert_eq!(page(&api, mina, room, "").await, ((1..=10).collect(), false, false));
    }

    #[tokio::test]
    async fn a_page_lies_before_after_or_around_its_place() {
        let api = Api::new();
        let ([mina, ..], room) = room_of(&api, 10);
        let pages = [
            ("before=8&limit=3", vec![5, 6, 7], true, true),
            ("before=3&limit=3", vec![1, 2], false, true),
            ("before=11&limit=3", vec![8, 9, 10], true, false),
            ("before=1&limit=3", vec![], false, true),
            ("after=0&limit=3", vec![1, 2, 3], false, true),
            ("after=8&limit=3", vec![9, 10], true, false),
            ("after=10&limit=3", vec![], true, false),
            ("around=5&limit=1", vec![5], true, true),
            ("around=5&limit=5", vec![3, 4, 5, 6, 7], true, true),
            ("around=1&limit=5", vec![1, 2, 3, 4, 5], false, true),
            ("around=10&limit=5", vec![6, 7, 8, 9, 10], true, false),
            ("around=99&limit=2", vec![9, 10], true, false),
            ("after=18446744073709551615", vec![], true, false),
        ];
        for (query, seqs, has_before, has_after) in pages {
            assert_eq!(
                page(&api, mina, room, query).await,
                (seqs, has_before, has_after),
                "{query}"
            );
        }
    }

    #[tokio::test]
    async fn a_page_has_50_items_unless_asked_otherwise_and_100_at_most() {
        let api = Api::new();
        let ([mina, ..], room) = room_of(&api, 120);
        for (query, length) in [
            ("", 50),
            ("limit=100", 100),
            ("around=60", 50),
            ("around=60&limit=100", 100),
        ] {
            assert_eq!(page(&api, mina, room, query).await.0.len(), length, "{query}");
        }
    }

    #[tokio::test]
    async fn a_page_that_cannot_be_is_refused() {
        let api = Api::new();
        let ([mina, ..], room) = room_of(&api, 2);
        for (query, code) in [
            ("limit=0", "invalid_query"),
            ("limit=101", "invalid_query"),
            ("before=x", "invalid_query"),
            ("after=-1", "invalid_query"),
            ("around=1.5", "invalid_query"),
            ("before=3&after=1", "invalid_query"),
            ("before=3&around=3", "invalid_query"),
            ("after=3&around=3", "invalid_query"),
            ("before=5&after=1&around=3", "invalid_query"),
            ("cursor=abc", "unknown_query_parameter"),
        ] {
            let answer = api.get(mina, &format!("{}?{query}", path(room))).await;
            assert_eq!(answer.refused(422), code, "{query}");
        }
    }

    #[tokio::test]
    async fn an_invitee_sees_nothing_from_before_the_line_that_added_them() {
        let api = Api::new();
        let ([mina, ..], room) = room_of(&api, 2);
        let dahee = api.world.person(4, "다희");
        api.world.invite(room, mina, &[dahee]);
        api.world.say(room, mina, "어서 와");
        for query in ["", "after=0", "around=1", "around=3", "before=100"] {
            assert_eq!(
                page(&api, dahee, room, query).await,
                (vec![3, 4], false, false),
                "{query}"
            );
        }
        for query in ["before=3", "before=2"] {
            assert_eq!(page(&api, dahee, room, query).await, (vec![], false, true), "{query}");
        }
    }

    #[tokio::test]
    async fn a_direct_room_that_i_left_begins_anew() {
        let api = Api::new();
        let [mina, jun, _] = api.world.three();
        let room = api.world.direct(mina, jun);
        api.world.say(room, mina, "옛날 이야기");
        api.world.hide(room, jun);
        assert_eq!(page(&api, jun, room, "").await, (vec![], false, false));
        api.world.say(room, mina, "거기 있어?");
        assert_eq!(page(&api, jun, room, "").await, (vec![2], false, false));
        assert_eq!(page(&api, mina, room, "").await, (vec![1, 2], false, false));
    }

    async fn unread_members(api: &Api, by: UserId, room: RoomId) -> Vec<u64> {
        let page = api.get(by, &path(room)).await.ok();
        let numbers = column(&page, "unread_member_count");
        numbers.iter().map(|number| number.as_u64().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_message_counts_the_members_who_have_not_read_it() {
        let api = Api::new();
        let ([mina, jun, hana], room) = room_of(&api, 2);
        for person in [mina, jun, hana] {
            assert_eq!(unread_members(&api, person, room).await, [0, 2]);
        }
        api.world.read(room, jun, 2);
        assert_eq!(unread_members(&api, mina, room).await, [0, 1]);
        api.world.say(room, hana, "네");
        assert_eq!(unread_members(&api, mina, room).await, [0, 0, 2]);
    }

    #[tokio::test]
    async fn joiners_do_not_count_for_older_messages_and_leavers_not_at_all() {
        let api = Api::new();
        let ([mina, jun, hana], room) = room_of(&api, 2);
        let dahee = api.world.person(4, "다희");
        api.world.invite(room, mina, &[dahee]);
        api.world.say(room, mina, "둘");
        assert_eq!(unread_members(&api, mina, room).await, [0, 2, 0, 3]);
        api.world.leave(room, hana);
        assert_eq!(unread_members(&api, jun, room).await, [0, 1, 0, 2, 0]);
    }

    #[tokio::test]
    async fn an_author_who_left_is_not_taken_off_the_number() {
        let api = Api::new();
        let ([mina, jun, hana], room) = room_of(&api, 2);
        api.world.say(room, hana, "안녕히");
        api.world.leave(room, hana);
        let shown = unread_members(&api, jun, room).await;
        assert_eq!(shown[2], 2, "{mina} and {jun} have not read it");
    }

    #[tokio::test]
    async fn in_a_direct_room_the_number_is_about_the_other_one() {
        let api = Api::new();
        let [mina, jun, _] = api.world.three();
        let (pair, alone) = (api.world.direct(mina, jun), api.world.direct(mina, mina));
        api.world.say(pair, mina, "봤니");
        api.world.say(alone, mina, "메모");
        assert_eq!(unread_members(&api, mina, pair).await, [1]);
        assert_eq!(unread_members(&api, mina, alone).await, [0]);
        api.world.read(pair, jun, 1);
        assert_eq!(unread_members(&api, mina, pair).await, [0]);
    }

    #[tokio::test]
    async fn in_a_large_room_the_number_is_capped_and_positions_are_not_listed() {
        let api = Api::new();
        let people: Vec<UserId> = (1..=102).map(|n| api.world.person(n, "친구")).collect();
        let small = api.world.group(100, &people[..100]);
        let large = api.world.group(101, &people);
        api.world.say(large, people[0], "모두에게");
        assert_eq!(unread_members(&api, people[1], large).await, [0, 99]);
        // A page that nearly everybody has yet to read knows no more than that.
        let page = api.get(people[1], &format!("{}?after=1", path(large))).await.ok();
        assert_eq!(column(&page, "unread_member_count"), [99]);
        for person in &people[1..4] {
            api.world.read(large, *person, 2);
        }
        assert_eq!(unread_members(&api, people[0], large).await, [0, 98]);
        assert!(
            api.get(people[0], &path(large))
                .await
                .ok()
                .get("members_read")
                .is_none()
        );
        let read = &api.get(people[0], &path(small)).await.ok()["members_read"];
        assert_eq!(read.as_array().unwrap().len(), 100);
    }

    async fn reply(api: &Api, by: UserId, room: RoomId, query: &str) -> Value {
        let page = api.get(by, &format!("{}?{query}", path(room))).await.ok();
        page["items"].as_array().unwrap().last().unwrap()["reply_to"].clone()
    }

    #[tokio::test]
    async fn a_reply_shows_what_it_answers_wherever_that_is() {
        let api = Api::new();
        let ([_, jun, hana], room) = room_of(&api, 8);
        api.world.say_about(room, jun, "그래", Some(Seq(2)));
        let near = reply(&api, hana, room, "").await;
        assert_eq!((&near["seq"], &near["preview"]), (&json!(2), &json!("글 2")));
        assert_eq!(reply(&api, hana, room, "limit=1").await, near);
    }

    #[tokio::test]
    async fn who_may_not_see_what_a_reply_answers_is_told_only_its_seq() {
        let api = Api::new();
        let ([mina, jun, _], room) = room_of(&api, 2);
        let dahee = api.world.person(4, "다희");
        api.world.invite(room, mina, &[dahee]);
        api.world.say_about(room, jun, "응", Some(Seq(2)));
        assert_eq!(reply(&api, dahee, room, "").await, json!({"seq": 2}));
        assert_eq!(reply(&api, mina, room, "").await["preview"], "글 2");
    }

    #[tokio::test]
    async fn the_preview_of_a_long_answered_message_is_cut() {
        let api = Api::new();
        let [mina, jun, _] = api.world.three();
        let room = api.world.direct(mina, jun);
        api.world.say(room, mina, &"한글".repeat(1_000));
        api.world.say_about(room, jun, "길다", Some(Seq(1)));
        assert_eq!(reply(&api, jun, room, "").await["preview"], "한글".repeat(50));
    }

    #[tokio::test]
    async fn a_message_of_somebody_erased_has_no_words() {
        let api = Api::new();
        let ([mina, jun, _], room) = room_of(&api, 2);
        api.world.say_about(room, jun, "응", Some(Seq(2)));
        api.world.forget(mina);
        let page = api.get(jun, &path(room)).await.ok();
        assert_eq!(page["items"][1].get("text"), None);
        assert_eq!(page["items"][2]["text"], "응");
        assert_eq!(page["items"][2]["reply_to"].get("preview"), None);
    }

    #[tokio::test]
    async fn a_long_page_takes_no_more_statements_than_a_short_one() {
        let api = Api::new();
        let ([mina, jun, _], room) = room_of(&api, 60);
        for seq in 2..60 {
            api.world.say_about(room, jun, "응", Some(Seq(seq)));
        }
        api.get(mina, &path(room)).await.ok();
        for limit in [1, 100] {
            api.world.statements();
            api.get(mina, &format!("{}?limit={limit}", path(room))).await.ok();
            assert!(api.world.statements() <= 6, "{limit}");
        }
    }

    #[tokio::test]
    async fn a_message_is_shown_as_it_became() {
        let api = Api::new();
        let ([mina, jun, hana], room) = room_of(&api, 4);
        api.world.say_about(room, jun, "응", Some(Seq(2)));
        api.world.edit(room, Seq(2), "고친 글");
        api.world.react(room, jun, Seq(2), Some("👍"));
        api.world.react(room, hana, Seq(2), Some("❤"));
        api.world.react(room, mina, Seq(2), Some("❤"));
        api.world.react(room, jun, Seq(3), Some("👍"));
        api.world.delete(room, Seq(3));
        let page = api.get(jun, &path(room)).await.ok();
        let items = &page["items"];
        assert_eq!(
            (&items[1]["text"], &items[1]["deleted"]),
            (&json!("고친 글"), &json!(false))
        );
        assert!(items[1]["edited_at"].is_string());
        assert_eq!(
            items[1]["reactions"],
            json!([
                {"emoji": "❤\u{fe0f}", "count": 2, "mine": false},
                {"emoji": "👍", "count": 1, "mine": true},
            ])
        );
        assert_eq!((items[2].get("text"), items[2].get("edited_at")), (None, None));
        assert_eq!(
            (&items[2]["deleted"], &items[2]["reactions"]),
            (&json!(true), &json!([]))
        );
        assert_eq!(items[2]["unread_member_count"], 1, "it still counts");
        assert_eq!((items[3].get("edited_at"), &items[3]["reactions"]), (None, &json!([])));
        assert_eq!(items[4]["reply_to"]["preview"], "고친 글");
        api.world.delete(room, Seq(2));
        let page = api.get(jun, &format!("{}?after=4", path(room))).await.ok();
        let reply_to = &page["items"][0]["reply_to"];
        assert_eq!((&reply_to["deleted"], reply_to.get("preview")), (&json!(true), None));
    }

    #[tokio::test]
    async fn of_what_i_have_hidden_there_is_only_the_place() {
        let api = Api::new();
        let ([mina, jun, _], room) = room_of(&api, 4);
        api.world.say_about(room, mina, "응", Some(Seq(3)));
        api.world.hide_message(room, jun, Seq(3));
        let page = api.get(jun, &path(room)).await.ok();
        assert_eq!(page["items"][2], json!({"seq": 3, "kind": "hidden"}));
        assert_eq!(page["items"][4]["reply_to"], json!({"seq": 3}));
        // Also where the answered message is not on the page.
        let page = api.get(jun, &format!("{}?after=4", path(room))).await.ok();
        assert_eq!(page["items"][0]["reply_to"], json!({"seq": 3}));
        let theirs = api.get(mina, &path(room)).await.ok();
        assert_eq!(theirs["items"][2]["text"], "글 3");
    }

    #[tokio::test]
    async fn reactions_and_hidden_messages_cost_one_statement_each() {
        let api = Api::new();
        let ([_, jun, _], room) = room_of(&api, 60);
        for seq in 2..60 {
            api.world.react(room, jun, Seq(seq), Some("👍"));
        }
        api.world.hide_message(room, jun, Seq(30));
        api.world.hide_message(room, jun, Seq(50));
        for limit in [1, 100] {
            api.world.statements();
            api.get(jun, &format!("{}?around=50&limit={limit}", path(room)))
                .await
                .ok();
            assert!(api.world.statements() <= 8, "{limit}");
        }
    }
}
