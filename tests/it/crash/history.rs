//! What people do meanwhile, at random: declare, change, rename, adopt, suspend, move, renew, delete.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use kastellan::{
    api::ALLOW_LOCK_OUT,
    contract::{Fields, diff},
};
use kube::{Api, api::DeleteParams};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};
use zitadel_emulator::{Action, Rule};

use crate::{
    contract::{Case, merged},
    remote::{Place, entry},
    samples::{Object, Placed, placed},
    world::{World, condition, eventually, eventually_within, is_current},
};

/// Something that is declared now and then.
pub(super) struct Slot {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) has_secret: bool,
    /// What it is in; of a key the object.
    at: At,
    specs: [Value; 2],
}

enum At {
    Placed(Placed),
    /// Below the object with this kind and name.
    Below(&'static str, &'static str),
}

/// How a slot is declared now.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts, each by itself")]
struct State {
    is_declared: bool,
    is_suspended: bool,
    is_in_second: bool,
    /// It is declared to adopt what somebody else made.
    is_planted: bool,
    spec: usize,
}

pub(super) struct History {
    slots: Vec<Slot>,
    states: Vec<State>,
    second: String,
    runner: TestRunner,
    places: BTreeSet<(&'static str, Place)>,
    pub(super) steps: usize,
    /// What was done how often.
    pub(super) taken: BTreeMap<&'static str, usize>,
}

/// A moment to come.
pub(super) struct Moment(Instant);

impl Moment {
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.0
    }
}

/// How far reads lag behind at most.
const LONGEST_LAG: Duration = Duration::from_millis(1_500);

/// How long it waits for something while faults go on: one that ends after some calls lasts as long
/// as those take, and during an outage there is one each five seconds.
const OUTAGES: Duration = Duration::from_mins(5);

/// The account and the application that the keys are of.
const KEEPERS: [(&str, &str); 2] = [("MachineUser", "keeper"), ("ApiApplication", "keyed")];

/// Whether what everything is in has this already: it connects the same.
pub(super) fn is_surrounding(p: Placed) -> bool {
    let of = |other: &Placed| other.surroundings().iter().any(|o| o.kind == p.entry.kind());
    p.is_entity() && p.natural_key().is_none() && placed().iter().any(of)
}

/// All slots: of every kind, in everything that it can be in, two where names tell them apart.
pub(super) fn slots() -> Vec<Slot> {
    let (mut slots, mut only) = (Vec::new(), BTreeSet::new());
    for p in placed().into_iter().filter(|p| !is_surrounding(*p)) {
        // Of these one takes something from the other.
        let is_alone = p.entry.as_entity().is_some_and(|e| e.only_one.is_some());
        if is_alone && !only.insert(p.entry.kind()) {
            continue;
        }
        let is_one_of_many =
            p.natural_key().is_some() && !is_alone && !p.managed().contains_key("metadata.xml");
        for n in 0..if is_one_of_many { 2 } else { 1 } {
            slots.push(Slot::of(p, n));
        }
    }
    for kind in ["MachineKey", "PersonalAccessToken", "ApplicationKey"] {
        let keeper = usize::from(kind == "ApplicationKey");
        let scope = if kind == "ApplicationKey" {
            json!({"applicationRef": {"kind": "ApiApplication", "name": "keyed"}})
        } else {
            json!({"userRef": {"name": "keeper"}})
        };
        let name = kind.to_lowercase();
        let spec = |lifetime: &str| {
            let more = json!({"lifetime": lifetime, "secret": {"name": name}});
            merged(scope.clone(), &more)
        };
        let specs = [spec("2160h"), spec("1440h")];
        let (of, by) = KEEPERS[keeper];
        slots.push(Slot { kind, specs, has_secret: true, at: At::Below(of, by), name });
    }
    slots
}

