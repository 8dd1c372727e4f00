//! What can go wrong between us and ZITADEL. Pure.

use serde::Deserialize;

/// The result of a call to ZITADEL.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A call that did not bring what was asked for.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No connection: refused, reset, no such host, TLS. Nothing was answered.
    #[error("{host} can't be reached: {cause}")]
    Unreachable {
        /// Host and port that were tried.
        host: String,
        /// The innermost cause.
        cause: String,
    },
    /// The deadline passed or the connection broke after the request was sent: a write may have
    /// taken effect.
    #[error("no answer from {host}: {cause}")]
    NoAnswer {
        /// Host and port that were asked.
        host: String,
        /// The innermost cause.
        cause: String,
    },
    /// The address is not one that this operator may connect to.
    #[error("{host} is not an allowed address")]
    AddressNotAllowed {
        /// Host that was refused.
        host: String,
    },
    /// ZITADEL answered with an error.
    #[error("{0}")]
    Status(Status),
    /// An answer that is not what the endpoint promises: half a body, other types, no JSON.
    #[error("unexpected answer to {endpoint}: {what}")]
    Malformed {
        /// Method and path.
        endpoint: String,
        /// What does not fit, without the body.
        what: String,
    },
    /// The credentials can't be used at all: not a key file, an empty token.
    #[error("unusable credentials: {0}")]
    Credentials(String),
    /// The token endpoint refused the credentials.
    #[error("the token endpoint refused the credentials: {error}")]
    TokenRefused {
        /// OAuth's error code, e.g. `invalid_grant`.
        error: String,
    },
}

/// An error answer of ZITADEL, from any of its faces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// HTTP status.
    pub http: u16,
    /// What it means.
    pub code: Code,
    /// ZITADEL's id of the place that refused, such as `V3-DKcYh`; not every error has one.
    pub id: Option<String>,
    /// Text in the instance's default language, at most 256 characters: for people, never for
    /// decisions.
    pub message: String,
    /// What a `Retry-After` header asked for.
    pub retry_after: Option<std::time::Duration>,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.message.is_empty() {
            write!(f, "HTTP {} ({:?})", self.http, self.code)
        } else {
            f.write_str(&self.message)
        }
    }
}

/// The gRPC codes that ZITADEL uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// 3: the request is wrong whatever the state is.
    InvalidArgument,
    /// 5
    NotFound,
    /// 6
    AlreadyExists,
    /// 7
    PermissionDenied,
    /// 8, or HTTP 429.
    ResourceExhausted,
    /// 9: not in this state; "no changes" is one of them.
    FailedPrecondition,
    /// 12, or HTTP 405 and 501.
    Unimplemented,
    /// 14, or HTTP 502 to 504.
    Unavailable,
    /// 16
    Unauthenticated,
    /// Any other.
    Other,
}

impl Code {
    /// From the gateway's number, Connect's word, or where the body is neither, the HTTP status.
    fn of(number: Option<u64>, word: Option<&str>, http: u16) -> Self {
        let from_word = || match word? {
            "invalid_argument" => Some(3),
            "not_found" => Some(5),
            "already_exists" => Some(6),
            "permission_denied" => Some(7),
            "resource_exhausted" => Some(8),
            "failed_precondition" => Some(9),
            "unimplemented" => Some(12),
            "unavailable" => Some(14),
            "unauthenticated" => Some(16),
            _ => Some(2),
        };
        let from_http = || match http {
            401 => 16,
            403 => 7,
            404 => 5,
            405 | 501 => 12,
            429 => 8,
            502..=504 => 14,
            _ => 2,
        };
        match number.or_else(from_word).unwrap_or_else(from_http) {
            3 => Self::InvalidArgument,
            5 => Self::NotFound,
            6 => Self::AlreadyExists,
            7 => Self::PermissionDenied,
            8 => Self::ResourceExhausted,
            9 => Self::FailedPrecondition,
            12 => Self::Unimplemented,
            14 => Self::Unavailable,
            16 => Self::Unauthenticated,
            _ => Self::Other,
        }
    }
}

impl Status {
    /// Reads an error answer of either form: the gateway's `{code: 5, message, details[0].id}` or
    /// Connect's `{code: "not_found", message, details[0].debug.id}`. Of a body that is neither,
    /// nothing is repeated.
    pub(crate) fn parse(http: u16, retry_after: Option<std::time::Duration>, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Body {
            code: serde_json::Value,
            #[serde(default)]
            message: String,
            #[serde(default)]
            details: Vec<Detail>,
        }
        #[derive(Deserialize)]
        struct Detail {
            id: Option<String>,
            debug: Option<Debug>,
        }
        #[derive(Deserialize)]
        struct Debug {
            id: Option<String>,
        }
        let Ok(body) = serde_json::from_slice::<Body>(body) else {
            return Self {
                http,
                code: Code::of(None, None, http),
                id: None,
                message: String::new(),
                retry_after,
            };
        };
        let id = body.details.into_iter().find_map(|d| d.id.or_else(|| d.debug.and_then(|d| d.id)));
        Self {
            http,
            code: Code::of(body.code.as_u64(), body.code.as_str(), http),
            id,
            message: body.message.chars().take(256).collect(),
            retry_after,
        }
    }
}

impl Error {
    /// The code, where ZITADEL answered with one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Status(s) => Some(s.code),
            _ => None,
        }
    }

    /// ZITADEL's id of the error, where there is one.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Status(s) => s.id.as_deref(),
            _ => None,
        }
    }

    /// The server has no such endpoint (an older release): HTTP 501 or 405, or a 404 that no
    /// resource caused.
    pub fn is_missing_endpoint(&self) -> bool {
        match self {
            Self::Status(s) => s.code == Code::Unimplemented || (s.http == 404 && s.id.is_none()),
            _ => false,
        }
    }

    /// It is certain that nothing was changed by the call that failed so.
    pub(crate) fn had_no_effect(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::AddressNotAllowed { .. }
            | Self::Credentials(_)
            | Self::TokenRefused { .. } => true,
            Self::Status(s) => s.http < 500 || (s.http == 503 && s.code == Code::Unavailable),
            Self::NoAnswer { .. } | Self::Malformed { .. } => false,
        }
    }

    /// Trying the same again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NoAnswer { .. } | Self::Malformed { .. } => true,
            Self::Status(s) => {
                s.http >= 500 && s.code != Code::Unimplemented || s.code == Code::ResourceExhausted
            }
            Self::AddressNotAllowed { .. } | Self::Credentials(_) | Self::TokenRefused { .. } => {
                false
            }
        }
    }

    /// How long the server asked us to wait.
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Status(s) => s.retry_after,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_an_error_say_the_same() {
        let gateway = br#"{"code":6,"message":"exists (V3-DKcYh)","details":[{"@type":"t","id":"V3-DKcYh","message":"exists"}]}"#;
        let connect =
            br#"{"code":"already_exists","message":"exists (V3-DKcYh)","details":[{"type":"t","value":"x","debug":{"id":"V3-DKcYh"}}]}"#;
        let (a, b) = (Status::parse(409, None, gateway), Status::parse(409, None, connect));
        assert_eq!(a, b);
        assert_eq!((a.code, a.id.as_deref()), (Code::AlreadyExists, Some("V3-DKcYh")));
    }

    #[test]
    fn a_body_that_is_no_error_of_zitadel_is_not_repeated() {
        let s = Status::parse(502, None, b"<html>secret proxy page</html>");
        assert_eq!((s.code, s.message.as_str()), (Code::Unavailable, ""));
    }
}
