//! Several loads timed by turns, so that a machine that slows down slows all of them.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::report::{RATIO, Row};
use crate::stats::Latency;

/// What `N` loads took, run by run.
#[derive(Debug)]
pub(crate) struct Turns<const N: usize> {
    runs: Vec<[Latency; N]>,
}

impl<const N: usize> Turns<N> {
    /// No runs yet.
    pub(crate) const fn new() -> Self {
        Self { runs: Vec::new() }
    }

    /// One more run. `work` is told which of the loads it is the turn of and answers its microseconds; every load is the first
    /// of a round as often as the others.
    pub(crate) async fn run(
        &mut self,
        length: Duration,
        mut work: impl AsyncFnMut(usize) -> Result<u32>,
    ) -> Result<()> {
        let mut samples_us = [const { Vec::new() }; N];
        let until = Instant::now() + length;
        let mut first = 0;
        while Instant::now() < until {
            for load in (0..N).map(|turn| (first + turn) % N) {
                samples_us[load].push(work(load).await?);
            }
            first += 1;
        }
        let latencies = samples_us.map(Latency::of);
        for latency in &latencies {
            eprint!("  p50 {:.3} ms, p99 {:.3} ms", latency.p50_ms, latency.p99_ms);
        }
        eprintln!(" of {first} each");
        self.runs.push(latencies);
        Ok(())
    }

    /// The medians of a load, run by run.
    pub(crate) fn p50(&self, load: usize) -> Vec<f64> {
        self.runs.iter().map(|run| run[load].p50_ms).collect()
    }

    /// The 99th percentiles of a load, run by run.
    pub(crate) fn p99(&self, load: usize) -> Vec<f64> {
        self.runs.iter().map(|run| run[load].p99_ms).collect()
    }

    /// How many times longer the median of a load is than that of another one, run by run.
    pub(crate) fn ratio(&self, load: usize, over: usize) -> Vec<f64> {
        self.runs
            .iter()
            .map(|run| run[load].p50_ms / run[over].p50_ms)
            .collect()
    }
}

impl Turns<2> {
    /// The rows of a plain load, the first, and of a full one, which may take `bar` times as long where there is a bar.
    pub(crate) fn rows(&self, figure: &'static str, what: &str, names: [&str; 2], bar: Option<f64>) -> Vec<Row> {
        let [plain, full] = names;
        let (compared, ratio) = (format!("{what}: p50, {full} over {plain}"), self.ratio(1, 0));
        let mut rows = vec![match bar {
            Some(bar) => Row::at_most(figure, compared, RATIO, ratio, bar),
            None => Row::reported(figure, compared, RATIO, ratio),
        }];
        for (load, name) in names.into_iter().enumerate() {
            rows.push(Row::reported(
                figure,
                format!("{what}: p50, {name}"),
                "ms",
                self.p50(load),
            ));
            rows.push(Row::reported(
                figure,
                format!("{what}: p99, {name}"),
                "ms",
                self.p99(load),
            ));
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_load_has_as_many_turns_and_is_first_in_turn() {
        let mut turns = Turns::<3>::new();
        let mut order = Vec::new();
        turns
            .run(Duration::from_millis(9), async |load| {
                order.push(load);
                tokio::time::advance(Duration::from_millis(1)).await;
                Ok(1_000 * (load as u32 + 1))
            })
            .await
            .unwrap();
        assert_eq!(order, [0, 1, 2, 1, 2, 0, 2, 0, 1]);
        assert_eq!((turns.p50(2), turns.p99(0)), (vec![3.0], vec![1.0]));
        assert_eq!(turns.ratio(2, 0), [3.0]);
    }
}
