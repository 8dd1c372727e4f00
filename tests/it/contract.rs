//! The contract of a kind: one table, and what everything in it must do.

use serde_json::{Value, json};

use crate::world::{World, condition};

/// A line of the table.
struct Case {
    kind: &'static str,
    /// Whether it is an organization's.
    in_organization: bool,
    /// What is declared first.
    declared: Value,
    /// Another value for some of it.
    changed: Value,
    /// What somebody else makes of some of it.
    tampered: Value,
    /// A field that is never declared here, with a value that somebody gave it.
    undeclared: Value,
}

fn entities() -> Vec<Case> {
    vec![
        Case {
            kind: "Organization",
            in_organization: false,
            declared: json!({"name": "One"}),
            changed: json!({"name": "Two", "state": "Active"}),
            tampered: json!({"name": "Three"}),
            undeclared: json!({"state": "Inactive"}),
        },
        Case {
            kind: "Project",
            in_organization: true,
            declared: json!({"name": "One", "projectRoleCheck": true}),
            changed: json!({"name": "Two", "projectRoleCheck": false, "state": "Inactive"}),
            tampered: json!({"projectRoleCheck": false, "name": "Three"}),
            undeclared: json!({"hasProjectCheck": true, "privateLabelingSetting": "AllowLoginUserResourceOwnerPolicy"}),
        },
    ]
}

fn settings() -> Vec<Case> {
    let privacy = |in_organization| Case {
        kind: "PrivacyPolicy",
        in_organization,
        declared: json!({"tosLink": "https://a.example/{{.Lang}}", "supportEmail": "help@a.example"}),
        changed: json!({"tosLink": "", "supportEmail": "help@b.example"}),
        tampered: json!({"tosLink": "https://minnie.example"}),
        undeclared: json!({"helpLink": "https://kept.example"}),
    };
    let domain = |in_organization| Case {
        kind: "DomainPolicy",
        in_organization,
        declared: json!({"userLoginMustBeDomain": true}),
        changed: json!({"userLoginMustBeDomain": false}),
        tampered: json!({"userLoginMustBeDomain": false}),
        undeclared: json!({"validateOrgDomains": true}),
    };
    vec![
        Case {
            kind: "SecurityPolicy",
            in_organization: false,
            declared: json!({"embeddedIframe": {"allowedOrigins": ["https://a.example", "https://b.example"]}}),
            changed: json!({"embeddedIframe": {"allowedOrigins": []}}),
            tampered: json!({"embeddedIframe": {"allowedOrigins": ["https://minnie.example"]}}),
            undeclared: json!({"enableImpersonation": true, "embeddedIframe": {"enabled": true}}),
        },
        Case {
            kind: "Restrictions",
            in_organization: false,
            declared: json!({"allowedLanguages": ["en", "de"]}),
            changed: json!({"allowedLanguages": []}),
            tampered: json!({"allowedLanguages": ["en"]}),
            undeclared: json!({"disallowPublicOrgRegistration": true}),
        },
        privacy(false),
        privacy(true),
        domain(false),
        domain(true),
    ]
}

/// Two JSON objects as one; the second wins.
fn merged(mut a: Value, b: &Value) -> Value {
    match (a.as_object_mut(), b.as_object()) {
        (Some(x), Some(y)) => {
            for (k, v) in y {
                let old = x.remove(k).unwrap_or_default();
                x.insert(k.clone(), merged(old, v));
            }
            a
        }
        _ => b.clone(),
    }
}

impl Case {
    fn spec(&self, more: &Value) -> Value {
        let scope = if self.in_organization {
            json!({"organizationRef": {"name": "home"}})
        } else {
            json!({})
        };
        merged(scope, more)
    }

    /// A world with the organization that this needs, and its id.
    async fn world(&self) -> (World, Option<String>) {
        let world = World::new(&self.kind.to_lowercase()).await;
        if !self.in_organization {
            return (world, None);
        }
        world.apply("Organization", "home", json!({"name": "Home"})).await;
        let id = world.ready("Organization", "home").await["id"].as_str().unwrap().to_owned();
        (world, Some(id))
    }

