//! What a tenant may try on others, and what comes of it. `docs/security.md` tells the same in
//! prose.

mod escalation;
mod interference;

use kastellan::{
    api::status::Provenance,
    contract::{Fields, Key, Place},
    engine::{events::EventReason, report::Outcome},
};
use serde_json::{Value, json};

use crate::{
    inprocess::{Lab, key},
    remote::entry,
};

fn instance() -> Key {
    key("Instance", "ns", "default")
}

/// An Instance whose consents are these.
fn consenting(consents: Value) -> Value {
    with(Lab::instance_spec(), consents)
}

fn everybody() -> Value {
    json!({"from": "All"})
}

fn home() -> Value {
    json!({"organizationRef": {"name": "home"}})
}

/// With other fields.
fn with(mut spec: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("{fields} are fields") };
    spec.as_object_mut().unwrap().extend(fields);
    spec
}

/// A reference to the Instance of the namespace `ns`.
fn shared(fields: Value) -> Value {
    with(json!({"instanceRef": {"name": "default", "namespace": "ns"}}), fields)
}

/// The organization `home` and in it the project `shop`, both Ready.
async fn tenant(lab: &Lab) -> [Key; 2] {
    let home_key = lab.declare("ns", "Organization", "home", json!({}));
    let shop = lab.declare("ns", "Project", "shop", home());
    lab.settle().await;
    assert!(lab.status(&shop).is_ready(), "{:?}", lab.reason(&shop));
    [home_key, shop]
}

/// The id of what an object declares.
fn id(lab: &Lab, key: &Key) -> String {
    lab.status(key).id.unwrap_or_else(|| panic!("{key} is bound: {:?}", lab.reason(key)))
}

fn is_said(outcome: &Outcome, reason: EventReason) -> bool {
    outcome.events.iter().any(|e| e.reason == reason)
}

/// Objects of another namespace at a server of its own that says to be the same instance: bound to
/// the ids that `ns` has, and with values of their choice.
async fn impostors(lab: &Lab, victim: &[Key; 2]) -> [Key; 3] {
    let fake = lab.put_up_fake();
    lab.declare("evil", "Instance", "default", Lab::fake_spec());
    let organization = json!({"name": "home", "id": id(lab, &victim[0])});
    let organization = lab.declare("evil", "Organization", "home", organization);
    let project = with(home(), json!({"name": "shop", "id": id(lab, &victim[1])}));
    let project = lab.declare("evil", "Project", "shop", project);
    let policy = with(home(), json!({"tosLink": "https://evil.example"}));
    let policy = lab.declare("evil", "PrivacyPolicy", "home", policy);
    lab.settle().await;
    assert_eq!(id(lab, &project), id(lab, &victim[1]));
    assert!(lab.status(&project).is_ready() && fake.event_count() > 0);
    [organization, project, policy]
}

#[tokio::test(start_paused = true)]
async fn a_server_of_ones_own_deletes_nothing_with_the_credentials_of_others() {
    for restart in [false, true] {
        let mut lab = Lab::new().await;
        let victim = tenant(&lab).await;
        let [organization, project, policy] = impostors(&lab, &victim).await;
        let events = lab.events();
        // What would lead to the fake goes first.
        lab.lose(&organization);
        lab.lose(&key("Instance", "evil", "default"));
        if restart {
            lab.restart();
            lab.look(&instance()).await;
        }
        for key in [&project, &policy] {
            lab.edit(key, |o| o.spec["deletionPolicy"] = json!("Delete"));
            lab.delete(key);
            assert!(lab.look(key).await.release, "{key}");
        }
        lab.settle().await;
        assert_eq!(lab.events(), events, "nothing is written");
        assert!(lab.status(&victim[1]).is_ready());
    }
}

#[tokio::test(start_paused = true)]
async fn another_instance_of_the_same_name_is_not_the_one_that_was_bound() {
    let lab = Lab::new().await;
    let victim = tenant(&lab).await;
    let [_, project, _] = impostors(&lab, &victim).await;
    let events = lab.events();
    // The name of the Instance leads to the real server now, by the consent of nobody.
    lab.lose(&key("Instance", "evil", "default"));
    lab.declare("evil", "Instance", "default", Lab::instance_spec());
    lab.look(&key("Instance", "evil", "default")).await;
    lab.edit(&project, |o| o.spec["deletionPolicy"] = json!("Delete"));
    lab.delete(&project);
    assert!(lab.look(&project).await.release);
    assert_eq!(lab.events(), events);
}

