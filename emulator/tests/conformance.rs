//! Replays the recordings of a real server against the emulator: what `recordings/replay.py` does,
//! with the same rules of comparison, in process.
//!
//! The files of a set build on each other, so each set is played on a fresh instance in the order
//! of `recordings/order.txt`, with a line for each exchange and all differences at the end.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test prints its results and fails by panicking"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use zitadel_emulator::{Emulator, Options};

/// Exchanges that the emulator does not support, by recording, and why. They are not played.
const UNSUPPORTED: [(&str, &[usize], &str); 3] = [
    (
        "project-grant-v1",
        &[23, 42, 43, 44, 45, 46, 47, 48, 49, 50, 55],
        "members of project grants, their events (#55), the roles of a granted project (#23)",
    ),
    (
        "project-grant-edge",
        &[10, 18, 19, 26, 36, 37],
        "members of project grants, project grants through the service v2, their events (#37)",
    ),
    (
        "user-grant-cross",
        &[12, 13, 14, 17, 24, 32, 34, 38, 39, 40, 42, 50, 52, 59, 62, 77],
        "the authorization service v2, and the lists that hold what was made through it",
    ),
];

/// Where the emulator seems to be.
const HOST: &str = "localhost:8080";

#[derive(Deserialize)]
struct Recording {
    exchanges: Vec<Exchange>,
}

#[derive(Deserialize)]
struct Exchange {
    note: String,
    request: Sent,
    response: Received,
    #[serde(default)]
    bind: BTreeMap<String, String>,
    compare: Option<String>,
}

