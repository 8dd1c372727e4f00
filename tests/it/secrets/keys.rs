//! Keys and tokens: created with their secret, renewed before they end, and none of them left
//! behind that nobody knows.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kastellan::{
    api::status::{Provenance, Reason, Status},
    contract::{Key, Place},
    engine::events::EventReason,
    zitadel::{Credentials, auth::PrivateKey},
};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    inprocess::{Crash, Lab, key},
    remote::{Access, entry},
};

/// A key `it` of a kind, whose Secret is `it-secret`.
#[derive(Clone, Copy, Debug)]
struct Kind {
    name: &'static str,
    added: &'static str,
    /// The default key of its Secret.
    holds: &'static str,
    /// Where they are in the management API.
    path: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "MachineKey",
        added: "user.machine.key.added",
        holds: "key.json",
        path: "/management/v1/users/PARENT/keys",
    },
    Kind {
        name: "PersonalAccessToken",
        added: "user.pat.added",
        holds: "token",
        path: "/management/v1/users/PARENT/pats",
    },
    Kind {
        name: "ApplicationKey",
        added: "project.application.oidc.key.added",
        holds: "key.json",
        path: "/management/v1/projects/PROJECT/apps/PARENT/keys",
    },
];

impl Kind {
    fn key(self) -> Key {
        key(self.name, "ns", "it")
    }