    /// Waits until the live thing has these fields: what others changed is noticed by the next poll
    /// of the feed.
    async fn has(&self, world: &World, organization: Option<&str>, id: &str, fields: &Value) {
        let want = kastellan::engine::Fields::of(fields);
        let start = std::time::Instant::now();
        loop {
            let live = world
                .live(self.kind, organization, id)
                .await
                .unwrap_or_else(|| panic!("{} {id} is there", self.kind));
            let left = kastellan::engine::fields::diff(
                &want,
                &live.state,
                crate::world::entry(self.kind).sets(),
            );
            if left.is_empty() {
                return;
            }
            assert!(start.elapsed().as_secs() < 60, "{}: {left:?}", self.kind);
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
    }
}

/// One test a line of the table and behaviour, all with names.
macro_rules! contract {
    ($($name:ident: $table:ident($kind:literal, $organization:literal) $behaviour:ident;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let case = $table().into_iter().find(|c| c.kind == $kind && c.in_organization == $organization).unwrap();
            $behaviour(case).await;
        })*
    };
}

contract! {
    organization_lives: entities("Organization", false) lives;
    project_lives: entities("Project", true) lives;
    organization_is_adopted: entities("Organization", false) is_adopted;
    project_is_adopted: entities("Project", true) is_adopted;
    organization_ends: entities("Organization", false) ends;
    project_ends: entities("Project", true) ends;
    security_policy_is_kept: settings("SecurityPolicy", false) is_kept;
    restrictions_are_kept: settings("Restrictions", false) is_kept;
    privacy_policy_of_the_instance_is_kept: settings("PrivacyPolicy", false) is_kept;
    privacy_policy_of_an_organization_is_kept: settings("PrivacyPolicy", true) is_kept;
    domain_policy_of_the_instance_is_kept: settings("DomainPolicy", false) is_kept;
    domain_policy_of_an_organization_is_kept: settings("DomainPolicy", true) is_kept;
    security_policy_ends: settings("SecurityPolicy", false) setting_ends;
    restrictions_end: settings("Restrictions", false) setting_ends;
    privacy_policy_of_the_instance_ends: settings("PrivacyPolicy", false) setting_ends;
    privacy_policy_of_an_organization_ends: settings("PrivacyPolicy", true) setting_ends;
    domain_policy_of_the_instance_ends: settings("DomainPolicy", false) setting_ends;
    domain_policy_of_an_organization_ends: settings("DomainPolicy", true) setting_ends;
}

#[test]
fn every_kind_is_in_the_table() {
    let kinds: Vec<&str> = entities().iter().chain(&settings()).map(|c| c.kind).collect();
    for entry in kastellan::kinds::ALL.iter().filter(|e| e.names().kind != "Instance") {
        assert!(
            kinds.contains(&entry.names().kind),
            "{} has no line in the contract's table",
            entry.names().kind
        );
    }
}

/// Create, no-op, spec change with rename, drift, deletion behind our back; undeclared fields stay.
async fn lives(case: Case) {
    let (world, organization) = case.world().await;
    let organization = organization.as_deref();
    let kind = case.kind;
    world.apply(kind, "it", case.spec(&case.declared)).await;
    let status = world.ready(kind, "it").await;
    let id = status["id"].as_str().unwrap().to_owned();
    let uid = world.api(kind).get("it").await.unwrap().metadata.uid.unwrap();
    assert_eq!(id, uid, "the id is derived from the UID");
    assert_eq!(status["provenance"], "Created");
    case.has(&world, organization, &id, &case.declared).await;

    // Somebody sets what is not declared: it stays through all that follows.
    world.tamper(kind, organization, &id, case.undeclared.clone()).await;

    // Asked again, nothing is written.
    let events = world.events();
    world.force(kind, "it").await;
    assert_eq!(world.events(), events, "a no-op writes nothing");

    // A change of the spec changes the same thing; a new name renames it.
    let changed = merged(case.declared.clone(), &case.changed);
    world.apply(kind, "it", case.spec(&changed)).await;
    let status = world.ready(kind, "it").await;
    assert_eq!(status["id"], id, "it is the same one");
    case.has(&world, organization, &id, &changed).await;

    // A change by somebody else is undone, and the report says who it was.
    world.apply(kind, "it", case.spec(&case.declared)).await;
    world.ready(kind, "it").await;
    world.tamper(kind, organization, &id, case.tampered.clone()).await;
    let o = world
        .until(kind, "it", "set back", |o| {
            o["status"]["lastDrift"]["corrected"] == true
                && condition(o, "Ready")["status"] == "True"
        })
        .await;
    assert_eq!(o["status"]["lastDrift"]["by"], "minnie.mouse");
    world.noted("it", "Drift", "by minnie.mouse").await;
    case.has(&world, organization, &id, &case.declared).await;
    if kind == "Project" {
        case.has(&world, organization, &id, &case.undeclared).await;
    }

    // Deleted behind our back, it is made again; a dead id is not used again.
    let at = world.at(organization);
    crate::world::entry(kind).delete(&at, &id).await.unwrap();
    let o = world
        .until(kind, "it", "made again", |o| {
            o["status"]["id"] != id && condition(o, "Ready")["status"] == "True"
        })
        .await;
    case.has(&world, organization, o["status"]["id"].as_str().unwrap(), &case.declared).await;
    world.noted("it", "Drift", "made again").await;
}

