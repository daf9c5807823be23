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

/// What a text must be to be taken: how long, and of which characters. Who describes the API describes it from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Fewest characters.
    pub min: usize,
    /// Most characters.
    pub max: usize,
    /// Which characters.
    pub of: Characters,
}

/// Which characters a text may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Characters {
    /// Any but NUL, which no store of text can hold.
    AnyButNul,
    /// One line that people read: no control characters, and not only white space.
    Line,
    /// What handles are made of: `[a-z0-9_.]`.
    Handle,
}

impl Characters {
    /// The same as a regular expression of ECMA-262 that also those of Rust and Python read, for a text of any length.
    pub const fn pattern(self) -> &'static str {
        match self {
            Self::AnyButNul => "^[^\\u0000]*$",
            Self::Line => concat!(
                "^[^\\u0000-\\u001f\\u007f-\\u009f]*",
                "[^\\u0000-\\u0020\\u007f-\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]",
                "[^\\u0000-\\u001f\\u007f-\\u009f]*$",
            ),
            Self::Handle => "^[a-z0-9_.]*$",
        }
    }

    fn check(self, text: &str) -> Result<(), TextError> {
        let allowed = match self {
            Self::AnyButNul => |c: char| c != '\0',
            Self::Line => |c: char| !c.is_control(),
            Self::Handle => |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '.'),
        };
        if !text.chars().all(allowed) {
            return Err(TextError::Character);
        }
        if self == Self::Line && text.trim().is_empty() {
            return Err(TextError::Blank);
        }
        Ok(())
    }
}

impl Shape {
    const fn new(min: usize, max: usize, of: Characters) -> Self {
        Self { min, max, of }
    }

    fn check(self, text: &str) -> Result<(), TextError> {
        let Self { min, max, of } = self;
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
        of.check(text)
    }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, |$limits:ident| $shape:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// What it must be.
            pub const fn shape($limits: &Limits) -> Shape {
                $shape
            }

            /// Parses it; the only door to the type for what comes from outside.
            pub fn parse(text: &str, limits: &Limits) -> Result<Self, TextError> {
                Self::shape(limits).check(text)?;
                Ok(Self(text.to_owned()))
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
    /// The text of a message.
    MessageText,
    |limits| Shape::new(1, limits.text_chars, Characters::AnyButNul)
);
text!(
    /// The name of a room or somebody's own alias for it.
    RoomName,
    |limits| Shape::new(1, limits.room_name_chars, Characters::Line)
);
text!(
    /// A room's notice, as long as a message may be.
    Notice,
    |limits| Shape::new(1, limits.text_chars, Characters::AnyButNul)
);
text!(
    /// The name that others see.
    DisplayName,
    |limits| Shape::new(1, limits.display_name_chars, Characters::Line)
);
text!(
    /// The unique name that people are found by.
    Handle,
    |limits| Shape::new(limits.handle_min_chars, limits.handle_max_chars, Characters::Handle)
);

/// One Unicode emoji, in its fully qualified form: ❤ and ❤\u{fe0f} are the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Emoji(String);

impl Emoji {
    /// Most characters of an emoji: a family, of four people and the joiners between them, with their skins.
    pub const MAX_CHARS: usize = 10;

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
    fn no_emoji_is_longer_than_is_said() {
        let longest = emojis::iter().flat_map(|emoji| emoji.skin_tones().into_iter().flatten().chain([emoji]));
        let longest = longest.map(|emoji| emoji.as_str().chars().count()).max();
        assert_eq!(longest, Some(Emoji::MAX_CHARS));
    }

    #[test]
    fn only_a_long_text_has_a_preview() {
        let limits = Limits::default();
        let text = |chars| MessageText::parse(&"코".repeat(chars), &limits).expect("it fits");
        assert_eq!(text(100).preview(), None);
        assert_eq!(text(101).preview(), Some("코".repeat(100).as_str()));
    }
}