    fn spec(self, more: &Value) -> Value {
        let mut spec = match self.name {
            "ApplicationKey" => {
                json!({"applicationRef": {"kind": "ApiApplication", "name": "app"}})
            }
            _ => json!({"userRef": {"name": "bot"}}),
        };
        spec["secret"] = json!({"name": "it-secret"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    }

    /// With what it is in, and the object, at which nobody has looked yet.
    async fn lab(self) -> Lab {
        let lab = surroundings().await;
        lab.declare("ns", self.name, "it", self.spec(&json!({})));
        lab
    }

    async fn settled(self) -> Lab {
        let lab = self.lab().await;
        lab.settle().await;
        self.assert_good(&lab, 1).await;
        lab
    }

    async fn look(self, lab: &Lab) -> Vec<EventReason> {
        lab.look(&self.key()).await.events.iter().map(|e| e.reason).collect()
    }

    fn at(self, lab: &Lab) -> Access {
        let parent = match self.name {
            "ApplicationKey" => lab.status(&key("ApiApplication", "ns", "app")),
            _ => lab.status(&key("MachineUser", "ns", "bot")),
        };
        let place = Place { organization: parent.organization_id, parents: parent.parents };
        Access::anonymous(lab.client.clone(), place.below(parent.id.unwrap()))
    }

    /// The ids of all that there are, sorted.
    async fn all(self, lab: &Lab) -> Vec<String> {
        let listed = entry(self.name).list(&self.at(lab)).await;
        let mut ids: Vec<String> = listed.iter().map(|r| r.id().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }

    /// The Secret holds what is right, the object says so, and there are so many in ZITADEL.
    async fn assert_good(self, lab: &Lab, count: usize) {
        assert!(lab.status(&self.key()).is_ready(), "{self:?}: {:?}", lab.reason(&self.key()));
        let status = lab.status(&self.key());
        let (id, known) = (status.id.clone().unwrap(), status.secret.clone().unwrap());
        assert!(known.pending.is_none() && known.pending_expires_at.is_none(), "{known:?}");
        assert!(known.issued_at.is_some() && known.expires_at.is_some(), "{known:?}");
        let all = self.all(lab).await;
        assert_eq!(all.len(), count, "{self:?}");
        let mut ours: Vec<&String> =
            known.previous.iter().map(|former| &former.id).chain([&id]).collect();
        ours.sort();
        assert_eq!(all.iter().collect::<Vec<_>>(), ours, "{self:?}: it knows all that there are");
        let value = self.value(lab).unwrap();
        match self.name {
            "PersonalAccessToken" => opens(lab, &value).await.unwrap(),
            "MachineKey" => {
                assert_eq!(key_id(&value), id);
                logs_in(lab, &value).await.unwrap();
            }
            _ => assert_eq!(key_id(&value), id),
        }
    }

    fn value(self, lab: &Lab) -> Option<String> {
        let at = ("ns".to_owned(), "it-secret".to_owned());
        let outputs = lab.host.outputs.lock().unwrap();
        Some(outputs.get(&at)?.data.get(self.holds)?.expose_secret().to_owned())
    }

    /// Time passes: what is in use was issued so long ago.
    fn age(self, lab: &Lab, hours: i64) {
        lab.edit(&self.key(), |o| {
            let secret = o.status.secret.as_mut().unwrap();
            let at: Timestamp = secret.issued_at.as_deref().unwrap().parse().unwrap();
            secret.issued_at = Some((at - SignedDuration::from_hours(hours)).to_string());
        });
    }
}

async fn surroundings() -> Lab {
    let lab = Lab::new().await;
    let home = json!({"organizationRef": {"name": "home"}});
    lab.declare("ns", "Organization", "home", json!({}));
    lab.declare("ns", "MachineUser", "bot", home.clone());
    lab.declare("ns", "Project", "shop", home);
    let app = json!({"projectRef": {"name": "shop"}, "authMethod": "PrivateKeyJwt"});
    lab.declare("ns", "ApiApplication", "app", app);
    lab.settle().await;
    lab
}

fn now() -> String {
    Timestamp::now().to_string()
}

fn key_id(file: &str) -> String {
    let file: Value = serde_json::from_str(file).unwrap();
    assert!(file["key"].as_str().unwrap().starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
    file["keyId"].as_str().unwrap().to_owned()
}

/// Whether a token opens the API.
async fn opens(lab: &Lab, token: &str) -> kastellan::zitadel::Result<()> {
    who(lab, Credentials::token(&token.to_owned().into()).unwrap()).await
}

/// Whether a key file opens the API.
async fn logs_in(lab: &Lab, file: &str) -> kastellan::zitadel::Result<()> {
    who(lab, Credentials::PrivateKey(PrivateKey::parse(file).unwrap())).await
}

async fn who(lab: &Lab, credentials: Credentials) -> kastellan::zitadel::Result<()> {
    lab.client_as(credentials).get::<Value>(None, "/auth/v1/users/me").await.map(|_| ())
}

#[tokio::test(start_paused = true)]
async fn it_is_created_once_and_its_secret_is_right() {
    for kind in KINDS {
        let lab = kind.settled().await;
        let ends: Timestamp =
            lab.status(&kind.key()).secret.unwrap().expires_at.unwrap().parse().unwrap();
        let days = Timestamp::now().duration_until(ends).as_hours() / 24;
        assert_eq!(days, 89, "90 days, but for a moment");
        let events = lab.emulator.event_count();
        lab.poll().await.unwrap();
        assert_eq!(kind.look(&lab).await, []);
        assert_eq!(lab.emulator.event_count(), events, "at rest nothing is written");
    }
}

#[tokio::test(start_paused = true)]
async fn another_one_takes_its_place_in_time_and_the_former_one_stays_valid() {
    for kind in KINDS {
        let lab = kind.settled().await;
        let former = (lab.status(&kind.key()).id, kind.value(&lab).unwrap());
        kind.age(&lab, 59 * 24);
        assert_eq!(kind.look(&lab).await, [], "a third of its time is left");
        kind.age(&lab, 2 * 24);
        assert_eq!(kind.look(&lab).await, [EventReason::SecretRotated]);
        kind.assert_good(&lab, 2).await;
        assert_ne!(lab.status(&kind.key()).id, former.0);
        match kind.name {
            "PersonalAccessToken" => opens(&lab, &former.1).await.unwrap(),
            "MachineKey" => logs_in(&lab, &former.1).await.unwrap(),
            _ => {}
        }
        assert_eq!(kind.look(&lab).await, []);
        // Once it has ended its record goes.
        lab.edit(&kind.key(), |o| {
            o.status.secret.as_mut().unwrap().previous[0].expires_at = now();
        });
        assert_eq!(kind.look(&lab).await, []);
        kind.assert_good(&lab, 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_annotation_asks_for_another_one_once() {
    for kind in KINDS {
        let lab = kind.settled().await;
        for (n, asked) in ["now", "now", "again"].into_iter().enumerate() {
            lab.edit(&kind.key(), |o| {
                o.annotations.insert("kastellan.dev/renew-at".into(), asked.into());
            });
            let expected = if n == 1 { vec![] } else { vec![EventReason::SecretRotated] };
            assert_eq!(kind.look(&lab).await, expected, "{asked}");
        }
        kind.assert_good(&lab, 3).await;
    }
}

#[tokio::test(start_paused = true)]
async fn of_those_that_are_still_valid_the_last_ten_are_kept() {
    let [kind, ..] = KINDS;
    let lab = kind.settled().await;
    for n in 0..12 {
        lab.edit(&kind.key(), |o| {
            o.annotations.insert("kastellan.dev/renew-at".into(), n.to_string());
        });
        let expected = [EventReason::SecretRotated, EventReason::KeyEnded];
        let is_too_many = usize::from(n >= 10);
        assert_eq!(kind.look(&lab).await, expected[..=is_too_many], "{n}");
    }
    kind.assert_good(&lab, 11).await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_gone_gets_another_one() {
    for kind in KINDS {
        let lab = kind.settled().await;
        lab.host.outputs.lock().unwrap().clear();
        assert_eq!(kind.look(&lab).await, []);
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(kind.look(&lab).await, [EventReason::SecretReissued]);
        kind.assert_good(&lab, 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_deletes_is_created_again_and_they_are_named() {
    for kind in KINDS {
        let lab = kind.settled().await;
        lab.poll().await.unwrap();
        let status = lab.status(&kind.key());
        let minnie = lab.minnie(status.organization_id.as_deref());
        let parents = &status.parents;
        let path = kind.path.replace("PROJECT", &parents[0]);
        let path = path.replace("PARENT", parents.last().unwrap());
        let path = format!("{path}/{}", status.id.clone().unwrap());
        let at = minnie.organization();
        minnie.client.write::<Value>(Method::DELETE, at, &path, &json!({})).await.unwrap();
        let changes = lab.poll().await.unwrap();
        assert!(changes.touched.iter().any(|t| lab.concerned(t).contains(&kind.key())), "{kind:?}");
        let outcome = lab.look(&kind.key()).await;
        let told = outcome.events.iter().find(|e| e.message.contains("minnie.mouse"));
        assert!(told.is_some(), "{:?}", outcome.events);
        kind.assert_good(&lab, 1).await;
        assert_ne!(lab.status(&kind.key()).id, status.id);
    }
}

/// It goes on after a crash, and waits until what was created then would show.
async fn recover(lab: &Lab) {
    lab.look(&key("Instance", "ns", "default")).await;
    lab.settle().await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    lab.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_any_two_calls_of_a_creation_leaves_one_that_somebody_knows() {
    for kind in KINDS {
        for sent in [false, true] {
            for after in 0.. {
                let mut lab = kind.lab().await;
                let before = lab.count(kind.added);
                if !lab.crash(&kind.key(), Crash { after, sent }).await {
                    assert!(after > 1, "it takes some calls");
                    break;
                }
                recover(&lab).await;
                kind.assert_good(&lab, 1).await;
                let provenance = lab.status(&kind.key()).provenance;
                assert_eq!(provenance, Some(Provenance::Created));
                let made = lab.count(kind.added) - before;
                assert!(made <= 2, "one that nobody got to know, at most");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_any_two_calls_of_a_rotation_leaves_two_that_somebody_knows() {
    for kind in KINDS {
        for sent in [false, true] {
            for after in 0.. {
                let mut lab = kind.settled().await;
                kind.age(&lab, 61 * 24);
                if !lab.crash(&kind.key(), Crash { after, sent }).await {
                    assert!(after > 0, "it takes some calls");
                    break;
                }
                recover(&lab).await;
                kind.assert_good(&lab, 2).await;
            }
        }
    }
}

/// Also of one that died while it was created, and with those of before.
#[tokio::test(start_paused = true)]
async fn a_crash_between_any_two_calls_of_a_deletion_leaves_none() {
    for kind in KINDS {
        for created in [false, true] {
            for sent in [false, true] {
                for after in 0.. {
                    let mut lab = kind.lab().await;
                    if created {
                        lab.settle().await;
                        kind.age(&lab, 61 * 24);
                        kind.look(&lab).await;
                        kind.assert_good(&lab, 2).await;
                        lab.delete(&kind.key());
                    }
                    if !lab.crash(&kind.key(), Crash { after, sent }).await {
                        break;
                    }
                    if !created {
                        lab.delete(&kind.key());
                    }
                    lab.settle().await;
                    let told = format!("{kind:?}, created: {created}, after {after}, sent: {sent}");
                    assert!(lab.object(&kind.key()).is_none(), "{told}");
                    assert_eq!(kind.all(&lab).await, [""; 0], "{told}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_lost_is_made_again_from_what_the_secret_tells() {
    for kind in KINDS {
        let lab = kind.settled().await;
        let (before, made) = (lab.status(&kind.key()), lab.count(kind.added));
        lab.edit(&kind.key(), |o| o.status = Status::default());
        lab.settle().await;
        kind.assert_good(&lab, 1).await;
        let status = lab.status(&kind.key());
        assert_eq!((status.id, status.provenance), (before.id, before.provenance));
        assert_eq!(lab.count(kind.added), made);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_exists_is_adopted_with_the_secret_that_holds_it() {
    for kind in KINDS {
        let lab = kind.settled().await;
        let id = lab.status(&kind.key()).id.unwrap();
        // Somebody made it, and put it where the object will look for it.
        lab.lose(&kind.key());
        for secret in lab.host.outputs.lock().unwrap().values_mut() {
            secret.annotations.clear();
        }
        lab.declare("ns", kind.name, "it", kind.spec(&json!({"id": id})));
        lab.settle().await;
        kind.assert_good(&lab, 1).await;
        let status = lab.status(&kind.key());
        assert_eq!((status.id, status.provenance), (Some(id.clone()), Some(Provenance::Adopted)));
        // The next one is ours, and the one that was adopted is left to end by itself.
        kind.age(&lab, 61 * 24);
        assert_eq!(kind.look(&lab).await, [EventReason::SecretRotated]);
        let status = lab.status(&kind.key());
        assert_eq!(status.provenance, Some(Provenance::Created));
        lab.delete(&kind.key());
        lab.settle().await;
        assert_eq!(kind.all(&lab).await, [id]);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_created_that_can_not_be_written() {
    for kind in KINDS {
        let lab = surroundings().await;
        let made = lab.count(kind.added);
        let somebody_s = kastellan::engine::host::OutputSecret {
            name: "it-secret".into(),
            data: [(kind.holds.to_owned(), "precious".to_owned().into())].into(),
            ..Default::default()
        };
        let at = ("ns".to_owned(), "it-secret".to_owned());
        lab.host.outputs.lock().unwrap().insert(at, somebody_s);
        lab.declare("ns", kind.name, "it", kind.spec(&json!({})));
        lab.settle().await;
        assert_eq!(lab.status(&kind.key()).reason(), Some(Reason::Conflict), "{kind:?}");
        assert_eq!(lab.count(kind.added), made);
        assert_eq!(kind.value(&lab).as_deref(), Some("precious"));
    }
}

#[tokio::test(start_paused = true)]
async fn times_that_can_not_be_are_refused() {
    let lab = surroundings().await;
    for (more, says) in [
        (json!({"lifetime": "59m"}), "spec.lifetime: is at least 1h"),
        (json!({"lifetime": "876001h"}), "at most 876000h"),
        (json!({"lifetime": "soon"}), "a duration"),
        (json!({"renewBefore": "1m"}), "spec.renewBefore: is at least 5m"),
        (json!({"lifetime": "24h", "renewBefore": "24h"}), "shorter than the lifetime"),
        (json!({"secret": {"name": "s", "rotateAfter": "24h"}}), "set lifetime and renewBefore"),
        (json!({"secret": {"name": "s", "data": {"a": "${clientSecret}"}}}), "is not known"),
        (json!({"secret": {"name": "s", "data": {"a": "${issuer}"}}}), "nobody can read it again"),
    ] {
        for kind in KINDS {
            lab.declare("ns", kind.name, "it", kind.spec(&more));
            lab.look(&kind.key()).await;
            let (reason, message) = lab.reason(&kind.key());
            assert_eq!(reason, "InvalidSpec", "{more}: {message}");
            assert!(message.contains(says), "{more}: {message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_with_a_secret_has_no_keys() {
    let [.., kind] = KINDS;
    let lab = kind.lab().await;
    let app = key("ApiApplication", "ns", "app");
    lab.edit(&app, |o| o.spec["authMethod"] = "Basic".into());
    lab.settle().await;
    assert_eq!(lab.status(&kind.key()).reason(), Some(Reason::WaitingForReference));
    let (_, message) = lab.reason(&kind.key());
    assert!(message.contains("does not require a key"), "{message}");
    assert_eq!(lab.status(&kind.key()).secret.and_then(|s| s.pending), None);
    lab.edit(&app, |o| o.spec["authMethod"] = "PrivateKeyJwt".into());
    lab.settle().await;
    kind.assert_good(&lab, 1).await;
}

/// Whoever was inactive for a moment has lost its tokens, which ZITADEL still lists.
#[tokio::test(start_paused = true)]
async fn tokens_that_ended_with_their_account_are_issued_again() {
    let [_, kind, _] = KINDS;
    let lab = kind.settled().await;
    lab.poll().await.unwrap();
    let former = kind.value(&lab).unwrap();
    let bot = key("MachineUser", "ns", "bot");
    for state in ["Inactive", "Active"] {
        lab.edit(&bot, |o| {
            o.spec["state"] = state.into();
            o.generation += 1;
        });
        lab.look(&bot).await;
    }
    assert!(opens(&lab, &former).await.is_err());
    let changes = lab.poll().await.unwrap();
    assert!(changes.touched.iter().any(|t| lab.concerned(t).contains(&kind.key())));
    assert_eq!(kind.look(&lab).await, [EventReason::SecretReissued]);
    kind.assert_good(&lab, 2).await;
    lab.poll().await.unwrap();
    assert_eq!(kind.look(&lab).await, []);
}
