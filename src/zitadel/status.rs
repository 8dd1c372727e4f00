//! The error answers of ZITADEL, from any of its faces. Pure.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

/// An error answer of ZITADEL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// HTTP status.
    pub http: u16,
    /// What it means.
    pub code: Code,
    /// ZITADEL's id of the place that refused, such as `V3-DKcYh`; not every error has one.
    pub id: Option<String>,
    /// Text in the instance's default language, at most 256 printable characters: for people, never
    /// for decisions.
    pub message: String,
    /// What a `Retry-After` header asked for: more than nothing, at most a minute.
    pub retry_after: Option<Duration>,
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

/// "Membership not found": the account has no role where the call is for. ZITADEL says 404, and it
/// tells nothing of what was asked for.
pub(super) const NO_MEMBERSHIP: &str = "AUTHZ-cdgFk";

/// "No matching permissions found": what serves files says 401 for it, as for a token that is none.
const DENIED: [&str; 4] = ["AUTH-5mWD2", "AUTH-3jknH", "AUTH-AWfge", "AUTH-Swrgg2"];

/// The gRPC codes that ZITADEL uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// 3: the request is wrong whatever the state is.
    InvalidArgument,
    /// 4, or HTTP 504: it may have had an effect.
    DeadlineExceeded,
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
    /// 10: somebody else wrote at the same time.
    Aborted,
    /// 12, or HTTP 405 and 501.
    Unimplemented,
    /// 14, or HTTP 502 and 503.
    Unavailable,
    /// 16
    Unauthenticated,
    /// Any other.
    Other,
}

impl Code {
    /// From the gateway's number, Connect's word, or where the body is neither, the HTTP status.
    fn of(body: &Value, http: u16) -> Self {
        match body {
            Value::Number(number) => Self::of_number(number.as_u64()),
            Value::String(word) => Self::of_word(word),
            _ => Self::of_http(http),
        }
    }

    fn of_number(number: Option<u64>) -> Self {
        match number {
            Some(3) => Self::InvalidArgument,
            Some(4) => Self::DeadlineExceeded,
            Some(5) => Self::NotFound,
            Some(6) => Self::AlreadyExists,
            Some(7) => Self::PermissionDenied,
            Some(8) => Self::ResourceExhausted,
            Some(9) => Self::FailedPrecondition,
            Some(10) => Self::Aborted,
            Some(12) => Self::Unimplemented,
            Some(14) => Self::Unavailable,
            Some(16) => Self::Unauthenticated,
            _ => Self::Other,
        }
    }

    fn of_word(word: &str) -> Self {
        match word {
            "invalid_argument" => Self::InvalidArgument,
            "deadline_exceeded" => Self::DeadlineExceeded,
            "not_found" => Self::NotFound,
            "already_exists" => Self::AlreadyExists,
            "permission_denied" => Self::PermissionDenied,
            "resource_exhausted" => Self::ResourceExhausted,
            "failed_precondition" => Self::FailedPrecondition,
            "aborted" => Self::Aborted,
            "unimplemented" => Self::Unimplemented,
            "unavailable" => Self::Unavailable,
            "unauthenticated" => Self::Unauthenticated,
            _ => Self::Other,
        }
    }

    fn of_http(http: u16) -> Self {
        match http {
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::NotFound,
            405 | 501 => Self::Unimplemented,
            429 => Self::ResourceExhausted,
            502 | 503 => Self::Unavailable,
            504 => Self::DeadlineExceeded,
            _ => Self::Other,
        }
    }

    /// Connect's word for it: for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::PermissionDenied => "permission_denied",
            Self::ResourceExhausted => "resource_exhausted",
            Self::FailedPrecondition => "failed_precondition",
            Self::Aborted => "aborted",
            Self::Unimplemented => "unimplemented",
            Self::Unavailable => "unavailable",
            Self::Unauthenticated => "unauthenticated",
            Self::Other => "other",
        }
    }
}

/// Id and message of `ID=ORG-23BMs Message=Private Label Policy not found`.
fn plain(body: &[u8]) -> Option<(&str, &str)> {
    let line = std::str::from_utf8(body).ok()?.trim_end();
    line.strip_prefix("ID=")?.split_once(" Message=")
}

