//! `WebKeys`: the keys that sign tokens, by `WebKeyService` (since 4.0). ZITADEL 4 does not replace
//! them by itself (zitadel#10740).
//!
//! A key is in the key set from its creation to its removal. It signs nothing before it has been
//! there for a while, as clients keep the key set for five minutes; and it is removed only long
//! after another one has taken its place, as that ends what it signed.

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wire::{Dated, lenient};
use crate::{
    api::{
        spec::Common,
        status::{RetiredKey, RotationStatus},
    },
    contract::{
        Access, Declaration, Description, Due, EventFilter, EventPlace, EventSubject, Inputs, Kind,
        Moment, Permissions, RemoteSetting, Schedule, Setting, SpecError, Version, Written,
    },
    zitadel::{Error, Result},
};

const LIST: &str = "/zitadel.webkey.v2.WebKeyService/ListWebKeys";
const CREATE: &str = "/zitadel.webkey.v2.WebKeyService/CreateWebKey";
const ACTIVATE: &str = "/zitadel.webkey.v2.WebKeyService/ActivateWebKey";
const DELETE: &str = "/zitadel.webkey.v2.WebKeyService/DeleteWebKey";
/// What the versions of the list are of.
const AGGREGATE: &str = "web_key";

/// How long clients keep the key set: its `max-age` (recording `web-key-edge`).
const CACHED: SignedDuration = SignedDuration::from_mins(5);
const PUBLISH_FOR: SignedDuration = SignedDuration::from_mins(10);
const KEEP_FOR: SignedDuration = SignedDuration::from_hours(48);
const SHORTEST: SignedDuration = SignedDuration::from_hours(1);
/// A hundred years: for ever.
const LONGEST: SignedDuration = SignedDuration::from_hours(876_000);

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebKeys {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    state: WebKeysState,
    /// How long a key signs until another one takes its place, such as `2160h` (90 days); at least
    /// `1h`. It counts from when the key began to sign, whoever saw to that. Omitted: a key signs
    /// until `algorithm` or the annotation `kastellan.dev/renew-at` asks for another one.
    #[schemars(length(max = 20), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    rotate_after: Option<String>,
    /// How long a key is in the key set before it signs, from `5m`, for which clients keep the key
    /// set, to `24h`; less than `rotateAfter`. Omitted: `10m`.
    #[schemars(length(max = 20), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    publish_for: Option<String>,
    /// How long a key stays in the key set after another one has taken its place, at least `1h`;
    /// then it is removed, whoever made it. That ends at once every token that it signed and that
    /// is still valid: let it be longer than every lifetime of tokens of the instance (12 hours
    /// unless somebody has changed that). Omitted: `48h` where `rotateAfter` is set, else for ever.
    #[schemars(length(max = 20), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_for: Option<String>,
}

/// The fields that can be managed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebKeysState {
    /// What kind of key signs: RSA with the number of its bits and the hash, ECDSA with its curve
    /// (`P512` is ZITADEL's name of P-521), or Ed25519. Where another kind signs, a key of this one
    /// is created and published, and signs once it was published for `publishFor`. Clients have to
    /// know the algorithm. Omitted: not managed; another key is like the one that signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<Algorithm>,
    #[schemars(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<WebKey>>,
}

/// What kind of key it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum Algorithm {
    #[default]
    #[serde(rename = "RSA-2048-SHA256")]
    Rsa2048Sha256,
    #[serde(rename = "RSA-2048-SHA384")]
    Rsa2048Sha384,
    #[serde(rename = "RSA-2048-SHA512")]
    Rsa2048Sha512,
    #[serde(rename = "RSA-3072-SHA256")]
    Rsa3072Sha256,
    #[serde(rename = "RSA-3072-SHA384")]
    Rsa3072Sha384,
    #[serde(rename = "RSA-3072-SHA512")]
    Rsa3072Sha512,
    #[serde(rename = "RSA-4096-SHA256")]
    Rsa4096Sha256,
    #[serde(rename = "RSA-4096-SHA384")]
    Rsa4096Sha384,
    #[serde(rename = "RSA-4096-SHA512")]
    Rsa4096Sha512,
    #[serde(rename = "ECDSA-P256")]
    EcdsaP256,
    #[serde(rename = "ECDSA-P384")]
    EcdsaP384,
    #[serde(rename = "ECDSA-P512")]
    EcdsaP512,
    Ed25519,
}