/// Something of the name exists: identical, different, and with each policy.
async fn is_adopted(case: Case) {
    let (world, organization) = case.world().await;
    let organization = organization.as_deref();
    let (kind, entry) = (case.kind, crate::world::entry(case.kind));
    let at = world.at(organization);
    let there = merged(case.declared.clone(), &json!({"name": "ONE"}));
    let there =
        if kind == "Project" { merged(there, &json!({"projectRoleCheck": false})) } else { there };
    let id = entry
        .create(&at, "there-before", &kastellan::engine::Fields::of(&there))
        .await
        .unwrap()
        .id
        .unwrap();

    // It differs: it is refused, the difference is shown, nothing is written.
    let events = world.events();
    world.apply(kind, "it", case.spec(&case.declared)).await;
    let message = world.reason(kind, "it", "AdoptionRefused").await;
    assert!(message.contains(&id) && message.contains("adoptionPolicy"), "{message}");
    let o = world
        .until(kind, "it", "stalled with its difference", |o| {
            condition(o, "Stalled")["status"] == "True"
        })
        .await;
    let drift: Vec<&str> = o["status"]["drift"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["field"].as_str().unwrap())
        .collect();
    assert!(drift.contains(&"name"), "{drift:?}");
    assert_eq!(world.events(), events);

    // Never: not even what is identical.
    world
        .apply(kind, "it", case.spec(&merged(there.clone(), &json!({"adoptionPolicy": "Never"}))))
        .await;
    world.reason(kind, "it", "AdoptionRefused").await;

    // Identical: it is taken over without a write.
    world.apply(kind, "it", case.spec(&there)).await;
    let status = world.ready(kind, "it").await;
    assert_eq!(
        (status["id"].as_str(), status["provenance"].as_str()),
        (Some(id.as_str()), Some("Adopted"))
    );
    assert_eq!(status["drift"], Value::Null, "what was refused before is no difference now");
    assert_eq!(world.events(), events);

    // What was adopted stays when the object goes.
    world.delete(kind, "it").await;
    world.gone(kind, "it").await;
    assert_eq!(world.events(), events);

    // Always: it is taken over and changed.
    world
        .apply(
            kind,
            "it",
            case.spec(&merged(case.declared.clone(), &json!({"adoptionPolicy": "Always"}))),
        )
        .await;
    assert_eq!(world.ready(kind, "it").await["id"], id);
    case.has(&world, organization, &id, &case.declared).await;
    world.delete(kind, "it").await;
    world.gone(kind, "it").await;

    // By id, without asking the policy.
    world
        .apply(
            kind,
            "it",
            case.spec(&merged(case.changed.clone(), &json!({"id": id, "adoptionPolicy": "Never"}))),
        )
        .await;
    assert_eq!(world.ready(kind, "it").await["provenance"], "Adopted");
    case.has(&world, organization, &id, &case.changed).await;
}