#[derive(Deserialize)]
struct Sent {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    raw: Option<String>,
    form: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct Received {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Value,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let filters: Vec<String> = std::env::args().skip(1).collect();
    let listing = filters.iter().any(|argument| argument == "--list");
    let other = filters
        .iter()
        .any(|argument| !argument.starts_with('-') && !"conformance".contains(argument.as_str()));
    if listing || other {
        return ExitCode::SUCCESS;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
    let mut differences = Vec::new();
    let (mut passed, mut ignored) = (0, 0);
    let mut replay = Replay::new();
    for (first, name) in scenarios(&folder) {
        if first {
            replay = Replay::new();
        }
        let text = fs::read_to_string(folder.join(format!("{name}.json")))
            .expect("the recording is there");
        let recording: Recording = serde_json::from_str(&text).expect("the recording is readable");
        for (number, exchange) in recording.exchanges.iter().enumerate() {
            let title = format!("{name}#{number} {}", exchange.note);
            if let Some(reason) = unsupported(&name, number) {
                println!("test {title} ... ignored, {reason}");
                ignored += 1;
                continue;
            }
            let wrong = replay.run(exchange).await;
            println!("test {title} ... {}", if wrong.is_empty() { "ok" } else { "FAILED" });
            if wrong.is_empty() {
                passed += 1;
            } else {
                differences.push((title, wrong));
            }
        }
    }
    for (title, wrong) in &differences {
        println!("\n{title}");
        for line in wrong {
            println!("    {line}");
        }
    }
    println!("\n{passed} passed, {} failed, {ignored} ignored", differences.len());
    if differences.is_empty() && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The scenarios that are there, in order, and whether a fresh instance begins with them.
fn scenarios(folder: &Path) -> Vec<(bool, String)> {
    let order =
        fs::read_to_string(PathBuf::from(folder).join("order.txt")).expect("the order is there");
    order
        .lines()
        .filter_map(|line| line.split_once(':'))
        .flat_map(|(_, names)| {
            let names = names.split_whitespace().enumerate();
            names.map(|(index, name)| (index == 0, name.to_owned())).collect::<Vec<_>>()
        })
        .collect()
}

/// Why an exchange is not played, if it is not.
fn unsupported(name: &str, number: usize) -> Option<&'static str> {
    UNSUPPORTED
        .iter()
        .find(|(recording, numbers, _)| *recording == name && numbers.contains(&number))
        .map(|(_, _, reason)| *reason)
}

/// What is never compared by value.
const FREE: [&str; 13] = [
    "sequence",
    "totalResult",
    "viewTimestamp",
    "processedSequence",
    "message",
    "localizedMessage",
    "error_description",
    "token",
    "access_token",
    "id_token",
    "expires_in",
    "debug",
    "value",
];

struct Replay {
    emulator: Emulator,
    bound: BTreeMap<String, String>,
    ids: BTreeMap<String, String>,
    ids_back: BTreeMap<String, String>,
    dates: BTreeMap<String, String>,
}

impl Replay {
    fn new() -> Self {
        let emulator = Emulator::new(Options::default()).expect("the defaults are good");
        let bound = BTreeMap::from([("PAT".to_owned(), emulator.pat())]);
        Self {
            emulator,
            bound,
            ids: BTreeMap::new(),
            ids_back: BTreeMap::new(),
            dates: BTreeMap::new(),
        }
    }

    /// Replays an exchange, and tells what differs.
    async fn run(&mut self, exchange: &Exchange) -> Vec<String> {
        let (status, headers, have) = self.send(&exchange.request).await;
        let want = &exchange.response;
        let mut wrong = Vec::new();
        if exchange.compare.as_deref() == Some("none") {
            // Told, not compared.
        } else if status != want.status {
            wrong.push(format!("status {} expected, {status} found: {have}", want.status));
        } else if exchange.compare.as_deref() == Some("status") {
            // The rest depends on what ran before.
        } else if status >= 400 {
            if error_of(&want.body) != error_of(&have) {
                wrong.push(format!(
                    "error {:?} expected, {:?} found",
                    error_of(&want.body),
                    error_of(&have)
                ));
            }
        } else {
            self.same(
                &want.body,
                &have,
                "",
                "",
                exchange.compare.as_deref() == Some("shape"),
                &mut wrong,
            );
        }
        for (name, value) in &want.headers {
            if headers.get(name) != Some(value) {
                wrong.push(format!(
                    "header {name}: {value:?} expected, {:?} found",
                    headers.get(name)
                ));
            }
        }
        for (name, place) in &exchange.bind {
            let value = place.split('.').fold(&have, |value, part| match part.parse::<usize>() {
                Ok(index) => &value[index],
                Err(_) => &value[part],
            });
            if let Some(value) = value.as_str() {
                self.bound.insert(name.clone(), value.to_owned());
            }
        }
        wrong
    }

    async fn send(&self, sent: &Sent) -> (u16, BTreeMap<String, String>, Value) {
        let body = if let Some(raw) = &sent.raw {
            raw.clone()
        } else if let Some(form) = &sent.form {
            self.form(form)
        } else {
            sent.body.as_ref().map(|body| self.fill(&body.to_string())).unwrap_or_default()
        };
        let mut request =
            Request::builder().method(sent.method.as_str()).uri(self.fill(&sent.path));
        if !sent.headers.contains_key("host") {
            request = request.header("host", HOST);
        }
        for (name, value) in &sent.headers {
            request = request.header(name, self.fill(value));
        }
        let request = request.body(Body::from(body)).expect("the request is well-formed");
        let response =
            self.emulator.router().oneshot(request).await.expect("the router always answers");
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
            .collect();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("the answer is whole");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = match serde_json::from_str(&text) {
            Ok(body) => body,
            Err(_) if text.is_empty() => Value::Null,
            Err(_) => json!({ "__text": text }),
        };
        (status, headers, body)
    }

    /// Fills variables in.
    fn fill(&self, text: &str) -> String {
        self.bound.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("${{{name}}}"), value)
        })
    }

    fn form(&self, form: &BTreeMap<String, Value>) -> String {
        let pairs = form.iter().map(|(name, value)| {
            let value = match value {
                Value::String(text) => self.fill(text),
                spec => self.assertion(spec),
            };
            format!("{name}={}", escape(&value))
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    /// A signed JWT from `{"claims", "header"}`, whose times are seconds from now.
    fn assertion(&self, spec: &Value) -> String {
        let file: Value =
            serde_json::from_str(&self.emulator.key_file()).expect("the key file is JSON");
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_secs();
        let mut claims = spec["claims"].clone();
        for value in claims.as_object_mut().expect("claims are an object").values_mut() {
            *value = match &*value {
                Value::String(text) => json!(
                    text.replace("${user}", file["userId"].as_str().unwrap_or_default())
                        .replace("${issuer}", &format!("http://{HOST}"))
                ),
                seconds => json!(
                    i64::try_from(now).unwrap_or_default() + seconds.as_i64().unwrap_or_default()
                ),
            };
        }
        let kid = spec["header"]["kid"]
            .as_str()
            .unwrap_or("${key}")
            .replace("${key}", file["keyId"].as_str().unwrap_or_default());
        let header = jsonwebtoken::Header {
            kid: Some(kid),
            ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256)
        };
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(
            file["key"].as_str().unwrap_or_default().as_bytes(),
        )
        .expect("the key is a key");
        jsonwebtoken::encode(&header, &claims, &key).expect("the claims can be signed")
    }

    /// Collects what differs between a recorded answer and one that was given.
    fn same(
        &mut self,
        want: &Value,
        have: &Value,
        at: &str,
        key: &str,
        shape: bool,
        wrong: &mut Vec<String>,
    ) {
        if want.get("__text").is_some() {
            return;
        }
        if let Some(name) = secret_name(want) {
            match have {
                Value::String(have) => {
                    self.bound.insert(name.to_owned(), have.clone());
                }
                have => wrong.push(format!("{at}: a secret expected, {have} found")),
            }
            return;
        }
        if FREE.contains(&key) {
            if kind(want) != kind(have) {
                wrong.push(format!("{at}: {want} expected, {have} found"));
            }
            return;
        }
        match (want, have) {
            (Value::Object(wanted), Value::Object(had)) => {
                let keys: BTreeSet<_> = wanted.keys().chain(had.keys()).collect();
                for key in keys {
                    match (wanted.get(key), had.get(key)) {
                        (Some(want), None) => wrong.push(format!("{at}.{key}: missing ({want})")),
                        (None, Some(have)) => {
                            wrong.push(format!("{at}.{key}: not expected ({have})"));
                        }
                        (Some(want), Some(have)) => {
                            self.same(want, have, &format!("{at}.{key}"), key, shape, wrong);
                        }
                        (None, None) => {}
                    }
                }
            }
            (Value::Array(wanted), Value::Array(had)) if shape => {
                if let (Some(want), Some(have)) = (wanted.first(), had.first()) {
                    self.same(want, have, &format!("{at}[0]"), key, shape, wrong);
                }
            }
            (Value::Array(wanted), Value::Array(had)) => {
                if wanted.len() != had.len() {
                    wrong.push(format!(
                        "{at}: {} entries expected, {} found",
                        wanted.len(),
                        had.len()
                    ));
                }
                for (index, (want, have)) in wanted.iter().zip(had).enumerate() {
                    self.same(want, have, &format!("{at}[{index}]"), key, shape, wrong);
                }
            }
            _ if kind(want) != kind(have) => {
                wrong.push(format!("{at}: {want} expected, {have} found"));
            }
            _ if shape || want == have => {}
            (Value::String(want), Value::String(have)) => {
                wrong.extend(self.same_text(want, have, at));
            }
            _ => wrong.push(format!("{at}: {want} expected, {have} found")),
        }
    }

    /// Ids and dates may differ, if the same ones stay the same.
    fn same_text(&mut self, want: &str, have: &str, at: &str) -> Option<String> {
        if is_id(want) {
            if !is_id(have) {
                return Some(format!("{at}: an id expected, {have:?} found"));
            }
            let known = self.ids.entry(want.to_owned()).or_insert_with(|| have.to_owned()).clone();
            let back =
                self.ids_back.entry(have.to_owned()).or_insert_with(|| want.to_owned()).clone();
            return (known != have || back != want)
                .then(|| format!("{at}: {have} is not the id that stood for {want} before"));
        }
        if is_date(want) {
            if !is_date(have) {
                return Some(format!("{at}: a date expected, {have:?} found"));
            }
            let known =
                self.dates.entry(want.to_owned()).or_insert_with(|| have.to_owned()).clone();
            return (known != have).then(|| format!("{at}: this date was the same as an earlier one in the recording, and is not here"));
        }
        (blurred(want) != blurred(have)).then(|| format!("{at}: {want:?} expected, {have:?} found"))
    }
}

fn kind(value: &Value) -> std::mem::Discriminant<Value> {
    std::mem::discriminant(value)
}

/// The name of `${NAME}` or `${SECRET:NAME}`.
fn secret_name(value: &Value) -> Option<&str> {
    let name = value.as_str()?.strip_prefix("${")?.strip_suffix('}')?;
    let name = name.strip_prefix("SECRET:").unwrap_or(name);
    name.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(name)
}

fn is_id(text: &str) -> bool {
    (15..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_date(text: &str) -> bool {
    let Some((seconds, rest)) = text.strip_suffix('Z').and_then(|text| text.split_at_checked(19))
    else {
        return false;
    };
    let form: String = seconds.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let fraction = rest.strip_prefix('.').is_none_or(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    form == "0000-00-00T00:00:00" && (rest.is_empty() || rest.starts_with('.')) && fraction
}

/// A text with its ids blurred.
fn blurred(text: &str) -> String {
    text.split_inclusive(|c: char| !c.is_ascii_digit())
        .map(|part| {
            let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
            if is_id(digits) { part.replace(digits, "#") } else { part.to_owned() }
        })
        .collect()
}

/// Code and id of an error, in either form (gateway: number; Connect: word).
fn error_of(body: &Value) -> (Value, Value) {
    let code = body.get("code").or_else(|| body.get("error")).cloned().unwrap_or_default();
    let detail = body.get("details").and_then(|details| details.get(0));
    let id = detail.and_then(|detail| {
        detail.get("id").or_else(|| detail.get("debug").and_then(|debug| debug.get("id")))
    });
    (code, id.cloned().unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
