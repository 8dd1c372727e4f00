//! The secrets of applications, whose client id is the server's.

use std::time::Duration;

use kastellan::{
    api::status::{Provenance, Reason},
    contract::Key,
    engine::events::EventReason,
};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::inprocess::{Crash, Lab, key};

/// An application `app` of a kind, whose Secret is `app-secret`.
#[derive(Clone, Copy)]
struct Client {
    kind: &'static str,
    /// In its paths and events.
    word: &'static str,
    /// A method of authentication without a secret.
    without: &'static str,
}

const CLIENTS: [Client; 2] = [
    Client { kind: "OidcApplication", word: "oidc", without: "None" },
    Client { kind: "ApiApplication", word: "api", without: "PrivateKeyJwt" },
];

impl Client {
    fn key(self) -> Key {
        key(self.kind, "ns", "app")
    }

    fn spec(auth_method: &str) -> Value {
        let (project, secret) = (json!({"name": "shop"}), json!({"name": "app-secret"}));
        json!({"projectRef": project, "authMethod": auth_method, "secret": secret})
    }

    async fn lab(self, auth_method: &str) -> Lab {
        let lab = Lab::new().await;
        lab.declare("ns", "Organization", "home", json!({}));
        lab.declare("ns", "Project", "shop", json!({"organizationRef": {"name": "home"}}));
        lab.look(&key("Organization", "ns", "home")).await;
        lab.look(&key("Project", "ns", "shop")).await;
        lab.declare("ns", self.kind, "app", Self::spec(auth_method));
        lab
    }

    async fn settled(self, auth_method: &str) -> Lab {
        let lab = self.lab(auth_method).await;
        lab.settle().await;
        lab
    }

    async fn change(self, lab: &Lab, auth_method: &str) -> Vec<EventReason> {
        lab.declare("ns", self.kind, "app", Self::spec(auth_method));
        self.look(lab).await
    }

    async fn look(self, lab: &Lab) -> Vec<EventReason> {
        lab.look(&self.key()).await.events.iter().map(|e| e.reason).collect()
    }

    fn issued(self, lab: &Lab) -> usize {
        lab.count(&format!("project.application.config.{}.secret.changed", self.word))
    }

    /// The Secret holds a secret that is right, and the object says so.
    async fn assert_good(self, lab: &Lab) -> String {
        assert!(lab.status(&self.key()).is_ready(), "{:?}", lab.reason(&self.key()));
        let status = lab.status(&self.key());
        let known = status.secret.unwrap();
        assert!(known.pending.is_none() && known.issued_at.is_some(), "{known:?}");
        let client_id = value(lab, "clientId").unwrap();
        assert_eq!(status.reported.client_id.as_deref(), Some(&*client_id));
        let secret = value(lab, "clientSecret").unwrap();
        assert!(lab.proves(&client_id, &secret).await, "{}", self.kind);
        secret
    }
}

/// A key of the Secret.
fn value(lab: &Lab, key: &str) -> Option<String> {
    let at = ("ns".to_owned(), "app-secret".to_owned());
    let outputs = lab.host.outputs.lock().unwrap();
    Some(outputs.get(&at)?.data.get(key)?.expose_secret().to_owned())
}

