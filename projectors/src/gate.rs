//! The gate before the read model: an operator shuts it, and nothing is written until it is opened again.

use tokio::sync::watch;

/// Whether projectors may write. Clones are the same gate; a new one is open.
#[derive(Clone, Debug, Default)]
pub struct Gate(watch::Sender<State>);

#[derive(Debug, Default)]
struct State {
    is_shut: bool,
    /// So many are writing now.
    inside: usize,
}

impl Gate {
    /// Lets nobody in any more, and waits until whoever is inside has left. While a store is away, that is until it is back.
    /// Whether it is shut then: somebody may have opened it meanwhile.
    pub async fn shut(&self) -> bool {
        self.0.send_modify(|state| state.is_shut = true);
        let settled = |state: &State| !state.is_shut || state.inside == 0;
        self.when(settled).await;
        self.0.borrow().is_shut
    }

    /// Lets everybody in.
    pub fn open(&self) {
        self.0.send_modify(|state| state.is_shut = false);
    }

    /// Waits until it is shut.
    pub(crate) async fn is_shut(&self) {
        self.when(|state| state.is_shut).await;
    }

    /// Waits until it is open.
    pub(crate) async fn is_open(&self) {
        self.when(|state| !state.is_shut).await;
    }

    /// Waits until it is open and goes in, until the answer is dropped. Nobody goes in twice at a time: between the two it may
    /// be shut, and would wait for the first.
    pub(crate) async fn enter(&self) -> Inside {
        let goes_in = |state: &mut State| {
            state.inside += usize::from(!state.is_shut);
            !state.is_shut
        };
        while !self.0.send_if_modified(goes_in) {
            self.is_open().await;
        }
        Inside(self.clone())
    }

    async fn when(&self, is_so: impl Fn(&State) -> bool) {
        // It cannot be closed: this is a sender of it.
        drop(self.0.subscribe().wait_for(|state| is_so(state)).await);
    }
}

/// Somebody writes.
#[must_use]
#[derive(Debug)]
pub(crate) struct Inside(Gate);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| state.inside -= 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn whoever_shuts_it_waits_for_those_inside() {
        let gate = Gate::default();
        let (one, other) = (now(gate.enter()).unwrap(), now(gate.enter()).unwrap());
        let mut shutting = Box::pin(gate.shut());
        assert!((&mut shutting).now_or_never().is_none());
        drop(one);
        assert!((&mut shutting).now_or_never().is_none());
        assert!(now(gate.enter()).is_none(), "nobody goes in meanwhile");
        drop(other);
        assert_eq!(now(shutting), Some(true));
        assert!(now(gate.enter()).is_none());
        gate.open();
        assert!(now(gate.enter()).is_some());
    }

    #[test]
    fn whoever_shuts_it_is_told_that_it_was_opened_meanwhile() {
        let gate = Gate::default();
        let inside = now(gate.enter());
        let mut shutting = Box::pin(gate.shut());
        assert!((&mut shutting).now_or_never().is_none());
        gate.open();
        assert_eq!(now(shutting), Some(false));
        drop(inside);
    }

    fn now<T>(what: impl Future<Output = T>) -> Option<T> {
        what.now_or_never()
    }
}
