//! The one table.

use std::fmt::Write as _;

use serde::Serialize;

use crate::stats::median;

/// The unit of a number that is a ratio itself.
pub(crate) const RATIO: &str = "x";

/// What a row says about its bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The bar is reached.
    Pass,
    /// It is not.
    Miss,
    /// There is no bar; the number is for the reader.
    Reported,
    /// There is no number.
    Failed,
}

/// One row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    figure: &'static str,
    what: String,
    unit: &'static str,
    median: f64,
    runs: Vec<f64>,
    bar: String,
    ratio: Option<f64>,
    verdict: Verdict,
    faults: Vec<String>,
}

impl Row {
    /// More is better: the median must be at least `factor` times that of the baseline's runs.
    pub(crate) fn over_baseline(
        figure: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        runs: Vec<f64>,
        (baseline, factor): (&[f64], f64),
    ) -> Self {
        let mut row = Self::at_least(figure, what, unit, runs, (median(baseline), factor));
        row.bar = format!("baseline {} [{}] x {factor}", shown(median(baseline)), listed(baseline));
        row
    }

    /// More is better: the median must be at least `factor` times `value`.
    pub(crate) fn at_least(
        figure: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        runs: Vec<f64>,
        (value, factor): (f64, f64),
    ) -> Self {
        let mut row = Self::reported(figure, what, unit, runs);
        let ratio = row.median / value;
        row.bar = format!(">= {factor} x {}", shown(value));
        row.judge(ratio, ratio >= factor);
        row
    }

    /// Less is better: the median must be at most `bar`. The ratio says how many times better it is, where the median is
    /// not a ratio or a difference itself.
    pub(crate) fn at_most(
        figure: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        runs: Vec<f64>,
        bar: f64,
    ) -> Self {
        let mut row = Self::reported(figure, what, unit, runs);
        row.bar = format!("<= {}", shown(bar));
        row.judge(bar / row.median, row.median <= bar);
        if unit == RATIO || row.median <= 0.0 {
            row.ratio = None;
        }
        row
    }

    /// Less is better: the median must be below `bar`; the ratio says how many times better it is.
    pub(crate) fn ahead_of(
        figure: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        runs: Vec<f64>,
        bar: f64,
    ) -> Self {
        let mut row = Self::reported(figure, what, unit, runs);
        row.bar = format!("< {}", shown(bar));
        row.judge(bar / row.median, row.median < bar);
        row
    }

    /// A number without a bar.
    pub(crate) fn reported(figure: &'static str, what: impl Into<String>, unit: &'static str, runs: Vec<f64>) -> Self {
        let median = median(&runs);
        let verdict = Verdict::Reported;
        Self {
            figure,
            what: what.into(),
            unit,
            median,
            runs,
            bar: String::new(),
            ratio: None,
            verdict,
            faults: vec![],
        }
    }

    /// A figure that could not be measured.
    pub(crate) fn failed(figure: &'static str, error: &anyhow::Error) -> Self {
        let mut row = Self::reported(figure, "could not be measured", "", vec![]);
        row.verdict = Verdict::Failed;
        row.faults.push(format!("{error:#}"));
        row
    }

    /// The same row, missed if anything was wrong beside the number.
    pub(crate) fn with_faults(mut self, faults: &[String]) -> Self {
        if !faults.is_empty() {
            self.verdict = Verdict::Miss;
            self.faults.extend_from_slice(faults);
        }
        self
    }

    /// The same row with other words for its bar.
    pub(crate) fn with_bar(mut self, bar: impl Into<String>) -> Self {
        self.bar = bar.into();
        self
    }

