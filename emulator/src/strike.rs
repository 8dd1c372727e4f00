//! What a struck call is answered.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::Value;

use crate::{
    auth,
    connection::{Broken, Connection, Padded},
    errors::{ApiError, Code, Form},
    faults::{Action, Met, Outage},
    server::{Reset, read, unknown_path},
};

/// Lets a call meet what it meets.
pub(crate) async fn suffer(
    met: Met,
    request: Request,
    next: Next,
    connection: Option<Connection>,
) -> Response {
    let form = Form::of(request.uri().path());
    if !met.latency.is_zero() {
        tokio::time::sleep(met.latency).await;
    }
    match met.outage {
        Some(Outage::Reset) => return reset(connection.as_ref()),
        Some(Outage::Unavailable) => return plain(503),
        Some(Outage::Hang) => return std::future::pending().await,
        None => {}
    }
    match met.missing {
        Some(501) => return ApiError::bare(Code::Unimplemented, "Not Implemented").response(form),
        Some(_) => return unknown_path(request.uri().clone()).await,
        None => {}
    }
    let response = match met.action {
        Some(action) => act(action, request, next, connection.as_ref()).await,
        None => next.run(request).await,
    };
    if met.alterations.is_empty() { response } else { alter(response, &met.alterations).await }
}

async fn act(
    action: Action,
    request: Request,
    next: Next,
    connection: Option<&Connection>,
) -> Response {
    let form = Form::of(request.uri().path());
    match action {
        Action::TooManyRequests { retry_after } => {
            let mut response =
                ApiError::bare(Code::ResourceExhausted, "too many requests").response(form);
            if let Some(seconds) = retry_after {
                response.headers_mut().insert("retry-after", seconds.into());
            }
            response
        }
        Action::Status { status } => plain(status),
        Action::Unavailable => ApiError::bare(Code::Unavailable, "unavailable").response(form),
        Action::ExpiredToken => auth::bad_token().response(form),
        Action::Reset => reset(connection),
        Action::LoseAnswer => {
            next.run(request).await;
            reset(connection)
        }
        Action::LoseAnswerWith { status } => {
            next.run(request).await;
            plain(status)
        }
        Action::Truncate => truncate(next.run(request).await).await,
        Action::Delay { milliseconds } => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            next.run(request).await
        }
        Action::DelayAnswer { milliseconds } => {
            let response = next.run(request).await;
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            response
        }
        Action::Answer { status, body } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
            (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
        }
        // Met before: it never stands alone.
        Action::Alter { .. } => next.run(request).await,
        Action::FirstPage => first_page(request, next).await,
        Action::Inflate { bytes } => pad(next.run(request).await, Some(bytes)).await,
        Action::Endless => pad(next.run(request).await, None).await,
    }
}

/// Puts other values into a good answer.
async fn alter(response: Response, alterations: &[(String, Option<Value>)]) -> Response {
    if !response.status().is_success() {
        return response;
    }
    rewrite(response, |answer| {
        for (pointer, value) in alterations {
            put(answer, pointer, value.as_ref());
        }
    })
    .await
}

/// Changes an answer's JSON, if it is any.
async fn rewrite(response: Response, change: impl FnOnce(&mut Value)) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = read(body).await;
    let Ok(mut answer) = serde_json::from_slice(&body) else {
        return Response::from_parts(parts, Body::from(body));
    };
    change(&mut answer);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(answer.to_string()))
}

/// Puts a value where a JSON pointer points to, or removes what is there.
fn put(answer: &mut Value, pointer: &str, value: Option<&Value>) {
    let Some((parent, name)) = pointer.rsplit_once('/') else {
        return;
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    match (answer.pointer_mut(parent), value) {
        (Some(Value::Object(fields)), Some(value)) => _ = fields.insert(name, value.clone()),
        (Some(Value::Object(fields)), None) => _ = fields.remove(&name),
        (Some(Value::Array(entries)), Some(value)) if name == "-" => entries.push(value.clone()),
        (Some(Value::Array(entries)), value) => {
            let Some(index) = name.parse::<usize>().ok().filter(|index| *index < entries.len())
            else {
                return;
            };
            match (value, entries.get_mut(index)) {
                (Some(value), Some(entry)) => entry.clone_from(value),
                _ => _ = entries.remove(index),
            }
        }
        _ => {}
    }
}

/// Asks for the first page, whichever was asked for, and says that there is no end of them.
async fn first_page(request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut body = read(body).await;
    if let Ok(mut asked) = serde_json::from_slice::<Value>(&body) {
        for pointer in
            ["/query/offset", "/pagination/offset", "/from", "/range", "/creationDate", "/sequence"]
        {
            put(&mut asked, pointer, None);
        }
        body = Bytes::from(asked.to_string());
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    rewrite(response, |answer| {
        for list in ["details", "pagination"] {
            if let Some(details) = answer.get_mut(list).and_then(Value::as_object_mut) {
                details.insert("totalResult".to_owned(), Value::from(u64::MAX.to_string()));
            }
        }
    })
    .await
}

/// White space behind an answer: so many bytes, or without end.
async fn pad(response: Response, bytes: Option<u64>) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = read(body).await;
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::new(Padded::behind(body, bytes)))
}

fn plain(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, status.canonical_reason().unwrap_or_default()).into_response()
}

/// Resets the connection, or, in process, answers what stands for that.
fn reset(connection: Option<&Connection>) -> Response {
    if let Some(connection) = connection {
        connection.reset();
    }
    let mut response = (StatusCode::BAD_GATEWAY, Body::new(Broken::default())).into_response();
    response.extensions_mut().insert(Reset);
    response
}

/// Half of an answer: the length of the whole is announced, then the connection ends.
async fn truncate(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = read(body).await;
    parts.headers.insert("content-length", body.len().into());
    let half = body.slice(..body.len() / 2);
    Response::from_parts(parts, Body::new(Broken::after(half)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn altered(pointer: &str, value: Option<&Value>) -> Value {
        let mut answer = json!({ "rows": [{ "id": "1" }, { "id": "2" }], "a/b": 1 });
        put(&mut answer, pointer, value);
        answer
    }

    #[test]
    fn pointers_replace_add_and_remove() {
        let two = json!({ "id": "2" });
        for (pointer, value, rows) in [
            ("/rows/0/id", Some(json!(7)), json!([{ "id": 7 }, two])),
            ("/rows/0/id", None, json!([{}, two])),
            ("/rows/0/state", Some(json!("ODD")), json!([{ "id": "1", "state": "ODD" }, two])),
            ("/rows/0", None, json!([two])),
            ("/rows/-", Some(json!(null)), json!([{ "id": "1" }, two, null])),
            ("/rows/9", None, json!([{ "id": "1" }, two])),
            ("/rows/9", Some(json!(0)), json!([{ "id": "1" }, two])),
            ("/none/at/all", Some(json!(0)), json!([{ "id": "1" }, two])),
        ] {
            assert_eq!(altered(pointer, value.as_ref())["rows"], rows, "{pointer}");
        }
        assert_eq!(altered("/a~1b", Some(&json!(2)))["a/b"], 2);
    }
}
