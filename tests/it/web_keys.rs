//! The keys that sign tokens: replaced in time, without a token that stops to be valid before its
//! time.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use kastellan::{
    api::status::RotationStatus,
    contract::{Key, Place},
    engine::{decide::Action as Planned, events::EventReason, report::Outcome},
};
use reqwest::Method;
use serde_json::{Value, json};
use tower::ServiceExt;
use zitadel_emulator::{Action, Rule};

use crate::{
    inprocess::{Crash, Lab},
    remote::Access,
};

const SERVICE: &str = "/zitadel.webkey.v2.WebKeyService";
const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

/// A lab with an object `it` that declares this, at which nobody has looked yet.
struct Keys {
    lab: Lab,
    it: Key,
    looks: usize,
}

impl Keys {
    async fn new(spec: Value) -> Self {
        let lab = Lab::new().await;
        let it = lab.declare("ns", "WebKeys", "it", spec);
        Self { lab, it, looks: 0 }
    }

    /// The same, looked at once and as declared.
    async fn settled(spec: Value) -> Self {
        let mut keys = Self::new(spec).await;
        let outcome = keys.look().await;
        assert!(outcome.status.is_ready(), "{outcome:?}");
        keys
    }

    fn declare(&self, spec: Value) {
        self.lab.declare("ns", "WebKeys", "it", spec);
    }

    fn annotate(&self, name: &str, value: &str) {
        self.lab.edit(&self.it, |o| {
            o.annotations.insert(name.into(), value.into());
        });
    }

    /// Looks at ZITADEL as it is now: time that passes for the keys alone writes no event.
    async fn look(&mut self) -> Outcome {
        self.looks += 1;
        self.annotate("kastellan.dev/reconcile-at", &self.looks.to_string());
        self.lab.look(&self.it).await
    }

    async fn pass(&mut self, time: Duration) -> Outcome {
        self.lab.emulator.age_web_keys(time);
        self.look().await
    }

    /// Looks until no step is due any more.
    async fn rest(&mut self) -> Outcome {
        for _ in 0..10 {
            let outcome = self.look().await;
            if outcome.requeue_after.is_none_or(|after| after > Duration::from_secs(1)) {
                return outcome;
            }
        }
        panic!("it does not come to rest: {:?}", self.lab.status(&self.it));
    }

    fn rotation(&self) -> RotationStatus {
        self.lab.status(&self.it).rotation.expect("it says which key signs")
    }

    fn reason(&self) -> String {
        self.lab.reason(&self.it).0
    }

    async fn call(&self, as_whom: Option<&Access>, method: &str, body: Value) -> Value {
        let client = as_whom.map_or(&self.lab.client, |access| &access.client);
        let path = format!("{SERVICE}/{method}");
        client.write(Method::POST, None, path.as_str(), &body).await.unwrap()
    }

    /// Somebody else, whose name is told.
    fn minnie(&self) -> Access {
        self.lab.minnie(&Place::instance())
    }

    /// Somebody else creates a key and lets it sign at once. Returns its id.
    async fn signs_another(&self, kind: Value) -> String {
        let minnie = self.minnie();
        let created = self.call(Some(&minnie), "CreateWebKey", kind).await;
        let id = created["id"].as_str().unwrap().to_owned();
        self.call(Some(&minnie), "ActivateWebKey", json!({"id": id})).await;
        self.lab.poll().await.unwrap();
        id
    }

    async fn states(&self) -> Vec<(String, String)> {
        let listed = self.call(None, "ListWebKeys", json!({})).await;
        let keys = listed["webKeys"].as_array().unwrap().iter();
        let text = |key: &Value, field: &str| key[field].as_str().unwrap().to_owned();
        keys.map(|key| (text(key, "id"), text(key, "state"))).collect()
    }

    fn counts(&self) -> [usize; 3] {
        ["web_key.added", "web_key.activated", "web_key.removed"].map(|e| self.lab.count(e))
    }

