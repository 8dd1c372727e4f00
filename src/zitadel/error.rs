//! What can go wrong between us and ZITADEL. Pure.
//!
//! A variant is a situation that callers treat differently. No variant holds a secret or a body.

pub use super::status::{Code, Status};

/// The result of a call to ZITADEL.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A call that did not return what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection: refused, reset, no such host, TLS. Nothing was sent.
    #[error("{host} can't be reached: {cause}")]
    Unreachable {
        /// Host and port that were tried.
        host: String,
        /// The innermost cause.
        cause: String,
    },
    /// The deadline passed or the connection broke after the request was sent: a write may have
    /// had its effect.
    #[error("no answer from {host}: {cause}")]
    NoAnswer {
        /// Host and port that were asked.
        host: String,
        /// The innermost cause.
        cause: String,
    },
    /// The whole server is known to be down, as a probe found out. Nothing was sent: see
    /// [`outage`](super::outage).
    #[error("{0}")]
    Down(Box<Error>),
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
    /// The body of an answer is larger than any answer of ZITADEL.
    #[error("the answer to {endpoint} is larger than {limit} bytes")]
    TooLarge {
        /// Method and path.
        endpoint: String,
        /// Bytes that are accepted.
        limit: usize,
    },
    /// A list that does not end.
    #[error("the list of {endpoint} has more than {limit} pages")]
    TooManyPages {
        /// Method and path.
        endpoint: String,
        /// Pages that are read.
        limit: u64,
    },
    /// A path that would not reach the endpoint that it names, or an id that could not stand in a
    /// request. Nothing was sent.
    #[error("{path:?} can't be part of a request: {problem}")]
    InvalidPath {
        /// The path, the segment or the id.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The credentials can't be used at all. Nothing was sent.
    #[error("unusable credentials: {0}")]
    Credentials(#[from] CredentialsProblem),
    /// The connection can't be made as configured. Nothing was sent.
    #[error("unusable configuration: {0}")]
    Configuration(#[from] ConfigurationProblem),
    /// The token endpoint refused the credentials.
    #[error("the token endpoint refused the credentials: {error}")]
    TokenRefused {
        /// OAuth's error code, e.g. `invalid_grant`.
        error: &'static str,
    },
}

/// Why credentials can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsProblem {
    /// Not the JSON of a key file.
    #[error(
        "no key file of a service account: a JSON object with keyId, key and userId is expected"
    )]
    NoKeyFile,
    /// A key file of an application.
    #[error("a key file without userId is an application's; a service account's is needed")]
    ApplicationKey,
    /// Not an RSA key in PEM form.
    #[error("the key in the key file is no RSA private key in PEM form")]
    NoRsaKey,
    /// The key does not sign.
    #[error("the key can't sign")]
    CannotSign,
    /// Not a token.
    #[error("the token is empty or holds characters that no token has")]
    NoToken,
}

