//! The engine and the emulated ZITADEL in this process: no sockets, no cluster. For laws that are
//! tried many times.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{Router, body::Body};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use kastellan::{
    api::{ALLOW_LOCK_OUT, instance::InstanceDetails, spec::only_observes, status::Status},
    contract::{FileOrigin, Key, Object},
    engine::{
        Engine,
        consent::Consents,
        error::{Missing, OutputError},
        host::{HeldValue, Host, OutputSecret},
        plan::{Preview, plan},
        reconcile::reconcile,
        report::Outcome,
        resolve::PlannedIds,
    },
    kinds::REGISTRY,
    live::{Changes, Touched},
    zitadel::{
        AddressPolicy, Client, Credentials, Transport, TransportError,
        transport::{Request, Response},
    },
};
use serde_json::{Value, json};
use tower::ServiceExt;
use zitadel_emulator::{Emulator, Options};

use crate::{
    line::{Asked, Line},
    remote::{Access, InPlace, Place},
    samples::INPUT,
};

/// After so many calls the operator dies: before the next one is made, or before its answer
/// arrives.
#[derive(Clone, Copy)]
pub(crate) struct Crash {
    pub(crate) after: usize,
    pub(crate) sent: bool,
}

/// How long it takes until that is noticed.
pub(crate) const DEAD: Duration = Duration::from_hours(1);

/// What answers at the two addresses that there are.
#[derive(Clone)]
struct Net {
    /// Once made: that takes longer than most calls.
    router: Router,
    /// What answers at `http://fake`, where somebody has put up a server of their own.
    fake: Arc<OnceLock<Fake>>,
    /// All secrets that were in answers, once somebody wants to know.
    issued: Arc<OnceLock<Mutex<BTreeSet<String>>>>,
    /// What happens to requests on their way.
    line: Arc<Line>,
}

struct Fake {
    router: Router,
    /// What was sent to it as a credential.
    credentials: Mutex<BTreeSet<String>>,
}

impl Net {
    /// Keeps the secrets of an answer.
    fn keep(&self, body: &[u8]) {
        fn keep(answer: &Value, into: &mut BTreeSet<String>) {
            const SECRET: [&str; 4] = ["clientSecret", "token", "keyDetails", "access_token"];
            let fields = answer.as_object().into_iter().flatten();
            for (_, secret) in fields.filter(|(field, _)| SECRET.contains(&field.as_str())) {
                into.extend(secret.as_str().map(ToOwned::to_owned));
            }
            let fields = answer.as_object().into_iter().flat_map(|fields| fields.values());
            for inner in fields.chain(answer.as_array().into_iter().flatten()) {
                keep(inner, into);
            }
        }
        if let (Some(issued), Ok(answer)) = (self.issued.get(), serde_json::from_slice(body)) {
            keep(&answer, &mut issued.lock().unwrap());
        }
    }

    fn router(&self, request: &Request) -> Router {
        if request.url.host_str() != Some("fake") {
            return self.router.clone();
        }
        let fake = self.fake.get().expect("somebody has put up a server");
        let credentials = request.headers.get_all("authorization").iter();
        let credentials = credentials.map(|value| value.to_str().unwrap().to_owned());
        fake.credentials.lock().unwrap().extend(credentials);
        fake.router.clone()
    }
}

struct InProcess(Net, Arc<Mutex<Option<Crash>>>);