impl Slot {
    fn of(p: Placed, n: usize) -> Self {
        let (case, kind) = (Case::new(p), p.entry.kind());
        let parent = p.parent.map_or("instance", |parent| parent.kinds[0]);
        let form = p.form.map(|form| format!("-{form}")).unwrap_or_default();
        let name = format!("{kind}-{parent}{form}-{n}").to_lowercase();
        let entity = p.entry.as_entity();
        let has_secret = entity.is_some_and(|e| e.issues.is_some());
        let specs = [(&case.declared, "a"), (&case.changed, "b")].map(|(fields, variant)| {
            let mut spec = merged(case.spec(fields), &json!({"deletionPolicy": "Delete"}));
            if let Some(key) = p.natural_key().filter(|_| !p.is_keyed()) {
                spec[key] = json!(format!("{name}-{variant}"));
            }
            if entity.is_some() {
                spec["adoptionPolicy"] = json!("Always");
            }
            // E-mail providers with another address would be refused, and where domains are
            // verified one that was not can't become the primary one.
            for field in ["smtpSenderAddressMatchesInstanceDomain", "primary"] {
                spec.as_object_mut().unwrap().remove(field);
            }
            if has_secret {
                spec["secret"] = json!({"name": name, "onMissing": "Reissue"});
            }
            spec
        });
        Self { kind, name, has_secret, at: At::Placed(p), specs }
    }

    pub(super) fn is_entity(&self) -> bool {
        entry(self.kind).as_entity().is_some()
    }

    /// Whether it may be declared in another namespace than what it is in.
    fn can_move(&self) -> bool {
        matches!(self.kind, "Project" | "MachineUser")
    }

    /// Where it is, once what it is in is there.
    pub(super) async fn place(&self, world: &World) -> Option<Place> {
        match self.at {
            At::Below(kind, name) => {
                let status = world.get_in(&world.namespace, kind, name).await["status"].clone();
                let parents = status["parents"].as_array().into_iter().flatten();
                let place = Place::organization(status["organizationId"].as_str()?);
                let place = parents.fold(place, |at, id| at.below(id.as_str().unwrap_or_default()));
                Some(place.below(status["id"].as_str()?))
            }
            At::Placed(p) => {
                let mut ids = BTreeMap::new();
                for Object { kind, name, .. } in p.surroundings() {
                    let status = world.get_in(&world.namespace, kind, name).await["status"].clone();
                    ids.insert((kind, name), status["id"].as_str()?.to_owned());
                }
                let id = |kind: &str, name: &str| {
                    let found = ids.iter().find(|((k, n), _)| *k == kind && *n == name);
                    found.map(|(_, id)| id.clone()).unwrap_or_default()
                };
                Some(p.located(id).0)
            }
        }
    }

    /// What is not as it is declared.
    pub(super) async fn differs(
        &self,
        world: &World,
        place: &Place,
        id: &str,
        spec: usize,
    ) -> Option<String> {
        let At::Placed(p) = self.at else { return None };
        let Some(live) = world.live(self.kind, place, id).await else {
            return Some(format!("{id} is lost"));
        };
        let left = diff(&self.fields(p, spec), &live.state, p.entry.lists);
        (!left.is_empty()).then(|| format!("{left:?}"))
    }

    /// The fields of a spec that can be managed.
    fn fields(&self, p: Placed, spec: usize) -> Fields {
        let (spec, managed) = (Fields::from(self.specs[spec].clone()), p.managed());
        let fields = spec.iter().filter(|(path, _)| managed.contains_key(*path));
        let key =
            p.natural_key().filter(|_| !p.is_keyed()).and_then(|k| spec.get(k).map(|v| (k, v)));
        let key = key.map(|(path, value)| (path.to_owned(), value.clone()));
        Fields::from_map(
            fields.map(|(path, value)| (path.clone(), value.clone())).chain(key).collect(),
        )
    }

