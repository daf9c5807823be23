//! A handle is one person's.

use cocotalk_application::contract::support::{id, stream_events};
use cocotalk_domain::claim::ClaimEvent;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::UserId;
use cocotalk_domain::stream::{ClaimId, StreamId};

use crate::stage::{Ground, Outcome, command, events, handle, refusal, register};

async fn assert_one(ground: &Ground, handle: ClaimId, asked: &[(UserId, Outcome)]) {
    let claim = stream_events(&*ground.log, StreamId::Claim(handle)).await;
    let [Ok(AnyEvent::Claim(ClaimEvent::Taken(taken)))] =
        &claim.iter().map(|e| e.event.clone()).collect::<Vec<_>>()[..]
    else {
        panic!("there is one claim, not {claim:?}");
    };
    for (user, outcome) in asked {
        let account = stream_events(&*ground.log, StreamId::Account(*user)).await;
        if *user == taken.owner {
            assert!(outcome.is_ok(), "the owner was told {outcome:?}");
            assert_eq!(account.len(), 1);
        } else {
            assert_eq!(refusal(outcome.clone()), "handle_taken");
            assert!(account.is_empty(), "half of a registration was kept");
        }
    }
    assert_eq!(events(&*ground.log).await, 2);
}

/// One claim, one account, and no half of another.
pub(crate) async fn of_many_registrations_of_one_handle_one_wins(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let handle = handle();
    let users: Vec<UserId> = (0..50).map(|_| UserId(id())).collect();
    let commands = users.iter().map(|user| command(register(*user, handle))).collect();
    let outcomes = node.at_once(commands).await;
    let asked: Vec<_> = users.into_iter().zip(outcomes).collect();
    assert_one(&ground, handle, &asked).await;
}

/// Where no lane puts them in order.
pub(crate) async fn of_registrations_at_two_nodes_one_wins(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let (here, there) = (ground.node(), ground.node());
    let handle = handle();
    let users: Vec<UserId> = (0..50).map(|_| UserId(id())).collect();
    let commands = |users: &[UserId]| users.iter().map(|user| command(register(*user, handle))).collect();
    let (one, other) = tokio::join!(
        here.at_once(commands(&users[..25])),
        there.at_once(commands(&users[25..]))
    );
    let asked: Vec<_> = users.into_iter().zip(one.into_iter().chain(other)).collect();
    assert_one(&ground, handle, &asked).await;
}
