//! Ids, streams, instants and counts: small types that everything else stands on.

use std::collections::BTreeSet;

use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::Seq;
use cocotalk_domain::seq_set::SeqSet;
use cocotalk_domain::stream::{ClaimId, SLICES, StreamId};
use cocotalk_domain::time::Instant;
use proptest::prelude::*;

use crate::{config, thawed};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_pair_has_one_direct_room_and_no_other_pair_has_it(a in user(), b in user(), c in user()) {
        prop_assert_eq!(RoomId::direct(a, b), RoomId::direct(b, a));
        if c != b {
            prop_assert_ne!(RoomId::direct(a, b), RoomId::direct(a, c));
        }
    }

    #[test]
    fn every_stream_is_found_by_its_name_and_has_a_slice(stream in stream()) {
        let found = StreamId::parse(stream.aggregate_type(), &stream.aggregate_id());
        prop_assert_eq!(found, Some(stream));
        prop_assert!(stream.slice().index() < SLICES);
    }

    #[test]
    fn an_instant_survives_json_and_snapshots(millis in -62_135_596_800_000..=8_210_266_876_799_999_i64) {
        let instant = Instant::from_millis(millis);
        let json = serde_json::to_string(&instant).expect("an instant serialises");
        prop_assert_eq!(serde_json::from_str::<Instant>(&json).ok(), Some(instant));
        prop_assert_eq!(thawed(&instant), instant);
    }

    #[test]
    fn a_set_of_seqs_counts_as_a_list_does(seqs in prop::collection::btree_set(1..200_u64, 0..50), asked in 0..220_u64) {
        let mut set = SeqSet::default();
        for seq in &seqs {
            set.push(Seq(*seq));
        }
        let counted = (1..=asked).filter(|seq| !seqs.contains(seq)).count() as u64;
        prop_assert_eq!(set.cnt_at(Seq(asked)).get(), counted);
        prop_assert_eq!(set.len(), seqs.len());
        prop_assert_eq!(thawed(&set), set);
    }

    #[test]
    fn a_seq_that_does_not_rise_is_not_added(seqs in prop::collection::vec(1..20_u64, 0..20)) {
        let mut set = SeqSet::default();
        let mut rising = BTreeSet::new();
        for seq in &seqs {
            set.push(Seq(*seq));
            if rising.last().is_none_or(|last| last < seq) {
                rising.insert(*seq);
            }
        }
        prop_assert_eq!(set.len(), rising.len());
        prop_assert_eq!(thawed(&set), set);
    }
}

fn user() -> impl Strategy<Value = UserId> {
    any::<u128>().prop_map(UserId::from_u128)
}

fn stream() -> impl Strategy<Value = StreamId> {
    let room = || any::<u128>().prop_map(RoomId::from_u128);
    prop_oneof![
        room().prop_map(StreamId::Room),
        (room(), user()).prop_map(|(room, user)| StreamId::Seat(room, user)),
        user().prop_map(StreamId::Account),
        any::<[u8; 16]>().prop_map(|bytes| StreamId::Claim(ClaimId(bytes))),
    ]
}