    /// What the Secret does not hold that it should.
    pub(super) async fn secret_differs(
        &self,
        world: &World,
        namespace: &str,
        id: &str,
        spec: usize,
    ) -> Option<String> {
        let api: Api<Secret> = Api::namespaced(world.client.clone(), namespace);
        let Some(secret) = api.get_opt(&self.name).await.unwrap() else {
            return Some("it has no Secret".into());
        };
        let data = secret.data.unwrap_or_default();
        let text = |key: &str| {
            let value = data.get(key).map(|value| String::from_utf8(value.0.clone()).unwrap());
            value.unwrap_or_default()
        };
        let auth_method = self.specs[spec]["authMethod"].as_str();
        let answer = match self.kind {
            "MachineKey" | "ApplicationKey" => {
                let file: Value = serde_json::from_str(&text("key.json")).unwrap_or_default();
                return (file["keyId"] != id).then(|| format!("it is the key {}", file["keyId"]));
            }
            "PersonalAccessToken" => {
                let url = format!("{}/auth/v1/users/me", world.issuer());
                reqwest::Client::new().get(url).bearer_auth(text("token")).send().await.unwrap()
            }
            // Such an application proves who it is in another way, or not at all.
            _ if matches!(auth_method, Some("None" | "PrivateKeyJwt")) => {
                return text("clientId").is_empty().then(|| "it has no client id".into());
            }
            _ => {
                let form = [
                    ("client_id", text("clientId")),
                    ("client_secret", text("clientSecret")),
                    ("token", "x".to_owned()),
                    ("grant_type", "client_credentials".to_owned()),
                    ("scope", "openid".to_owned()),
                ];
                let is_account = self.kind == "MachineUser";
                let path = if is_account { "/oauth/v2/token" } else { "/oauth/v2/introspect" };
                let url = format!("{}{path}", world.issuer());
                reqwest::Client::new().post(url).form(&form).send().await.unwrap()
            }
        };
        let is_good = answer.status() == 200;
        let told = answer.text().await.unwrap();
        (!is_good).then(|| format!("what its Secret holds is answered by {told}"))
    }
}

impl History {
    /// What everything is in is there.
    pub(super) async fn begin(world: &World, second: String, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let runner = TestRunner::new_with_rng(Config::default(), rng);
        for p in placed() {
            for Object { kind, name, spec } in p.surroundings() {
                let shared = entry(kind).as_entity().is_some() && kind == "Organization";
                let more =
                    if shared { json!({"allowedNamespaces": {"from": "All"}}) } else { json!({}) };
                world.apply(kind, name, merged(spec, &more)).await;
            }
        }
        let home = json!({"organizationRef": {"name": "home"}});
        world.apply("MachineUser", "keeper", home).await;
        let keyed = json!({"projectRef": {"name": "home"}, "authMethod": "PrivateKeyJwt"});
        world.apply("ApiApplication", "keyed", keyed).await;
        for p in placed() {
            for Object { kind, name, .. } in p.surroundings() {
                world.ready(kind, name).await;
            }
        }
        for (kind, name) in KEEPERS {
            world.ready(kind, name).await;
        }
        let slots = slots();
        let mut places = BTreeSet::new();
        for slot in slots.iter().filter(|slot| slot.is_entity()) {
            places.insert((slot.kind, slot.place(world).await.unwrap()));
        }
        let states = slots.iter().map(|_| State::default()).collect();
        Self { slots, states, second, runner, places, steps: 0, taken: BTreeMap::new() }
    }

    /// Kinds, and where they are.
    pub(super) fn places(&self) -> impl Iterator<Item = (&'static str, &Place)> {
        self.places.iter().map(|(kind, place)| (*kind, place))
    }

