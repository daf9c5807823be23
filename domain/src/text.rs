//! Texts that people give us, parsed once: whoever holds one of these types holds a valid text.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{Limits, PREVIEW_CHARS};

/// Why a text was refused. `code` is what a client sees.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Fewer characters than the bound.
    #[error("shorter than {min} characters")]
    TooShort {
        /// The fewest allowed.
        min: usize,
    },
    /// More characters than the bound.
    #[error("longer than {max} characters")]
    TooLong {
        /// The most allowed.
        max: usize,
    },
    /// Nothing but white space.
    #[error("nothing but white space")]
    Blank,
    /// A character that such a text cannot have.
    #[error("has a character that is not allowed")]
    Character,
    /// Not one emoji: none, several, or something else.
    #[error("is not one emoji")]
    NoEmoji,
}

impl TextError {
    /// The stable word for this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => "too_short",
            Self::TooLong { .. } => "too_long",
            Self::Blank => "blank",
            Self::Character => "invalid_character",
            Self::NoEmoji => "no_emoji",
        }
    }
}

fn check_chars(text: &str, min: usize, max: usize) -> Result<(), TextError> {
    // No text of more bytes than four a character can fit, so a huge one is refused without being counted.
    let chars = if text.len() > max.saturating_mul(4) {
        usize::MAX
    } else {
        text.chars().count()
    };
    if chars < min {
        return Err(TextError::TooShort { min });
    }
    if chars > max {
        return Err(TextError::TooLong { max });
    }
    Ok(())
}

/// One line that people read: no control characters, not blank.
fn check_line(text: &str, max: usize) -> Result<(), TextError> {
    check_chars(text, 1, max)?;
    if text.chars().any(char::is_control) {
        return Err(TextError::Character);
    }
    if text.trim().is_empty() {
        return Err(TextError::Blank);
    }
    Ok(())
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, |$text:ident, $limits:ident| $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Parses it; the only door to the type for what comes from outside.
            pub fn parse($text: &str, $limits: &Limits) -> Result<Self, TextError> {
                $check?;
                Ok(Self($text.to_owned()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// The text of a message: any characters but NUL, which no store of text can hold.
    MessageText,
    |text, limits| check_chars(text, 1, limits.text_chars).and(no_nul(text))
);
text!(
    /// The name of a room or somebody's own alias for it.
    RoomName,
    |text, limits| check_line(text, limits.room_name_chars)
);
text!(
    /// A room's notice, as long as a message may be.
    Notice,
    |text, limits| check_chars(text, 1, limits.text_chars).and(no_nul(text))
);
text!(
    /// The name that others see.
    DisplayName,
    |text, limits| check_line(text, limits.display_name_chars)
);
text!(
    /// The unique name that people are found by: `[a-z0-9_.]`.
    Handle,
    |text, limits| check_chars(text, limits.handle_min_chars, limits.handle_max_chars).and(handle_chars(text))
);

/// One Unicode emoji, in its fully qualified form: ❤ and ❤\u{fe0f} are the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Emoji(String);

impl Emoji {
    /// Parses it; the only door to the type for what comes from outside.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let known = emojis::get(text).ok_or(TextError::NoEmoji)?;
        Ok(Self(known.as_str().to_owned()))
    }

    /// One that was parsed before it was stored, maybe by a build that knows more of them.
    pub const fn stored(text: String) -> Self {
        Self(text)
    }

    /// The emoji.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Emoji {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn no_nul(text: &str) -> Result<(), TextError> {
    if text.contains('\0') {
        Err(TextError::Character)
    } else {
        Ok(())
    }
}

fn handle_chars(text: &str) -> Result<(), TextError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
    if text.chars().all(allowed) {
        Ok(())
    } else {
        Err(TextError::Character)
    }
}

impl MessageText {
    /// The first characters, if there are more than a preview has; a shorter text is its own preview.
    pub fn preview(&self) -> Option<&str> {
        self.0.char_indices().nth(PREVIEW_CHARS).map(|(end, _)| &self.0[..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_characters() {
        let limits = Limits::default();
        assert!(MessageText::parse(&"가".repeat(10_000), &limits).is_ok());
        assert_eq!(
            MessageText::parse(&"가".repeat(10_001), &limits),
            Err(TextError::TooLong { max: 10_000 })
        );
        assert_eq!(MessageText::parse("", &limits), Err(TextError::TooShort { min: 1 }));
        assert_eq!(MessageText::parse("a\0b", &limits), Err(TextError::Character));
    }

    #[test]
    fn a_room_name_is_one_visible_line() {
        let limits = Limits::default();
        assert_eq!(RoomName::parse("  ", &limits), Err(TextError::Blank));
        assert_eq!(RoomName::parse("a\nb", &limits), Err(TextError::Character));
        assert!(RoomName::parse("우리 모임", &limits).is_ok());
    }

    #[test]
    fn a_handle_has_few_characters() {
        let limits = Limits::default();
        assert_eq!(Handle::parse("abc", &limits), Err(TextError::TooShort { min: 4 }));
        assert_eq!(Handle::parse("Alice", &limits), Err(TextError::Character));
        assert!(Handle::parse("coco_talk.1", &limits).is_ok());
    }

    #[test]
    fn an_emoji_is_one_whatever_it_is_made_of() {
        for emoji in ["👍", "👍🏽", "👨\u{200d}👩\u{200d}👧", "🇰🇷", "1\u{fe0f}\u{20e3}"] {
            assert_eq!(Emoji::parse(emoji).map(|emoji| emoji.0).as_deref(), Ok(emoji));
        }
        assert_eq!(Emoji::parse("❤"), Emoji::parse("❤\u{fe0f}"));
        for other in ["", "a", "1", "👍👍", "👍 ", ":+1:", "가", "\u{200d}", "\u{fe0f}"] {
            assert_eq!(Emoji::parse(other), Err(TextError::NoEmoji), "{other:?}");
        }
    }

    #[test]
    fn only_a_long_text_has_a_preview() {
        let limits = Limits::default();
        let text = |chars| MessageText::parse(&"코".repeat(chars), &limits).expect("it fits");
        assert_eq!(text(100).preview(), None);
        assert_eq!(text(101).preview(), Some("코".repeat(100).as_str()));
    }
}