impl Algorithm {
    const ALL: [Self; 13] = [
        Self::Rsa2048Sha256,
        Self::Rsa2048Sha384,
        Self::Rsa2048Sha512,
        Self::Rsa3072Sha256,
        Self::Rsa3072Sha384,
        Self::Rsa3072Sha512,
        Self::Rsa4096Sha256,
        Self::Rsa4096Sha384,
        Self::Rsa4096Sha512,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP512,
        Self::Ed25519,
    ];

    /// Its name in specs: what it is and its parameters, with hyphens between them.
    const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048Sha256 => "RSA-2048-SHA256",
            Self::Rsa2048Sha384 => "RSA-2048-SHA384",
            Self::Rsa2048Sha512 => "RSA-2048-SHA512",
            Self::Rsa3072Sha256 => "RSA-3072-SHA256",
            Self::Rsa3072Sha384 => "RSA-3072-SHA384",
            Self::Rsa3072Sha512 => "RSA-3072-SHA512",
            Self::Rsa4096Sha256 => "RSA-4096-SHA256",
            Self::Rsa4096Sha384 => "RSA-4096-SHA384",
            Self::Rsa4096Sha512 => "RSA-4096-SHA512",
            Self::EcdsaP256 => "ECDSA-P256",
            Self::EcdsaP384 => "ECDSA-P384",
            Self::EcdsaP512 => "ECDSA-P512",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// As ZITADEL has it, in requests and in answers.
    fn wire(self) -> Value {
        let parts: Vec<&str> = self.name().split('-').collect();
        match parts[..] {
            ["RSA", bits, hasher] => json!({"rsa": {
                "bits": format!("RSA_BITS_{bits}"),
                "hasher": format!("RSA_HASHER_{hasher}"),
            }}),
            ["ECDSA", curve] => json!({"ecdsa": {"curve": format!("ECDSA_CURVE_{curve}")}}),
            _ => json!({"ed25519": {}}),
        }
    }
}

/// A key as it is listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct WebKey {
    id: String,
    /// Since when it is in the key set.
    created: Timestamp,
    /// Since when it is in its state.
    changed: Timestamp,
    state: KeyState,
    /// `None`: of a kind that this version does not know.
    algorithm: Option<Algorithm>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum KeyState {
    /// It has never signed.
    #[serde(alias = "STATE_INITIAL")]
    Initial,
    /// It signs.
    #[serde(alias = "STATE_ACTIVE")]
    Active,
    /// It signed until another one was activated.
    #[serde(alias = "STATE_INACTIVE")]
    Inactive,
    /// Nothing is done with it.
    #[default]
    Unknown,
}

/// The pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pauses {
    rotate_after: Option<SignedDuration>,
    publish_for: SignedDuration,
    keep_for: Option<SignedDuration>,
}

/// The next call.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Create(Algorithm),
    Activate(String),
    Remove(String),
}

impl Step {
    /// What is so after it, in words.
    fn what(&self) -> String {
        match self {
            Self::Create(algorithm) => format!("another key, {}, is published", algorithm.name()),
            Self::Activate(id) => format!("the key {id} signs"),
            Self::Remove(id) => format!("the former key {id} is removed"),
        }
    }
}

impl WebKeys {
    fn pauses(&self) -> std::result::Result<Pauses, SpecError> {
        let read = |field, text: &Option<String>, least: SignedDuration, most, what| {
            let read = |text: &String| {
                let read = text.parse::<SignedDuration>().ok();
                let read = read.filter(|read| (least..=most).contains(read));
                read.ok_or_else(|| SpecError::new(field, what))
            };
            text.as_ref().map(read).transpose()
        };
        let long = "is a duration such as 2160h, at least 1h and at most 876000h";
        let rotate_after = read("rotateAfter", &self.rotate_after, SHORTEST, LONGEST, long)?;
        let short = "is at least 5m, for which clients keep the key set, and at most 24h";
        let day = SignedDuration::from_hours(24);
        let publish_for = read("publishFor", &self.publish_for, CACHED, day, short)?;
        let publish_for = publish_for.unwrap_or(PUBLISH_FOR);
        if rotate_after.is_some_and(|rotate_after| rotate_after <= publish_for) {
            return Err(SpecError::new("publishFor", "is shorter than rotateAfter"));
        }
        let keep_for = read("keepFor", &self.keep_for, SHORTEST, LONGEST, long)?;
        let keep_for = keep_for.or(rotate_after.map(|_| KEEP_FOR));
        Ok(Pauses { rotate_after, publish_for, keep_for })
    }
}