    async fn http(&self, request: Request<Body>) -> (u16, Value) {
        let answer = self.lab.emulator.router().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// A service account whose access tokens are JWTs: its client id and secret.
    async fn account(&self) -> (String, String) {
        let client = &self.lab.client;
        let user = json!({
            "userName": "bot", "name": "bot", "accessTokenType": "ACCESS_TOKEN_TYPE_JWT",
        });
        let made: Value =
            client.write(Method::POST, None, "/management/v1/users/machine", &user).await.unwrap();
        let path = format!("/management/v1/users/{}/secret", made["userId"].as_str().unwrap());
        let secret: Value =
            client.write(Method::PUT, None, path.as_str(), &json!({})).await.unwrap();
        let text = |field: &str| secret[field].as_str().unwrap().to_owned();
        (text("clientId"), text("clientSecret"))
    }

    async fn token(&self, (id, secret): &(String, String)) -> String {
        let scope = "openid+urn:zitadel:iam:org:project:id:zitadel:aud";
        let form = format!(
            "grant_type=client_credentials&client_id={id}&client_secret={secret}&scope={scope}"
        );
        let request = Request::post("/oauth/v2/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .unwrap();
        let (status, answer) = self.http(request).await;
        assert_eq!(status, 200, "{answer}");
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// Whether ZITADEL takes a token, and whether a client takes it that reads the key set now:
    /// both say the same.
    async fn is_valid(&self, token: &str) -> bool {
        let me = Request::get("/auth/v1/users/me")
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        let (status, _) = self.http(me).await;
        let set = Request::get("/oauth/v2/keys").body(Body::empty()).unwrap();
        let (_, set) = self.http(set).await;
        let set: JwkSet = serde_json::from_value(set).unwrap();
        let header = jsonwebtoken::decode_header(token).unwrap();
        let is_verified = set.find(&header.kid.unwrap()).is_some_and(|jwk| {
            let mut rules = Validation::new(header.alg);
            rules.validate_aud = false;
            let key = DecodingKey::from_jwk(jwk).unwrap();
            jsonwebtoken::decode::<Value>(token, &key, &rules).is_ok()
        });
        assert_eq!(status == 200, is_verified, "ZITADEL and clients agree");
        is_verified
    }
}

fn kid(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

fn seconds_until(later: &str, earlier: &str) -> i64 {
    let [later, earlier] = [later, earlier].map(|at| at.parse::<jiff::Timestamp>().unwrap());
    earlier.duration_until(later).as_secs()
}

#[tokio::test(start_paused = true)]
async fn another_key_signs_in_time_and_what_the_former_one_signed_stays_valid() {
    let mut keys = Keys::settled(json!({"rotateAfter": "240h", "keepFor": "72h"})).await;
    let before = keys.counts();
    let first = keys.rotation();
    let at = seconds_until(&first.rotates_at.clone().unwrap(), &first.since.clone().unwrap());
    assert_eq!(at, 240 * 3600);
    let account = keys.account().await;
    let old = keys.token(&account).await;
    assert_eq!(Some(kid(&old)), first.key_id);
    assert!(keys.is_valid(&old).await);

    // The one that a fresh instance has beside it is in the key set since then.
    let outcome = keys.pass(240 * HOUR).await;
    assert!(outcome.status.is_ready(), "what is declared is so: {outcome:?}");
    let updated = outcome.events.iter().find(|e| e.reason == EventReason::Updated).unwrap();
    assert!(updated.message.contains("signs"), "{updated:?}");
    assert_eq!(keys.counts(), [before[0], before[1] + 1, before[2]]);
    let second = keys.rotation();
    assert_ne!(second.key_id, first.key_id);
    assert_eq!(Some(&second.former[0].id), first.key_id.as_ref());
    let kept = second.former[0].removed_at.clone().unwrap();
    assert_eq!(seconds_until(&kept, &second.since.clone().unwrap()), 72 * 3600);
    let new = keys.token(&account).await;
    assert_eq!(Some(kid(&new)), second.key_id);
    assert!(keys.is_valid(&old).await && keys.is_valid(&new).await, "they overlap");

    // What it signed has ended long since.
    keys.pass(71 * HOUR).await;
    assert!(keys.is_valid(&old).await, "not before its time");
    keys.pass(HOUR).await;
    assert!(!keys.is_valid(&old).await && keys.is_valid(&new).await);
    let left = keys.counts();
    assert_eq!(left, [before[0], before[1] + 1, before[2] + 1]);
    assert!(keys.rest().await.status.rotation.unwrap().former.is_empty());

    // The next one is created in time: it signs when it was published long enough.
    let outcome = keys.pass(167 * HOUR + 49 * MINUTE).await;
    assert_eq!(keys.counts(), left);
    let pause = outcome.requeue_after.unwrap();
    assert!(pause > Duration::ZERO && pause <= MINUTE, "{pause:?}");
    let outcome = keys.pass(MINUTE).await;
    assert!(outcome.status.is_ready());
    assert_eq!(keys.counts(), [left[0] + 1, left[1], left[2]]);
    assert_eq!(keys.rotation().key_id, second.key_id);
    let third = keys.rotation().next_key_id;
    assert!(third.is_some());
    keys.pass(9 * MINUTE).await;
    assert_eq!(keys.rotation().key_id, second.key_id);
    keys.pass(MINUTE).await;
    assert_eq!(keys.rotation().key_id, third);
    assert_eq!(keys.counts(), [left[0] + 1, left[1] + 1, left[2]]);
    assert!(keys.is_valid(&new).await);
}

#[tokio::test(start_paused = true)]
async fn at_rest_nothing_is_written() {
    let spec = json!({"algorithm": "RSA-2048-SHA256", "rotateAfter": "240h"});
    let mut keys = Keys::settled(spec).await;
    let (events, status) = (keys.lab.emulator.event_count(), keys.lab.status(&keys.it));
    for _ in 0..3 {
        keys.lab.poll().await.unwrap();
        let outcome = keys.pass(Duration::ZERO).await;
        assert!(outcome.events.is_empty(), "{outcome:?}");
        assert_eq!(outcome.requeue_after, Some(24 * HOUR), "it wakes up for what will be due");
    }
    assert_eq!(keys.lab.emulator.event_count(), events);
    assert_eq!(keys.lab.status(&keys.it), status);
    let plan = keys.lab.plan(&keys.it).await.plan.unwrap();
    assert_eq!((plan.action, plan.due), (Planned::Nothing, None));
}

#[tokio::test(start_paused = true)]
async fn another_kind_of_key_signs_once_it_was_published() {
    for (algorithm, alg) in
        [("ECDSA-P256", "ES256"), ("Ed25519", "EdDSA"), ("RSA-2048-SHA512", "RS512")]
    {
        let mut keys = Keys::settled(json!({})).await;
        let account = keys.account().await;
        let before = keys.counts();
        keys.declare(json!({"algorithm": algorithm, "publishFor": "30m"}));
        let plan = keys.lab.plan(&keys.it).await.plan.unwrap();
        assert_eq!(plan.action, Planned::Update);
        assert!(plan.due.unwrap().what.contains(algorithm));
        assert_eq!(keys.counts(), before, "a plan writes nothing");
        for _ in 0..3 {
            let outcome = keys.look().await;
            assert!(!outcome.status.is_ready());
            assert_eq!(keys.reason(), "Updating", "{outcome:?}");
            assert_eq!(keys.counts(), [before[0] + 1, before[1], before[2]], "one, once");
        }
        assert_eq!(keys.lab.status(&keys.it).drift[0].field, "algorithm");
        assert!(!keys.pass(29 * MINUTE).await.status.is_ready());
        let outcome = keys.pass(MINUTE).await;
        assert!(outcome.status.is_ready(), "{outcome:?}");
        assert_eq!(keys.counts(), [before[0] + 1, before[1] + 1, before[2]]);
        let token = keys.token(&account).await;
        assert_eq!(format!("{:?}", jsonwebtoken::decode_header(&token).unwrap().alg), alg);
        assert!(keys.is_valid(&token).await);
        // Without a rotation nothing is removed that nobody asks to remove.
        keys.pass(10_000 * HOUR).await;
        assert_eq!(keys.counts()[2], before[2]);
        assert_eq!(keys.rotation().former[0].removed_at, None);
    }
}

#[tokio::test(start_paused = true)]
async fn who_lets_another_kind_of_key_sign_is_named_and_it_is_corrected() {
    let spec = json!({"algorithm": "RSA-2048-SHA256", "keepFor": "72h"});
    let mut keys = Keys::settled(spec).await;
    let former = keys.rotation().key_id.unwrap();
    let foreign = keys.signs_another(json!({"ecdsa": {"curve": "ECDSA_CURVE_P256"}})).await;
    let before = keys.counts();
    let outcome = keys.lab.look(&keys.it).await;
    let drift = outcome.events.iter().find(|e| e.reason == EventReason::Drift).unwrap();
    assert!(drift.message.contains("algorithm changed by minnie.mouse"), "{drift:?}");
    assert_eq!(keys.reason(), "Updating");
    assert_eq!(keys.counts(), before, "the one that fits is there, and not published long enough");
    let outcome = keys.pass(10 * MINUTE).await;
    assert!(outcome.status.is_ready(), "{outcome:?}");
    let now = keys.rotation();
    assert!(now.key_id.as_ref() != Some(&former) && now.key_id.as_ref() != Some(&foreign));
    let drift = keys.lab.status(&keys.it).last_drift.unwrap();
    assert!(drift.corrected && drift.by.as_deref() == Some("minnie.mouse"), "{drift:?}");
    assert_eq!(keys.counts(), [before[0], before[1] + 1, before[2]]);

    // Another key of the same kind is as good: its time begins.
    let another = keys.signs_another(json!({})).await;
    let outcome = keys.lab.look(&keys.it).await;
    assert!(outcome.status.is_ready() && outcome.events.is_empty(), "{outcome:?}");
    assert_eq!(keys.rotation().key_id.as_ref(), Some(&another));
}

#[tokio::test(start_paused = true)]
async fn what_never_signed_is_left_alone_and_what_signed_is_removed_in_time() {
    let mut keys = Keys::settled(json!({"rotateAfter": "2160h"})).await;
    let prepared = keys.call(Some(&keys.minnie()), "CreateWebKey", json!({"ed25519": {}})).await;
    let first = keys.rotation().key_id.unwrap();
    let second = keys.signs_another(json!({})).await;
    let third = keys.signs_another(json!({})).await;
    keys.pass(47 * HOUR).await;
    let initial = |state: &str| state == "STATE_INITIAL";
    assert_eq!(keys.states().await.len(), 5);
    keys.pass(HOUR).await;
    keys.rest().await;
    let left = keys.states().await;
    assert!(!left.iter().any(|(id, _)| *id == first || *id == second), "{left:?}");
    assert!(left.contains(&(third, "STATE_ACTIVE".into())), "{left:?}");
    let unused: Vec<_> = left.iter().filter(|(_, state)| initial(state)).collect();
    assert_eq!(unused.len(), 2, "its own spare one, and somebody's: {left:?}");
    assert!(unused.iter().any(|(id, _)| *id == prepared["id"]));

    // At its end nothing is given back, and nothing is rotated any more.
    keys.declare(json!({"algorithm": "RSA-2048-SHA256", "deletionPolicy": "Delete"}));
    keys.look().await;
    let events = keys.lab.emulator.event_count();
    keys.lab.delete(&keys.it);
    assert!(keys.lab.look(&keys.it).await.release);
    assert_eq!(keys.lab.emulator.event_count(), events);
}

#[tokio::test(start_paused = true)]
async fn the_annotation_asks_for_another_key_once() {
    let mut keys = Keys::settled(json!({})).await;
    let first = keys.rotation().key_id;
    let before = keys.counts();
    keys.annotate("kastellan.dev/renew-at", "today");
    let outcome = keys.look().await;
    assert!(outcome.status.is_ready(), "what signs is as declared");
    assert_eq!(keys.rotation().replaces, first);
    assert_eq!(keys.counts(), before, "the spare one was not published long enough");
    keys.pass(10 * MINUTE).await;
    assert_ne!(keys.rotation().key_id, first);
    for _ in 0..3 {
        keys.pass(HOUR).await;
    }
    assert_eq!(keys.counts(), [before[0], before[1] + 1, before[2]], "once");
    let rotation = keys.rotation();
    assert_eq!((rotation.renewed_for.as_deref(), rotation.replaces), (Some("today"), None));
}

#[tokio::test(start_paused = true)]
async fn however_an_attempt_to_create_a_key_ends_there_is_one() {
    let spec = || json!({"algorithm": "ECDSA-P384"});
    // The answer is lost, and reads lag.
    for lag in [Duration::ZERO, Duration::from_secs(5)] {
        let mut keys = Keys::new(spec()).await;
        let before = keys.counts();
        let lost = Rule::new(Action::LoseAnswerWith { status: 504 })
            .path(&format!("{SERVICE}/CreateWebKey"))
            .times(1);
        keys.lab.emulator.faults().add(lost);
        keys.lab.emulator.faults().lag(lag);
        for _ in 0..20 {
            let outcome = keys.look().await;
            let pause = outcome.requeue_after.unwrap();
            tokio::time::sleep(pause.min(Duration::from_secs(2))).await;
        }
        assert_eq!(keys.counts(), [before[0] + 1, before[1], before[2]], "{lag:?}");
        keys.pass(10 * MINUTE).await;
        tokio::time::sleep(lag).await;
        assert!(keys.rest().await.status.is_ready(), "{lag:?}");
        assert_eq!(keys.counts(), [before[0] + 1, before[1] + 1, before[2]], "{lag:?}");
    }
    // It dies at any of its calls.
    for after in 0.. {
        let mut died = false;
        for sent in [false, true] {
            let mut keys = Keys::new(spec()).await;
            let before = keys.counts();
            died |= keys.lab.crash(&keys.it, Crash { after, sent }).await;
            keys.lab.settle().await;
            tokio::time::sleep(Duration::from_secs(11)).await;
            keys.lab.settle().await;
            assert_eq!(keys.counts(), [before[0] + 1, before[1], before[2]], "{after} {sent}");
        }
        if !died {
            break;
        }
    }
}

/// One key is created, signs, and the one before it is removed, whichever call fails once, and how.
#[tokio::test(start_paused = true)]
async fn a_call_that_fails_once_changes_nothing_about_the_end() {
    let faults = [
        Action::TooManyRequests { retry_after: Some(1) },
        Action::Unavailable,
        Action::ExpiredToken,
        Action::Status { status: 502 },
        Action::LoseAnswerWith { status: 504 },
        Action::Truncate,
    ];
    for fault in faults {
        for method in ["ListWebKeys", "CreateWebKey", "ActivateWebKey", "DeleteWebKey"] {
            let mut keys = Keys::new(json!({"algorithm": "Ed25519", "keepFor": "1h"})).await;
            let before = keys.counts();
            let rule = Rule::new(fault.clone()).path(&format!("{SERVICE}/{method}")).times(1);
            keys.lab.emulator.faults().add(rule);
            for pause in [Duration::ZERO, 10 * MINUTE, HOUR] {
                keys.pass(pause).await;
                for _ in 0..5 {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    keys.look().await;
                }
            }
            assert!(keys.lab.emulator.faults().rules().is_empty(), "{fault:?} of {method}");
            assert!(keys.lab.status(&keys.it).is_ready(), "{fault:?} of {method}");
            let after = before.map(|count| count + 1);
            assert_eq!(keys.counts(), after, "{fault:?} of {method}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_observes_tells_what_is_due_and_writes_nothing() {
    let mut keys = Keys::new(json!({"mode": "Observe", "rotateAfter": "240h"})).await;
    let outcome = keys.look().await;
    assert!(outcome.status.is_ready(), "{outcome:?}");
    let before = keys.lab.emulator.event_count();
    keys.pass(240 * HOUR).await;
    let (reason, message) = keys.lab.reason(&keys.it);
    assert_eq!(reason, "Observing");
    assert!(message.contains("signs; only observed"), "{message}");
    keys.declare(json!({"mode": "Observe", "algorithm": "Ed25519"}));
    keys.look().await;
    let (reason, message) = keys.lab.reason(&keys.it);
    assert_eq!(reason, "Observing");
    assert!(message.contains("algorithm"), "{message}");
    keys.declare(json!({"suspend": true, "algorithm": "Ed25519"}));
    keys.look().await;
    assert_eq!(keys.reason(), "Suspended");
    assert_eq!(keys.lab.emulator.event_count(), before);
}

#[tokio::test(start_paused = true)]
async fn an_older_server_has_none_and_pauses_have_limits() {
    let mut keys = Keys::new(json!({"algorithm": "Ed25519"})).await;
    keys.lab.emulator.faults().missing("/zitadel.webkey.v2", 404);
    keys.look().await;
    let (reason, message) = keys.lab.reason(&keys.it);
    assert_eq!(reason, "Rejected");
    assert!(message.contains("needs ZITADEL 4.0"), "{message}");
    let mut keys = Keys::new(json!({})).await;
    for (field, value) in [
        ("rotateAfter", "59m"),
        ("publishFor", "4m"),
        ("publishFor", "25h"),
        ("keepFor", "30m"),
        ("keepFor", "soon"),
    ] {
        keys.declare(json!({field: value}));
        keys.look().await;
        let (reason, message) = keys.lab.reason(&keys.it);
        assert_eq!(reason, "InvalidSpec");
        assert!(message.contains(field), "{message}");
    }
    keys.declare(json!({"rotateAfter": "1h", "publishFor": "2h"}));
    keys.look().await;
    assert_eq!(keys.reason(), "InvalidSpec");
}