impl InProcess {
    /// Whether the operator dies in this call.
    fn dies(&self) -> Option<Crash> {
        let mut crash = self.1.lock().unwrap();
        match crash.as_mut() {
            Some(c) if c.after > 0 => {
                c.after -= 1;
                None
            }
            _ => crash.take(),
        }
    }
}

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, r: Request) -> Result<Response, TransportError> {
        let path = r
            .url
            .query()
            .map_or_else(|| r.url.path().to_owned(), |q| format!("{}?{q}", r.url.path()));
        let router = self.0.router(&r);
        let asked = Asked { method: r.method.clone(), path: r.url.path().to_owned() };
        let mut request = axum::http::Request::builder()
            .method(r.method)
            .uri(path)
            .body(Body::from(r.body))
            .unwrap();
        *request.headers_mut() = r.headers;
        let dies = self.dies();
        if dies.is_some_and(|c| !c.sent) {
            std::future::pending::<()>().await;
        }
        let answer = self.0.line.carry(&asked, async {
            let answer = router.oneshot(request).await.unwrap();
            if dies.is_some() {
                std::future::pending::<()>().await;
            }
            if answer.extensions().get::<zitadel_emulator::Reset>().is_some() {
                return Err(TransportError::Connect("reset".into()));
            }
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let body = axum::body::to_bytes(answer.into_body(), usize::MAX)
                .await
                .map_err(|e| TransportError::Broken(e.to_string()))?
                .to_vec();
            Ok(Response { status, headers, body })
        });
        let answer = answer.await?;
        self.0.keep(&answer.body);
        Ok(answer)
    }
}

/// A Secret's resource version, and what it holds.
type Versioned = (u64, BTreeMap<String, String>);

/// A kind, a name and a key.
type FileKey = (&'static str, String, String);

/// A host whose objects are in memory.
#[derive(Default)]
pub(crate) struct MemoryHost {
    objects: Mutex<HashMap<Key, Arc<Object>>>,
    labels: Mutex<HashMap<String, BTreeMap<String, String>>>,
    /// Values of Secrets, by their names.
    secrets: Mutex<HashMap<String, String>>,
    /// Secrets that objects read, by namespace and name, with their resource versions.
    pub(crate) inputs: Mutex<BTreeMap<(String, String), Versioned>>,
    /// Files in Secrets and ConfigMaps: by the kind, name and key.
    pub(crate) files: Mutex<BTreeMap<FileKey, Vec<u8>>>,
    /// Secrets that objects wrote, by namespace and name.
    pub(crate) outputs: Mutex<BTreeMap<(String, String), OutputSecret>>,
    /// How the next writes of Secrets fail.
    pub(crate) output_error: Mutex<Option<OutputError>>,
}

impl MemoryHost {
    fn put(&self, object: Object) {
        self.objects.lock().unwrap().insert(object.key.clone(), Arc::new(object));
    }

    fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.objects.lock().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    }

    fn consents(&self) -> Consents<'_> {
        Consents { registry: &REGISTRY, host: self }
    }
}