impl Kind for WebKeys {
    type State = WebKeysState;
    const DESCRIPTION: Description = Description {
        kind: "WebKeys",
        plural: "webkeys",
        short: "zwebkeys",
        about: "The keys by which the instance signs tokens: what kind they are, and when another \
                one takes the place of the one that signs.",
        noun: "the set of web keys",
        events: &[EventFilter {
            aggregate: AGGREGATE,
            types: &[
                "web_key.added",
                "web_key.activated",
                "web_key.deactivated",
                "web_key.removed",
            ],
            creates: &[],
            removes: &[],
            place: EventPlace::Instance,
            subject: EventSubject::Setting,
        }],
        options: &["rotateAfter", "publishFor", "keepFor"],
        reported: &["keys"],
        takes_time: true,
        since: "4.0",
        permissions: &[Permissions::in_instance(&[
            "iam.web_key.read",
            "iam.web_key.write",
            "iam.web_key.delete",
        ])],
        ..Description::EMPTY
    };

    fn desired(&self, _: &str, _: &Inputs) -> std::result::Result<WebKeysState, SpecError> {
        self.pauses()?;
        Ok(self.state.clone())
    }
}

impl Setting for WebKeys {
    async fn read(access: &Access) -> Result<RemoteSetting<WebKeysState>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Read {
            #[serde(default)]
            web_keys: Vec<Listed>,
        }
        let Read { web_keys } = access.client.query(None, LIST, &json!({})).await?;
        let keys: Vec<WebKey> = web_keys.into_iter().map(Listed::read).collect();
        let newest = keys.iter().map(|key| key.changed).max();
        let version = newest.map(|changed| Version { aggregate: Some(AGGREGATE.into()), changed });
        let algorithm = active(&keys).and_then(|key| key.algorithm);
        let state = WebKeysState { algorithm, keys: Some(keys) };
        Ok(RemoteSetting { state, own: true, version })
    }

    /// Without a declaration no time is known: only what differs is brought forward.
    async fn write(
        access: &Access,
        have: &RemoteSetting<WebKeysState>,
        want: &WebKeysState,
    ) -> Result<Written> {
        let pauses = Pauses { rotate_after: None, publish_for: PUBLISH_FOR, keep_for: None };
        let moment = Moment { now: Timestamp::now(), replaces: None };
        take(access, next(have, want.algorithm, pauses, moment).0).await
    }

    async fn write_declared(
        access: &Access,
        have: &RemoteSetting<WebKeysState>,
        _: &WebKeysState,
        declaration: &Declaration<'_, Self>,
    ) -> Result<Written> {
        let unreadable =
            |e: SpecError| Error::Malformed { endpoint: "(the spec)".into(), what: e.to_string() };
        let pauses = declaration.spec.pauses().map_err(unreadable)?;
        let (declared, moment) = (declaration.state.algorithm, declaration.moment);
        take(access, next(have, declared, pauses, moment).0).await
    }

    fn schedule(
        have: &RemoteSetting<WebKeysState>,
        declaration: &Declaration<'_, Self>,
    ) -> std::result::Result<Option<Schedule>, SpecError> {
        let pauses = declaration.spec.pauses()?;
        let (declared, moment) = (declaration.state.algorithm, declaration.moment);
        let (step, next, rotation) = next(have, declared, pauses, moment);
        let due =
            step.map(|step| Due { what: step.what(), creates: matches!(step, Step::Create(_)) });
        Ok(Some(Schedule { due, next, rotation }))
    }
}

/// A key in the list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: String,
    creation_date: Timestamp,
    change_date: Timestamp,
    #[serde(default, deserialize_with = "lenient")]
    state: Option<KeyState>,
    #[serde(flatten)]
    kind: serde_json::Map<String, Value>,
}

