//! What only the server knows beforehand: when something happened and where in the log it stands. It is learned when it is first
//! told, and the same ever after, whoever is told and however.

use std::collections::BTreeMap;

use serde_json::Value;

/// What marks a value as one to be learned; nothing that is said begins with it.
const MARK: char = '\u{1}';

/// What was told so far.
#[derive(Default)]
pub(crate) struct Learned(BTreeMap<String, String>);

/// When an event happened.
pub(crate) fn at(room: usize, version: u64) -> Value {
    Value::String(format!("{MARK}at {room} {version}"))
}

/// Where an event stands in the log.
pub(crate) fn position(room: usize, version: u64) -> Value {
    Value::String(format!("{MARK}position {room} {version}"))
}

impl Learned {
    /// Whether this is what was expected, where that is known; what is not known yet is learned from it then.
    pub(crate) fn fits(&mut self, expected: &Value, shown: &Value) -> bool {
        let mut news = Vec::new();
        let fits = self.compare(expected, shown, &mut news);
        if fits {
            self.0.extend(news);
        }
        fits
    }

    /// Asserts it.
    pub(crate) fn assert(&mut self, what: impl Fn() -> String, expected: &Value, shown: &Value) {
        assert!(
            self.fits(expected, shown),
            "{}:\nexpected {}\n   shown {shown}",
            what(),
            self.filled(expected)
        );
    }

    /// What is expected, with what is known in it.
    pub(crate) fn filled(&self, expected: &Value) -> Value {
        match expected {
            Value::String(text) => Value::String(self.0.get(text).unwrap_or(text).clone()),
            Value::Array(items) => items.iter().map(|item| self.filled(item)).collect(),
            Value::Object(fields) => {
                let filled = fields.iter().map(|(name, value)| (name.clone(), self.filled(value)));
                Value::Object(filled.collect())
            }
            other => other.clone(),
        }
    }

    fn compare(&self, expected: &Value, shown: &Value, news: &mut Vec<(String, String)>) -> bool {
        match (expected, shown) {
            (Value::String(expected), Value::String(shown)) if expected.starts_with(MARK) => {
                let told = news.iter().find(|(name, _)| name == expected).map(|(_, told)| told);
                let known = self.0.get(expected).or(told).map(|known| known == shown);
                if known.is_none() {
                    news.push((expected.clone(), shown.clone()));
                }
                known.unwrap_or(true)
            }
            (Value::Array(expected), Value::Array(shown)) => {
                expected.len() == shown.len()
                    && expected
                        .iter()
                        .zip(shown)
                        .all(|(expected, shown)| self.compare(expected, shown, news))
            }
            (Value::Object(expected), Value::Object(shown)) => {
                let same = |(name, expected): (&String, &Value)| {
                    shown.get(name).is_some_and(|shown| self.compare(expected, shown, news))
                };
                expected.len() == shown.len() && expected.iter().all(same)
            }
            (expected, shown) => expected == shown,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_told_once_is_expected_ever_after() {
        let mut learned = Learned::default();
        let expected = json!({"seq": 1, "sent_at": at(0, 1), "again": [at(0, 1), position(0, 1)]});
        let shown = |one: &str, other: &str| json!({"seq": 1, "sent_at": one, "again": [other, "3:4"]});
        assert!(!learned.fits(&expected, &shown("t", "u")), "one moment is one");
        assert!(learned.fits(&expected, &shown("t", "t")));
        assert!(!learned.fits(&expected, &shown("u", "u")));
        assert_eq!(learned.filled(&expected), shown("t", "t"));
    }

    #[test]
    fn nothing_may_be_missing_or_more() {
        let mut learned = Learned::default();
        for shown in [json!({}), json!({"a": 1, "b": 2}), json!({"a": 2}), json!([1])] {
            assert!(!learned.fits(&json!({"a": 1}), &shown), "{shown}");
        }
    }
}