fn lose_secret(lab: &Lab) {
    lab.host.outputs.lock().unwrap().clear();
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_issued_once_and_is_right() {
    for client in CLIENTS {
        let lab = client.settled("Basic").await;
        client.assert_good(&lab).await;
        assert_eq!(value(&lab, "issuer").as_deref(), Some("http://localhost"));
        assert_eq!(client.issued(&lab), 1);
        let events = lab.emulator.event_count();
        lab.poll().await.unwrap();
        assert_eq!(client.look(&lab).await, []);
        assert_eq!(lab.emulator.event_count(), events, "at rest nothing is written");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_issued_again_and_the_former_one_ends() {
    for client in CLIENTS {
        let lab = client.settled("Basic").await;
        let former = client.assert_good(&lab).await;
        let client_id = value(&lab, "clientId").unwrap();
        lose_secret(&lab);
        client.look(&lab).await;
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(client.look(&lab).await, [EventReason::SecretReissued]);
        assert_ne!(client.assert_good(&lab).await, former);
        assert!(!lab.proves(&client_id, &former).await);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_recreated_gets_a_secret_of_its_own() {
    for client in CLIENTS {
        let lab = client.settled("Basic").await;
        let former = client.assert_good(&lab).await;
        let status = lab.status(&client.key());
        let minnie = lab.minnie(status.organization_id.as_deref());
        let (project, id) = (&status.parents[0], status.id.unwrap());
        let path = format!("/management/v1/projects/{project}/apps/{id}");
        let at = minnie.organization();
        minnie.client.write::<Value>(Method::DELETE, at, &path, &json!({})).await.unwrap();
        lab.poll().await.unwrap();
        lab.settle().await;
        assert_ne!(client.assert_good(&lab).await, former);
        assert_eq!(client.issued(&lab), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_no_secret_gets_one_when_it_has_and_loses_it_with_that() {
    for client in CLIENTS {
        let lab = client.settled(client.without).await;
        assert!(lab.status(&client.key()).is_ready(), "{:?}", lab.reason(&client.key()));
        assert!(value(&lab, "clientId").is_some());
        assert_eq!(value(&lab, "clientSecret"), None);
        assert_eq!(client.issued(&lab), 0);
        for n in 1..=2 {
            let told = client.change(&lab, "Basic").await;
            assert_eq!(told, [EventReason::Updated, EventReason::SecretIssued]);
            client.assert_good(&lab).await;
            assert_eq!(client.issued(&lab), n);
            assert_eq!(client.change(&lab, client.without).await, [EventReason::Updated]);
            assert_eq!(value(&lab, "clientSecret"), None);
            assert_eq!(lab.status(&client.key()).secret.unwrap().issued_at, None);
            assert_eq!(client.look(&lab).await, []);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_issued_is_replaced_and_they_are_named() {
    for client in CLIENTS {
        let lab = client.settled("Basic").await;
        lab.poll().await.unwrap();
        let status = lab.status(&client.key());
        let minnie = lab.minnie(status.organization_id.as_deref());
        let (project, id) = (&status.parents[0], status.id.unwrap());
        let path = format!(
            "/management/v1/projects/{project}/apps/{id}/{}_config/_generate_client_secret",
            client.word
        );
        let at = minnie.organization();
        minnie.client.write::<Value>(Method::POST, at, &path, &json!({})).await.unwrap();
        let changes = lab.poll().await.unwrap();
        assert!(changes.touched.iter().any(|t| lab.concerned(t).contains(&client.key())));
        let outcome = lab.look(&client.key()).await;
        let told = outcome.events.iter().find(|e| e.reason == EventReason::SecretReissued);
        assert!(told.unwrap().message.contains("by minnie.mouse"), "{told:?}");
        client.assert_good(&lab).await;
        // Our own is no reason for another one.
        lab.poll().await.unwrap();
        assert_eq!(client.look(&lab).await, []);
        assert_eq!(client.issued(&lab), 3);
    }
}

/// Whenever the operator dies: in the end the Secret is right.
#[tokio::test(start_paused = true)]
async fn a_crash_between_any_two_calls_leaves_no_client_without_a_secret_that_is_right() {
    for client in CLIENTS {
        for sent in [false, true] {
            for after in 0.. {
                let mut lab = client.lab("Basic").await;
                if !lab.crash(&client.key(), Crash { after, sent }).await {
                    assert!(after > 2, "it takes some calls");
                    break;
                }
                lab.settle().await;
                tokio::time::sleep(Duration::from_secs(11)).await;
                lab.settle().await;
                client.assert_good(&lab).await;
            }
        }
    }
}

/// One that somebody made, whose secret they have put where the object looks for it.
#[tokio::test(start_paused = true)]
async fn one_that_exists_is_adopted_with_the_secret_that_is_proved_to_be_its() {
    for client in CLIENTS {
        for right in [true, false] {
            let lab = client.settled("Basic").await;
            let secret = client.assert_good(&lab).await;
            let id = lab.status(&client.key()).id.unwrap();
            lab.lose(&client.key());
            for output in lab.host.outputs.lock().unwrap().values_mut() {
                output.annotations.clear();
                if !right {
                    output.data.insert("clientSecret".into(), "another".to_owned().into());
                }
            }
            let mut spec = Client::spec("Basic");
            spec["id"] = json!(id);
            lab.declare("ns", client.kind, "app", spec);
            lab.settle().await;
            assert_eq!(client.issued(&lab), 1, "nothing is issued");
            let status = lab.status(&client.key());
            assert_eq!(status.provenance, Some(Provenance::Adopted));
            if !right {
                assert_eq!(status.reason(), Some(Reason::Conflict), "{:?}", status.conditions);
                assert_eq!(value(&lab, "clientSecret").as_deref(), Some("another"));
                continue;
            }
            assert_eq!(client.assert_good(&lab).await, secret);
            assert_eq!(client.look(&lab).await, []);
            // Nobody has said that it may end.
            lose_secret(&lab);
            tokio::time::sleep(Duration::from_secs(11)).await;
            client.look(&lab).await;
            assert_eq!(lab.status(&client.key()).reason(), Some(Reason::SecretMissing));
            assert!(lab.proves(&status.reported.client_id.unwrap(), &secret).await);
        }
    }
}
