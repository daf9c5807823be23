//! What a person wrote or is: opaque here, opened only at the window.

use std::fmt;

use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::UserId;

/// Bytes sealed with one person's data key. Commands, events and rows carry only this form; when that person's key is
/// destroyed, every copy of it is unreadable for ever. The domain never opens it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Whose key sealed it.
    pub subject: UserId,
    /// Nonce and ciphertext; base64 in JSON.
    #[serde(with = "as_base64")]
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes of {})", self.bytes.len(), self.subject)
    }
}

mod as_base64 {
    use base64::Engine as _;

    use super::{Deserialize, Deserializer, STANDARD_NO_PAD, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
        } else {
            bytes.serialize(serializer)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
            STANDARD_NO_PAD
                .decode(text.as_bytes())
                .map_err(serde::de::Error::custom)
        } else {
            Vec::deserialize(deserializer)
        }
    }
}
