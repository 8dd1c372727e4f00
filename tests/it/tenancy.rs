//! Who may what: namespaces, consents, references.

use kastellan::{
    contract::{Fields, Key},
    engine::events::EventReason,
};
use serde_json::{Value, json};

use crate::{
    inprocess::{Lab, key},
    remote::entry,
};

/// What an Instance, or an Organization, says about other namespaces: by name, and whether it means
/// the namespace `other`.
const CONSENTS: [(&str, bool); 5] = [
    ("omitted", false),
    ("Same", false),
    ("All", true),
    ("Selector that matches", true),
    ("Selector that does not", false),
];

fn consent(name: &str) -> Option<Value> {
    match name {
        "omitted" => None,
        "Selector that matches" => {
            Some(json!({"from": "Selector", "selector": {"matchLabels": {"team": "blue"}}}))
        }
        "Selector that does not" => {
            Some(json!({"from": "Selector", "selector": {"matchLabels": {"team": "red"}}}))
        }
        from => Some(json!({"from": from})),
    }
}

/// What is tried from the namespace `other` or `ns`, and what it needs from another namespace's
/// point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// An Organization of its own.
    Organization,
    /// One that exists already, by its name, and by its id.
    AdoptByName,
    AdoptById,
    /// A Project in an Organization of its own namespace.
    InOwnOrganization,
    /// A Project in the Organization `ns/home`.
    InOther,
    /// A policy of the Organization `ns/home`.
    PolicyOfOther,
    /// A Project in an organization by its id.
    ByOrganizationId,
    /// A policy of an organization by its id.
    PolicyByOrganizationId,
    /// A setting of the instance.
    InstanceWide,
}

const ATTEMPTS: [Attempt; 9] = [
    Attempt::Organization,
    Attempt::AdoptByName,
    Attempt::AdoptById,
    Attempt::InOwnOrganization,
    Attempt::InOther,
    Attempt::PolicyOfOther,
    Attempt::ByOrganizationId,
    Attempt::PolicyByOrganizationId,
    Attempt::InstanceWide,
];

struct Tenancy {
    allowed: bool,
    scope: bool,
    lent: bool,
}

impl Attempt {
    /// Declares it. Gives what decides.
    fn declare(self, lab: &Lab, namespace: &str) -> Key {
        let instance = json!({"name": "default", "namespace": "ns"});
        let home = json!({"name": "home", "namespace": "ns"});
        match self {
            Self::Organization => {
                lab.declare(namespace, "Organization", "mine", json!({"instanceRef": instance}))
            }
            Self::AdoptByName => {
                lab.declare(namespace, "Organization", "there", json!({"instanceRef": instance}))
            }
            Self::AdoptById => lab.declare(
                namespace,
                "Organization",
                "it",
                json!({"instanceRef": instance, "name": "there", "id": "there"}),
            ),
            Self::InOwnOrganization => {
                lab.declare(namespace, "Organization", "mine", json!({"instanceRef": instance}));
                lab.declare(
                    namespace,
                    "Project",
                    "it",
                    json!({"organizationRef": {"name": "mine"}}),
                )
            }
            Self::InOther => {
                lab.declare(namespace, "Project", "it", json!({"organizationRef": home}))
            }
            Self::PolicyOfOther => lab.declare(
                namespace,
                "PrivacyPolicy",
                "it",
                json!({"organizationRef": home, "tosLink": ""}),
            ),
            Self::ByOrganizationId => lab.declare(
                namespace,
                "Project",
                "it",
                json!({"instanceRef": instance, "organizationId": "there"}),
            ),
            Self::PolicyByOrganizationId => lab.declare(
                namespace,
                "PrivacyPolicy",
                "it",
                json!({"instanceRef": instance, "organizationId": "there", "tosLink": ""}),
            ),
            Self::InstanceWide => lab.declare(
                namespace,
                "SecurityPolicy",
                "it",
                json!({"instanceRef": instance, "enableImpersonation": true}),
            ),
        }
    }

