//! Deletion ends well, or says what it waits for.

use std::{fs, time::Duration};

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kastellan::{
    contract::{Fields, Key},
    engine::events::EventReason,
};
use kube::{Api, api::DeleteParams};
use serde_json::{Value, json};
use zitadel_emulator::Outage;

use crate::{
    inprocess::{Lab, key},
    remote::entry,
    world::World,
};

/// One cell of the matrix.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "the axes of the matrix")]
struct Cell {
    adopted: bool,
    policy: Option<&'static str>,
    /// Somebody deleted the project before.
    absent: bool,
    down: bool,
    /// The Organization object goes first.
    orphan: bool,
    restarted: bool,
}

fn matrix() -> Vec<Cell> {
    let both = [false, true];
    let mut cells = Vec::new();
    for adopted in both {
        for policy in [None, Some("Delete"), Some("Retain")] {
            for absent in both {
                for down in both {
                    for orphan in both {
                        cells.extend(both.map(|restarted| Cell {
                            adopted,
                            policy,
                            absent,
                            down,
                            orphan,
                            restarted,
                        }));
                    }
                }
            }
        }
    }
    cells
}

#[tokio::test(start_paused = true)]
async fn the_deletion_of_a_project_ends_well_in_every_case() {
    for cell in matrix() {
        let mut lab = Lab::new().await;
        let home = lab.declare("ns", "Organization", "home", json!({"name": "Home"}));
        lab.settle().await;
        let organization = lab.status(&home).id.unwrap();
        let at = lab.minnie(Some(organization.as_str()));
        if cell.adopted {
            entry("Project")
                .create(&at, "before", &Fields::from(json!({"name": "shop"})))
                .await
                .unwrap();
        }
        let mut spec = json!({"organizationRef": {"name": "home"}});
        if let Some(policy) = cell.policy {
            spec["deletionPolicy"] = policy.into();
        }
        let shop = lab.declare("ns", "Project", "shop", spec);
        lab.settle().await;
        let id = lab.status(&shop).id.unwrap();
        if cell.absent {
            entry("Project").delete(&at, &id).await.unwrap();
        }
        if cell.orphan {
            // An Organization is kept unless told otherwise; only the object goes.
            lab.delete(&home);
            lab.look(&home).await;
            assert!(lab.object(&home).is_none());
        }
        if cell.down {
            lab.emulator.faults().down(Outage::Unavailable);
        }
        if cell.restarted {
            lab.restart();
        }
        lab.delete(&shop);
        let goes = cell.policy.map_or(!cell.adopted, |p| p == "Delete");
        lab.look(&shop).await;
        if let Some(still) = lab.object(&shop) {
            // It says what it waits for.
            assert!(goes && (cell.down || cell.restarted), "{cell:?}: {:?}", lab.reason(&shop));
            let ready = still.status.condition("Ready").unwrap();
            assert!(
                ready.status == "False" && still.status.condition("Reconciling").is_some(),
                "{cell:?}: {ready:?}"
            );
            assert!(
                matches!(ready.reason.as_str(), "Deleting" | "Unreachable"),
                "{cell:?}: {ready:?}"
            );
            lab.emulator.faults().up();
            // Whether it is back is asked every five seconds.
            tokio::time::advance(std::time::Duration::from_secs(5)).await;
            lab.settle().await;
        }
        assert!(lab.object(&shop).is_none(), "{cell:?}: {:?}", lab.reason(&shop));
        lab.emulator.faults().up();
        let is_there = entry("Project").read(&at, &id).await.unwrap().is_some();
        assert_eq!(is_there, !goes && !cell.absent, "{cell:?}");
    }
}

fn tenant(lab: &Lab, organization: &Value) -> Vec<Key> {
    let home = json!({"organizationRef": {"name": "home"}, "tosLink": "https://a.example"});
    vec![
        lab.declare("ns", "Organization", "home", organization.clone()),
        lab.declare("ns", "Project", "shop", json!({"organizationRef": {"name": "home"}})),
        lab.declare("ns", "PrivacyPolicy", "home", home),
        lab.declare(
            "ns",
            "SecurityPolicy",
            "it",
            json!({"enableImpersonation": true, "deletionPolicy": "Delete"}),
        ),
    ]
}

