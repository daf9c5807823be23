//! Pages of lists: `?limit=&cursor=` and `{items, next_cursor}`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cocotalk_domain::limits::Limits;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::describe::bounds::{PageCursor, PageLimit};
use crate::problem::{Code, Problem};
use crate::query;

/// Items of a page when nothing is said.
pub const DEFAULT_ITEMS: usize = 50;
/// Longest cursor that is looked at, characters.
pub(crate) const PAGE_CURSOR_CHARS: usize = 1_024;

/// The parameters of a list that has no others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Most items of the page.
    #[param(value_type = Option<PageLimit>)]
    pub limit: Option<u64>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<PageCursor>)]
    pub cursor: Option<String>,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `null` on the last one.
    pub next_cursor: Option<String>,
}

/// The number of items that was asked for.
pub fn limit(given: Option<u64>, limits: &Limits) -> Result<usize, Problem> {
    let most = limits.page_items;
    let Some(given) = given else {
        return Ok(DEFAULT_ITEMS.min(most));
    };
    match usize::try_from(given) {
        Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
        _ => Err(query::invalid("limit", format!("1 to {most} is expected"))),
    }
}

/// A place in a list as a cursor. Opaque, not secret: what is in it, its holder has seen.
pub fn encode_cursor(place: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).expect("a place is plain data"))
}

/// The place that a cursor means.
pub fn decode_cursor<T: DeserializeOwned>(cursor: &str) -> Result<T, Problem> {
    let json = (cursor.len() <= PAGE_CURSOR_CHARS)
        .then(|| URL_SAFE_NO_PAD.decode(cursor).ok())
        .flatten();
    json.and_then(|json| serde_json::from_slice(&json).ok())
        .ok_or_else(|| Problem::new(Code::InvalidCursor).detail("not a cursor that this list gave"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_limit_has_a_default_and_bounds() {
        let limits = Limits::default();
        assert_eq!(limit(None, &limits).unwrap(), 50);
        assert_eq!(limit(Some(1), &limits).unwrap(), 1);
        assert_eq!(limit(Some(100), &limits).unwrap(), 100);
        for wrong in [0, 101, u64::MAX] {
            assert_eq!(limit(Some(wrong), &limits).unwrap_err().code(), Code::InvalidQuery);
        }
        let small = Limits {
            page_items: 10,
            ..limits
        };
        assert_eq!(limit(None, &small).unwrap(), 10);
    }

    #[test]
    fn a_cursor_is_read_back() {
        let cursor = encode_cursor(&(7_u64, "가"));
        assert_eq!(decode_cursor::<(u64, String)>(&cursor).unwrap(), (7, "가".to_owned()));
    }

    proptest! {
        /// A place is told apart by its parts; whatever else comes is refused in the same words.
        #[test]
        fn any_text_is_a_cursor_or_refused(text in prop_oneof!["\\PC{0,60}", "[A-Za-z0-9_-]{0,60}", json_like()]) {
            match decode_cursor::<(u64, String)>(&text) {
                Ok(place) => {
                    let again = decode_cursor::<(u64, String)>(&encode_cursor(&place));
                    prop_assert_eq!(again.ok(), Some(place));
                }
                Err(problem) => prop_assert_eq!(problem.code(), Code::InvalidCursor),
            }
        }
    }

    /// What is a place almost.
    fn json_like() -> impl Strategy<Value = String> {
        "\\[?[0-9]{1,21}(,\"[a-z]{0,3}\"?)?\\]?".prop_map(|text| URL_SAFE_NO_PAD.encode(text))
    }

    #[test]
    fn nonsense_is_no_cursor() {
        let other = encode_cursor(&"text");
        let long = encode_cursor(&"1".repeat(2_000));
        for wrong in ["", "!", "AAAA", other.as_str(), long.as_str()] {
            assert_eq!(
                decode_cursor::<u64>(wrong).unwrap_err().code(),
                Code::InvalidCursor,
                "{wrong}"
            );
        }
    }
}
