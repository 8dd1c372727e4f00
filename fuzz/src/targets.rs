//! What is fuzzed: everything that reads what somebody else wrote. Each function takes any bytes, and
//! panics where something is wrong.
//!
//! `fuzz/fuzz_targets` gives them to libFuzzer, `tests/it/fuzz.rs` to a few hundred mutated seeds in
//! every run of the tests.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::TryStreamExt;
use kastellan::{
    contract::{
        Access, Entry, Fields, Inputs, Place, Secrets, Subject,
        connection::{ConnectionSpec, CredentialsSource, ValueSource},
        diff,
        secret::{self, Template, Values},
    },
    export::Selection,
    files::Folder,
    kinds::REGISTRY,
    live::{Connection, Informer, Parts, ReportEditors},
    terraform::{self, state::State},
    validate,
    zitadel::{
        AddressPolicy, Client, Config, Credentials, Transport, TransportError,
        auth::PrivateKey,
        identity::{self, AccountIdentity, Sight},
        transport::{Request, Response},
    },
};
use secrecy::ExposeSecret;
use serde_json::Value;

/// A target's name and what it does with an input.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All targets.
#[allow(dead_code, reason = "libFuzzer has a program for each")]
pub(crate) const ALL: [Target; 7] = [
    ("manifests", manifests),
    ("objects", objects),
    ("answers", answers),
    ("events", events),
    ("keys", keys),
    ("terraform", terraform),
    ("templates", templates),
];

/// What is in no message, whatever is answered.
const TOKEN: &str = "t0ken-of-nobody";

/// Files of manifests, as `kastellan validate` reads them.
pub(crate) fn manifests(data: &[u8]) {
    let folder = Folder::of([(PathBuf::from("a.yaml"), Ok(data.to_vec()))]);
    let findings = validate::check(&folder, false);
    let strictly = validate::check(&folder, true);
    assert!(strictly.len() >= findings.len(), "strict finds what lenient finds, and more");
    for finding in &findings {
        assert!(finding.place.line > 0 && finding.place.column > 0, "{finding:?}");
    }
}

/// The spec of an object of any kind: whatever another version of a CRD has let in.
pub(crate) fn objects(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let Ok(spec) = serde_json::from_slice::<Value>(rest) else { return };
    let entry = pick(*kind);
    if let Ok(fields) = entry.desired(&spec, "name", &Inputs::default()) {
        assert!(diff(&fields, &fields, entry.lists).is_empty(), "it differs from itself");
        let written: Value = fields.to().expect("fields are JSON");
        assert_eq!(Fields::from(written), fields, "it is the same when it is read again");
    }
    for reference in entry.references {
        if let Err(e) = reference.read(&spec, "namespace") {
            assert!(!e.to_string().is_empty());
        }
    }
    if let Some(issues) = entry.as_entity().and_then(|e| e.issues) {
        let _ = secret::declared(issues, &spec);
    }
    if let Entry::Connection(kind) = entry {
        let _ = kind.read(&spec);
    }
}

/// Answers of a ZITADEL, or of whatever is in its place, to any call of any kind.
pub(crate) fn answers(data: &[u8]) {
    let &[kind, call, status, ref bodies @ ..] = data else { return };
    let entry = pick(kind);
    let client = client(status, bodies);
    let organization = Place::organization("1");
    let place = match call & 0x30 {
        0 => Place::instance(),
        0x10 => organization,
        0x20 => organization.below("2"),
        _ => organization.below("2").below("3"),
    };
    let access = Access::anonymous(client, place);
    // A kind that is below something asks for what.
    if access.place.parents.len() < entry.parents().count().min(1) {
        return;
    }
    let error = block_on(async {
        let done = match entry {
            Entry::Connection(_) => {
                let instance = identity::fetch_instance(&access.client).await;
                let account = identity::fetch_account(&access.client).await;
                let _ = identity::fetch_permissions(&access.client, Some("1")).await;
                return [instance.err(), account.err()]
                    .into_iter()
                    .flatten()
                    .next()
                    .map(|e| e.to_string());
            }
            Entry::Entity(kind) => match call & 0x0f {
                0 => kind.read(&access, "4").await.map(drop),
                1 => kind
                    .create(&access, "4", &Fields::default(), &Secrets::default())
                    .await
                    .map(drop),
                2 => kind.delete(&access, "4").await,
                3 => kind.is_taken(&access, "4").await.map(drop),
                4 => kind.issue(&access, "4").await.map(drop),
                _ => kind.list(&access).try_collect::<Vec<_>>().await.map(drop),
            },
            Entry::Setting(kind) => match call & 0x0f {
                0 => kind.reset(&access).await,
                _ => match kind.read(&access).await {
                    Ok(have) => kind.write(&access, &have, &have.state.clone()).await.map(drop),
                    Err(e) => Err(e),
                },
            },
        };
        done.err().map(|e| e.to_string())
    });
    if let Some(error) = error {
        let repeated = bodies.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes());
        assert!(repeated || !error.contains(TOKEN), "{error}");
        assert!(error.len() < 2_000, "{error}");
    }
}