/// Deletion with each policy, and by default.
async fn ends(case: Case) {
    let (world, organization) = case.world().await;
    let organization = organization.as_deref();
    let kind = case.kind;
    // Organizations hold so much that only a word makes them go.
    let by_default = kind != "Organization";
    for (n, (policy, goes)) in [(None, by_default), (Some("Delete"), true), (Some("Retain"), false)]
        .into_iter()
        .enumerate()
    {
        let name = format!("it-{n}");
        let mut more = merged(case.declared.clone(), &json!({"name": format!("One {n}")}));
        if let Some(policy) = policy {
            more = merged(more, &json!({"deletionPolicy": policy}));
        }
        world.apply(kind, &name, case.spec(&more)).await;
        let id = world.ready(kind, &name).await["id"].as_str().unwrap().to_owned();
        world.delete(kind, &name).await;
        world.gone(kind, &name).await;
        assert_eq!(
            world.live(kind, organization, &id).await.is_none(),
            goes,
            "{kind} with {policy:?}"
        );
    }
}

/// Write, no-op, spec change, drift; undeclared fields stay.
async fn is_kept(case: Case) {
    let (world, organization) = case.world().await;
    let organization = organization.as_deref();
    let kind = case.kind;
    if organization.is_none() {
        world.tamper(kind, organization, "", case.undeclared.clone()).await;
    }
    world.apply(kind, "it", case.spec(&case.declared)).await;
    world.ready(kind, "it").await;
    if organization.is_some() {
        world.tamper(kind, organization, "", case.undeclared.clone()).await;
    }
    case.has(&world, organization, "", &merged(case.undeclared.clone(), &case.declared)).await;

    let events = world.events();
    world.force(kind, "it").await;
    assert_eq!(world.events(), events, "a no-op writes nothing");

    world.apply(kind, "it", case.spec(&case.changed)).await;
    world.ready(kind, "it").await;
    case.has(&world, organization, "", &merged(case.undeclared.clone(), &case.changed)).await;

    world.apply(kind, "it", case.spec(&case.declared)).await;
    world.ready(kind, "it").await;
    world.tamper(kind, organization, "", case.tampered.clone()).await;
    let o = world
        .until(kind, "it", "set back", |o| {
            o["status"]["lastDrift"]["corrected"] == true
                && condition(o, "Ready")["status"] == "True"
        })
        .await;
    assert_eq!(o["status"]["lastDrift"]["by"], "minnie.mouse");
    case.has(&world, organization, "", &merged(case.undeclared.clone(), &case.declared)).await;

    // The organization's own policy is reset behind our back: it is made again.
    if organization.is_some() {
        crate::world::entry(kind).delete(&world.at(organization), "").await.unwrap();
        let start = std::time::Instant::now();
        while !world.live(kind, organization, "").await.unwrap().own {
            assert!(start.elapsed().as_secs() < 60, "its own policy is made again");
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
    }

    // What is no longer declared is released with the value that it has.
    let field = kastellan::engine::Fields::of(&case.declared).iter().next().unwrap().0.clone();
    world.apply(kind, "it", case.spec(&case.undeclared)).await;
    world.ready(kind, "it").await;
    world.noted("it", "Released", &field).await;
    case.has(&world, organization, "", &case.declared).await;
}

/// Retain and restore.
async fn setting_ends(case: Case) {
    let (world, organization) = case.world().await;
    let organization = organization.as_deref();
    let kind = case.kind;
    let before = world.live(kind, organization, "").await.unwrap();
    for (policy, restored) in
        [(None, case.in_organization), (Some("Retain"), false), (Some("Delete"), true)]
    {
        // From a clean start each time: as it was found.
        if let (false, live) = (restored, world.live(kind, organization, "").await.unwrap()) {
            if live.state != before.state && !case.in_organization {
                crate::world::entry(kind)
                    .write(&world.at(organization), &live, &before.state)
                    .await
                    .unwrap();
            }
            if live.own && case.in_organization {
                crate::world::entry(kind).delete(&world.at(organization), "").await.unwrap();
            }
        }
        let found = world.live(kind, organization, "").await.unwrap();
        let spec = case.spec(&case.declared);
        world
            .apply(
                kind,
                "it",
                policy.map_or(spec.clone(), |p| merged(spec, &json!({"deletionPolicy": p}))),
            )
            .await;
        world.ready(kind, "it").await;
        case.has(&world, organization, "", &case.declared).await;
        world.delete(kind, "it").await;
        world.gone(kind, "it").await;
        let after = world.live(kind, organization, "").await.unwrap();
        if restored {
            assert_eq!(
                (after.state, after.own),
                (found.state, found.own),
                "{kind} with {policy:?}"
            );
        } else {
            case.has(&world, organization, "", &case.declared).await;
        }
    }
}
