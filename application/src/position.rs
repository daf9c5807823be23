//! Places in the log, as commands answer them and queries wait for them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cocotalk_domain::stream::{SLICES, Slice};

/// Positions in some slices: `<slice>:<pos>[,<slice>:<pos>...]`, opaque to clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position(Vec<(Slice, u64)>);

/// A text that is no position or no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position that this service gave")]
pub struct NotAPosition;

impl Position {
    /// Longest text that is looked at, characters: four times as long as one place in each slice is.
    pub const MAX_CHARS: usize = 8_192;
    /// How it is written, as a regular expression of ECMA-262.
    pub const PATTERN: &str = "^([0-9]|[1-5][0-9]|6[0-3]):[0-9]{1,18}(, ?([0-9]|[1-5][0-9]|6[0-3]):[0-9]{1,18})*$";

    /// At one place.
    pub fn at(slice: Slice, pos: u64) -> Self {
        Self(vec![(slice, pos)])
    }

    /// Also at this place; of two in one slice the later counts.
    pub fn raise(&mut self, slice: Slice, pos: u64) {
        match self.0.iter_mut().find(|(s, _)| *s == slice) {
            Some((_, known)) => *known = (*known).max(pos),
            None => self.0.push((slice, pos)),
        }
    }

    /// Its places, one a slice.
    pub fn places(&self) -> &[(Slice, u64)] {
        &self.0
    }

    /// Whether it names no place.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether somebody who has come this far in every slice has passed it.
    pub fn reached_by(&self, checkpoints: &[u64; SLICES]) -> bool {
        self.0.iter().all(|(slice, pos)| checkpoints[slice.index()] >= *pos)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(i, (slice, pos))| {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{slice}:{pos}")
        })
    }
}

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::MAX_CHARS {
            return Err(NotAPosition);
        }
        let mut position = Self::default();
        for place in text.split(',') {
            let (slice, pos) = place.trim().split_once(':').ok_or(NotAPosition)?;
            let slice = slice.parse().ok().and_then(Slice::new).ok_or(NotAPosition)?;
            let pos: u64 = pos.parse().map_err(|_| NotAPosition)?;
            if pos > i64::MAX as u64 {
                return Err(NotAPosition);
            }
            position.raise(slice, pos);
        }
        Ok(position)
    }
}

/// How far a client has come in every slice: valid on every node. At most 1 KB as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub [u64; SLICES]);

impl Cursor {
    /// Longest text that is looked at, characters. One has at most nine bytes a slice, in base64.
    pub const MAX_CHARS: usize = 1_024;
}

impl From<&Cursor> for Position {
    /// Everything before the cursor.
    fn from(cursor: &Cursor) -> Self {
        let begun = Slice::all().zip(cursor.0).filter(|(_, pos)| *pos > 0);
        Self(begun.collect())
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(SLICES * 4);
        for mut pos in self.0 {
            while pos >= 0x80 {
                bytes.push(pos as u8 | 0x80);
                pos >>= 7;
            }
            bytes.push(pos as u8);
        }
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAPosition)?;
        let mut bytes = bytes.into_iter();
        let mut positions = [0_u64; SLICES];
        for pos in &mut positions {
            for shift in (0..63).step_by(7) {
                let byte = bytes.next().ok_or(NotAPosition)?;
                *pos |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
                if shift == 56 {
                    return Err(NotAPosition);
                }
            }
        }
        if bytes.next().is_some() {
            Err(NotAPosition)
        } else {
            Ok(Self(positions))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_position_is_read_back() {
        let position: Position = "3:17, 5:2,3:9".parse().expect("it is one");
        assert_eq!(position.to_string(), "3:17,5:2");
    }

    #[test]
    fn what_is_before_a_cursor_is_reached_by_whoever_has_come_as_far() {
        let mut heads = [0; SLICES];
        (heads[3], heads[5]) = (17, 2);
        let position = Position::from(&Cursor(heads));
        assert_eq!(position.to_string(), "3:17,5:2");
        assert!(position.reached_by(&heads));
        heads[3] = 16;
        assert!(!position.reached_by(&heads));
    }

    #[test]
    fn nonsense_is_no_position() {
        for text in ["", "3", "64:1", "-1:1", "1:-1", "1:2,", "1:99999999999999999999", "a:b"] {
            assert_eq!(text.parse::<Position>(), Err(NotAPosition), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_cursor_is_read_back(positions in proptest::array::uniform32(0_u64..(1 << 62))) {
            let mut all = [0; SLICES];
            all[..32].copy_from_slice(&positions);
            let text = Cursor(all).to_string();
            prop_assert!(text.len() <= 1024);
            prop_assert_eq!(text.parse::<Cursor>(), Ok(Cursor(all)));
        }

        #[test]
        fn any_text_is_a_cursor_or_refused(text in any_text()) {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string().parse::<Cursor>(), Ok(cursor));
            }
        }

        #[test]
        fn any_text_is_a_position_or_refused(text in prop_oneof!["[0-9:, -]{0,60}", "\\PC{0,60}"]) {
            if let Ok(position) = text.parse::<Position>() {
                prop_assert_eq!(position.to_string().parse::<Position>(), Ok(position));
            }
        }
    }

    /// Texts that are no cursor at first sight, and others that are one almost: numbers that end early, go on, or are too large.
    fn any_text() -> impl Strategy<Value = String> {
        let encoded = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
        let number = prop_oneof![
            4 => (0_u8..0x80).prop_map(|byte| vec![byte]),
            1 => prop::collection::vec(0x80_u8.., 1..10),
            1 => (prop::collection::vec(0x80_u8.., 1..10), 0_u8..0x80).prop_map(|(mut bytes, last)| {
                bytes.push(last);
                bytes
            }),
        ];
        prop_oneof![
            "\\PC{0,200}",
            prop::collection::vec(any::<u8>(), 0..100).prop_map(encoded),
            prop::collection::vec(number, SLICES - 1..SLICES + 2).prop_map(move |numbers| encoded(numbers.concat())),
        ]
    }
}
