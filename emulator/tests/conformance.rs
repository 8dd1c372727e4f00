//! Replays the recordings of a real server against the emulator: what `recordings/replay.py` does,
//! with the same rules of comparison, in process.
//!
//! The files of a set build on each other, so there is one run of each set, on a fresh instance, in
//! the order of `recordings/order.txt`, with a line for each exchange and all differences at the
//! end. What `recordings/out-of-scope.txt` lists is sent and may differ.
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
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use zitadel_emulator::{Emulator, Options};

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
    /// Seconds that pass before it.
    #[serde(default)]
    wait: u64,
}

impl Exchange {
    /// Whether it is one with the storage of files, which refuses in plain text.
    fn is_of_a_file(&self) -> bool {
        self.request.multipart.is_some()
    }
}

#[derive(Deserialize)]
struct Sent {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    raw: Option<String>,
    form: Option<BTreeMap<String, Value>>,
    multipart: Option<File>,
}

/// A form that holds one file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    field: String,
    filename: String,
    content_type: String,
    base64: String,
    /// So many zero bytes behind it.
    #[serde(default)]
    pad: usize,
}

impl File {
    fn body(&self, boundary: &str) -> Vec<u8> {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
            self.field, self.filename, self.content_type
        );
        let content = STANDARD.decode(&self.base64).expect("base64");
        let end = format!("\r\n--{boundary}--\r\n");
        [head.as_bytes(), &content, &vec![0; self.pad], end.as_bytes()].concat()
    }
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
    let ignored = out_of_scope(&folder);
    let mut differences = Vec::new();
    let (mut passed, mut other) = (0, 0);
    for names in sets(&folder) {
        let mut replay = Replay::new();
        for name in names {
            let text = fs::read_to_string(folder.join(format!("{name}.json")))
                .expect("the recording is there");
            let recording: Recording =
                serde_json::from_str(&text).expect("the recording is readable");
            for (number, exchange) in recording.exchanges.iter().enumerate() {
                let title = format!("{name}#{number} {}", exchange.note);
                let wrong = replay.run(exchange).await;
                let listed = ignored.contains(&(name.clone(), number));
                let result = match (wrong.is_empty(), listed) {
                    (true, false) => "ok",
                    (true, true) => "ok, though listed as out of scope",
                    (false, true) => "ignored",
                    (false, false) => "FAILED",
                };
                println!("test {title} ... {result}");
                match result {
                    "FAILED" => differences.push((title, wrong)),
                    "ignored" => other += 1,
                    _ => passed += 1,
                }
            }
        }
    }
    for (title, wrong) in &differences {
        println!("\n{title}");
        for line in wrong {
            println!("    {line}");
        }
    }
    println!("\n{passed} passed, {} failed, {other} out of scope", differences.len());
    if differences.is_empty() && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The scenarios that are there, in order, set by set.
fn sets(folder: &Path) -> Vec<Vec<String>> {
    let order =
        fs::read_to_string(PathBuf::from(folder).join("order.txt")).expect("the order is there");
    order
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(_, names)| names.split_whitespace().map(str::to_owned).collect())
        .collect()
}

