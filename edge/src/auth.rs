//! Who asks: access tokens, and the extractor that every authenticated call takes.
//!
//! A token is a JWT (HS256) that names the account and the session. It is not kept anywhere: whoever holds the secret
//! can check it. Checked tokens are not remembered either: checking one takes 1.5 us (`examples/cost.rs`), a hundredth of
//! what a send takes, and a cache would be one more thing that a revoked session must be taken out of.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use cocotalk_domain::id::{SessionId, UserId};
use cocotalk_domain::time::Instant;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::door::Door;
use crate::problem::{Code, Problem};
use crate::scope;

/// Longest token that is looked at, bytes. Ours have about 320.
pub(crate) const TOKEN_BYTES: usize = 1_024;

/// Who asks, and by which session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub user_id: UserId,
    /// The session.
    pub session_id: SessionId,
    /// Until when this is so.
    pub expires_at: Instant,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No token of ours: not signed by us, by another key or algorithm, or something is missing.
    #[error("not an access token of this server")]
    Invalid,
    /// It was one.
    #[error("the access token has expired")]
    Expired,
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let code = match error {
            TokenError::Invalid => Code::InvalidToken,
            TokenError::Expired => Code::ExpiredToken,
        };
        Self::new(code).detail(error.to_string())
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: UserId,
    sid: SessionId,
    iat: i64,
    exp: i64,
}

/// Gives access tokens and checks them.
pub struct Tokens {
    header: Header,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    ttl: Duration,
}

impl Tokens {
    /// Tokens signed with `secret` that live for `ttl` (whole seconds).
    pub fn new(secret: [u8; 32], ttl: Duration) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // Checked against the caller's clock instead of the system's.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        Self {
            header: Header {
                kid: Some(key_id(&secret)),
                ..Header::new(Algorithm::HS256)
            },
            encoding: EncodingKey::from_secret(&secret),
            decoding: DecodingKey::from_secret(&secret),
            validation,
            ttl,
        }
    }

    /// How long a token lives.
    pub const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// A token for this session of this account.
    pub fn issue(&self, user_id: UserId, session_id: SessionId, now: Instant) -> String {
        let iat = now.millis().div_euclid(1_000);
        let claims = Claims {
            sub: user_id,
            sid: session_id,
            iat,
            exp: iat.saturating_add_unsigned(self.ttl.as_secs()),
        };
        encode(&self.header, &claims, &self.encoding).expect("plain claims are signed with an HMAC key")
    }

    /// Whose token this is.
    pub fn verify(&self, token: &str, now: Instant) -> Result<Identity, TokenError> {
        if token.len() > TOKEN_BYTES {
            return Err(TokenError::Invalid);
        }
        let token = decode::<Claims>(token, &self.decoding, &self.validation).map_err(|_| TokenError::Invalid)?;
        if token.header.kid != self.header.kid {
            return Err(TokenError::Invalid);
        }
        let Claims { sub, sid, exp, iat: _ } = token.claims;
        let expires_at = Instant::from_millis(exp.saturating_mul(1_000));
        if now >= expires_at {
            return Err(TokenError::Expired);
        }
        Ok(Identity {
            user_id: sub,
            session_id: sid,
            expires_at,
        })
    }
}

/// Names a key without telling it, so that a second key can be told apart while keys are exchanged.
fn key_id(secret: &[u8; 32]) -> String {
    let digest = Sha256::new()
        .chain_update("cocotalk token key id v1")
        .chain_update(secret)
        .finalize();
    let start: [u8; 4] = digest[..4].try_into().expect("a digest has 32 bytes");
    format!("{:08x}", u32::from_be_bytes(start))
}

/// The token of `Authorization: Bearer <token>`.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Problem::new(Code::Unauthenticated).detail("send one Authorization header with a Bearer token"));
    };
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim_ascii())
    } else {
        Err(Problem::new(Code::Unauthenticated).detail("the Authorization header holds no Bearer token"))
    }
}

/// Who asks: checks the token and counts the request against the account's rate.
impl<S> FromRequestParts<S> for Identity
where
    S: Send + Sync,
    Arc<Door>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let door = Arc::<Door>::from_ref(state);
        let identity = door.tokens.verify(bearer(&parts.headers)?, door.clock.now())?;
        match door.rate.check(&identity.user_id) {
            Ok(standing) => standing.into_iter().for_each(scope::note_standing),
            Err(too_many) => {
                scope::note_standing(too_many.standing);
                return Err(too_many.into());
            }
        }
        Ok(identity)
    }
}
