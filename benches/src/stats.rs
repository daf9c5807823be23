//! Medians and percentiles.

/// The middle value, or the mean of the two middle ones; 0 for no values.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// How much values rise from one to the next: the slope of the straight line that fits them best; 0 for fewer than two.
pub(crate) fn slope(values: &[f64]) -> f64 {
    let middle = (values.len() as f64 - 1.0) / 2.0;
    let (mut rise, mut run) = (0.0, 0.0);
    for (index, value) in values.iter().enumerate() {
        let from_middle = index as f64 - middle;
        rise += from_middle * value;
        run += from_middle * from_middle;
    }
    if run > 0.0 { rise / run } else { 0.0 }
}

/// The two percentiles the bars speak of, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Latency {
    /// Half of the samples took no longer.
    pub(crate) p50_ms: f64,
    /// 99 of 100 samples took no longer.
    pub(crate) p99_ms: f64,
}

impl Latency {
    /// Of samples in microseconds, in any order. Nearest rank, so both are samples that happened.
    pub(crate) fn of(mut samples_us: Vec<u32>) -> Self {
        samples_us.sort_unstable();
        let at = |percent: usize| {
            let rank = (samples_us.len() * percent).div_ceil(100).max(1);
            samples_us.get(rank - 1).map_or(0.0, |us| f64::from(*us) / 1_000.0)
        };
        Self {
            p50_ms: at(50),
            p99_ms: at(99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_none_one_two_and_three() {
        assert_eq!(median(&[]).to_bits(), 0.0_f64.to_bits());
        assert_eq!(median(&[3.0]).to_bits(), 3.0_f64.to_bits());
        assert_eq!(median(&[4.0, 2.0]).to_bits(), 3.0_f64.to_bits());
        assert_eq!(median(&[9.0, 1.0, 2.0]).to_bits(), 2.0_f64.to_bits());
    }

    #[test]
    fn a_slope_is_the_rise_from_one_to_the_next() {
        assert_eq!(slope(&[3.0]).to_bits(), 0.0_f64.to_bits());
        assert_eq!(slope(&[1.0, 3.0, 5.0]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(slope(&[1.0, 9.0, 1.0]).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn percentiles_are_samples() {
        let samples: Vec<u32> = (1..=200).rev().map(|n| n * 1_000).collect();
        assert_eq!(
            Latency::of(samples),
            Latency {
                p50_ms: 100.0,
                p99_ms: 198.0
            }
        );
        assert_eq!(
            Latency::of(vec![]),
            Latency {
                p50_ms: 0.0,
                p99_ms: 0.0
            }
        );
    }
}