#[async_trait]
impl Host for MemoryHost {
    fn object(&self, key: &Key) -> Option<Arc<Object>> {
        self.objects.lock().unwrap().get(key).cloned()
    }
    fn dependants(&self, instance: &Key) -> Vec<Key> {
        let belongs = |key: &Key| {
            let object = self.object(key).unwrap();
            !only_observes(&object.spec) && self.consents().needs(&object, instance)
        };
        self.keys().into_iter().filter(|key| key.kind != "Instance" && belongs(key)).collect()
    }
    fn deleting_children(&self, parent: &Key) -> Vec<Key> {
        let is_child = |key: &Key| {
            let object = self.object(key).unwrap();
            object.is_deleting && self.consents().references(&object).contains(parent)
        };
        self.keys().into_iter().filter(is_child).collect()
    }
    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String> {
        self.labels.lock().unwrap().get(namespace).cloned().unwrap_or_default()
    }
    async fn secret(&self, namespace: &str, name: &str, key: &str) -> Result<HeldValue, Missing> {
        let inputs = self.inputs.lock().unwrap();
        if let Some((version, data)) = inputs.get(&(namespace.to_owned(), name.to_owned())) {
            let value = data.get(key).cloned().ok_or(Missing::Key)?;
            return Ok(HeldValue { value: value.into(), version: format!("uid:{version}") });
        }
        let found = self.secrets.lock().unwrap().get(name).cloned().ok_or(Missing::Object)?;
        Ok(HeldValue { value: found.into(), version: String::new() })
    }
    fn sends_unknown_secrets(&self) -> bool {
        true
    }
    async fn config_map(&self, _: &str, _: &str, _: &str) -> Result<String, Missing> {
        Err(Missing::Object)
    }
    async fn file(&self, _: &str, origin: &FileOrigin) -> Result<Vec<u8>, Missing> {
        let files = self.files.lock().unwrap();
        let source = origin.source();
        let is_there =
            files.keys().any(|(kind, name, _)| *kind == origin.kind() && *name == source.name);
        let found = files.get(&(origin.kind(), source.name.clone(), source.key.clone())).cloned();
        found.ok_or(if is_there { Missing::Key } else { Missing::Object })
    }
    async fn output(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<OutputSecret>, OutputError> {
        let outputs = self.outputs.lock().unwrap();
        Ok(outputs.get(&(namespace.to_owned(), name.to_owned())).cloned())
    }
    async fn write_output(
        &self,
        object: &Object,
        secret: &OutputSecret,
        dry_run: bool,
    ) -> Result<(), OutputError> {
        if let Some(error) = self.output_error.lock().unwrap().clone() {
            return Err(error);
        }
        if !dry_run {
            let key = (object.key.namespace.clone(), secret.name.clone());
            let mut outputs = self.outputs.lock().unwrap();
            // As server-side apply does it: what others wrote stays.
            let before = outputs.remove(&key).filter(|_| !secret.is_own).unwrap_or_default();
            let mut after = secret.clone();
            for (key, value) in before.data {
                after.data.entry(key).or_insert(value);
            }
            for (key, value) in before.annotations {
                after.annotations.entry(key).or_insert(value);
            }
            outputs.insert(key, after);
        }
        Ok(())
    }
    async fn remember(&self, object: &Object, status: &Status) -> Result<(), String> {
        self.put(Object { status: status.clone(), ..object.clone() });
        Ok(())
    }
}

/// An engine, its objects and a ZITADEL.
pub(crate) struct Lab {
    pub(crate) emulator: Emulator,
    pub(crate) client: Client,
    pub(crate) engine: Engine,
    net: Net,
    pub(crate) host: MemoryHost,
    crash: Arc<Mutex<Option<Crash>>>,
    ages: AtomicI64,
}

pub(crate) fn key(kind: &str, namespace: &str, name: &str) -> Key {
    Key {
        kind: REGISTRY.find(kind).unwrap().kind(),
        namespace: namespace.into(),
        name: name.into(),
    }
}

fn engine(net: &Net, crash: &Arc<Mutex<Option<Crash>>>) -> Engine {
    let (net, crash) = (net.clone(), crash.clone());
    let mut engine = Engine::new(&REGISTRY, AddressPolicy::any());
    engine.deletion_pause = Duration::ZERO;
    engine.connect = Box::new(move |config| {
        Client::with_transport(config, Box::new(InProcess(net.clone(), crash.clone())))
    });
    engine
}

impl Lab {
    /// With an Instance `default` in the namespace `ns` that is connected.
    pub(crate) async fn new() -> Self {
        let lab = Self::bare();
        let outcome = lab.apply("Instance", "default", Self::instance_spec()).await;
        assert!(outcome.status.is_ready(), "{outcome:?}");
        lab
    }

    /// Without an Instance.
    pub(crate) fn bare() -> Self {
        let emulator = Emulator::new(Options::default()).unwrap();
        let net = Net {
            router: emulator.router(),
            fake: Arc::default(),
            issued: Arc::default(),
            line: Arc::default(),
        };
        let crash = Arc::default();
        let engine = engine(&net, &crash);
        let host = MemoryHost::default();
        host.secrets.lock().unwrap().insert("s".into(), emulator.pat());
        host.secrets.lock().unwrap().insert(INPUT.into(), "S3cret-value".into());
        let client = Self::client(&net, &emulator.pat());
        Self { emulator, client, engine, net, host, crash, ages: AtomicI64::default() }
    }

