//! What a refused call is answered: one error, written in the form of the interface that was
//! called.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::{Value, json};

/// gRPC's codes, as far as ZITADEL answers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidArgument,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    FailedPrecondition,
    Unimplemented,
    Internal,
    Unavailable,
    ResourceExhausted,
    Unauthenticated,
}

impl Code {
    /// The number, the word that Connect uses, and the status of the HTTP answer.
    fn forms(self) -> (u8, &'static str, StatusCode) {
        match self {
            Self::InvalidArgument => (3, "invalid_argument", StatusCode::BAD_REQUEST),
            Self::NotFound => (5, "not_found", StatusCode::NOT_FOUND),
            Self::AlreadyExists => (6, "already_exists", StatusCode::CONFLICT),
            Self::PermissionDenied => (7, "permission_denied", StatusCode::FORBIDDEN),
            Self::ResourceExhausted => (8, "resource_exhausted", StatusCode::TOO_MANY_REQUESTS),
            Self::FailedPrecondition => (9, "failed_precondition", StatusCode::BAD_REQUEST),
            Self::Unimplemented => (12, "unimplemented", StatusCode::NOT_IMPLEMENTED),
            Self::Internal => (13, "internal", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Unavailable => (14, "unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::Unauthenticated => (16, "unauthenticated", StatusCode::UNAUTHORIZED),
        }
    }
}

/// The form of an answer: ZITADEL speaks gRPC-gateway's JSON on most paths and Connect's on
/// `/zitadel.<package>.<Service>/<Method>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Gateway,
    Connect,
}

impl Form {
    pub(crate) fn of(path: &str) -> Self {
        if path.starts_with("/zitadel.") { Self::Connect } else { Self::Gateway }
    }
}

/// A refusal: a code, a message, and ZITADEL's id of the place that refused, where it tells one.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    code: Code,
    id: Option<&'static str>,
    message: String,
}

/// Declares a constructor for each code that carries an id.
macro_rules! refusals {
    ($($name:ident => $code:ident),* $(,)?) => {
        $(pub(crate) fn $name(id: &'static str, message: impl Into<String>) -> Self {
            Self { code: Code::$code, id: Some(id), message: message.into() }
        })*
    };
}

impl ApiError {
    refusals! {
        invalid => InvalidArgument,
        not_found => NotFound,
        exists => AlreadyExists,
        denied => PermissionDenied,
        precondition => FailedPrecondition,
        internal => Internal,
        unimplemented => Unimplemented,
        unauthenticated => Unauthenticated,
    }

    /// A refusal without an id: those that do not come from ZITADEL's own code.
    pub(crate) fn bare(code: Code, message: impl Into<String>) -> Self {
        Self { code, id: None, message: message.into() }
    }

    /// The answer's text where an interface answers in plain text.
    pub(crate) fn line(&self) -> String {
        match self.id {
            Some(id) => format!("ID={id} Message={}", self.message),
            None => self.message.clone(),
        }
    }

    /// The whole answer.
    pub(crate) fn response(&self, form: Form) -> Response {
        let (_, _, status) = self.code.forms();
        let body = match form {
            Form::Gateway => self.gateway(),
            Form::Connect => self.connect(),
        };
        let mut response = json_response(status, &body);
        if self.code == Code::Unauthenticated
            && form == Form::Gateway
            && let Ok(value) = HeaderValue::from_str(&self.text())
        {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }

    fn text(&self) -> String {
        match self.id {
            Some(id) => format!("{} ({id})", self.message),
            None => self.message.clone(),
        }
    }

    fn gateway(&self) -> Value {
        let (number, _, _) = self.code.forms();
        let mut body = json!({ "code": number, "message": self.text() });
        if let (Some(id), Some(body)) = (self.id, body.as_object_mut()) {
            let detail = json!({
                "@type": "type.googleapis.com/zitadel.v1.ErrorDetail",
                "id": id,
                "message": self.message,
            });
            body.insert("details".to_owned(), json!([detail]));
        }
        body
    }

    fn connect(&self) -> Value {
        let (_, word, _) = self.code.forms();
        let mut body = json!({ "code": word, "message": self.text() });
        if let (Some(id), Some(body)) = (self.id, body.as_object_mut()) {
            let detail = json!({
                "type": "zitadel.v1.ErrorDetail",
                "value": STANDARD_NO_PAD.encode(error_detail(id, &self.message)),
                "debug": { "id": id, "message": self.message },
            });
            body.insert("details".to_owned(), json!([detail]));
        }
        body
    }
}

/// A JSON answer.
pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], Body::from(body.to_string()))
        .into_response()
}

/// The protobuf message `zitadel.v1.ErrorDetail {id = 1, message = 2}`.
fn error_detail(id: &str, message: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (tag, text) in [(0x0a, id), (0x12, message)] {
        bytes.push(tag);
        let mut length = text.len();
        while length >= 0x80 {
            bytes.push(low_bits(length, 0x7f) | 0x80);
            length >>= 7;
        }
        bytes.push(low_bits(length, 0x7f));
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

fn low_bits(value: usize, mask: usize) -> u8 {
    u8::try_from(value & mask).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_details_are_the_recorded_bytes() {
        let detail = error_detail("QUERY-fk2fs", "Project not found");
        assert_eq!(STANDARD_NO_PAD.encode(detail), "CgtRVUVSWS1mazJmcxIRUHJvamVjdCBub3QgZm91bmQ");
    }
}