    /// The consent that is missing: who would have to give it, and in which field.
    fn missing(self, t: &Tenancy) -> Option<(&'static str, &'static str)> {
        let instance = "Instance ns/default";
        let may_declare = t.allowed || t.scope;
        match self {
            Self::Organization | Self::InOwnOrganization => {
                (!may_declare).then_some((instance, "allowedNamespaces"))
            }
            Self::AdoptByName if !may_declare => Some((instance, "allowedNamespaces")),
            Self::InOther | Self::PolicyOfOther => {
                (!t.lent).then_some(("Organization ns/home", "allowedNamespaces"))
            }
            _ => (!t.scope).then_some((instance, "instanceScope")),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_reference_needs_the_consents_that_it_needs_and_no_other() {
    for (allowed, allows) in CONSENTS {
        for (scope, scopes) in CONSENTS {
            for (lent, lends) in CONSENTS {
                let lab = Lab::bare();
                lab.label("other", "team", "blue");
                let mut instance = Lab::instance_spec();
                for (field, value) in
                    [("allowedNamespaces", consent(allowed)), ("instanceScope", consent(scope))]
                {
                    if let Some(value) = value {
                        instance[field] = value;
                    }
                }
                lab.declare("ns", "Instance", "default", instance);
                let mut home = json!({});
                if let Some(value) = consent(lent) {
                    home["allowedNamespaces"] = value;
                }
                lab.declare("ns", "Organization", "home", home);
                lab.settle().await;
                entry("Organization")
                    .create(&lab.minnie(None), "there", &Fields::from(json!({"name": "there"})))
                    .await
                    .unwrap();
                lab.follow().await;
                for attempt in ATTEMPTS {
                    for namespace in ["ns", "other"] {
                        let own = namespace == "ns";
                        let t = Tenancy {
                            allowed: allows || own,
                            scope: scopes || own,
                            lent: lends || own,
                        };
                        let it = attempt.declare(&lab, namespace);
                        let what = format!(
                            "{attempt:?} from {namespace}: allowed {allowed}, scope {scope}, lent {lent}"
                        );
                        let events = lab.events();
                        lab.settle().await;
                        let (reason, message) = lab.reason(&it);
                        match attempt.missing(&t) {
                            None => assert!(lab.status(&it).is_ready(), "{what}: {message}"),
                            Some((who, field)) => {
                                assert_eq!(lab.events(), events, "{what}");
                                if attempt == Attempt::InOwnOrganization {
                                    // The Organization is refused already, and says so to what is
                                    // in it.
                                    assert!(
                                        !lab.status(&it).is_ready() && message.contains(field),
                                        "{what}: {message}"
                                    );
                                } else {
                                    assert_eq!(reason, "Forbidden", "{what}: {message}");
                                    assert!(
                                        message.contains(who)
                                            && message.contains(field)
                                            && message.contains(namespace),
                                        "{what}: {message}"
                                    );
                                }
                            }
                        }
                        for kind in ["Organization", "Project", "PrivacyPolicy", "SecurityPolicy"] {
                            for name in ["mine", "there", "it"] {
                                let key = key(kind, namespace, name);
                                if lab.object(&key).is_some() {
                                    lab.delete(&key);
                                    lab.edit(&key, |o| {
                                        o.spec["deletionPolicy"] =
                                            if name == "mine" { "Delete" } else { "Retain" }.into();
                                    });
                                }
                            }
                        }
                        lab.settle().await;
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_consent_that_is_withdrawn_ends_what_it_allowed() {
    let lab = Lab::new().await;
    let mut open = Lab::instance_spec();
    open["allowedNamespaces"] = json!({"from": "All"});
    lab.declare("ns", "Instance", "default", open);
    let home = lab.declare(
        "other",
        "Organization",
        "home",
        json!({"instanceRef": {"name": "default", "namespace": "ns"}}),
    );
    let shop =
        lab.declare("other", "Project", "shop", json!({"organizationRef": {"name": "home"}}));
    lab.settle().await;
    assert!(lab.status(&shop).is_ready());
    lab.declare("ns", "Instance", "default", Lab::instance_spec());
    let events = lab.events();
    lab.declare(
        "other",
        "Project",
        "shop",
        json!({"organizationRef": {"name": "home"}, "projectRoleCheck": true}),
    );
    lab.settle().await;
    for key in [&home, &shop] {
        let (reason, message) = lab.reason(key);
        assert!(reason == "Forbidden" && message.contains("allowedNamespaces"), "{key}: {message}");
    }
    assert_eq!(lab.events(), events);
    // The consent is gone for deletions too: the object goes, what it declared stays, and it is
    // said.
    lab.delete(&shop);
    let outcome = lab.look(&shop).await;
    assert!(outcome.release);
    assert!(
        outcome.events.iter().any(|e| e.reason == EventReason::RetainedInZitadel),
        "{:?}",
        outcome.events
    );
    assert_eq!(lab.count("project.removed"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_organization_that_is_named_by_id_must_be_there() {
    let lab = Lab::new().await;
    let events = lab.events();
    for (kind, spec) in [
        ("Project", json!({})),
        ("PrivacyPolicy", json!({"tosLink": ""})),
        ("DomainPolicy", json!({"userLoginMustBeDomain": true})),
    ] {
        for (id, reason) in [("123456", "WaitingForReference"), ("../x", "InvalidSpec")] {
            let mut spec = spec.clone();
            spec["organizationId"] = id.into();
            let it = lab.declare("ns", kind, "it", spec);
            lab.settle().await;
            let (found, message) = lab.reason(&it);
            assert!(found == reason && message.contains(id), "{kind}: {found} {message}");
        }
    }
    assert_eq!(lab.events(), events);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_elsewhere_is_refused_in_the_same_words_as_what_does() {
    let lab = Lab::new().await;
    lab.declare("ns", "Organization", "home", json!({}));
    lab.settle().await;
    let tell = async |name: &str| {
        let it = lab.declare(
            "other",
            "Project",
            name,
            json!({"organizationRef": {"name": name, "namespace": "ns"}}),
        );
        lab.settle().await;
        lab.reason(&it).1.replace(name, "NAME")
    };
    assert_eq!(tell("home").await, tell("nowhere").await);
}