    /// Another engine, as of another process.
    pub(crate) fn another_engine(&self) -> Engine {
        engine(&self.net, &Arc::default())
    }

    pub(crate) fn instance_spec() -> Value {
        let credentials = json!({"personalAccessToken": {"secretRef": {"name": "s", "key": "k"}}});
        json!({"issuer": "http://localhost", "credentials": credentials})
    }

    /// Somebody puts up a server at `http://fake` that says to be this very instance. The Secret
    /// `fake` has its token.
    pub(crate) fn put_up_fake(&self) -> Emulator {
        let fake = Emulator::new(Options::default()).unwrap();
        fake.faults().report_instance_id(&self.emulator.instance_id());
        let answers = Fake { router: fake.router(), credentials: Mutex::default() };
        assert!(self.net.fake.set(answers).is_ok(), "there is one fake");
        self.host.secrets.lock().unwrap().insert("fake".into(), fake.pat());
        fake
    }

    /// The spec of an Instance at that server.
    pub(crate) fn fake_spec() -> Value {
        let credentials =
            json!({"personalAccessToken": {"secretRef": {"name": "fake", "key": "k"}}});
        json!({"issuer": "http://localhost", "address": "http://fake", "credentials": credentials})
    }

    /// All credentials that were sent to that server.
    pub(crate) fn sent_to_fake(&self) -> BTreeSet<String> {
        self.net.fake.get().map(|f| f.credentials.lock().unwrap().clone()).unwrap_or_default()
    }

    fn client(net: &Net, pat: &str) -> Client {
        Self::client_on(net, Credentials::token(&pat.to_owned().into()).unwrap())
    }

    /// A client with its own credentials.
    pub(crate) fn client_as(&self, credentials: Credentials) -> Client {
        Self::client_on(&self.net, credentials)
    }

    /// A client of somebody else: no fault strikes it.
    fn client_on(net: &Net, credentials: Credentials) -> Client {
        let net = Net { line: Arc::default(), ..net.clone() };
        let config = kastellan::zitadel::Config {
            addresses: AddressPolicy::any(),
            ..kastellan::zitadel::Config::new("http://localhost".parse().unwrap(), credentials)
        };
        Client::with_transport(config, Box::new(InProcess(net, Arc::default()))).unwrap()
    }

    /// Where things of this place are; calls are the first account's.
    pub(crate) fn client_at(&self, place: Place) -> Access {
        Access::anonymous(self.client.clone(), place)
    }

    /// Where things of this place are; calls are somebody else's.
    pub(crate) fn minnie(&self, place: impl InPlace) -> Access {
        let pat = self.emulator.add_user("minnie.mouse", "minnie.mouse", &["IAM_OWNER"]).pat;
        Access::anonymous(Self::client(&self.net, &pat), place.place())
    }

    /// Declares an object in the namespace `ns` and reconciles it once.
    pub(crate) async fn apply(&self, kind: &str, name: &str, spec: Value) -> Outcome {
        self.look(&self.declare("ns", kind, name, spec)).await
    }

    /// Declares an object, younger than all that are there, or changes its spec.
    pub(crate) fn declare(&self, namespace: &str, kind: &str, name: &str, spec: Value) -> Key {
        let age = self.ages.fetch_add(1, Ordering::Relaxed);
        self.declare_at(age, namespace, kind, name, spec)
    }