    pub(super) fn namespaces<'a>(&'a self, world: &'a World) -> [&'a str; 2] {
        [&world.namespace, &self.second]
    }

    /// Where a slot is declared.
    pub(super) fn namespace<'a>(&'a self, slot: &Slot, world: &'a World) -> &'a str {
        let n = self.slots.iter().position(|s| s.name == slot.name).unwrap();
        self.namespaces(world)[usize::from(self.states[n].is_in_second)]
    }

    fn pick<S: Strategy>(&mut self, from: S) -> S::Value {
        from.new_tree(&mut self.runner).unwrap().current()
    }

    /// How long the next process may live.
    pub(super) fn pause(&mut self) -> Moment {
        let milliseconds = self.pick(50_u64..4_000);
        Moment(Instant::now() + Duration::from_millis(milliseconds))
    }

    /// One thing happens.
    pub(super) async fn step(&mut self, world: &World) {
        self.steps += 1;
        let n = self.pick(0..self.slots.len());
        let what = self.pick(0..20);
        let state = self.states[n];
        // What somebody else made is theirs until it is adopted.
        let is_fixed = state.is_planted && !self.is_bound(world, n).await;
        // What is suspended is not deleted either.
        let is_active = state.is_declared && !state.is_suspended && !is_fixed;
        let done = match what {
            0..=6 => {
                let spec = if is_fixed { state.spec } else { self.pick(0_usize..2) };
                self.states[n] = State { is_declared: true, spec, ..state };
                self.declare(world, n).await;
                "declared"
            }
            7 if state.is_declared => {
                self.states[n].is_suspended = !state.is_suspended;
                self.declare(world, n).await;
                "suspended or resumed"
            }
            8..=9 if is_active => {
                self.states[n] = State::default();
                self.delete(world, n, state.is_in_second).await;
                "deleted"
            }
            10 if is_active && self.slots[n].can_move() => {
                self.delete(world, n, state.is_in_second).await;
                self.states[n].is_in_second = !state.is_in_second;
                self.declare(world, n).await;
                "moved"
            }
            11..=12 if state.is_declared => {
                self.tamper(world, n).await;
                "changed by somebody else"
            }
            13 if !state.is_declared => {
                self.plant(world, n).await;
                "made by somebody else, and declared"
            }
            14 if state.is_declared && self.slots[n].has_secret => {
                let at = json!({"kastellan.dev/renew-at": self.steps.to_string()});
                self.annotate(world, n, at).await;
                "renewed"
            }
            15 if state.is_declared && self.slots[n].has_secret => {
                let namespace = self.namespaces(world)[usize::from(state.is_in_second)];
                let api: Api<Secret> = Api::namespaced(world.client.clone(), namespace);
                api.delete(&self.slots[n].name, &DeleteParams::default()).await.ok();
                "robbed of its Secret"
            }
            16..=18 => {
                self.disturb(world);
                "disturbed"
            }
            _ => "let be",
        };
        *self.taken.entry(done).or_default() += 1;
        let rest = self.pick(0_u64..120);
        tokio::time::sleep(Duration::from_millis(rest)).await;
    }

    /// ZITADEL and the network on a bad day.
    fn disturb(&mut self, world: &World) {
        let faults = world.emulator().faults();
        let (times, method) = (self.pick(1_u32..4), ["POST", "PUT", "DELETE", "GET"]);
        let method = method[self.pick(0_usize..4)];
        let action = match self.pick(0..9) {
            0 | 1 => Action::LoseAnswer,
            2 => Action::LoseAnswerWith { status: 504 },
            3 => Action::Truncate,
            4 => Action::Reset,
            5 => Action::Unavailable,
            6 => Action::TooManyRequests { retry_after: Some(1) },
            7 => Action::DelayAnswer { milliseconds: 700 },
            _ => {
                let part = self.pick(0.0..1.0);
                return faults.lag(LONGEST_LAG.mul_f64(part));
            }
        };
        faults.add(Rule::new(action).method(method).times(times));
    }

    fn spec(&self, world: &World, n: usize) -> Value {
        let (slot, state) = (&self.slots[n], self.states[n]);
        let mut spec = slot.specs[state.spec].clone();
        if state.is_suspended {
            spec["suspend"] = json!(true);
        }
        if state.is_in_second {
            spec["organizationRef"]["namespace"] = json!(world.namespace);
        }
        spec
    }

    async fn declare(&self, world: &World, n: usize) {
        let namespace = self.namespaces(world)[usize::from(self.states[n].is_in_second)];
        let slot = &self.slots[n];
        // What is being deleted would take the declaration with it.
        let get = async || world.get_in(namespace, slot.kind, &slot.name).await;
        let is_open = |o: &Value| o["metadata"]["deletionTimestamp"].is_null();
        eventually_within(OUTAGES, &format!("{} free", slot.name), get, is_open).await;
        // What is declared at random may well lock everybody out.
        let insists = json!({ALLOW_LOCK_OUT: "true"});
        let (kind, name, spec) = (slot.kind, &slot.name, self.spec(world, n));
        world.apply_annotated(namespace, kind, name, &insists, spec).await;
    }

    async fn delete(&self, world: &World, n: usize, is_in_second: bool) {
        let namespace = self.namespaces(world)[usize::from(is_in_second)];
        let slot = &self.slots[n];
        let api = world.api_in(namespace, slot.kind);
        api.delete(&slot.name, &DeleteParams::default()).await.ok();
    }

    async fn annotate(&self, world: &World, n: usize, annotations: Value) {
        let namespace = self.namespaces(world)[usize::from(self.states[n].is_in_second)];
        let slot = &self.slots[n];
        let patch = kube::api::Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        let api = world.api_in(namespace, slot.kind);
        api.patch(&slot.name, &kube::api::PatchParams::default(), &patch).await.ok();
    }

    /// Somebody else changes what is declared, or deletes it.
    async fn tamper(&mut self, world: &World, n: usize) {
        let delete = self.pick(0..4) == 0;
        let slot = &self.slots[n];
        let At::Placed(p) = slot.at else { return };
        if !(delete && slot.is_entity()) {
            self.change(world, n).await;
        } else if let Some((place, id)) = self.whereabouts(world, n).await {
            p.entry.delete(&world.minnie_at(&place), &id).await.ok();
        }
    }

    /// Somebody else changes what is declared; whether that is so.
    async fn change(&self, world: &World, n: usize) -> bool {
        let slot = &self.slots[n];
        let At::Placed(p) = slot.at else { return false };
        let Some((place, id)) = self.whereabouts(world, n).await else { return false };
        let at = world.minnie_at(&place);
        let Ok(Some(have)) = p.entry.read(&at, &id).await else { return false };
        let want = have.state.overlay(&slot.fields(p, 1 - self.states[n].spec));
        p.entry.write(&at, &have, &want).await.is_ok()
    }

    /// Where something is that is bound, and its id.
    async fn whereabouts(&self, world: &World, n: usize) -> Option<(Place, String)> {
        let slot = &self.slots[n];
        let object = world.get_in(self.namespace(slot, world), slot.kind, &slot.name).await;
        let id = object["status"]["id"].as_str().unwrap_or_default().to_owned();
        let is_known = !slot.is_entity() || !id.is_empty();
        slot.place(world).await.filter(|_| is_known).map(|place| (place, id))
    }

    /// Somebody else made something of this name, before it is declared.
    async fn plant(&mut self, world: &World, n: usize) {
        let spec = self.pick(0_usize..2);
        let slot = &self.slots[n];
        // What was deleted is gone before.
        let get = async || world.get_in(&world.namespace, slot.kind, &slot.name).await;
        eventually_within(OUTAGES, &format!("{} gone", slot.name), get, Value::is_null).await;
        if let At::Placed(p) = slot.at
            && p.natural_key().is_some()
            && let Some(place) = slot.place(world).await
        {
            let at = world.minnie_at(&place);
            let id =
                if p.is_keyed() { slot.name.clone() } else { format!("planted-{}", self.steps) };
            // It was there before the declaration: whoever looks has to see it, for many names are
            // not kept unique.
            if let Ok(id) = p.entry.create(&at, &id, &slot.fields(p, spec)).await {
                let shows = async || matches!(p.entry.read(&at, &id).await, Ok(Some(_)));
                eventually("what somebody else made shows", shows, |shows| *shows).await;
            } else {
                tokio::time::sleep(LONGEST_LAG).await;
            }
        }
        self.states[n] = State { is_declared: true, is_planted: true, spec, ..State::default() };
        self.declare(world, n).await;
    }

    /// Whether a slot's object knows what it is.
    async fn is_bound(&self, world: &World, n: usize) -> bool {
        let slot = &self.slots[n];
        let object = world.get_in(self.namespace(slot, world), slot.kind, &slot.name).await;
        object["status"]["id"].is_string()
    }

    /// Nothing is suspended any more.
    pub(super) async fn resume_all(&mut self, world: &World) {
        for n in 0..self.slots.len() {
            if self.states[n].is_suspended {
                self.states[n].is_suspended = false;
                self.declare(world, n).await;
            }
        }
    }

    /// All of it is declared.
    pub(super) async fn declare_all(&mut self, world: &World) {
        for n in 0..self.slots.len() {
            self.states[n] = State { is_declared: true, ..State::default() };
            self.declare(world, n).await;
        }
    }

    /// Somebody else changes each thing that can differ, all within this time; how long each of these
    /// changes lasted, by kind, and of whom the status says that it was.
    pub(super) async fn changes(
        &mut self,
        world: &World,
        within: Duration,
    ) -> Vec<(&'static str, Duration, Value)> {
        let moments = 0..self.slots.len();
        let moments: Vec<Duration> = moments.map(|_| within.mul_f64(self.pick(0.0..1.0))).collect();
        let changes = moments.into_iter().enumerate().map(async |(n, moment)| {
            tokio::time::sleep(moment).await;
            let slot = &self.slots[n];
            let (place, id) = self.whereabouts(world, n).await?;
            if !self.change(world, n).await {
                return None;
            }
            let start = Instant::now();
            // Not all that is declared can be changed.
            slot.differs(world, &place, &id, self.states[n].spec).await?;
            while slot.differs(world, &place, &id, self.states[n].spec).await.is_some() {
                assert!(start.elapsed() < Duration::from_secs(60), "{} stays so", slot.name);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let lasted = start.elapsed();
            let namespace = self.namespace(slot, world);
            let get = async || world.get_in(namespace, slot.kind, &slot.name).await;
            let is_told = |o: &Value| o["status"]["lastDrift"]["corrected"] == true;
            let object = eventually(&format!("{} told", slot.name), get, is_told).await;
            Some((slot.kind, lasted, object["status"]["lastDrift"]["by"].clone()))
        });
        futures::future::join_all(changes).await.into_iter().flatten().collect()
    }

    /// All of it goes.
    pub(super) async fn delete_all(&mut self, world: &World) {
        self.resume_all(world).await;
        for n in 0..self.slots.len() {
            let state = std::mem::take(&mut self.states[n]);
            if state.is_declared {
                self.delete(world, n, state.is_in_second).await;
            }
        }
    }

    /// Which of its specs a slot is declared with.
    pub(super) fn variant(&self, slot: &Slot) -> usize {
        let n = self.slots.iter().position(|s| s.name == slot.name).unwrap();
        self.states[n].spec
    }

    /// Waits until all that is declared is Ready and all else is gone; the statuses.
    pub(super) async fn settle(&self, world: &World) -> Vec<(&Slot, Value)> {
        let mut settled = Vec::new();
        for (slot, state) in self.slots.iter().zip(&self.states) {
            for (n, namespace) in self.namespaces(world).into_iter().enumerate() {
                let is_here = state.is_declared && state.is_in_second == (n == 1);
                let get = async || world.get_in(namespace, slot.kind, &slot.name).await;
                let is_so = |o: &Value| {
                    let is_ready = condition(o, "Ready")["status"] == "True" && is_current(o);
                    if is_here { is_ready } else { o.is_null() }
                };
                let what = format!("{} {}", slot.name, if is_here { "Ready" } else { "gone" });
                let object = eventually(&what, get, is_so).await;
                if is_here {
                    settled.push((slot, object["status"].clone()));
                }
            }
        }
        settled
    }
}