impl Listed {
    fn read(self) -> WebKey {
        let has = |wire: &Value| {
            let all = wire.as_object();
            all.is_some_and(|all| {
                all.iter().all(|(form, value)| self.kind.get(form) == Some(value))
            })
        };
        WebKey {
            algorithm: Algorithm::ALL.into_iter().find(|algorithm| has(&algorithm.wire())),
            id: self.id,
            created: self.creation_date,
            changed: self.change_date,
            state: self.state.unwrap_or_default(),
        }
    }
}

fn active(keys: &[WebKey]) -> Option<&WebKey> {
    keys.iter().find(|key| key.state == KeyState::Active)
}

/// The call that is due, when the next one is, and what is said of the keys.
///
/// A key that has never signed is only ever used, whoever made it; one that signed is never used
/// again, as there may be a reason why it was replaced. Only those are removed.
fn next(
    have: &RemoteSetting<WebKeysState>,
    declared: Option<Algorithm>,
    pauses: Pauses,
    Moment { now, replaces }: Moment<'_>,
) -> (Option<Step>, Option<Timestamp>, RotationStatus) {
    let keys = have.state.keys.as_deref().unwrap_or_default();
    let signing = active(keys);
    let wanted = declared.or(signing.and_then(|key| key.algorithm)).unwrap_or_default();
    let is_wrong = signing.is_none_or(|key| {
        declared.is_some_and(|declared| key.algorithm != Some(declared))
            || replaces == Some(key.id.as_str())
    });
    let after = |date: Timestamp, pause| date.checked_add(pause).unwrap_or(Timestamp::MAX);
    let by_age = signing.zip(pauses.rotate_after).map(|(key, pause)| after(key.changed, pause));
    let due_at = if is_wrong { Some(now) } else { by_age };
    let unused = keys.iter().filter(|key| key.state == KeyState::Initial);
    let fitting = unused.filter(|key| key.algorithm == Some(wanted));
    let fitting = fitting.min_by_key(|key| (key.created, key.id.clone()));
    let published = fitting.map(|key| after(key.created, pauses.publish_for));
    let rotation = due_at.map(|at| match (fitting, published) {
        (Some(key), Some(published)) => (at.max(published), Step::Activate(key.id.clone())),
        // What is created in time signs in time.
        _ => {
            let begin = at.checked_sub(pauses.publish_for).unwrap_or(Timestamp::MIN);
            (begin, Step::Create(wanted))
        }
    });
    let mut former: Vec<&WebKey> =
        keys.iter().filter(|key| key.state == KeyState::Inactive).collect();
    former.sort_by_key(|key| (key.changed, key.id.as_str()));
    let removed_at = |key: &WebKey| pauses.keep_for.map(|pause| after(key.changed, pause));
    let removals =
        former.iter().filter_map(|key| Some((removed_at(key)?, Step::Remove(key.id.clone()))));
    // Nothing is removed while another key is on its way, or without one that signs.
    let removals = removals.filter(|_| !is_wrong);
    let steps: Vec<(Timestamp, Step)> = rotation.into_iter().chain(removals).collect();
    let step = steps.iter().find(|(at, _)| *at <= now).map(|(_, step)| step.clone());
    let next = steps.iter().map(|(at, _)| *at).min().filter(|at| *at > now);
    let rotates_at = if is_wrong {
        published
    } else {
        by_age.map(|at| published.map_or(at, |published| at.max(published)))
    };
    let status = RotationStatus {
        key_id: signing.map(|key| key.id.clone()),
        since: signing.map(|key| key.changed.to_string()),
        rotates_at: rotates_at.map(|at| at.to_string()),
        next_key_id: fitting.filter(|_| due_at.is_some()).map(|key| key.id.clone()),
        former: former
            .iter()
            .map(|key| RetiredKey {
                id: key.id.clone(),
                removed_at: removed_at(key).map(|at| at.to_string()),
            })
            .collect(),
        ..RotationStatus::default()
    };
    (step, next, status)
}

