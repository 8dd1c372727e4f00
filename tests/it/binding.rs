//! What has to survive a crash, a restore, a death behind our back: each thing is made once, and
//! found again.

use std::time::Duration;

use kastellan::{
    api::status::{Provenance, Status},
    contract::{Fields, Key},
    engine::events::{EventReason, EventRecord},
};
use serde_json::{Value, json};

use crate::{
    inprocess::{Crash, Lab},
    remote::{Place, entry},
};

/// Everything of a small tenant: Organization, Project, a policy of the organization, a setting of
/// the instance.
fn tenant(lab: &Lab) -> [Key; 4] {
    let home = json!({"organizationRef": {"name": "home"}});
    let with = |more: Value| {
        let mut spec = home.clone();
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    [
        lab.declare("ns", "Organization", "home", json!({"name": "Home"})),
        lab.declare("ns", "Project", "shop", with(json!({"projectRoleCheck": true}))),
        lab.declare("ns", "PrivacyPolicy", "home", with(json!({"tosLink": "https://a.example"}))),
        lab.declare(
            "ns",
            "SecurityPolicy",
            "it",
            json!({"enableImpersonation": true, "deletionPolicy": "Delete"}),
        ),
    ]
}

const MADE: [&str; 4] =
    ["org.added", "project.added", "org.policy.privacy.added", "instance.policy.security.set"];

fn assert_ready(lab: &Lab, keys: &[Key]) {
    for key in keys {
        assert!(lab.status(key).is_ready(), "{key}: {:?}", lab.reason(key));
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_any_two_steps_makes_nothing_twice_and_forgets_no_former_value() {
    for which in 0..4 {
        for sent in [false, true] {
            for after in 0.. {
                let mut lab = Lab::new().await;
                let keys = tenant(&lab);
                for key in &keys[..which] {
                    lab.look(key).await;
                }
                let before = lab.count(MADE[which]);
                if !lab.crash(&keys[which], Crash { after, sent }).await {
                    assert!(after > 1, "it takes some calls");
                    break;
                }
                lab.settle().await;
                assert_ready(&lab, &keys);
                assert_eq!(
                    lab.count(MADE[which]),
                    before + 1,
                    "{} after {after} calls, sent: {sent}",
                    keys[which]
                );
                assert_eq!(lab.status(&keys[1]).provenance, Some(Provenance::Created));
                assert_eq!(
                    lab.status(&keys[3]).original.unwrap().get("enableImpersonation"),
                    Some(&json!(false))
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_any_two_steps_of_a_deletion_ends_well() {
    for (n, gone) in [
        (1, "project.removed"),
        (2, "org.policy.privacy.removed"),
        (3, "instance.policy.security.set"),
    ] {
        for sent in [false, true] {
            for after in 0.. {
                let mut lab = Lab::new().await;
                let keys = tenant(&lab);
                lab.settle().await;
                let before = lab.count(gone);
                lab.delete(&keys[n]);
                if !lab.crash(&keys[n], Crash { after, sent }).await {
                    break;
                }
                lab.settle().await;
                assert!(
                    lab.object(&keys[n]).is_none(),
                    "{} after {after} calls: {:?}",
                    keys[n],
                    lab.reason(&keys[n])
                );
                assert_eq!(
                    lab.count(gone),
                    before + 1,
                    "{} after {after} calls, sent: {sent}",
                    keys[n]
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn objects_restored_without_their_status_find_what_they_made() {
    let mut lab = Lab::new().await;
    let keys = tenant(&lab);
    lab.settle().await;
    let (events, before) = (lab.events(), keys.clone().map(|k| lab.status(&k)));
    for key in &keys {
        lab.edit(key, |o| o.status = Status::default());
    }
    lab.restart();
    lab.settle().await;
    assert_ready(&lab, &keys);
    for n in [0, 1] {
        assert_eq!(
            (lab.status(&keys[n]).id, lab.status(&keys[n]).provenance),
            (before[n].id.clone(), Some(Provenance::Created))
        );
    }
    assert_eq!(lab.events(), events, "nothing is written");
}

#[tokio::test(start_paused = true)]
async fn an_object_recreated_with_another_uid_finds_its_thing_by_name_if_it_is_alike() {
    let mut lab = Lab::new().await;
    let keys = tenant(&lab);
    lab.settle().await;
    let (events, id) = (lab.events(), lab.status(&keys[1]).id);
    for key in &keys[..2] {
        lab.edit(key, |o| {
            (o.status, o.uid) = (Status::default(), Some(format!("new-{}", o.key.name)));
        });
    }
    lab.restart();
    lab.settle().await;
    assert_ready(&lab, &keys);
    assert_eq!(
        (lab.status(&keys[1]).id, lab.status(&keys[1]).provenance),
        (id, Some(Provenance::Adopted))
    );
    assert_eq!(lab.events(), events, "nothing is written");
    // What differs is refused.
    lab.edit(&keys[1], |o| {
        (o.status, o.uid) = (Status::default(), Some("newer".into()));
        o.spec["projectRoleCheck"] = json!(false);
    });
    lab.settle().await;
    assert_eq!(lab.reason(&keys[1]).0, "AdoptionRefused");
}

#[tokio::test(start_paused = true)]
async fn an_organization_that_was_deleted_is_recreated_under_the_next_id_with_what_was_in_it() {
    let mut lab = Lab::new().await;
    let keys = tenant(&lab);
    lab.settle().await;
    for restart in [false, true] {
        let before = keys.clone().map(|k| lab.status(&k));
        let id = before[0].id.clone().unwrap();
        entry("Organization").delete(&lab.minnie(None), &id).await.unwrap();
        if restart {
            lab.restart();
        } else {
            lab.poll().await.unwrap();
        }
        let outcome = lab.look(&keys[0]).await;
        if !restart {
            let said = |n: &EventRecord| {
                n.reason == EventReason::Drift
                    && n.message.contains(&id)
                    && n.message.contains("recreated")
            };
            assert!(outcome.events.iter().any(said), "{:?}", outcome.events);
            let outcome = lab.look(&keys[1]).await;
            assert!(
                outcome
                    .events
                    .iter()
                    .any(|n| n.reason == EventReason::Drift && n.message.contains("recreated")),
                "{:?}",
                outcome.events
            );
        }
        lab.settle().await;
        assert_ready(&lab, &keys);
        let after = keys.clone().map(|k| lab.status(&k));
        assert_ne!(after[0].id, before[0].id);
        for n in [1, 2] {
            assert_eq!(after[n].organization_id, after[0].id, "{} is in the new one", keys[n]);
            assert_eq!(after[n].provenance, Some(Provenance::Created));
        }
        assert_ne!(after[1].id, before[1].id);
        assert_eq!(
            after[2].original.as_ref().unwrap().get("tosLink"),
            Some(&json!("")),
            "what the new one held before"
        );
    }
    assert_eq!(
        (lab.count("org.added"), lab.count("project.added")),
        (1 + 3, 1 + 3),
        "ZITADEL's own, and each life of ours"
    );
}

/// The trap of the recording `organization-reborn`.
#[tokio::test(start_paused = true)]
async fn an_organization_reborn_under_the_same_id_gets_its_policies_and_projects_again() {
    let lab = Lab::new().await;
    let home = lab.declare("ns", "Organization", "home", json!({"name": "Home", "id": "reborn"}));
    let at_home = json!({"organizationId": "reborn", "tosLink": "https://a.example"});
    let privacy = lab.declare("ns", "PrivacyPolicy", "home", at_home);
    let domain = lab.declare(
        "ns",
        "DomainPolicy",
        "home",
        json!({"organizationId": "reborn", "userLoginMustBeDomain": true}),
    );
    let shop = lab.declare("ns", "Project", "shop", json!({"organizationId": "reborn"}));
    let fixed =
        lab.declare("ns", "Project", "fixed", json!({"organizationId": "reborn", "id": "fixed"}));
    let keys = [home.clone(), privacy, domain, shop, fixed.clone()];
    lab.settle().await;
    assert_ready(&lab, &keys);
    let minnie = lab.minnie(None);
    for by_us in [true, false] {
        entry("Organization").delete(&minnie, "reborn").await.unwrap();
        if !by_us {
            entry("Organization")
                .create(&minnie, "reborn", &Fields::from(json!({"name": "Home"})))
                .await
                .unwrap();
        }
        lab.follow().await;
        assert_ready(&lab, &keys);
        assert_eq!(lab.status(&home).id.as_deref(), Some("reborn"));
        assert_eq!(lab.status(&fixed).id.as_deref(), Some("fixed"));
        for (kind, field, value) in [
            ("PrivacyPolicy", "tosLink", json!("https://a.example")),
            ("DomainPolicy", "userLoginMustBeDomain", json!(true)),
        ] {
            let at = minnie.at(Place::organization("reborn"));
            let live = entry(kind).read(&at, "").await.unwrap().unwrap();
            assert!(live.own && live.state.get(field) == Some(&value), "{kind}: {live:?}");
        }
    }
}

/// Without the right to read events nobody can tell: nothing is removed, and it is said.
#[tokio::test(start_paused = true)]
async fn what_exists_and_does_not_show_is_reported_and_not_made_under_another_id() {
    let mut lab = Lab::new().await;
    let keys = tenant(&lab);
    lab.look(&keys[0]).await;
    lab.emulator.faults().lose_next("project.added");
    lab.look(&keys[1]).await;
    for life in 0..2 {
        // First it is waited for; then, and also after a restart, it is lost.
        for _ in 0..30 {
            tokio::time::advance(Duration::from_secs(5)).await;
            lab.look(&keys[1]).await;
        }
        let (reason, message) = lab.reason(&keys[1]);
        assert_eq!(reason, "LostByZitadel", "{message}");
        assert!(message.contains(&lab.object(&keys[1]).unwrap().derived_id()), "{message}");
        assert_eq!(lab.count("project.added"), 1 + 1, "ZITADEL's own and this, in life {life}");
        lab.restart();
        lab.look(&crate::inprocess::key("Instance", "ns", "default")).await;
    }
    // It goes as it came.
    lab.delete(&keys[1]);
    lab.look(&keys[1]).await;
    assert_eq!(lab.count("project.removed"), 1);
}

#[tokio::test(start_paused = true)]
async fn another_instance_behind_the_same_address_gets_no_write() {
    let lab = Lab::new().await;
    let keys = tenant(&lab);
    lab.settle().await;
    lab.emulator.faults().new_instance();
    tokio::time::advance(Duration::from_secs(6)).await;
    let events = lab.events();
    lab.edit(&keys[1], |o| {
        o.spec["projectRoleCheck"] = json!(false);
        o.generation += 1;
    });
    let outcome = lab.look(&keys[1]).await;
    assert_eq!(lab.reason(&keys[1]).0, "InstanceChanged");
    assert_eq!(
        outcome.wake,
        [crate::inprocess::key("Instance", "ns", "default")],
        "its Instance is asked to say so"
    );
    lab.settle().await;
    assert_eq!(
        lab.reason(&crate::inprocess::key("Instance", "ns", "default")).0,
        "InstanceChanged"
    );
    // Not even a deletion: what was there stays, and the objects go.
    for n in [1, 3] {
        lab.delete(&keys[n]);
        let outcome = lab.look(&keys[n]).await;
        assert!(outcome.release, "{outcome:?}");
        let is_said = |e: &EventRecord| e.reason == EventReason::RetainedInZitadel;
        assert!(outcome.events.iter().any(is_said), "{outcome:?}");
    }
    lab.settle().await;
    assert_eq!(lab.events(), events);
}
