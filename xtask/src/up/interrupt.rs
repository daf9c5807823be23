//! Ctrl-C and SIGTERM.

use std::sync::mpsc::Sender;
use std::thread;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::Event;

/// From now on they are an event and not our end. A second one is our end.
pub(crate) fn listen(events: Sender<Event>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("signals cannot be heard")?;
    let entered = runtime.enter();
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    drop(entered);
    thread::spawn(move || {
        runtime.block_on(async {
            for _ in 0..2 {
                tokio::select! {
                    _ = interrupts.recv() => {}
                    _ = terminations.recv() => {}
                }
                // Nobody listens any more when everything is being stopped.
                let _ = events.send(Event::Interrupted);
            }
        });
        // What we leave running is ended by those that watch over it.
        std::process::exit(130);
    });
    Ok(())
}
