//! One owner for each remote thing, and what becomes of it when the owner goes.

use std::time::Duration;

use kastellan::{
    api::status::Provenance,
    contract::{Fields, Key},
    engine::events::EventReason,
};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    inprocess::{Lab, key},
    remote::{Place, entry},
    world::{World, condition, resource},
};

/// A Lab whose namespaces may do anything, with an organization that all may use.
async fn open() -> Lab {
    let lab = Lab::new().await;
    let mut instance = Lab::instance_spec();
    instance["allowedNamespaces"] = json!({"from": "All"});
    instance["instanceScope"] = json!({"from": "All"});
    lab.declare("ns", "Instance", "default", instance);
    lab.declare(
        "ns",
        "Organization",
        "home",
        json!({"name": "Home", "allowedNamespaces": {"from": "All"}}),
    );
    lab.settle().await;
    lab
}

fn project(more: &Value) -> Value {
    let mut spec = json!({"organizationRef": {"name": "home", "namespace": "ns"}, "name": "Shop"});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

fn privacy(link: &str) -> Value {
    json!({"organizationRef": {"name": "home", "namespace": "ns"}, "tosLink": link})
}

fn security(enabled: bool) -> Value {
    json!({"instanceRef": {"name": "default", "namespace": "ns"}, "enableImpersonation": enabled, "deletionPolicy": "Delete"})
}

fn assert_conflict(lab: &Lab, loser: &Key, winner: &Key) {
    let (reason, message) = lab.reason(loser);
    assert_eq!(reason, "Conflict", "{message}");
    assert!(message.contains(&winner.to_string()), "{message}");
    assert!(lab.status(loser).condition("Stalled").is_some());
}

#[tokio::test(start_paused = true)]
async fn of_two_that_declare_the_same_the_older_wins_in_any_namespace_and_order() {
    let cases: [(&str, Value, Value); 4] = [
        (
            "Project",
            project(&json!({})),
            project(&json!({"name": "SHOP", "projectRoleCheck": true})),
        ),
        (
            "Project",
            project(&json!({"id": "shop"})),
            project(&json!({"id": "shop", "name": "Other"})),
        ),
        ("PrivacyPolicy", privacy("https://a.example"), privacy("https://b.example")),
        ("SecurityPolicy", security(true), security(false)),
    ];
    for (kind, first, second) in cases {
        for namespace in ["ns", "other"] {
            for young_first in [false, true] {
                let lab = open().await;
                let old = lab.declare("ns", kind, "z-old", first.clone());
                let young = lab.declare(namespace, kind, "a-young", second.clone());
                if young_first {
                    lab.look(&young).await;
                }
                lab.look(&old).await;
                if kind == "Project" && young_first {
                    // What the younger has made meanwhile goes to the older only as its policy
                    // says.
                    continue;
                }
                lab.settle().await;
                assert_conflict(&lab, &young, &old);
                assert!(lab.status(&old).is_ready());
                let events = lab.events();
                lab.settle().await;
                assert_eq!(lab.events(), events, "{kind}: nobody writes");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_winner_goes_the_thing_is_handed_over_with_its_id_and_history() {
    for restarted in [false, true] {
        let mut lab = open().await;
        let old = lab.declare("ns", "Project", "shop", project(&json!({"projectRoleCheck": true})));
        lab.settle().await;
        let id = lab.status(&old).id.unwrap();
        let at = lab.minnie(lab.status(&old).organization_id.as_deref());
        let have = entry("Project").read(&at, &id).await.unwrap().unwrap();
        let marked = have.state.overlay(&Fields::from(json!({"hasProjectCheck": true})));
        entry("Project").write(&at, &have, &marked).await.unwrap();
        // Not what is declared here is said there: it is handed over all the same, and then
        // changed.
        let young =
            lab.declare("other", "Project", "shop", project(&json!({"projectRoleCheck": false})));
        let youngest = lab.declare("another", "Project", "shop", project(&json!({})));
        lab.settle().await;
        assert_conflict(&lab, &young, &old);
        if restarted {
            lab.restart();
            lab.settle().await;
        }
        lab.delete(&old);
        let outcome = lab.look(&old).await;
        assert!(
            outcome
                .events
                .iter()
                .any(|n| n.reason == EventReason::HandedOver
                    && n.message.contains(&young.to_string())),
            "{:?}",
            outcome.events
        );
        assert!(outcome.wake.contains(&young));
        if restarted {
            lab.restart();
            lab.look(&key("Instance", "ns", "default")).await;
        }
        let outcome = lab.look(&young).await;
        assert!(
            restarted || outcome.events.iter().any(|n| n.reason == EventReason::HandedOver),
            "{:?}",
            outcome.events
        );
        lab.settle().await;
        assert_conflict(&lab, &youngest, &young);
        let status = lab.status(&young);
        assert!(status.is_ready());
        assert_eq!(
            (status.id.as_deref(), status.provenance),
            (Some(id.as_str()), Some(Provenance::Created))
        );
        let live = entry("Project").read(&at, &id).await.unwrap().unwrap().state;
        assert_eq!(
            (live.get("hasProjectCheck"), live.get("projectRoleCheck")),
            (Some(&json!(true)), Some(&json!(false)))
        );
        assert_eq!(lab.count("project.removed"), 0);
        // With the history comes what deletion does.
        lab.delete(&youngest);
        lab.look(&youngest).await;
        lab.delete(&young);
        lab.look(&young).await;
        assert_eq!(lab.count("project.removed"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_heir_of_a_setting_restores_what_was_there_before_both() {
    let lab = open().await;
    let organization = lab.status(&key("Organization", "ns", "home")).id.unwrap();
    let at = lab.minnie(Some(organization.as_str()));
    let before = entry("PrivacyPolicy").read(&at, "").await.unwrap().unwrap();
    let cases = [
        ("PrivacyPolicy", privacy("https://a.example"), privacy("https://b.example")),
        ("SecurityPolicy", security(true), security(true)),
    ];
    for (kind, first, second) in cases {
        let old = lab.declare("ns", kind, "old", first);
        lab.settle().await;
        let young = lab.declare("other", kind, "young", second);
        lab.settle().await;
        assert_conflict(&lab, &young, &old);
        let was = lab.status(&old);
        lab.delete(&old);
        assert!(lab.look(&old).await.events.iter().any(|n| n.reason == EventReason::HandedOver));
        lab.settle().await;
        let is = lab.status(&young);
        assert!(is.is_ready());
        assert_eq!((is.original, is.provenance), (was.original, was.provenance));
        lab.delete(&young);
        lab.look(&young).await;
        assert!(lab.object(&young).is_none());
    }
    assert_eq!(entry("PrivacyPolicy").read(&at, "").await.unwrap().unwrap(), before);
    let security =
        entry("SecurityPolicy").read(&at.at(Place::instance()), "").await.unwrap().unwrap();
    assert_eq!(security.state.get("enableImpersonation"), Some(&json!(false)));
}

#[tokio::test(start_paused = true)]
async fn who_is_going_too_is_suspended_or_only_observes_is_no_heir() {
    for (n, change) in
        [json!({}), json!({"suspend": true}), json!({"mode": "Observe"})].into_iter().enumerate()
    {
        let lab = open().await;
        let old = lab.declare("ns", "Project", "shop", project(&json!({})));
        lab.settle().await;
        let young = lab.declare("other", "Project", "shop", project(&json!({})));
        lab.settle().await;
        lab.declare("other", "Project", "shop", project(&change));
        lab.settle().await;
        if n == 0 {
            lab.delete(&young);
        }
        lab.delete(&old);
        lab.look(&old).await;
        assert_eq!(lab.count("project.removed"), 1, "case {n}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_has_its_own_already_and_wants_the_name_too_is_no_heir() {
    let lab = open().await;
    let old = lab.declare("ns", "Project", "shop", project(&json!({})));
    let young = lab.declare("other", "Project", "other", project(&json!({"name": "Other"})));
    lab.settle().await;
    let id = lab.status(&young).id;
    lab.declare("other", "Project", "other", project(&json!({})));
    lab.settle().await;
    assert_conflict(&lab, &young, &old);
    lab.delete(&old);
    lab.look(&old).await;
    lab.settle().await;
    assert_eq!(lab.count("project.removed"), 1);
    assert_eq!((lab.status(&young).id, lab.status(&young).is_ready()), (id, true));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_wants_another_name_lets_the_next_have_the_former() {
    let lab = open().await;
    let old = lab.declare("ns", "Project", "shop", project(&json!({})));
    let young = lab.declare("other", "Project", "shop", project(&json!({})));
    lab.settle().await;
    assert_conflict(&lab, &young, &old);
    lab.declare("ns", "Project", "shop", project(&json!({"name": "Renamed"})));
    let outcome = lab.look(&old).await;
    assert!(outcome.wake.contains(&young), "{:?}", outcome.wake);
    lab.settle().await;
    assert!(lab.status(&young).is_ready());
    assert_ne!(lab.status(&young).id, lab.status(&old).id);
}

/// Tools that prune before they create delete first.
#[tokio::test(start_paused = true)]
async fn a_deletion_waits_a_moment_for_an_heir() {
    let mut lab = open().await;
    lab.engine.deletion_pause = Duration::from_secs(10);
    let old = lab.declare("ns", "Project", "shop", project(&json!({})));
    lab.settle().await;
    let id = lab.status(&old).id;
    lab.delete(&old);
    let outcome = lab.look(&old).await;
    assert!(
        outcome.requeue_after.is_some_and(|again| again <= Duration::from_secs(10))
            && !outcome.release
    );
    assert_eq!(lab.reason(&old).0, "Deleting");
    tokio::time::advance(Duration::from_secs(3)).await;
    let new = lab.declare("other", "Project", "shop", project(&json!({})));
    lab.look(&new).await;
    assert_conflict(&lab, &new, &old);
    assert!(lab.look(&old).await.release);
    lab.settle().await;
    assert_eq!((lab.status(&new).id, lab.status(&new).provenance), (id, Some(Provenance::Created)));
    // Without one, it goes.
    lab.delete(&new);
    lab.look(&new).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(lab.look(&new).await.release);
    assert_eq!(lab.count("project.removed"), 1);
}

/// Git moves a Project to another namespace, in both orders, and back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_that_git_moves_keeps_its_id_and_what_hangs_on_it() {
    let mut world = World::bare("move").await;
    world.deletion_pause = Duration::from_secs(20);
    let other = world.another_namespace().await;
    world.start();
    world.connect().await;
    world
        .apply(
            "Organization",
            "home",
            json!({"name": "Home", "allowedNamespaces": {"from": "All"}}),
        )
        .await;
    let organization = world.ready("Organization", "home").await["id"].as_str().unwrap().to_owned();
    let spec = json!({"organizationRef": {"name": "home", "namespace": world.namespace}, "projectRoleCheck": true});
    world.apply("Project", "shop", spec.clone()).await;
    let id = world.ready("Project", "shop").await["id"].clone();
    world
        .tamper(
            "Project",
            Some(organization.as_str()),
            id.as_str().unwrap(),
            json!({"hasProjectCheck": true}),
        )
        .await;
    let there: Api<_> = Api::namespaced_with(world.client.clone(), &other, &resource("Project"));
    let here = world.api("Project");
    let create = async |api: &Api<kube::api::DynamicObject>| {
        let body = json!({"apiVersion": kastellan::api::api_version(), "kind": "Project", "metadata": {"name": "shop"}, "spec": spec});
        api.create(&PostParams::default(), &serde_json::from_value(body).unwrap()).await.unwrap();
    };
    let delete = async |api: &Api<kube::api::DynamicObject>| {
        api.delete("shop", &DeleteParams::default()).await.unwrap();
    };
    let moved = async |from: &Api<_>, to: &Api<_>| {
        let begun = std::time::Instant::now();
        loop {
            let (gone, o) =
                (from.get_opt("shop").await.unwrap(), to.get_opt("shop").await.unwrap());
            let o = serde_json::to_value(o).unwrap();
            if gone.is_none()
                && condition(&o, "Ready")["status"] == "True"
                && o["status"]["provenance"] == "Created"
            {
                assert_eq!(o["status"]["id"], id);
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "moved: {o}, {gone:?}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    create(&there).await;
    delete(&here).await;
    moved(&here, &there).await;
    delete(&there).await;
    create(&here).await;
    moved(&there, &here).await;
    assert_eq!((world.count("project.added"), world.count("project.removed")), (1, 0));
    let live =
        world.live("Project", Some(organization.as_str()), id.as_str().unwrap()).await.unwrap();
    assert_eq!(live.state.get("hasProjectCheck"), Some(&json!(true)));
    world.noted("shop", "HandedOver", "").await;
}
