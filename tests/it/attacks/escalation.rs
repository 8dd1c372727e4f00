//! Rights that a namespace was not given, and how it might try to get them: by grants, by
//! administrators, by the secrets of accounts.

use kastellan::{
    api::status::{Provenance, Reason},
    contract::Key,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{everybody, shared, tenant, with};
use crate::inprocess::{Lab, key};

/// Everybody, by these kinds.
fn by(kinds: &[&str]) -> Value {
    json!({"from": "All", "kinds": kinds})
}

/// The tenant, a service account of its own, and what it lends to others.
async fn lending(organization: &Value, project: &Value, account: &Value) -> Lab {
    let lab = Lab::new().await;
    let [home, shop] = tenant(&lab).await;
    let bot = with(home_of(), json!({"userName": "bot"}));
    let bot = lab.declare("ns", "MachineUser", "bot", bot);
    for (key, lent) in [(&home, organization), (&shop, project), (&bot, account)] {
        if !lent.is_null() {
            lab.edit(key, |o| o.spec["allowedNamespaces"] = lent.clone());
        }
    }
    lab.settle().await;
    lab
}

fn home_of() -> Value {
    json!({"organizationRef": {"name": "home"}})
}

fn theirs(name: &str) -> Value {
    json!({"name": name, "namespace": "ns"})
}

fn refused(lab: &Lab, key: &Key, giver: &str) {
    let (reason, message) = lab.reason(key);
    assert_eq!(reason, Reason::Forbidden.to_string(), "{key}: {message}");
    assert!(message.contains(giver), "{key}: {message}");
}

#[tokio::test(start_paused = true)]
async fn who_may_use_a_project_gives_nobody_its_roles_unless_the_kind_is_named() {
    for (kinds, allowed) in
        [(everybody(), false), (by(&["ProjectRole"]), false), (by(&["UserGrant"]), true)]
    {
        let lab = lending(&everybody(), &kinds, &Value::Null).await;
        let grant = json!({
            "organizationRef": theirs("home"), "projectRef": theirs("shop"),
            "userLoginName": "admin-sa", "roleKeys": [],
        });
        let grant = lab.declare("evil", "UserGrant", "it", grant);
        lab.settle().await;
        if allowed {
            assert!(lab.status(&grant).is_ready(), "{:?}", lab.reason(&grant));
        } else {
            refused(&lab, &grant, "Project ns/shop");
            assert_eq!(lab.count("user.grant.added"), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_use_a_project_lends_it_to_nobody_unless_the_kind_is_named() {
    for (kinds, allowed) in [
        (everybody(), false),
        (by(&["ProjectRole", "UserGrant"]), false),
        (by(&["ProjectGrant"]), true),
    ] {
        let lab = lending(&everybody(), &kinds, &Value::Null).await;
        lab.edit(&key("Instance", "ns", "default"), |o| o.spec["allowedNamespaces"] = everybody());
        lab.declare("evil", "Organization", "mine", shared(json!({})));
        let grant = json!({
            "projectRef": theirs("shop"), "grantedOrganizationRef": {"name": "mine"},
            "roleKeys": [],
        });
        let grant = lab.declare("evil", "ProjectGrant", "it", grant);
        lab.settle().await;
        if allowed {
            assert!(lab.status(&grant).is_ready(), "{:?}", lab.reason(&grant));
        } else {
            refused(&lab, &grant, "Project ns/shop");
            assert_eq!(lab.count("project.grant.added"), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_use_something_makes_nobody_its_administrator_unless_the_kind_is_named() {
    for (kinds, allowed) in [(everybody(), false), (by(&["Administrator"]), true)] {
        let lab = lending(&kinds, &kinds, &Value::Null).await;
        let before = lab.count("org.member.added") + lab.count("project.member.added");
        let admin = json!({"userLoginName": "minnie", "roles": ["ORG_OWNER"]});
        lab.emulator.add_user("minnie", "minnie", &[]);
        let of_home = with(admin.clone(), json!({"organizationRef": theirs("home")}));
        let of_home = lab.declare("evil", "Administrator", "home", of_home);
        let of_shop =
            with(admin, json!({"projectRef": theirs("shop"), "roles": ["PROJECT_OWNER"]}));
        let of_shop = lab.declare("evil", "Administrator", "shop", of_shop);
        lab.settle().await;
        for (key, giver) in [(&of_home, "Organization ns/home"), (&of_shop, "Project ns/shop")] {
            if allowed {
                assert!(lab.status(key).is_ready(), "{:?}", lab.reason(key));
            } else {
                refused(&lab, key, giver);
            }
        }
        let made = lab.count("org.member.added") + lab.count("project.member.added") - before;
        assert_eq!(made, if allowed { 2 } else { 0 });
    }
}

#[tokio::test(start_paused = true)]
async fn the_instance_itself_is_administered_by_those_who_may_act_on_it() {
    let lab = lending(&everybody(), &everybody(), &Value::Null).await;
    lab.edit(&key("Instance", "ns", "default"), |o| o.spec["allowedNamespaces"] = everybody());
    lab.emulator.add_user("minnie", "minnie", &[]);
    let admin = shared(json!({"userLoginName": "minnie", "roles": ["IAM_OWNER"]}));
    let admin = lab.declare("evil", "Administrator", "it", admin);
    // A role of another level is none.
    let smuggled = json!({"organizationRef": {"name": "mine"}, "userLoginName": "minnie", "roles": ["IAM_OWNER"]});
    lab.declare("evil", "Organization", "mine", shared(json!({})));
    let smuggled = lab.declare("evil", "Administrator", "smuggled", smuggled);
    lab.settle().await;
    refused(&lab, &admin, "Instance ns/default");
    assert_eq!(lab.reason(&smuggled).0, Reason::InvalidSpec.to_string());
    lab.edit(&key("Instance", "ns", "default"), |o| o.spec["instanceScope"] = everybody());
    lab.settle().await;
    assert!(lab.status(&admin).is_ready(), "{:?}", lab.reason(&admin));
}

#[tokio::test(start_paused = true)]
async fn an_account_is_named_by_others_only_where_it_names_their_kind() {
    for (kinds, allowed) in [(Value::Null, false), (everybody(), false), (by(&["UserGrant"]), true)]
    {
        let lab = lending(&everybody(), &by(&["UserGrant"]), &kinds).await;
        let grant = json!({
            "organizationRef": theirs("home"), "projectRef": theirs("shop"),
            "userRef": theirs("bot"), "roleKeys": [],
        });
        let grant = lab.declare("evil", "UserGrant", "it", grant);
        lab.settle().await;
        if allowed {
            assert!(lab.status(&grant).is_ready(), "{:?}", lab.reason(&grant));
        } else {
            refused(&lab, &grant, "MachineUser ns/bot");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_roles_of_the_account_that_acts_are_not_changed() {
    let lab = Lab::new().await;
    lab.settle().await;
    for roles in [json!(["IAM_OWNER_VIEWER"]), json!(["IAM_OWNER"])] {
        let spec = json!({"userLoginName": "admin-sa", "roles": roles, "adoptionPolicy": "Always", "deletionPolicy": "Delete"});
        let own = lab.declare("ns", "Administrator", "own", spec);
        lab.settle().await;
        assert_eq!(lab.reason(&own).0, Reason::InvalidSpec.to_string(), "{:?}", lab.reason(&own));
        lab.delete(&own);
        lab.settle().await;
        assert!(lab.object(&own).is_none());
    }
    assert_eq!(lab.count("instance.member.changed") + lab.count("instance.member.removed"), 0);
}

/// An account with rights of its own, in an organization that is lent: adopted, it would give its
/// rights to whoever gets its secret.
#[tokio::test(start_paused = true)]
async fn the_secret_of_an_account_that_was_there_is_not_given_to_whom_its_organization_is_lent() {
    let lab = lending(&everybody(), &everybody(), &Value::Null).await;
    let organization = lab.status(&key("Organization", "ns", "home")).id.unwrap();
    let account = json!({"userId": "powerful", "userName": "powerful", "name": "powerful"});
    let path = "/management/v1/users/machine";
    let at = Some(organization.as_str());
    lab.client.write::<Value>(Method::POST, at, path, &account).await.unwrap();
    let secret = json!({"name": "loot", "onMissing": "Reissue"});
    for (name, found) in [
        ("by-name", json!({"userName": "powerful", "adoptionPolicy": "Always"})),
        ("by-id", json!({"id": "powerful", "userName": "powerful"})),
    ] {
        let spec = json!({"organizationRef": theirs("home"), "secret": secret});
        let it = lab.declare("evil", "MachineUser", name, with(spec, found));
        lab.settle().await;
        assert_eq!(lab.status(&it).provenance, Some(Provenance::Adopted));
        let (reason, message) = lab.reason(&it);
        assert_eq!(reason, Reason::Forbidden.to_string(), "{message}");
        assert!(lab.host.outputs.lock().unwrap().is_empty());
        assert_eq!(lab.count("user.machine.secret.set"), 0);
        lab.delete(&it);
        lab.settle().await;
    }
    // One that it made itself is its own.
    let own = json!({"organizationRef": theirs("home"), "userName": "own", "secret": secret});
    let own = lab.declare("evil", "MachineUser", "own", own);
    lab.settle().await;
    assert!(lab.status(&own).is_ready(), "{:?}", lab.reason(&own));
}

/// The same by a key or a token: an account that is only observed has them too.
#[tokio::test(start_paused = true)]
async fn keys_of_an_account_that_was_there_are_not_given_to_whom_its_organization_is_lent() {
    let lab = lending(&everybody(), &everybody(), &Value::Null).await;
    let organization = lab.status(&key("Organization", "ns", "home")).id.unwrap();
    let account = json!({"userId": "powerful", "userName": "powerful", "name": "powerful"});
    let path = "/management/v1/users/machine";
    let at = Some(organization.as_str());
    lab.client.write::<Value>(Method::POST, at, path, &account).await.unwrap();
    let before = keys(&lab);
    for found in [
        json!({"userName": "powerful", "adoptionPolicy": "Always"}),
        json!({"userName": "powerful", "mode": "Observe"}),
        json!({"id": "powerful", "userName": "powerful"}),
    ] {
        let spec = json!({"organizationRef": theirs("home")});
        let it = lab.declare("evil", "MachineUser", "it", with(spec, found.clone()));
        let loot = ["MachineKey", "PersonalAccessToken"].map(|kind| {
            let spec = json!({"userRef": {"name": "it"}, "secret": {"name": "loot"}});
            lab.declare("evil", kind, "loot", spec)
        });
        lab.settle().await;
        assert_eq!(lab.status(&it).id.as_deref(), Some("powerful"), "{found}");
        for loot in &loot {
            let (reason, message) = lab.reason(loot);
            assert_eq!(reason, Reason::Forbidden.to_string(), "{found}: {message}");
            lab.delete(loot);
        }
        lab.delete(&it);
        lab.settle().await;
    }
    assert!(lab.host.outputs.lock().unwrap().is_empty());
    assert_eq!(keys(&lab), before);
    // Of one that it made itself it has them.
    let own = json!({"organizationRef": theirs("home"), "userName": "own"});
    lab.declare("evil", "MachineUser", "own", own);
    let spec = json!({"userRef": {"name": "own"}, "secret": {"name": "own"}});
    let own = lab.declare("evil", "MachineKey", "own", spec);
    lab.settle().await;
    assert!(lab.status(&own).is_ready(), "{:?}", lab.reason(&own));
}

/// How many keys and tokens there ever were.
fn keys(lab: &Lab) -> usize {
    lab.count("user.machine.key.added") + lab.count("user.pat.added")
}

#[tokio::test(start_paused = true)]
async fn an_account_has_keys_for_others_only_where_it_names_their_kind() {
    for (kinds, allowed) in [
        (Value::Null, false),
        (everybody(), false),
        (by(&["UserGrant"]), false),
        (by(&["MachineKey"]), true),
    ] {
        let lab = lending(&everybody(), &everybody(), &kinds).await;
        let before = keys(&lab);
        let spec = json!({"userRef": theirs("bot"), "secret": {"name": "loot"}});
        let it = lab.declare("evil", "MachineKey", "it", spec);
        lab.settle().await;
        if allowed {
            assert!(lab.status(&it).is_ready(), "{:?}", lab.reason(&it));
        } else {
            refused(&lab, &it, "MachineUser ns/bot");
            assert_eq!(keys(&lab), before);
        }
    }
}

/// Actions may decide by metadata what somebody is allowed to do.
#[tokio::test(start_paused = true)]
async fn an_account_has_metadata_of_others_only_where_it_names_their_kind() {
    for (kinds, allowed) in [
        (Value::Null, false),
        (everybody(), false),
        (by(&["MachineKey"]), false),
        (by(&["UserMetadata"]), true),
    ] {
        let lab = lending(&everybody(), &everybody(), &kinds).await;
        let spec = json!({"userRef": theirs("bot"), "entries": {"role": "admin"}});
        let it = lab.declare("evil", "UserMetadata", "it", spec);
        lab.settle().await;
        if allowed {
            assert!(lab.status(&it).is_ready(), "{:?}", lab.reason(&it));
        } else {
            refused(&lab, &it, "MachineUser ns/bot");
        }
        assert_eq!(lab.count("user.metadata.set"), usize::from(allowed));
    }
}

#[tokio::test(start_paused = true)]
async fn the_account_that_acts_gives_its_keys_to_nobody() {
    let lab = Lab::new().await;
    let before = keys(&lab);
    // Its organization, and itself, as only who may act on the instance can see them.
    let path = "/auth/v1/users/me";
    let me: Value = lab.client.get(None, path).await.unwrap();
    let organization = &me["user"]["details"]["resourceOwner"];
    let own = json!({"organizationId": organization, "userName": "admin-sa", "mode": "Observe"});
    let own = lab.declare("ns", "MachineUser", "own", own);
    let loot = ["MachineKey", "PersonalAccessToken"].map(|kind| {
        let spec = json!({"userRef": {"name": "own"}, "secret": {"name": "loot"}});
        lab.declare("ns", kind, "loot", spec)
    });
    lab.settle().await;
    assert!(lab.status(&own).id.is_some(), "{:?}", lab.reason(&own));
    for loot in &loot {
        assert_eq!(lab.reason(loot).0, Reason::InvalidSpec.to_string(), "{:?}", lab.reason(loot));
    }
    assert_eq!(keys(&lab), before);
}

#[tokio::test(start_paused = true)]
async fn a_domain_takes_user_names_only_for_those_who_may_act_on_the_instance() {
    for (scope, allowed) in [(Value::Null, false), (everybody(), true)] {
        let lab = Lab::new().await;
        tenant(&lab).await;
        let victim = with(home_of(), json!({"userName": "ada@victim.example"}));
        lab.declare("ns", "MachineUser", "ada", victim);
        lab.edit(&key("Instance", "ns", "default"), |o| {
            o.spec["allowedNamespaces"] = everybody();
            o.spec["instanceScope"] = scope.clone();
        });
        let mine = lab.declare("evil", "Organization", "mine", shared(json!({})));
        let domain = json!({"organizationRef": {"name": "mine"}, "domain": "victim.example"});
        let domain = lab.declare("evil", "OrganizationDomain", "it", domain);
        lab.settle().await;
        assert!(lab.status(&mine).is_ready(), "{:?}", lab.reason(&mine));
        assert_eq!(lab.count("user.domain.claimed"), usize::from(allowed));
        if allowed {
            assert!(lab.status(&domain).is_ready(), "{:?}", lab.reason(&domain));
        } else {
            refused(&lab, &domain, "Instance ns/default");
        }
    }
}