    /// The same at an age, which nothing else has.
    pub(crate) fn declare_at(
        &self,
        age: i64,
        namespace: &str,
        kind: &str,
        name: &str,
        spec: Value,
    ) -> Key {
        let key = key(kind, namespace, name);
        let object = match self.host.object(&key) {
            Some(former) => Object { generation: former.generation + 1, spec, ..(*former).clone() },
            None => Object {
                uid: Some(format!("uid-{}-{age}", kind.to_lowercase())),
                generation: 1,
                created: age,
                is_deleting: false,
                // What is declared at random may well lock everybody out.
                annotations: [(ALLOW_LOCK_OUT.to_owned(), "true".to_owned())].into(),
                spec,
                status: Status::default(),
                details: InstanceDetails::default(),
                key: key.clone(),
            },
        };
        self.host.put(object);
        key
    }

    /// Changes an object as only tests can.
    pub(crate) fn edit(&self, key: &Key, change: impl FnOnce(&mut Object)) {
        let mut object = (*self.object(key).unwrap()).clone();
        change(&mut object);
        self.host.put(object);
    }

    /// All objects.
    pub(crate) fn objects(&self) -> Vec<Arc<Object>> {
        self.host.keys().iter().filter_map(|key| self.object(key)).collect()
    }

    pub(crate) fn object(&self, key: &Key) -> Option<Arc<Object>> {
        self.host.object(key)
    }

    /// Its status; it must be there.
    pub(crate) fn status(&self, key: &Key) -> Status {
        self.object(key).unwrap_or_else(|| panic!("{key} is there")).status.clone()
    }

    /// Reason and message of its condition Ready.
    pub(crate) fn reason(&self, key: &Key) -> (String, String) {
        let status = self.status(key);
        status.condition("Ready").map(|c| (c.reason.clone(), c.message.clone())).unwrap_or_default()
    }

    /// The secrets that were in any answer since this was first asked.
    pub(crate) fn issued(&self) -> BTreeSet<String> {
        self.net.issued.get_or_init(Mutex::default).lock().unwrap().clone()
    }

    /// Begins its deletion.
    pub(crate) fn delete(&self, key: &Key) {
        self.edit(key, |o| o.is_deleting = true);
    }

    /// Takes an object away without a word, as when a cluster is recreated from Git.
    pub(crate) fn lose(&self, key: &Key) {
        self.host.objects.lock().unwrap().remove(key);
        self.engine.forget(key);
    }

    pub(crate) fn label(&self, namespace: &str, label: &str, value: &str) {
        self.host
            .labels
            .lock()
            .unwrap()
            .insert(namespace.into(), [(label.to_owned(), value.to_owned())].into());
    }

    /// From now on Kastellan acts as the account that has this token.
    pub(crate) async fn act_as(&self, pat: &str) -> Outcome {
        self.host.secrets.lock().unwrap().insert("s".into(), pat.to_owned());
        self.look(&key("Instance", "ns", "default")).await
    }

    /// The Secret goes.
    pub(crate) fn lose_secret(&self) {
        self.host.secrets.lock().unwrap().remove("s");
    }

    /// Reconciles what is declared already, as deletion where that has begun.
    pub(crate) async fn look(&self, key: &Key) -> Outcome {
        let outcome = self.attempt(key).await;
        if outcome.release {
            self.lose(key);
            return outcome;
        }
        let object = self.host.object(key).unwrap();
        let details = outcome.details.clone().unwrap_or_default();
        self.host.put(Object { status: outcome.status.clone(), details, ..(*object).clone() });
        outcome
    }

    /// The same, and then the API server accepts nothing: neither the status nor the removal of the
    /// finalizer.
    pub(crate) async fn attempt(&self, key: &Key) -> Outcome {
        reconcile(&self.engine, &self.host, &self.host.object(key).unwrap()).await
    }

    /// What looking at it would do.
    pub(crate) async fn plan(&self, key: &Key) -> Preview {
        plan(&self.engine, &self.host, &self.object(key).unwrap(), &PlannedIds::new()).await
    }