/// The exchanges of interfaces that the emulator does not have: `name: why: 1 4-7`.
fn out_of_scope(folder: &Path) -> BTreeSet<(String, usize)> {
    let text = fs::read_to_string(folder.join("out-of-scope.txt")).expect("the list is there");
    let mut listed = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut parts = line.split(": ");
        let name = parts.next().unwrap_or_default();
        for range in parts.nth(1).unwrap_or_default().split_whitespace() {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (usize, usize) =
                (first.parse().expect("a number"), last.parse().expect("a number"));
            listed.extend((first..=last).map(|number| (name.to_owned(), number)));
        }
    }
    listed
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
    /// How far the server's clock is ahead.
    ahead: u64,
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
            ahead: 0,
        }
    }

    /// Replays an exchange, and tells what differs.
    async fn run(&mut self, exchange: &Exchange) -> Vec<String> {
        if exchange.wait > 0 {
            self.emulator.faults().advance(Duration::from_secs(exchange.wait));
            self.ahead += exchange.wait;
        }
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
            let (text, other) = (want.body.get("__text"), have.get("__text"));
            if exchange.is_of_a_file() && text != other {
                wrong.push(format!("{text:?} expected, {other:?} found"));
            }
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
            // A date is one that nobody can foresee.
            let is_same = name == "last-modified" || headers.get(name) == Some(value);
            if !headers.contains_key(name) || !is_same {
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
            raw.clone().into_bytes()
        } else if let Some(form) = &sent.form {
            self.form(form).into_bytes()
        } else if let Some(file) = &sent.multipart {
            let said = sent.headers.get("content-type").expect("a form says its boundary");
            file.body(said.rsplit_once("boundary=").expect("a boundary").1)
        } else {
            let text = sent.body.as_ref().map(|body| self.fill(&body.to_string()));
            text.unwrap_or_default().into_bytes()
        };
        let mut request =
            Request::builder().method(sent.method.as_str()).uri(self.fill(&sent.path));
        if !sent.headers.contains_key("host") {
            request = request.header("host", HOST);
        }
        for (name, value) in &sent.headers {
            request = request.header(name, self.fill(value));
        }
        let Ok(request) = request.body(Body::from(body)) else {
            return (0, BTreeMap::new(), json!("not to be sent: an earlier answer lacks a value"));
        };
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

    /// Fills variables in: bound names, `${NOW+5}`, `${BASIC:name:name}`.
    fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            let Some((name, after)) = behind.split_once('}') else {
                break;
            };
            filled.push_str(before);
            match self.value(name) {
                Some(value) => filled.push_str(&value),
                None => filled.extend(["${", name, "}"]),
            }
            rest = after;
        }
        filled + rest
    }

    fn value(&self, name: &str) -> Option<String> {
        let bound = |name: &str| self.bound.get(name).cloned();
        if let Some(seconds) = name.strip_prefix("NOW") {
            let at = self.now() + seconds.parse::<i64>().ok()?;
            return Some(jiff::Timestamp::from_second(at).ok()?.to_string());
        }
        if let Some((id, secret)) =
            name.strip_prefix("BASIC:").and_then(|pair| pair.split_once(':'))
        {
            let [id, secret] = [id, secret].map(|word| bound(word).unwrap_or(word.to_owned()));
            return Some(STANDARD.encode(format!("{id}:{secret}")));
        }
        bound(name)
    }

    /// The server's time.
    fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
        i64::try_from(now.as_secs() + self.ahead).unwrap_or_default()
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

    /// A signed JWT from `{"claims", "header"}`, whose times are seconds from now: by the key file
    /// that was bound to `signer`, by the sample key `pkcs8`, or by the administrator's.
    fn assertion(&self, spec: &Value) -> String {
        let signer = spec["signer"].as_str().and_then(|name| self.bound.get(name));
        let file = match signer.and_then(|file| STANDARD.decode(file).ok()) {
            Some(file) => String::from_utf8(file).expect("the key file is text"),
            None => self.emulator.key_file(),
        };
        let file: Value = serde_json::from_str(&file).expect("the key file is JSON");
        let now = self.now();
        let mut claims = spec["claims"].clone();
        for value in claims.as_object_mut().expect("claims are an object").values_mut() {
            *value = match &*value {
                Value::String(text) => json!(
                    self.fill(
                        &text
                            .replace("${user}", file["userId"].as_str().unwrap_or_default())
                            .replace("${issuer}", &format!("http://{HOST}"))
                    )
                ),
                seconds => json!(now + seconds.as_i64().unwrap_or_default()),
            };
        }
        let kid = spec["header"]["kid"]
            .as_str()
            .unwrap_or("${key}")
            .replace("${key}", file["keyId"].as_str().unwrap_or_default());
        let algorithm = match spec["alg"].as_str() {
            Some("ES256") => Algorithm::ES256,
            Some("EdDSA") => Algorithm::EdDSA,
            _ => Algorithm::RS256,
        };
        let sample = spec["pkcs8"].as_str().map(|key| STANDARD.decode(key).expect("base64"));
        let pem = match &sample {
            Some(der) => format!(
                "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
                STANDARD.encode(der)
            ),
            None => file["key"].as_str().unwrap_or_default().to_owned(),
        };
        let key = match algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        }
        .expect("the key is a key");
        let header = Header { kid: Some(self.fill(&kid)), ..Header::new(algorithm) };
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
