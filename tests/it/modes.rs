//! Observe, suspend, asked for, contested.

use std::time::Duration;

use kastellan::{
    api::status::Provenance,
    contract::{Fields, Key},
    engine::events::EventReason,
};
use serde_json::{Value, json};

use crate::{
    inprocess::Lab,
    remote::{Access, Place, entry},
    world::{World, condition},
};

/// Somebody changes fields of something.
pub(crate) async fn change(kind: &str, at: &Access, id: &str, fields: Value) {
    let have = entry(kind).read(at, id).await.unwrap().unwrap();
    entry(kind).write(at, &have, &have.state.overlay(&Fields::from(fields.clone()))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn observing_reports_and_neither_writes_nor_claims() {
    let lab = Lab::new().await;
    let home = lab.declare("ns", "Organization", "home", json!({}));
    lab.settle().await;
    let at = lab.minnie(lab.status(&home).id.as_deref());
    entry("Project").create(&at, "there", &Fields::from(json!({"name": "there"}))).await.unwrap();
    let events = lab.events();
    let observe = |more: Value| {
        let mut spec = json!({"organizationRef": {"name": "home"}, "mode": "Observe"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let missing = lab.declare("ns", "Project", "missing", observe(json!({})));
    let differs = lab.declare(
        "ns",
        "Project",
        "there",
        observe(json!({"projectRoleCheck": true, "adoptionPolicy": "Never"})),
    );
    let same = lab.declare("ns", "Project", "same", observe(json!({"name": "There"})));
    let policy = lab.declare(
        "ns",
        "PrivacyPolicy",
        "home",
        observe(json!({"tosLink": "https://a.example"})),
    );
    let security = lab.declare(
        "ns",
        "SecurityPolicy",
        "it",
        json!({"mode": "Observe", "enableImpersonation": false}),
    );
    lab.follow().await;
    assert_eq!(lab.events(), events, "nothing is written");
    for (key, fields) in [
        (&missing, vec!["name"]),
        (&differs, vec!["projectRoleCheck"]),
        (&same, vec!["name"]),
        (&policy, vec!["tosLink"]),
    ] {
        let status = lab.status(key);
        assert_eq!(lab.reason(key).0, "Observing", "{key}: {status:?}");
        assert!(status.condition("Stalled").is_none() && status.condition("Reconciling").is_none());
        assert_eq!(
            status.drift.iter().map(|d| d.field.as_str()).collect::<Vec<_>>(),
            fields,
            "{key}"
        );
        assert_eq!(status.provenance, None);
    }
    assert_eq!(lab.reason(&security).0, "InSync");
    // Observers are in nobody's way, and see what others do.
    let enforced = lab.declare(
        "ns",
        "Project",
        "enforced",
        json!({"organizationRef": {"name": "home"}, "id": "there", "name": "there", "projectRoleCheck": true}),
    );
    lab.settle().await;
    assert!(lab.status(&enforced).is_ready());
    assert_eq!(lab.reason(&differs).0, "InSync");
    let touched = kastellan::live::Touched {
        kind: "Project",
        place: at.place.clone(),
        subject: Some("there".into()),
    };
    let concerned = lab.concerned(&touched);
    assert!(concerned.contains(&enforced) && concerned.contains(&differs), "{concerned:?}");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_changes_is_told_once_while_it_is_only_observed() {
    let lab = Lab::new().await;
    let home = lab.declare("ns", "Organization", "home", json!({}));
    lab.settle().await;
    let at = lab.minnie(lab.status(&home).id.as_deref());
    entry("Project").create(&at, "there", &Fields::from(json!({"name": "there"}))).await.unwrap();
    let spec = json!({"organizationRef": {"name": "home"}, "mode": "Observe", "projectRoleCheck": true, "hasProjectCheck": false});
    let project = lab.declare("ns", "Project", "there", spec);
    let policy =
        lab.declare("ns", "PrivacyPolicy", "it", json!({"mode": "Observe", "tosLink": ""}));
    lab.follow().await;
    assert_eq!(lab.status(&project).drift.len(), 1);
    assert!(lab.status(&project).last_drift.is_none(), "how it was found is nobody's change");
    let followed = async |key: &Key| {
        let before = lab.status(key);
        lab.poll().await.unwrap();
        let outcome = lab.look(key).await;
        let told: Vec<String> = outcome
            .events
            .iter()
            .filter(|n| n.reason == EventReason::Drift)
            .map(|n| n.message.clone())
            .collect();
        let again = lab.look(key).await;
        assert!(again.events.is_empty() && again.status == outcome.status, "told once: {again:?}");
        (told, outcome.status.last_drift.filter(|d| before.last_drift.as_ref() != Some(d)))
    };
    change("Project", &at, "there", json!({"projectRoleAssertion": true})).await;
    assert_eq!(followed(&project).await, (vec![], None), "nobody declares that field");
    change("Project", &at, "there", json!({"hasProjectCheck": true})).await;
    let (told, drift) = followed(&project).await;
    assert_eq!(told, ["hasProjectCheck changed by minnie.mouse; only observed"]);
    let drift = drift.unwrap();
    assert_eq!((drift.corrected, drift.by.as_deref()), (false, Some("minnie.mouse")));
    change("Project", &at, "there", json!({"hasProjectCheck": false})).await;
    assert_eq!(followed(&project).await, (vec![], None), "less differs than before");
    let instance = at.at(Place::instance());
    change("PrivacyPolicy", &instance, "", json!({"tosLink": "https://minnie.example"})).await;
    assert_eq!(followed(&policy).await.0, ["tosLink changed by minnie.mouse; only observed"]);
    entry("Project").delete(&at, "there").await.unwrap();
    let (told, drift) = followed(&project).await;
    assert_eq!(told, ["the project there was deleted by minnie.mouse; only observed"]);
    assert!(!drift.unwrap().corrected);
}

#[tokio::test(start_paused = true)]
async fn observing_for_a_while_forgets_no_binding() {
    let lab = Lab::new().await;
    let home = lab.declare("ns", "Organization", "home", json!({}));
    let spec = |mode: &str, check: bool| json!({"organizationRef": {"name": "home"}, "mode": mode, "projectRoleCheck": check});
    let shop = lab.declare("ns", "Project", "shop", spec("Observe", true));
    lab.settle().await;
    assert_eq!((lab.reason(&shop).0.as_str(), lab.status(&shop).id), ("Observing", None));
    lab.declare("ns", "Project", "shop", spec("Enforce", true));
    lab.settle().await;
    let id = lab.status(&shop).id.unwrap();
    assert!(lab.status(&shop).is_ready());
    lab.declare("ns", "Project", "shop", spec("Observe", false));
    let events = lab.events();
    lab.settle().await;
    assert_eq!(lab.events(), events);
    // While it is only observed, it is deleted by somebody: that is reported, and the dead id is
    // known.
    entry("Project").delete(&lab.minnie(lab.status(&home).id.as_deref()), &id).await.unwrap();
    lab.follow().await;
    assert_eq!(
        (lab.reason(&shop).0.as_str(), lab.status(&shop).id.as_deref()),
        ("Observing", Some(id.as_str()))
    );
    lab.declare("ns", "Project", "shop", spec("Enforce", true));
    lab.settle().await;
    let status = lab.status(&shop);
    assert_eq!((status.is_ready(), status.provenance), (true, Some(Provenance::Created)));
    assert_ne!(status.id.as_deref(), Some(id.as_str()), "a dead id is not used again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_observes_has_no_finalizer_and_who_enforces_again_has_one() {
    let world = World::new("observe").await;
    world.apply("Organization", "acme", json!({"mode": "Observe"})).await;
    let o = world
        .until("Organization", "acme", "observed", |o| {
            condition(o, "Ready")["reason"] == "Observing"
        })
        .await;
    assert_eq!((&o["metadata"]["finalizers"], world.count("org.added")), (&Value::Null, 0));
    world.apply("Organization", "acme", json!({"mode": "Enforce"})).await;
    world.ready("Organization", "acme").await;
    world.apply("Organization", "acme", json!({"mode": "Observe", "name": "Another"})).await;
    let o = world
        .until("Organization", "acme", "observed", |o| {
            condition(o, "Ready")["reason"] == "Observing"
        })
        .await;
    assert_eq!(o["status"]["drift"][0]["field"], "name");
    world
        .until("Organization", "acme", "without a finalizer", |o| {
            o["metadata"]["finalizers"].is_null()
        })
        .await;
    // A change that somebody makes shows without a resync.
    let id = o["status"]["id"].as_str().unwrap().to_owned();
    world.tamper("Organization", None, &id, json!({"name": "Another"})).await;
    world.ready("Organization", "acme").await;
    world.delete("Organization", "acme").await;
    world.gone("Organization", "acme").await;
    assert_eq!(world.count("org.removed"), 0);
}

#[tokio::test(start_paused = true)]
async fn suspended_nothing_happens_and_afterwards_all_goes_on() {
    let lab = Lab::new().await;
    let home = lab.declare("ns", "Organization", "home", json!({"suspend": true}));
    lab.emulator.reset_calls();
    lab.look(&home).await;
    assert!(lab.emulator.calls().is_empty());
    assert_eq!(lab.status(&home).condition("Ready").unwrap().status, "Unknown");
    lab.declare("ns", "Organization", "home", json!({"suspend": false}));
    lab.settle().await;
    assert!(lab.status(&home).is_ready());
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_is_looked_at_whatever_the_store_says() {
    let lab = Lab::new().await;
    let home = lab.declare("ns", "Organization", "home", json!({}));
    lab.settle().await;
    let id = lab.status(&home).id.unwrap();
    change("Organization", &lab.minnie(None), &id, json!({"name": "Other"})).await;
    lab.emulator.reset_calls();
    lab.settle().await;
    assert!(
        lab.emulator.calls().is_empty()
            || lab.emulator.calls().iter().all(|c| !c.path.contains("organizations")),
        "nobody said that it changed"
    );
    for n in 1..3 {
        lab.edit(&home, |o| {
            _ = o.annotations.insert("kastellan.dev/reconcile-at".into(), n.to_string());
        });
        lab.emulator.reset_calls();
        lab.settle().await;
        assert!(lab.emulator.calls().iter().any(|c| c.path.contains("organizations")), "time {n}");
    }
    assert_eq!(lab.count("org.changed"), 2, "reverted, once");
}

/// Looks at one object as its requeue asks, for so long. Gives how often it was reverted.
async fn live_for(
    lab: &Lab,
    key: &Key,
    at: &Access,
    id: &str,
    stubborn: bool,
    long: Duration,
) -> usize {
    let end = tokio::time::Instant::now() + long;
    let before = lab.count("project.changed");
    let mut own = 0;
    while tokio::time::Instant::now() < end {
        if stubborn && lab.status(key).drift.is_empty() {
            change("Project", at, id, json!({"projectRoleCheck": false})).await;
            own += 1;
        }
        lab.poll().await.unwrap();
        lab.look(key).await;
        tokio::time::advance(Duration::from_secs(5)).await;
    }
    lab.count("project.changed") - before - own
}

#[tokio::test(start_paused = true)]
async fn a_fight_is_not_fought_but_said_and_ends() {
    let lab = Lab::new().await;
    let home = lab.declare("ns", "Organization", "home", json!({}));
    let shop = lab.declare(
        "ns",
        "Project",
        "shop",
        json!({"organizationRef": {"name": "home"}, "projectRoleCheck": true}),
    );
    lab.settle().await;
    let id = lab.status(&shop).id.unwrap();
    let at = lab.minnie(lab.status(&home).id.as_deref());
    // Now and then is no fight.
    for _ in 0..8 {
        change("Project", &at, &id, json!({"projectRoleCheck": false})).await;
        lab.follow().await;
        assert!(lab.status(&shop).is_ready());
        tokio::time::advance(Duration::from_secs(400)).await;
    }
    let times = live_for(&lab, &shop, &at, &id, true, Duration::from_secs(600)).await;
    assert!((6..=14).contains(&times), "reverted {times} times in ten minutes");
    let (reason, message) = lab.reason(&shop);
    assert_eq!(reason, "Contested");
    assert!(message.contains("minnie.mouse") && message.contains("projectRoleCheck"), "{message}");
    assert!(lab.status(&shop).condition("Stalled").is_some());
    let times = live_for(&lab, &shop, &at, &id, true, Duration::from_secs(3600)).await;
    assert!((4..=9).contains(&times), "still reverted, ever more rarely: {times} times in an hour");
    // It ends when they stop.
    live_for(&lab, &shop, &at, &id, false, Duration::from_secs(3600)).await;
    assert_eq!(lab.reason(&shop).0, "InSync");
    let live = entry("Project").read(&at, &id).await.unwrap().unwrap();
    assert_eq!(live.state.get("projectRoleCheck"), Some(&json!(true)));
}

#[tokio::test(start_paused = true)]
async fn a_contested_field_that_is_no_longer_declared_is_peace_at_once() {
    let lab = Lab::new().await;
    let home = lab.declare("ns", "Organization", "home", json!({}));
    let shop = lab.declare(
        "ns",
        "Project",
        "shop",
        json!({"organizationRef": {"name": "home"}, "projectRoleCheck": true}),
    );
    lab.settle().await;
    let id = lab.status(&shop).id.unwrap();
    let at = lab.minnie(lab.status(&home).id.as_deref());
    live_for(&lab, &shop, &at, &id, true, Duration::from_secs(120)).await;
    assert_eq!(lab.reason(&shop).0, "Contested");
    lab.declare("ns", "Project", "shop", json!({"organizationRef": {"name": "home"}}));
    lab.settle().await;
    assert_eq!(lab.reason(&shop).0, "InSync");
}