    /// The objects that refer to this one.
    pub(crate) fn referrers(&self, key: &Key) -> Vec<Key> {
        let refers = |o: &Object| self.host.consents().references(o).contains(key);
        let all = self.objects().into_iter().filter(|o| o.key != *key && refers(o));
        all.map(|o| o.key.clone()).collect()
    }

    /// Looks at everything until nothing changes any more.
    pub(crate) async fn settle(&self) {
        for _ in 0..20 {
            let before: Vec<_> =
                self.host.keys().into_iter().map(|k| (self.status(&k), k)).collect();
            for key in self.host.keys() {
                self.look(&key).await;
            }
            let after: Vec<_> =
                self.host.keys().into_iter().map(|k| (self.status(&k), k)).collect();
            if before == after {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// What happens to the operator's requests.
    pub(crate) fn line(&self) -> &Line {
        &self.net.line
    }

    /// Whether the secret of a client is right: it may ask what a token means.
    pub(crate) async fn proves(&self, client_id: &str, secret: &str) -> bool {
        let basic = STANDARD.encode(format!("{client_id}:{secret}"));
        let request = axum::http::Request::post("/oauth/v2/introspect")
            .header("authorization", format!("Basic {basic}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from("token=x"))
            .unwrap();
        self.net.router.clone().oneshot(request).await.unwrap().status() == 200
    }

    /// Writes a Secret that objects read: another one from now on.
    pub(crate) fn put_input(&self, name: &str, values: &[(&str, &str)]) {
        let mut inputs = self.host.inputs.lock().unwrap();
        let (version, data) = inputs.entry(("ns".into(), name.into())).or_default();
        *version += 1;
        *data = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    }

    /// Deletes it.
    pub(crate) fn lose_input(&self, name: &str) {
        self.host.inputs.lock().unwrap().remove(&("ns".to_owned(), name.to_owned()));
    }

    /// Puts a file into a ConfigMap.
    pub(crate) fn put_file(&self, name: &str, key: &str, bytes: &[u8]) {
        let at = ("ConfigMap", name.to_owned(), key.to_owned());
        self.host.files.lock().unwrap().insert(at, bytes.to_vec());
    }

    /// Asks the feed.
    pub(crate) async fn poll(&self) -> kastellan::zitadel::Result<Changes> {
        let mut all = Changes::default();
        for (_, connection) in self.engine.connections.all() {
            let changes = connection.poll_feed().await?;
            all.touched.extend(changes.touched);
            all.again.extend(changes.again);
            all.restarted |= changes.restarted;
        }
        Ok(all)
    }

    /// The objects that this concerns.
    pub(crate) fn concerned(&self, touched: &Touched) -> Vec<Key> {
        self.engine.concerned(&self.host, &key("Instance", "ns", "default"), touched)
    }

    /// Asks the feed, and looks at everything.
    pub(crate) async fn follow(&self) {
        self.poll().await.unwrap();
        self.settle().await;
    }

    /// Another process: whatever was only in memory is gone.
    pub(crate) fn restart(&mut self) {
        self.engine = engine(&self.net, &self.crash);
        for key in self.host.keys() {
            self.engine.remember_claims(&self.host, &self.object(&key).unwrap());
        }
    }

    /// Has the operator die while it looks at an object. Gives whether it did.
    pub(crate) async fn crash(&mut self, key: &Key, crash: Crash) -> bool {
        *self.crash.lock().unwrap() = Some(crash);
        let died = tokio::time::timeout(DEAD, self.look(key)).await.is_err();
        *self.crash.lock().unwrap() = None;
        if died {
            self.restart();
        }
        died
    }

    /// How many events of a type there are.
    pub(crate) fn count(&self, event: &str) -> usize {
        self.emulator.events().iter().filter(|e| e.event_type == event).count()
    }

    /// Events in the aggregates of what can be declared.
    pub(crate) fn events(&self) -> usize {
        self.emulator.events().iter().filter(|e| e.aggregate_type != "user").count()
    }
}