impl Status {
    /// Reads an error answer of any form: the gateway's `{code: 5, message, details[0].id}` or
    /// Connect's `{code: "not_found", message, details[0].debug.id}`, or the plain line of what
    /// serves files. Of a body that is none of these, nothing is repeated; nor is a text that holds
    /// `secret`.
    pub(crate) fn parse(
        http: u16,
        retry_after: Option<Duration>,
        body: &[u8],
        secret: &str,
    ) -> Self {
        #[derive(Default, Deserialize)]
        struct Body {
            code: Value,
            #[serde(default)]
            message: Value,
            #[serde(default)]
            details: Value,
        }
        let body: Body = serde_json::from_slice(body).unwrap_or_else(|_| {
            let (id, message) = plain(body).unwrap_or_default();
            let details = json!([{ "id": id }]);
            Body { message: message.into(), details, ..Body::default() }
        });
        let printable = |text: &str, length: usize| -> Option<String> {
            if !secret.is_empty() && text.contains(secret) {
                return None;
            }
            let text: String = text.chars().filter(|c| !c.is_control()).take(length).collect();
            (!text.is_empty()).then_some(text)
        };
        let id = |detail: &Value| {
            let id = detail.get("id").or_else(|| detail.get("debug")?.get("id"))?;
            printable(id.as_str()?, 64)
        };
        let id = body.details.as_array().and_then(|details| details.iter().find_map(id));
        let code = match id.as_deref() {
            Some(NO_MEMBERSHIP) => Code::PermissionDenied,
            Some(id) if DENIED.contains(&id) => Code::PermissionDenied,
            _ => Code::of(&body.code, http),
        };
        Self {
            http,
            code,
            id,
            message: body
                .message
                .as_str()
                .and_then(|message| printable(message, 256))
                .unwrap_or_default(),
            retry_after,
        }
    }

    /// Whether trying the same again may help.
    pub(super) fn is_transient(&self) -> bool {
        match self.code {
            Code::Unimplemented => false,
            Code::ResourceExhausted
            | Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Aborted => true,
            _ => self.http >= 500 || matches!(self.http, 408 | 425 | 429 | 499),
        }
    }

    /// Whether a server that is down, or whose database is, would explain it.
    pub(super) fn suggests_outage(&self) -> bool {
        match self.code {
            Code::Unavailable | Code::DeadlineExceeded => true,
            Code::ResourceExhausted | Code::Aborted | Code::Unimplemented => false,
            _ => self.http >= 500,
        }
    }

    /// Whether it is certain that nothing was changed. An error of the 5xx range comes from a proxy
    /// as well, after it sent the request; 499 is a request that was given up on half-way.
    pub(super) fn had_no_effect(&self) -> bool {
        match self.code {
            Code::DeadlineExceeded => false,
            Code::Unimplemented => true,
            _ => (400..500).contains(&self.http) && self.http != 499,
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
        let (a, b) = (Status::parse(409, None, gateway, ""), Status::parse(409, None, connect, ""));
        assert_eq!(a, b);
        assert_eq!((a.code, a.id.as_deref()), (Code::AlreadyExists, Some("V3-DKcYh")));
    }

    #[test]
    fn a_body_that_is_no_error_of_zitadel_is_not_repeated() {
        for body in
            [&b"<html>secret proxy page</html>"[..], br#"{"message":"secret"}"#, b"[]", b"\xff"]
        {
            let s = Status::parse(502, None, body, "");
            assert_eq!((s.code, s.message.as_str()), (Code::Unavailable, ""));
        }
    }

    #[test]
    fn odd_parts_cost_nothing_else() {
        let body =
            br#"{"code":5,"message":["x"],"details":[7,{"id":8},{"debug":null},{"id":"QUERY-1"}]}"#;
        let s = Status::parse(404, None, body, "");
        assert_eq!(
            (s.code, s.id.as_deref(), s.message.as_str()),
            (Code::NotFound, Some("QUERY-1"), "")
        );
    }

    #[test]
    fn a_message_is_short_and_printable() {
        let body = serde_json::json!({
            "code": 3,
            "message": format!("\u{1b}[31mred\n{}", "x".repeat(9999)),
            "details": [{"id": "y".repeat(9999)}],
        });
        let s = Status::parse(400, None, body.to_string().as_bytes(), "");
        assert!(s.message.starts_with("[31mredx") && s.message.len() == 256, "{}", s.message);
        assert_eq!(s.id.map(|id| id.len()), Some(64));
    }
}
