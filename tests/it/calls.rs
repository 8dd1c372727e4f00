//! How many calls things take that are done together.

use futures::future::join_all;
use kastellan::contract::Key;
use serde_json::{Value, json};

use crate::{
    inprocess::Lab,
    remote::{Place, entry},
};

/// A project of an organization, both Ready.
async fn project(lab: &Lab, name: &str) -> Key {
    lab.declare("ns", "Organization", "home", json!({}));
    let spec = json!({"organizationRef": {"name": "home"}});
    let project = lab.declare("ns", "Project", name, spec);
    lab.settle().await;
    assert_eq!(lab.reason(&project).0, "InSync");
    project
}

fn role(lab: &Lab, project: &str, role: &str, more: Value) -> Key {
    let Value::Object(mut spec) = more else { panic!("{more} is an object") };
    spec.insert("projectRef".into(), json!({"name": project}));
    spec.insert("key".into(), role.into());
    lab.declare("ns", "ProjectRole", &format!("{project}-{role}"), Value::Object(spec))
}

fn calls(lab: &Lab, end: &str) -> usize {
    lab.emulator.calls().iter().filter(|call| call.path.ends_with(end)).count()
}

#[tokio::test]
async fn roles_of_a_project_that_was_just_created_are_listed_once() {
    let lab = Lab::new().await;
    for name in ["shop", "bar"] {
        project(&lab, name).await;
        lab.emulator.reset_calls();
        let roles: Vec<Key> = ["admin", "buyer", "clerk", "guest", "owner"]
            .map(|key| role(&lab, name, key, json!({})))
            .into();
        join_all(roles.iter().map(|role| lab.look(role))).await;
        lab.settle().await;
        assert!(roles.iter().all(|role| lab.reason(role).0 == "InSync"));
        assert_eq!(calls(&lab, "/roles"), 5);
        assert_eq!(calls(&lab, "/roles/_search"), 1, "to read back what was created");
    }
}

#[tokio::test]
async fn what_others_put_into_a_project_that_was_just_created_is_seen() {
    let lab = Lab::new().await;
    let shop = project(&lab, "shop").await;
    let status = lab.status(&shop);
    let inside = Place { organization: status.organization_id, parents: Vec::new() }
        .below(status.id.unwrap());
    let theirs = json!({"key": "admin", "displayName": "Theirs"}).into();
    let minnie = lab.minnie(None).at(inside);
    entry("ProjectRole").create(&minnie, "admin", &theirs).await.unwrap();

    let ours = role(&lab, "shop", "admin", json!({"displayName": "Ours"}));
    lab.settle().await;
    assert_eq!(lab.reason(&ours).0, "AdoptionRefused");
    role(&lab, "shop", "admin", json!({"displayName": "Ours", "adoptionPolicy": "Always"}));
    lab.settle().await;
    assert_eq!(lab.reason(&ours).0, "InSync");
    assert_eq!(lab.count("project.role.added"), 1);
}

#[tokio::test]
async fn permissions_are_asked_for_once_by_those_who_look_together() {
    let lab = Lab::new().await;
    project(&lab, "shop").await;
    lab.emulator.reset_calls();
    let spec = json!({"organizationRef": {"name": "home"}});
    let accounts: Vec<Key> = (0..8)
        .map(|n| lab.declare("ns", "MachineUser", &format!("account-{n}"), spec.clone()))
        .collect();
    join_all(accounts.iter().map(|account| lab.look(account))).await;
    lab.settle().await;
    assert!(accounts.iter().all(|account| lab.reason(account).0 == "InSync"));
    assert!(calls(&lab, "/permissions/zitadel/me/_search") <= 1);
}