/// Why a connection can't be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationProblem {
    /// Issuer or address are more than scheme, host, port and path.
    #[error("issuer and address are URLs with a host and without user, query and fragment")]
    Url,
    /// Not PEM.
    #[error("the CA is no PEM certificate")]
    CaNotPem,
    /// PEM without a certificate.
    #[error("the CA holds no certificate")]
    CaEmpty,
    /// A proxy that can't be used. Its URL may hold a password and is not repeated.
    #[error("{variable} in the environment is no http or https URL of a proxy")]
    Proxy {
        /// The variable of the environment.
        variable: &'static str,
    },
    /// The HTTP client can't be built.
    #[error("{cause}")]
    Http {
        /// The innermost cause.
        cause: String,
    },
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

    /// Whether it says that a thing does not exist. A 404 without an id is a missing endpoint or an
    /// unknown host. `AUTH-Bs7Ds` ("organisation doesn't exist") is none: ZITADEL answers it for any
    /// error of its check of the organization.
    pub fn says_gone(&self) -> bool {
        self.code() == Some(Code::NotFound) && self.id().is_some()
    }

    /// One word for the situation, out of few: for logs and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::NoAnswer { .. } => "no_answer",
            Self::Down(_) => "down",
            Self::AddressNotAllowed { .. } => "address_not_allowed",
            Self::Status(s) => s.code.as_str(),
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::TooManyPages { .. } => "too_many_pages",
            Self::InvalidPath { .. } => "invalid_path",
            Self::Credentials(_) => "credentials",
            Self::Configuration(_) => "configuration",
            Self::TokenRefused { .. } => "token_refused",
        }
    }

    /// The server has no such endpoint (an older release): HTTP 501 or 405, or a 404 that no
    /// resource caused.
    ///
    /// Two answers look the same: an unknown host, on every path; and `PATCH /v2/users/{id}` with
    /// a service account's user name alone (501, "user type is not implemented").
    pub fn is_missing_endpoint(&self) -> bool {
        match self {
            Self::Status(s) => s.id.is_none() && (s.code == Code::Unimplemented || s.http == 404),
            _ => false,
        }
    }

    /// The API looked at the request itself: it was reached, knows us, and is in order.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::Status(s) if !s.is_transient() && s.http != 401)
    }

    /// ZITADEL, or the token endpoint, does not accept who we are.
    pub fn is_unauthenticated(&self) -> bool {
        match self {
            Self::Status(s) => s.code == Code::Unauthenticated,
            Self::TokenRefused { .. } | Self::Credentials(_) => true,
            _ => false,
        }
    }

    /// It is certain that nothing was changed by the call that failed so.
    pub fn had_no_effect(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Down(_)
            | Self::AddressNotAllowed { .. }
            | Self::InvalidPath { .. }
            | Self::Credentials(_)
            | Self::Configuration(_)
            | Self::TokenRefused { .. } => true,
            Self::Status(s) => s.had_no_effect(),
            Self::NoAnswer { .. }
            | Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::TooManyPages { .. } => false,
        }
    }

    /// Trying the same again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::NoAnswer { .. }
            | Self::Down(_)
            | Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::TooManyPages { .. } => true,
            Self::Status(s) => s.is_transient(),
            Self::AddressNotAllowed { .. }
            | Self::InvalidPath { .. }
            | Self::Credentials(_)
            | Self::Configuration(_)
            | Self::TokenRefused { .. } => false,
        }
    }

    /// Nothing was sent, because the whole server is known to be down.
    pub fn is_down(&self) -> bool {
        matches!(self, Self::Down(_))
    }

    /// An outage of the whole server would explain it: there is no connection or no answer, or what
    /// answers is a proxy, or a ZITADEL without its database. Whether it is one, a probe tells.
    pub(super) fn suggests_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::NoAnswer { .. }
            | Self::Down(_)
            | Self::Malformed { .. } => true,
            Self::Status(s) => s.suggests_outage(),
            Self::AddressNotAllowed { .. }
            | Self::TooLarge { .. }
            | Self::TooManyPages { .. }
            | Self::InvalidPath { .. }
            | Self::Credentials(_)
            | Self::Configuration(_)
            | Self::TokenRefused { .. } => false,
        }
    }

    /// How long the server asked us to wait: more than nothing, at most a minute.
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

    fn status(http: u16, code: u64) -> Error {
        let body = format!(r#"{{"code":{code},"message":"m","details":[{{"id":"X-1"}}]}}"#);
        Error::Status(Status::parse(http, None, body.as_bytes(), ""))
    }

    fn bare(http: u16) -> Error {
        Error::Status(Status::parse(http, None, b"<html>", ""))
    }

    #[test]
    fn each_error_says_whether_to_try_again_and_whether_something_happened() {
        let text = || "x".to_owned();
        let (transient, no_effect, missing, unauthenticated) = (true, true, true, true);
        for (error, expected) in [
            (
                Error::Unreachable { host: text(), cause: text() },
                [transient, no_effect, false, false],
            ),
            (Error::NoAnswer { host: text(), cause: text() }, [transient, false, false, false]),
            (Error::AddressNotAllowed { host: text() }, [false, no_effect, false, false]),
            (Error::Malformed { endpoint: text(), what: text() }, [transient, false, false, false]),
            (Error::TooLarge { endpoint: text(), limit: 1 }, [transient, false, false, false]),
            (Error::TooManyPages { endpoint: text(), limit: 1 }, [transient, false, false, false]),
            (Error::InvalidPath { path: text(), problem: "x" }, [false, no_effect, false, false]),
            (
                Error::Credentials(CredentialsProblem::NoToken),
                [false, no_effect, false, unauthenticated],
            ),
            (Error::Configuration(ConfigurationProblem::CaEmpty), [false, no_effect, false, false]),
            (
                Error::TokenRefused { error: "invalid_grant" },
                [false, no_effect, false, unauthenticated],
            ),
            (status(400, 3), [false, no_effect, false, false]),
            (status(504, 4), [transient, false, false, false]),
            (status(404, 5), [false, no_effect, false, false]),
            (status(409, 6), [false, no_effect, false, false]),
            (status(403, 7), [false, no_effect, false, false]),
            (status(429, 8), [transient, no_effect, false, false]),
            (status(400, 9), [false, no_effect, false, false]),
            (status(409, 10), [transient, no_effect, false, false]),
            (status(501, 12), [false, no_effect, false, false]),
            (status(500, 13), [transient, false, false, false]),
            (status(503, 14), [transient, false, false, false]),
            (status(401, 16), [false, no_effect, false, unauthenticated]),
            (bare(302), [false, false, false, false]),
            (bare(400), [false, no_effect, false, false]),
            (bare(401), [false, no_effect, false, unauthenticated]),
            (bare(404), [false, no_effect, missing, false]),
            (bare(405), [false, no_effect, missing, false]),
            (bare(408), [transient, no_effect, false, false]),
            (bare(429), [transient, no_effect, false, false]),
            (bare(499), [transient, false, false, false]),
            (bare(500), [transient, false, false, false]),
            (bare(501), [false, no_effect, missing, false]),
            (bare(502), [transient, false, false, false]),
            (bare(503), [transient, false, false, false]),
            (bare(504), [transient, false, false, false]),
        ] {
            let found = [
                error.is_transient(),
                error.had_no_effect(),
                error.is_missing_endpoint(),
                error.is_unauthenticated(),
            ];
            assert_eq!(found, expected, "{error:?}");
        }
    }
}