/// What the event feed tells, from the start on and poll by poll.
pub(crate) fn events(data: &[u8]) {
    let Some((status, bodies)) = data.split_first() else { return };
    let client = client(*status, bodies);
    let informer =
        Arc::new(Informer::new(&REGISTRY, Duration::from_secs(600), ReportEditors::None));
    block_on(async {
        informer.start(&client).await;
        let value = ValueSource { name: "n".into(), key: "k".into() };
        let connection = Connection::new(Parts {
            client,
            instance_id: "1".into(),
            version: None,
            account: AccountIdentity {
                id: "2".into(),
                name: "n".into(),
                organization: "3".into(),
                sight: Sight { instance: true, ..Sight::default() },
            },
            informer,
            fingerprint: 0,
            spec: ConnectionSpec {
                issuer: "https://auth.example.com".into(),
                address: None,
                credentials: CredentialsSource::PersonalAccessToken(value),
                ca: None,
                poll: Duration::from_secs(5),
                resync: Duration::from_secs(600),
                max_concurrency: 4,
            },
        });
        let place = Place::organization("1");
        for _ in 0..3 {
            if connection.poll_feed().await.is_err() {
                break;
            }
            for entry in REGISTRY.all().filter(|e| !e.is_connection()) {
                let _ = connection.take_editor(entry, &place, &Subject::from("4")).await;
            }
        }
    });
}

/// Key files, as they are in Secrets.
pub(crate) fn keys(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(e) = PrivateKey::parse(text) {
        // It says what it is not, and nothing of what is in it.
        assert!(e.to_string().len() < 200, "{e}");
    }
    let access = Access::anonymous(client(0, b""), Place::organization("1").below("2").below("3"));
    for entry in REGISTRY.all() {
        if let Entry::Entity(kind) = entry
            && kind.entity().is_key()
        {
            let remote = kastellan::contract::Remote {
                subject: Subject::from("4"),
                place: access.place.clone(),
                state: Fields::default(),
                reported: Fields::default(),
                own: true,
                version: None,
            };
            let _ = block_on(kind.proves(&access, &remote, &text.into()));
        }
    }
}

/// States of terraform.
pub(crate) fn terraform(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let state = match State::read(text) {
        Ok(state) => state,
        Err(e) => {
            assert!(e.to_string().len() < 300, "{e}");
            return;
        }
    };
    for secrets in [false, true] {
        if let Ok(converted) = terraform::convert(&REGISTRY, &state, &Selection::default(), secrets)
        {
            assert!(secrets || converted.secrets.is_empty());
        }
    }
}

/// Templates of Secrets.
pub(crate) fn templates(data: &[u8]) {
    const KNOWN: [&str; 2] = ["id", "secret"];
    let Ok(text) = std::str::from_utf8(data) else { return };
    let value = "\"a\" b/ä\n";
    let values: Values = KNOWN.iter().map(|name| (*name, value.into())).collect();
    if let Ok(template) = Template::read(text, &KNOWN) {
        let rendered = template.render(&values).expect("all values are there");
        let uses = KNOWN.iter().any(|name| template.uses(name));
        assert!(uses || template.render(&Values::new()).is_some());
        if template.is_only("secret") {
            assert_eq!(rendered.expose_secret(), value);
        }
    }
    // Whatever a text is, there is a way to have it written as it is.
    let escaped = Template::read(&text.replace("${", "$${"), &[]).expect("it names no value");
    assert_eq!(escaped.render(&Values::new()).unwrap().expose_secret(), text);
}

fn pick(n: u8) -> Entry {
    REGISTRY.all().nth(usize::from(n) % REGISTRY.len()).expect("there are kinds")
}

/// A client whose server answers with these bodies, which a zero byte separates; the last one for
/// ever.
fn client(status: u8, bodies: &[u8]) -> Client {
    const STATUSES: [u16; 12] = [200, 200, 201, 400, 401, 403, 404, 409, 412, 429, 500, 503];
    let status = STATUSES[usize::from(status) % STATUSES.len()];
    let server =
        Server { status, bodies: Mutex::new(bodies.split(|b| *b == 0).map(Into::into).collect()) };
    let credentials = Credentials::token(&TOKEN.into()).unwrap();
    let config = Config {
        addresses: AddressPolicy::any(),
        ..Config::new("https://auth.example.com".parse().unwrap(), credentials)
    };
    Client::with_transport(config, Box::new(server)).unwrap()
}

struct Server {
    status: u16,
    bodies: Mutex<VecDeque<Vec<u8>>>,
}

#[async_trait]
impl Transport for Server {
    async fn send(&self, _: Request) -> Result<Response, TransportError> {
        let mut bodies = self.bodies.lock().unwrap();
        let body = if bodies.len() > 1 { bodies.pop_front() } else { bodies.front().cloned() };
        let body = body.unwrap_or_default();
        #[allow(clippy::default_trait_access, reason = "its type is another crate's")]
        Ok(Response { status: self.status, headers: Default::default(), body })
    }
}

/// Without waiting: the clock jumps over what a client waits for.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}