    /// Whether it keeps the run from being a success.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.verdict, Verdict::Miss | Verdict::Failed)
    }

    fn judge(&mut self, ratio: f64, pass: bool) {
        self.ratio = ratio.is_finite().then_some(ratio);
        self.verdict = if pass && !self.runs.is_empty() {
            Verdict::Pass
        } else {
            Verdict::Miss
        };
    }

    fn cells(&self) -> [String; 6] {
        let measured = if self.runs.is_empty() {
            "-".to_owned()
        } else {
            format!("{} {}", shown(self.median), self.unit)
        };
        let verdict = match self.verdict {
            Verdict::Pass => "pass",
            Verdict::Miss => "MISS",
            Verdict::Reported => "",
            Verdict::Failed => "FAILED",
        };
        let runs = if self.runs.len() > 1 {
            format!("[{}]", listed(&self.runs))
        } else {
            String::new()
        };
        [
            self.figure.to_owned(),
            self.what.clone(),
            format!("{measured} {runs}").trim_end().to_owned(),
            self.bar.clone(),
            self.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            verdict.to_owned(),
        ]
    }
}

/// The table as text: `head` lines, the rows in columns, what was wrong, and the count.
pub(crate) fn render(head: &[String], rows: &[Row]) -> String {
    let titles = [
        "figure",
        "what",
        "measured: median [runs]",
        "baseline or bar",
        "ratio",
        "",
    ]
    .map(str::to_owned);
    let lines: Vec<[String; 6]> = std::iter::once(titles).chain(rows.iter().map(Row::cells)).collect();
    let mut widths = [0; 6];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in head {
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    for (number, line) in lines.iter().enumerate() {
        let padded: Vec<String> = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(padded.join(" | ").trim_end());
        text.push('\n');
        if number == 0 {
            text.push_str(&widths.map(|width| "-".repeat(width)).join("-+-"));
            text.push('\n');
        }
    }
    text.push('\n');
    for (row, fault) in rows
        .iter()
        .flat_map(|row| row.faults.iter().map(move |fault| (row, fault)))
    {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}: {fault}", row.figure);
    }
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let (pass, miss, failed) = (count(Verdict::Pass), count(Verdict::Miss), count(Verdict::Failed));
    let _ = writeln!(text, "{pass} pass, {miss} MISS, {failed} could not be measured");
    text
}

fn listed(values: &[f64]) -> String {
    values.iter().map(|value| shown(*value)).collect::<Vec<_>>().join(" ")
}

/// A number with as many digits as mean something.
fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_in_both_directions() {
        assert_eq!(
            Row::at_least("f", "w", "u", vec![30.0], (10.0, 3.0)).verdict,
            Verdict::Pass
        );
        assert_eq!(
            Row::at_least("f", "w", "u", vec![29.0], (10.0, 3.0)).verdict,
            Verdict::Miss
        );
        assert_eq!(Row::at_most("f", "w", "u", vec![2.0], 2.0).verdict, Verdict::Pass);
        assert_eq!(Row::at_most("f", "w", "u", vec![2.1], 2.0).verdict, Verdict::Miss);
        assert_eq!(Row::ahead_of("f", "w", "u", vec![2.0], 2.0).verdict, Verdict::Miss);
        assert_eq!(Row::ahead_of("f", "w", "u", vec![1.0], 2.0).ratio, Some(2.0));
        assert_eq!(
            Row::over_baseline("f", "w", "u", vec![50.0], (&[10.0], 5.0)).verdict,
            Verdict::Pass
        );
        assert_eq!(
            Row::at_most("f", "w", "u", vec![], 2.0).verdict,
            Verdict::Miss,
            "no runs reach no bar"
        );
    }

    #[test]
    fn a_fault_misses_whatever_the_number() {
        let row = Row::at_most("f", "w", "u", vec![1.0], 2.0).with_faults(&["3 lost".to_owned()]);
        assert!(row.is_bad());
        let text = render(
            &["head".to_owned()],
            &[row, Row::failed("g", &anyhow::anyhow!("broke"))],
        );
        assert!(text.contains("f: 3 lost\n") && text.contains("g: broke\n"));
        assert!(text.ends_with("0 pass, 1 MISS, 1 could not be measured\n"), "{text}");
    }
}
