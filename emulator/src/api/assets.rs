//! The files that policies name: uploaded as forms, told to everybody who knows their address.
//! What refuses here does so in plain text, and says 401 of whatever the token does not permit.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

use md5::{Digest, Md5};

use super::oidc::{Page, page};
use crate::{
    auth,
    errors::ApiError,
    model::policy::{
        LABEL,
        label::{ASSETS, Asset},
    },
    state::State,
    store::{Aggregate, Draft},
};

/// The most that a file may hold.
const LARGEST: usize = 512 * 1024;

/// A file in the storage.
pub(crate) struct Stored {
    content_type: &'static str,
    bytes: Bytes,
    etag: String,
    changed: jiff::Timestamp,
}

/// All routes of the storage.
pub(crate) fn pages() -> Vec<Page> {
    vec![
        page(Method::POST, "/assets/v1/instance/policy/label/{*asset}", |state, parts, body| {
            let path = "/assets/v1/instance/policy/label/";
            upload(state, parts, body, path, "iam.policy.write")
        }),
        page(Method::POST, "/assets/v1/org/policy/label/{*asset}", |state, parts, body| {
            let path = "/assets/v1/org/policy/label/";
            upload(state, parts, body, path, "policy.write")
        }),
        page(Method::GET, "/assets/v1/{owner}/policy/label/{name}", download),
    ]
}

/// A file is not in the storage any more.
pub(crate) fn remove_stored(state: &mut State, owner: &str, key: &str) {
    state.assets.remove(&(owner.to_owned(), key.to_owned()));
}

/// A refusal in this interface's form.
fn plain(status: StatusCode, text: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from(format!("{text}\n")))
        .into_response()
}

fn upload(
    state: &mut State,
    parts: &Parts,
    body: &Bytes,
    below: &str,
    permission: &str,
) -> Response {
    let name = parts.uri.path().strip_prefix(below).unwrap_or_default();
    let Some(asset) = ASSETS.iter().find(|asset| asset.upload == name) else {
        return plain(StatusCode::NOT_FOUND, "404 page not found");
    };
    let of_instance = permission.starts_with("iam.");
    let organization = match permitted(state, &parts.headers, permission) {
        Ok((_, organization)) => organization,
        Err(error) => return plain(StatusCode::UNAUTHORIZED, &error.line()),
    };
    let refused = |text: &str| plain(StatusCode::BAD_REQUEST, text);
    let file = match file(&parts.headers, body) {
        Ok(file) => file,
        Err(text) => return refused(text),
    };
    let content_type = sniffed(&file);
    let wanted = if asset.is_font { "font/" } else { "image/" };
    if !content_type.starts_with(wanted) {
        return refused(&format!("invalid content-type: {content_type}"));
    }
    if file.len() > LARGEST {
        return refused("file too big, max file size is 512KB");
    }
    let of = if of_instance { state.instance() } else { Aggregate::organization(&organization) };
    if state.write.policy(&of.id, &LABEL).is_none() {
        let text = "ID=ORG-23BMs Message=Private Label Policy not found";
        return plain(StatusCode::NOT_FOUND, text);
    }
    let user = auth::authenticate(state, &parts.headers).unwrap_or_default();
    let key = format!("policy/label/{}-{}", asset.stored, state.clock.id());
    let Asset { added: [to_instance, to_organization], .. } = asset;
    let added = if of_instance { to_instance } else { to_organization };
    let draft = Draft::new(&of, added).with("storeKey", &*key);
    let editor = state.editor(&user);
    if state.push(&editor, vec![draft]).is_err() {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "upload failed");
    }
    let stored = Stored {
        content_type,
        etag: format!("\"{:032x}\"", u128::from_be_bytes(Md5::digest(&file).into())),
        bytes: file,
        changed: state.clock.now(),
    };
    state.assets.insert((of.id, key), stored);
    StatusCode::OK.into_response()
}

/// The caller, and the organization that the call acts in.
fn permitted(
    state: &State,
    headers: &HeaderMap,
    permission: &str,
) -> Result<(String, String), ApiError> {
    if headers.get(header::AUTHORIZATION).is_none_or(HeaderValue::is_empty) {
        return Err(ApiError::unauthenticated("AUT-1179", "auth header missing"));
    }
    let user = auth::authenticate(state, headers)?;
    let organization = auth::organization(state, headers, &user)?;
    auth::check(state, &user, &organization, permission, None)?;
    Ok((user, organization))
}

/// The file of a form.
fn file(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, &'static str> {
    let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let said = said.unwrap_or_default();
    let boundary = said
        .strip_prefix("multipart/form-data;")
        .and_then(|rest| Some(rest.trim().strip_prefix("boundary=")?.trim_matches('"').to_owned()));
    let Some(boundary) = boundary else {
        return Err("request Content-Type isn't multipart/form-data");
    };
    let missing = "http: no such file";
    let end = format!("\r\n--{boundary}");
    let opening = format!("--{boundary}\r\n");
    let rest = body.strip_prefix(opening.as_bytes()).ok_or("multipart: NextPart: EOF")?;
    let split = find(rest, b"\r\n\r\n").ok_or("multipart: NextPart: EOF")?;
    let (head, content) = (rest.get(..split), rest.get(split + 4..));
    let head = String::from_utf8_lossy(head.unwrap_or_default()).to_ascii_lowercase();
    let content = content.unwrap_or_default();
    let length = find(content, end.as_bytes()).ok_or("multipart: NextPart: EOF")?;
    if !head.contains("name=\"file\";") || !head.contains("filename=") {
        return Err(missing);
    }
    Ok(Bytes::copy_from_slice(content.get(..length).unwrap_or_default()))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// What a file is, by what it holds.
fn sniffed(bytes: &[u8]) -> &'static str {
    const MAGIC: [(&[u8], &str); 11] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"\x00\x00\x01\x00", "image/x-icon"),
        (b"BM", "image/bmp"),
        (b"\x00\x01\x00\x00", "font/ttf"),
        (b"OTTO\x00", "font/otf"),
        (b"wOFF", "font/woff"),
        (b"wOF2", "font/woff2"),
        (b"%PDF-", "application/pdf"),
    ];
    if bytes.is_empty() {
        return "text/plain";
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return "image/webp";
    }
    if let Some((_, content_type)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return content_type;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains("<svg") => "image/svg+xml",
        Ok(_) => "text/plain; charset=utf-8",
        Err(_) => "application/octet-stream",
    }
}

fn download(state: &mut State, parts: &Parts, _: &Bytes) -> Response {
    let path = parts.uri.path().strip_prefix("/assets/v1/").unwrap_or_default();
    let (owner, key) = path.split_once('/').unwrap_or_default();
    let Some(stored) = state.assets.get(&(owner.to_owned(), key.to_owned())) else {
        let text = "ID=DATAB-pCP8P Message=Object could not be found";
        let mut response = plain(StatusCode::NOT_FOUND, text);
        let no_store = header::HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
        return response;
    };
    let known = parts.headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let marks = [
        (header::CACHE_CONTROL, "public, max-age=5, s-maxage=604800".to_owned()),
        (header::ETAG, stored.etag.clone()),
        (header::LAST_MODIFIED, stored.changed.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()),
    ];
    if known == Some(&*stored.etag) {
        return (StatusCode::NOT_MODIFIED, marks).into_response();
    }
    let content_type = [(header::CONTENT_TYPE, stored.content_type)];
    (StatusCode::OK, marks, content_type, Body::from(stored.bytes.clone())).into_response()
}