/// Makes the call.
async fn take(access: &Access, step: Option<Step>) -> Result<Written> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Deleted {
        /// Absent: it was gone already.
        deletion_date: Option<Timestamp>,
    }
    let client = &access.client;
    let dated = match step {
        None => return Ok(Written::default()),
        Some(Step::Create(algorithm)) => {
            client.write::<Dated>(Method::POST, None, CREATE, &algorithm.wire()).await?
        }
        Some(Step::Activate(id)) => {
            client.write::<Dated>(Method::POST, None, ACTIVATE, &json!({"id": id})).await?
        }
        Some(Step::Remove(id)) => {
            let deleted: Deleted =
                client.write(Method::POST, None, DELETE, &json!({"id": id})).await?;
            // No list shows this date.
            let earlier = deleted.deletion_date.into_iter().collect();
            return Ok(Written { earlier, ..Written::default() });
        }
    };
    Ok(dated.written(None, AGGREGATE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, state: &str, hours: i64, algorithm: Algorithm) -> WebKey {
        let at = Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_hours(hours)).unwrap();
        let mut listed = json!({"id": id, "creationDate": at, "changeDate": at, "state": state});
        let more = algorithm.wire().as_object().unwrap().clone();
        listed.as_object_mut().unwrap().extend(more);
        serde_json::from_value::<Listed>(listed).unwrap().read()
    }

    #[test]
    fn each_kind_of_key_has_one_name_and_one_form() {
        for algorithm in Algorithm::ALL {
            assert_eq!(json!(algorithm), algorithm.name());
            assert_eq!(key("1", "STATE_ACTIVE", 0, algorithm).algorithm, Some(algorithm));
        }
    }

    /// What is due at hour 1,000, with a rotation after 100 hours and removal after 48.
    fn due(keys: Vec<WebKey>, declared: Option<Algorithm>, replaces: Option<&str>) -> Option<Step> {
        let hours = SignedDuration::from_hours;
        let pauses = Pauses {
            rotate_after: Some(hours(100)),
            publish_for: hours(1),
            keep_for: Some(hours(48)),
        };
        let now = Timestamp::UNIX_EPOCH.checked_add(hours(1000)).unwrap();
        let state = WebKeysState { algorithm: None, keys: Some(keys) };
        let have = RemoteSetting { state, own: true, version: None };
        next(&have, declared, pauses, Moment { now, replaces }).0
    }

    #[test]
    fn each_step_is_due_at_its_time_and_no_other() {
        use Algorithm::{Ed25519, Rsa2048Sha256 as Rsa};
        let active = |hours| key("active", "STATE_ACTIVE", hours, Rsa);
        let unused = |hours, algorithm| key("unused", "STATE_INITIAL", hours, algorithm);
        let former = |hours| key("former", "STATE_INACTIVE", hours, Rsa);
        let activate = || Some(Step::Activate("unused".into()));
        let remove = || Some(Step::Remove("former".into()));
        for (keys, declared, replaces, expected) in [
            (vec![active(999)], None, None, None),
            (vec![active(902)], None, None, None),
            (vec![active(901)], None, None, Some(Step::Create(Rsa))),
            (vec![active(901), unused(999, Rsa)], None, None, None),
            (vec![active(900), unused(999, Rsa)], None, None, activate()),
            (vec![active(900), unused(1000, Rsa)], None, None, None),
            (vec![active(900), unused(1, Ed25519)], None, None, Some(Step::Create(Rsa))),
            (vec![active(999)], Some(Rsa), None, None),
            (vec![active(999)], Some(Ed25519), None, Some(Step::Create(Ed25519))),
            (vec![active(999), unused(999, Ed25519)], Some(Ed25519), None, activate()),
            (vec![active(999)], None, Some("active"), Some(Step::Create(Rsa))),
            (vec![active(999)], None, Some("another"), None),
            (vec![active(999), former(953)], None, None, None),
            (vec![active(999), former(952)], None, None, remove()),
            (vec![active(999), former(1), unused(1, Rsa)], None, None, remove()),
            // Nothing is removed while another kind of key is on its way.
            (vec![active(999), former(1), unused(1000, Ed25519)], Some(Ed25519), None, None),
            // What is of an unknown state is left alone, and something signs again.
            (vec![key("x", "STATE_NEW", 1, Rsa)], None, None, Some(Step::Create(Rsa))),
        ] {
            assert_eq!(due(keys.clone(), declared, replaces), expected, "{keys:?} {declared:?}");
        }
    }
}