#[tokio::test(start_paused = true)]
async fn an_older_object_at_a_false_instance_neither_blocks_nor_bequeaths() {
    let mut lab = Lab::new().await;
    let victim = tenant(&lab).await;
    let [_, project, _] = impostors(&lab, &victim).await;
    lab.edit(&project, |o| o.created = -1);
    lab.restart();
    lab.settle().await;
    let before = lab.status(&victim[1]);
    assert!(before.is_ready(), "{:?}", lab.reason(&victim[1]));
    let events = lab.events();
    lab.delete(&project);
    lab.look(&project).await;
    lab.settle().await;
    assert_eq!(lab.status(&victim[1]), before, "nothing was handed over");
    assert_eq!(lab.events(), events);
}

#[tokio::test(start_paused = true)]
async fn instances_share_conflicts_only_where_each_names_the_other() {
    for (mine, yours, reason) in [
        (false, false, "InSync"),
        (true, false, "InSync"),
        (false, true, "InSync"),
        (true, true, "Conflict"),
    ] {
        let lab = Lab::new().await;
        let peer = |is_peer: bool, namespace: &str| {
            let peers = json!([{"name": "default", "namespace": namespace}]);
            consenting(if is_peer { json!({"peers": peers}) } else { json!({}) })
        };
        lab.declare("ns", "Instance", "default", peer(mine, "two"));
        lab.declare("two", "Instance", "default", peer(yours, "ns"));
        let privacy = json!({"tosLink": "https://a.example"});
        lab.declare("ns", "PrivacyPolicy", "p", privacy.clone());
        let younger = lab.declare("two", "PrivacyPolicy", "p", privacy);
        lab.settle().await;
        assert_eq!(lab.reason(&younger).0, reason, "{mine} {yours}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_of_another_organization_is_refused_with_its_owner() {
    let lab = Lab::new().await;
    let [home_key, _] = tenant(&lab).await;
    lab.declare("ns", "Organization", "other", json!({}));
    lab.settle().await;
    let theirs = id(&lab, &key("Organization", "ns", "other"));
    let at = lab.minnie(Some(theirs.as_str()));
    entry("Project").create(&at, "theirs", &Fields::from(json!({"name": "T"}))).await.unwrap();
    let events = lab.events();
    let copied = lab.declare("ns", "Project", "copied", with(home(), json!({"id": "theirs"})));
    lab.settle().await;
    let (reason, message) = lab.reason(&copied);
    assert_eq!(reason, "InvalidSpec", "{message}");
    assert!(message.contains(&theirs) && !message.contains(&id(&lab, &home_key)), "{message}");
    lab.delete(&copied);
    lab.look(&copied).await;
    assert_eq!(lab.events(), events, "neither created nor deleted");
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_over_is_not_deleted_by_the_next_attempt() {
    for restart in [false, true] {
        let mut lab = Lab::new().await;
        let [_, shop] = tenant(&lab).await;
        let successor = with(home(), json!({"name": "shop", "adoptionPolicy": "Always"}));
        let successor = lab.declare("ns", "Project", "successor", successor);
        lab.settle().await;
        assert_eq!(lab.reason(&successor).0, "Conflict");
        let former = id(&lab, &shop);
        lab.delete(&shop);
        for _ in 0..3 {
            // The finalizer can't be removed.
            let outcome = lab.attempt(&shop).await;
            assert!(outcome.release, "{outcome:?}");
            lab.look(&successor).await;
            if restart {
                lab.restart();
                lab.look(&instance()).await;
            }
        }
        assert_eq!(id(&lab, &successor), former);
        assert!(lab.status(&successor).is_ready());
        assert_eq!(lab.count("project.removed"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_over_is_not_deleted_when_the_successor_stops_meanwhile() {
    let lab = Lab::new().await;
    let [_, shop] = tenant(&lab).await;
    let successor = with(home(), json!({"name": "shop", "adoptionPolicy": "Always"}));
    let successor = lab.declare("ns", "Project", "successor", successor);
    lab.settle().await;
    lab.delete(&shop);
    assert!(lab.attempt(&shop).await.release);
    lab.edit(&successor, |o| o.spec["suspend"] = json!(true));
    lab.look(&successor).await;
    assert!(lab.look(&shop).await.release);
    assert_eq!(lab.count("project.removed"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_another_has_adopted_meanwhile_does_not_go_with_a_suspended_object() {
    for state in [json!({"suspend": true}), json!({"mode": "Observe"})] {
        let mut lab = Lab::new().await;
        let [_, shop] = tenant(&lab).await;
        lab.declare("ns", "Project", "shop", with(home(), state));
        lab.restart();
        lab.settle().await;
        let other = with(home(), json!({"name": "shop", "adoptionPolicy": "Always"}));
        let other = lab.declare("ns", "Project", "other", other);
        lab.settle().await;
        assert!(lab.status(&other).is_ready(), "{:?}", lab.reason(&other));
        lab.declare("ns", "Project", "shop", home());
        lab.delete(&shop);
        lab.settle().await;
        assert!(lab.object(&shop).is_none());
        assert!(lab.status(&other).is_ready(), "{:?}", lab.reason(&other));
        assert_eq!(lab.count("project.removed"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspended_successor_inherits_nothing() {
    let lab = Lab::new().await;
    let [_, shop] = tenant(&lab).await;
    let other = with(home(), json!({"name": "shop", "adoptionPolicy": "Always"}));
    let other = lab.declare("ns", "Project", "other", other);
    lab.settle().await;
    lab.edit(&other, |o| o.spec["suspend"] = json!(true));
    let before = lab.status(&other);
    lab.delete(&shop);
    lab.look(&shop).await;
    assert_eq!(lab.status(&other).id, before.id);
    assert_eq!(lab.count("project.removed"), 1, "nobody was there who may have it");
}

#[tokio::test(start_paused = true)]
async fn what_was_never_allowed_anything_holds_up_no_deletion() {
    let lab = Lab::new().await;
    let [organization, shop] = tenant(&lab).await;
    let instance = key("Instance", "ns", "default");
    // Suspended, so that their own deletion never ends.
    let squatter = shared(json!({"userName": "x", "suspend": true}));
    let in_organization =
        with(squatter, json!({"organizationRef": {"name": "home", "namespace": "ns"}}));
    let in_organization = lab.declare("evil", "MachineUser", "squatter", in_organization);
    let at_instance = shared(json!({"suspend": true}));
    let at_instance = lab.declare("evil", "Organization", "squatter", at_instance);
    lab.settle().await;
    lab.delete(&in_organization);
    lab.delete(&at_instance);
    for key in [&shop, &organization, &instance] {
        lab.delete(key);
    }
    lab.settle().await;
    for key in [&shop, &organization, &instance] {
        assert!(lab.object(key).is_none(), "{key}: {:?}", lab.status(key).conditions);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_allowed_nothing_any_more_holds_up_no_deletion() {
    let lab = Lab::new().await;
    let [organization, shop] = tenant(&lab).await;
    lab.edit(&organization, |o| o.spec["allowedNamespaces"] = everybody());
    let theirs = json!({"organizationRef": {"name": "home", "namespace": "ns"}, "userName": "x"});
    let theirs = lab.declare("other", "MachineUser", "theirs", theirs);
    lab.settle().await;
    assert!(lab.status(&theirs).is_ready(), "{:?}", lab.reason(&theirs));
    // It stays, and what was lent to it is wanted back.
    lab.edit(&theirs, |o| o.spec["suspend"] = json!(true));
    lab.delete(&theirs);
    lab.delete(&shop);
    lab.delete(&organization);
    lab.settle().await;
    assert!(lab.object(&organization).is_some(), "what may refer goes first");
    lab.edit(&organization, |o| o.spec["allowedNamespaces"] = Value::Null);
    lab.delete(&instance());
    lab.settle().await;
    for key in [&organization, &instance()] {
        assert!(lab.object(key).is_none(), "{key}: {:?}", lab.status(key).conditions);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_inherits_an_organization_without_the_consent_to_adopt_it() {
    for policy in ["Never", "IfIdentical", "Always"] {
        for scope in [false, true] {
            let lab = Lab::new().await;
            let mut consents = json!({"allowedNamespaces": everybody()});
            if scope {
                consents["instanceScope"] = everybody();
            }
            lab.declare("ns", "Instance", "default", consenting(consents));
            let victim = lab.declare("ns", "Organization", "victim", json!({"name": "Victim"}));
            lab.settle().await;
            let former = id(&lab, &victim);
            let heir = shared(json!({"name": "Victim", "adoptionPolicy": policy}));
            let heir = lab.declare("evil", "Organization", "heir", heir);
            lab.settle().await;
            lab.delete(&victim);
            lab.settle().await;
            let has_it = lab.status(&heir).id == Some(former);
            assert_eq!(has_it, scope && policy != "Never", "{policy}, instanceScope: {scope}");
            assert_eq!(lab.count("org.removed"), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_organization_that_is_only_observed_lends_itself_to_nobody() {
    let lab = Lab::new().await;
    let victim = tenant(&lab).await;
    let open = consenting(json!({"allowedNamespaces": everybody()}));
    lab.declare("ns", "Instance", "default", open);
    lab.settle().await;
    let events = lab.events();
    for name in [json!({"name": "home"}), json!({"name": "home", "id": id(&lab, &victim[0])})] {
        let observed = shared(with(name, json!({"mode": "Observe"})));
        let observed = lab.declare("evil", "Organization", "home", observed);
        let inside = lab.declare("evil", "Project", "inside", home());
        lab.settle().await;
        assert_eq!(lab.reason(&observed).0, "Forbidden");
        let status = lab.status(&observed);
        assert!(status.id.is_none() && status.drift.is_empty(), "nothing is shown: {status:?}");
        assert!(!lab.status(&inside).is_ready());
        // As an older version, or an older consent, may have left it.
        let bound = lab.status(&victim[0]);
        lab.edit(&observed, |o| {
            o.status.id = bound.id;
            o.status.instance_id = bound.instance_id;
            o.status.instance = bound.instance;
        });
        lab.look(&inside).await;
        assert_eq!(lab.reason(&inside).0, "Forbidden");
        lab.lose(&observed);
        lab.lose(&inside);
    }
    assert_eq!(lab.events(), events);
}

#[tokio::test(start_paused = true)]
async fn an_organization_under_a_given_id_needs_the_consent_to_act_on_the_instance() {
    for (scope, reason) in [(false, "Forbidden"), (true, "InSync")] {
        let lab = Lab::new().await;
        let mut consents = json!({"allowedNamespaces": everybody()});
        if scope {
            consents["instanceScope"] = everybody();
        }
        lab.declare("ns", "Instance", "default", consenting(consents));
        // A former organization had this id, and what was in it is still there.
        let at = lab.minnie(None);
        let dead = Fields::from(json!({"name": "Dead"}));
        entry("Organization").create(&at, "dead", &dead).await.unwrap();
        let inside = at.at(Place::organization("dead"));
        entry("Project")
            .create(&inside, "remains", &Fields::from(json!({"name": "R"})))
            .await
            .unwrap();
        entry("Organization").delete(&at, "dead").await.unwrap();
        let reborn = shared(json!({"name": "Reborn", "id": "dead"}));
        let reborn = lab.declare("evil", "Organization", "reborn", reborn);
        lab.settle().await;
        assert_eq!(lab.reason(&reborn).0, reason, "{:?}", lab.reason(&reborn));
        assert_eq!(lab.count("org.added"), 2 + usize::from(scope));
    }
}

#[tokio::test(start_paused = true)]
async fn retain_holds_whatever_else_cannot_be_read() {
    let lab = Lab::new().await;
    let [_, shop] = tenant(&lab).await;
    lab.edit(&shop, |o| {
        o.spec["deletionPolicy"] = json!("Retain");
        o.spec["projectRoleCheck"] = json!("maybe");
    });
    lab.delete(&shop);
    let outcome = lab.look(&shop).await;
    assert!(outcome.release && is_said(&outcome, EventReason::RetainedInZitadel), "{outcome:?}");
    assert_eq!(lab.count("project.removed"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_consent_takes_the_claims_with_it() {
    let lab = Lab::new().await;
    let open = consenting(json!({"allowedNamespaces": everybody()}));
    lab.declare("ns", "Instance", "default", open);
    let theirs = lab.declare("other", "Organization", "it", shared(json!({"name": "It"})));
    lab.settle().await;
    let ours = json!({"name": "It", "adoptionPolicy": "Always"});
    let ours = lab.declare("ns", "Organization", "it", ours);
    lab.settle().await;
    assert_eq!(lab.reason(&ours).0, "Conflict");
    let former = id(&lab, &theirs);
    lab.declare("ns", "Instance", "default", Lab::instance_spec());
    lab.settle().await;
    assert_eq!(lab.reason(&theirs).0, "Forbidden");
    assert!(lab.status(&ours).is_ready(), "{:?}", lab.reason(&ours));
    assert_eq!(id(&lab, &ours), former);
    // Nor does it get anything back.
    lab.delete(&ours);
    lab.settle().await;
    assert_eq!(lab.reason(&theirs).0, "Forbidden");
    assert_eq!(lab.count("org.removed"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_unchecked_id_is_no_path() {
    let lab = Lab::new().await;
    let shop = lab.declare("ns", "Project", "shop", json!({"organizationId": "x/../../../admin"}));
    lab.settle().await;
    assert_eq!(lab.reason(&shop).0, "InvalidSpec");
    lab.emulator.reset_calls();
    lab.delete(&shop);
    assert!(lab.look(&shop).await.release);
    let calls = lab.emulator.calls();
    assert!(calls.iter().all(|c| !c.writes && !c.path.contains("admin/")), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_project_lends_itself_to_the_kinds_that_it_names() {
    for (kinds, reason) in [
        (None, "InSync"),
        (Some(json!(["ProjectRole"])), "InSync"),
        (Some(json!(["ProjectGrant"])), "Forbidden"),
    ] {
        let lab = Lab::new().await;
        let [_, shop] = tenant(&lab).await;
        let mut allowed = everybody();
        if let Some(kinds) = kinds {
            allowed["kinds"] = kinds;
        }
        lab.declare("ns", "Project", "shop", with(home(), json!({"allowedNamespaces": allowed})));
        let project = json!({"projectRef": {"name": shop.name, "namespace": "ns"}});
        let role = lab.declare("other", "ProjectRole", "reader", project);
        lab.settle().await;
        assert_eq!(lab.reason(&role).0, reason, "{:?}", lab.reason(&role));
    }
}

#[tokio::test(start_paused = true)]
async fn the_account_that_acts_is_neither_changed_nor_deleted() {
    let lab = Lab::new().await;
    let account = lab.emulator.admin_id();
    let default: Value = lab.client.get(None, "/admin/v1/orgs/default").await.unwrap();
    let own = json!({
        "organizationId": default["org"]["id"], "id": account, "name": "Locked out",
        "state": "Inactive", "deletionPolicy": "Delete",
    });
    let own = lab.declare("ns", "MachineUser", "own", own);
    let before = lab.emulator.event_count();
    lab.settle().await;
    let (reason, message) = lab.reason(&own);
    assert!(reason == "InvalidSpec" && message.contains(&account), "{reason}: {message}");
    // It became the account only later.
    let shown = lab.status(&key("Instance", "ns", "default"));
    let instance = lab.object(&instance()).unwrap();
    lab.edit(&own, |o| {
        o.status.id = Some(account.clone());
        o.status.provenance = Some(Provenance::Created);
        o.status.instance_id = shown.instance_id.clone();
        o.status.organization_id = default["org"]["id"].as_str().map(ToOwned::to_owned);
        o.status.instance = Some(kastellan::api::status::InstanceBinding {
            namespace: instance.key.namespace.clone(),
            name: instance.key.name.clone(),
            uid: instance.uid.clone(),
        });
    });
    lab.delete(&own);
    let outcome = lab.look(&own).await;
    assert!(outcome.release && is_said(&outcome, EventReason::RetainedInZitadel), "{outcome:?}");
    assert_eq!(lab.emulator.event_count(), before);
}

/// A credential that the spec no longer gives is not used.
#[tokio::test(start_paused = true)]
async fn a_credential_that_was_withdrawn_is_not_used() {
    for withdraw in ["the Secret goes", "the address changes", "the Instance is suspended"] {
        let lab = Lab::new().await;
        let [_, shop] = tenant(&lab).await;
        let mut spec = Lab::instance_spec();
        match withdraw {
            "the Secret goes" => lab.lose_secret(),
            "the address changes" => {
                spec["credentials"]["personalAccessToken"]["secretRef"]["name"] = json!("none");
            }
            _ => spec["suspend"] = json!(true),
        }
        lab.declare("ns", "Instance", "default", spec);
        lab.look(&instance()).await;
        lab.emulator.reset_calls();
        lab.declare("ns", "Project", "shop", with(home(), json!({"projectRoleCheck": true})));
        lab.look(&shop).await;
        lab.delete(&shop);
        let outcome = lab.look(&shop).await;
        assert!(!outcome.release, "{withdraw}: it waits: {outcome:?}");
        assert_eq!(lab.emulator.calls().len(), 0, "{withdraw}");
    }
}