/// All orders of so many things.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let put = |rest: &Vec<usize>, at: usize| [&rest[..at], &[n - 1], &rest[at..]].concat();
    orders(n - 1)
        .iter()
        .flat_map(|rest| (0..n).map(|at| put(rest, at)).collect::<Vec<_>>())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn parents_and_children_go_in_any_order() {
    let instance = key("Instance", "ns", "default");
    for policy in ["Delete", "Retain"] {
        for restarted in [false, true] {
            for order in orders(5) {
                let mut lab = Lab::new().await;
                let mut keys = tenant(&lab, &json!({"name": "Home", "deletionPolicy": policy}));
                lab.settle().await;
                let at = lab.minnie(lab.status(&keys[0]).id.as_deref());
                let (organization, shop) =
                    (lab.status(&keys[0]).id.unwrap(), lab.status(&keys[1]).id.unwrap());
                keys.push(instance.clone());
                let keys: Vec<Key> = order.iter().map(|n| keys[*n].clone()).collect();
                if restarted {
                    lab.restart();
                }
                for key in &keys {
                    lab.delete(key);
                    lab.look(key).await;
                }
                for _ in 0..3 {
                    tokio::time::advance(Duration::from_secs(30)).await;
                    lab.settle().await;
                }
                for key in &keys {
                    assert!(
                        lab.object(key).is_none(),
                        "{key}, {policy}, in the order {order:?}: {:?}",
                        lab.reason(key)
                    );
                }
                let is_there =
                    entry("Organization").read(&at, &organization).await.unwrap().is_some();
                assert_eq!(is_there, policy == "Retain");
                assert!(
                    entry("Project").read(&at, &shop).await.unwrap().is_none(),
                    "{policy}, in the order {order:?}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_instance_and_secret_gone_what_stays_is_named() {
    let mut lab = Lab::new().await;
    let keys = tenant(&lab, &json!({"name": "Home"}));
    lab.settle().await;
    let id = lab.status(&keys[1]).id.unwrap();
    let instance = key("Instance", "ns", "default");
    // While the token is in memory, a Secret that went first is no harm.
    lab.lose_secret();
    lab.delete(&keys[3]);
    lab.look(&keys[3]).await;
    assert!(lab.object(&keys[3]).is_none());
    assert_eq!(lab.count("instance.policy.security.set"), 2, "set and restored");
    // After a restart nobody can make the call any more.
    lab.restart();
    lab.delete(&keys[1]);
    lab.look(&keys[1]).await;
    assert!(lab.reason(&keys[1]).1.contains("abandon"), "{:?}", lab.reason(&keys[1]));
    lab.delete(&instance);
    lab.look(&instance).await;
    assert_eq!(lab.reason(&instance).0, "WaitingForReference", "it says what is missing");
    let outcome = lab.look(&keys[1]).await;
    assert!(outcome.release);
    assert!(
        outcome
            .events
            .iter()
            .any(|n| n.reason == EventReason::RetainedInZitadel && n.message.contains(&id)),
        "{:?}",
        outcome.events
    );
}

#[tokio::test(start_paused = true)]
async fn with_the_secret_gone_before_a_restart_everything_goes_in_any_order() {
    for order in orders(5) {
        let mut lab = Lab::new().await;
        let mut keys = tenant(&lab, &json!({"name": "Home"}));
        keys.push(key("Instance", "ns", "default"));
        lab.settle().await;
        lab.lose_secret();
        lab.restart();
        for n in &order {
            lab.delete(&keys[*n]);
            lab.look(&keys[*n]).await;
        }
        lab.settle().await;
        for key in &keys {
            assert!(
                lab.object(key).is_none(),
                "{key}, in the order {order:?}: {:?}",
                lab.reason(key)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_abandoned_is_released_without_a_call_also_while_suspended() {
    for suspended in [false, true] {
        let lab = Lab::new().await;
        let keys = tenant(&lab, &json!({"name": "Home"}));
        lab.settle().await;
        lab.emulator.faults().down(Outage::Reset);
        lab.emulator.reset_calls();
        for key in &keys {
            lab.edit(key, |o| {
                o.spec["suspend"] = suspended.into();
                o.is_deleting = true;
            });
            lab.look(key).await;
        }
        if suspended {
            assert!(
                keys.iter().all(|k| lab.reason(k).0 == "Suspended"),
                "nothing at all happens, deletion included"
            );
        }
        for key in keys.iter().filter(|k| lab.object(k).is_some()) {
            lab.emulator.reset_calls();
            lab.edit(key, |o| {
                _ = o.annotations.insert("kastellan.dev/abandon".into(), "true".into());
            });
            let outcome = lab.look(key).await;
            assert!(
                outcome.release
                    && outcome.events.iter().any(|n| n.reason == EventReason::RetainedInZitadel),
                "{outcome:?}"
            );
            assert!(lab.emulator.calls().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_never_created_is_not_deleted() {
    let lab = Lab::new().await;
    let shop =
        lab.declare("ns", "Project", "shop", json!({"organizationRef": {"name": "nowhere"}}));
    lab.look(&shop).await;
    lab.emulator.reset_calls();
    lab.delete(&shop);
    lab.look(&shop).await;
    assert!(lab.object(&shop).is_none());
    assert!(lab.emulator.calls().iter().all(|c| !c.writes));
}

async fn apply_tenant(world: &World) {
    for file in ["00-instance", "10-instance-settings", "20-organization", "30-projects"] {
        let path = format!("{}/examples/tenant/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
        for document in fs::read_to_string(path).unwrap().split("---\n") {
            let o: Value = serde_saphyr::from_str(document).unwrap();
            let mut spec = o["spec"].clone();
            if o["kind"] == "Instance" {
                spec["issuer"] = world.issuer().into();
            }
            world
                .apply(o["kind"].as_str().unwrap(), o["metadata"]["name"].as_str().unwrap(), spec)
                .await;
        }
    }
}

/// The namespace controller deletes everything at any moment and in any order; the Secret may go
/// first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_with_a_whole_tenant_in_it_comes_to_its_end() {
    for (n, restarted) in [false, true].into_iter().enumerate() {
        let mut world = World::bare(&format!("end{n}")).await;
        world.start();
        world.secret("kastellan", "pat", &world.emulator().pat()).await;
        apply_tenant(&world).await;
        for project in ["shop", "intranet"] {
            world.ready("Project", project).await;
        }
        for (kind, name) in [
            ("PrivacyPolicy", "acme"),
            ("DomainPolicy", "acme"),
            ("SecurityPolicy", "instance"),
            ("Restrictions", "instance"),
        ] {
            world.ready(kind, name).await;
        }
        if restarted {
            // Worse: the Secret is gone before the operator is there.
            world.stop().await;
            Api::<Secret>::namespaced(world.client.clone(), &world.namespace)
                .delete("kastellan", &DeleteParams::default())
                .await
                .unwrap();
        }
        let namespaces: Api<Namespace> = Api::all(world.client.clone());
        namespaces.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
        if restarted {
            world.start();
        }
        let begun = std::time::Instant::now();
        while namespaces.get_opt(&world.namespace).await.unwrap().is_some() {
            if begun.elapsed() > Duration::from_secs(90) {
                let mut left = Vec::new();
                for entry in kastellan::kinds::REGISTRY.all() {
                    for o in world
                        .api(entry.kind())
                        .list(&kube::api::ListParams::default())
                        .await
                        .unwrap()
                    {
                        left.push(format!(
                            "{} {:?}: {}",
                            entry.kind(),
                            o.metadata.name,
                            o.data["status"]["conditions"][0]
                        ));
                    }
                }
                panic!("the namespace does not end: {left:#?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(world.count("project.removed"), if restarted { 0 } else { 2 });
        assert_eq!(world.count("org.removed"), 0, "an organization is kept unless told otherwise");
        world.stop().await;
    }
}

/// With a role ZITADEL takes it out of all grants: those that go too go first.
#[tokio::test(start_paused = true)]
async fn grants_go_before_the_roles_that_they_name() {
    for roles_first in [true, false] {
        let lab = Lab::new().await;
        let home = json!({"organizationRef": {"name": "home"}});
        let shop = json!({"projectRef": {"name": "shop"}});
        lab.declare("ns", "Organization", "home", json!({}));
        lab.declare("ns", "Organization", "partner", json!({}));
        lab.declare("ns", "Project", "shop", home.clone());
        let bot = lab.declare("ns", "MachineUser", "bot", home);
        let role = lab.declare("ns", "ProjectRole", "clerk", shop);
        let lent = json!({
            "projectRef": {"name": "shop"}, "grantedOrganizationRef": {"name": "partner"},
            "roleKeys": ["clerk"],
        });
        let lent = lab.declare("ns", "ProjectGrant", "lent", lent);
        let grant = json!({
            "organizationRef": {"name": "home"}, "projectRef": {"name": "shop"},
            "userRef": {"name": "bot"}, "roleKeys": ["clerk"],
        });
        let grant = lab.declare("ns", "UserGrant", "grant", grant);
        lab.settle().await;
        let mut going = vec![role.clone(), grant.clone(), lent.clone(), bot.clone()];
        if !roles_first {
            going.reverse();
        }
        for key in &going {
            assert!(lab.status(key).is_ready(), "{:?}", lab.reason(key));
            lab.delete(key);
        }
        for key in &going {
            lab.look(key).await;
        }
        lab.settle().await;
        for key in &going {
            assert!(lab.object(key).is_none(), "{key}: {:?}", lab.reason(key));
        }
        let cut = ["user.grant.cascade.changed", "project.grant.cascade.changed"];
        assert_eq!(cut.map(|event| lab.count(event)), [0, 0], "roles first: {roles_first}");
    }
}
