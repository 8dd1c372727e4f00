//! What applications of all kinds have in common, and what ZITADEL does not do for them. What all
//! entities do is in `contract`, `laws` and `crashes`; their secrets are in `secrets`.

use std::time::Duration;

use kastellan::{api::status::Reason, contract::Key};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    inprocess::Lab,
    remote::{Access, Place},
};

const OIDC: &str = "OidcApplication";
const API: &str = "ApiApplication";
const SAML: &str = "SamlApplication";

/// The organization `home`, and in it the projects `shop` and `other`, all Ready.
async fn lab() -> Lab {
    let lab = Lab::new().await;
    lab.declare("ns", "Organization", "home", json!({}));
    for project in ["shop", "other"] {
        lab.declare("ns", "Project", project, json!({"organizationRef": {"name": "home"}}));
    }
    lab.settle().await;
    lab
}

/// The spec of what is in `shop`; each service provider has its own metadata.
fn in_shop(kind: &str, name: &str, fields: &Value) -> Value {
    let mut spec = json!({"projectRef": {"name": "shop"}});
    if kind == SAML {
        spec["metadata"] = metadata(name);
    }
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    spec
}

fn metadata(entity: &str) -> Value {
    json!({"xml": format!("<EntityDescriptor entityID=\"{entity}\"/>")})
}

async fn declare(lab: &Lab, kind: &str, name: &str, fields: Value) -> Key {
    let key = lab.declare("ns", kind, name, in_shop(kind, name, &fields));
    lab.look(&key).await;
    key
}

fn assert_ready(lab: &Lab, key: &Key) {
    assert!(lab.status(key).is_ready(), "{key}: {:?}", lab.reason(key));
}

/// Where somebody else makes calls in the project of an object.
fn minnie(lab: &Lab, key: &Key) -> Access {
    let status = lab.status(key);
    let organization = status.organization_id.unwrap();
    lab.minnie(&Place { organization: Some(organization), parents: status.parents })
}

#[tokio::test(start_paused = true)]
async fn a_name_that_another_kind_has_is_not_taken_over() {
    let kinds = [
        (OIDC, "the OIDC application"),
        (API, "the API application"),
        (SAML, "the SAML application"),
    ];
    let pairs = kinds.iter().flat_map(|first| kinds.iter().map(move |second| (first, second)));
    for ((first, noun), (second, _)) in pairs.filter(|(first, second)| first != second) {
        let lab = lab().await;
        let there = declare(&lab, first, "there", json!({"name": "Shop"})).await;
        assert_ready(&lab, &there);
        let events = lab.emulator.event_count();
        let always = json!({"name": "shop", "adoptionPolicy": "Always"});
        let it = declare(&lab, second, "it", always).await;
        let (reason, message) = lab.reason(&it);
        assert_eq!(reason, Reason::AdoptionRefused.to_string());
        assert!(message.starts_with(noun) && message.contains("choose another name"), "{message}");
        assert!(message.contains(&lab.status(&there).id.unwrap()), "{message}");
        assert_eq!(lab.emulator.event_count(), events);
        // In another project it is free.
        let elsewhere = json!({"projectRef": {"name": "other"}, "name": "shop"});
        let elsewhere = declare(&lab, second, "elsewhere", elsewhere).await;
        assert_ready(&lab, &elsewhere);
        // Once it is free, it is created.
        lab.delete(&there);
        lab.look(&there).await;
        lab.look(&it).await;
        assert_ready(&lab, &it);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_created_under_the_id_of_something_else() {
    for kind in [OIDC, API] {
        for other in [OIDC, API] {
            let lab = lab().await;
            let there = json!({"projectRef": {"name": "other"}, "id": "mine"});
            let there = lab.declare("ns", other, "there", there);
            lab.look(&there).await;
            assert_ready(&lab, &there);
            let events = lab.emulator.event_count();
            let it = declare(&lab, kind, "it", json!({"id": "mine"})).await;
            let (reason, message) = lab.reason(&it);
            assert_eq!(reason, Reason::AdoptionRefused.to_string(), "{message}");
            assert!(message.contains("mine belongs to something else"), "{message}");
            assert_eq!(lab.emulator.event_count(), events);
        }
        let lab = lab().await;
        let there = declare(&lab, if kind == OIDC { API } else { OIDC }, "a", json!({"id": "x"}));
        assert_ready(&lab, &there.await);
        let it = declare(&lab, kind, "it", json!({"id": "x"})).await;
        assert_eq!(lab.reason(&it).0, Reason::AdoptionRefused.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_zitadel_can_not_empty_is_refused_with_a_remedy() {
    let lab = lab().await;
    for field in ["redirectUris", "postLogoutRedirectUris", "additionalOrigins"] {
        let empty = declare(&lab, OIDC, field, json!({field: []})).await;
        assert_ready(&lab, &empty);
        declare(&lab, OIDC, field, json!({field: ["https://a.example"]})).await;
        assert_ready(&lab, &empty);
        let events = lab.emulator.event_count();
        for _ in 0..3 {
            declare(&lab, OIDC, field, json!({field: [], "devMode": true})).await;
        }
        let (reason, message) = lab.reason(&empty);
        assert_eq!(reason, Reason::InvalidSpec.to_string());
        assert!(message.contains(&format!("can't empty {field}")), "{message}");
        let drift = lab.status(&empty).drift;
        assert!(drift.iter().any(|d| d.field == field && d.live == json!(["https://a.example"])));
        assert_eq!(lab.emulator.event_count(), events, "nothing is written");
        let plan = lab.plan(&empty).await;
        assert!(plan.plan.is_err());
        // What is only observed just differs.
        let observed = json!({field: [], "mode": "Observe"});
        declare(&lab, OIDC, field, observed).await;
        assert_eq!(lab.reason(&empty).0, Reason::Observing.to_string());
        declare(&lab, OIDC, field, json!({"devMode": true})).await;
        assert_ready(&lab, &empty);
    }
}

/// A list in another order is the same; what else is changed leaves it as it is.
#[tokio::test(start_paused = true)]
async fn the_order_of_lists_stays() {
    let lab = lab().await;
    let (a, b) = ("https://a.example", "https://b.example");
    let it = declare(&lab, OIDC, "it", json!({"redirectUris": [b, a]})).await;
    let changed = json!({"redirectUris": [a, b], "devMode": true});
    declare(&lab, OIDC, "it", changed).await;
    assert_ready(&lab, &it);
    let events = lab.emulator.events();
    let last = events.iter().rfind(|e| e.event_type.contains("oidc.changed")).unwrap();
    let id = lab.status(&it).id.unwrap();
    assert_eq!(json!(last.payload), json!({"appId": id, "devMode": true}));
}

#[tokio::test(start_paused = true)]
async fn the_address_of_a_login_goes_with_its_version() {
    let lab = lab().await;
    let own = json!({"version": "V2", "baseUri": "https://login.example"});
    let it = declare(&lab, OIDC, "it", json!({"loginVersion": own})).await;
    assert_ready(&lab, &it);
    declare(&lab, OIDC, "it", json!({"loginVersion": {"version": "V1"}})).await;
    assert_ready(&lab, &it);
    let own = json!({"version": "V2", "baseUri": ""});
    declare(&lab, OIDC, "it", json!({"loginVersion": own})).await;
    assert_ready(&lab, &it);
}

#[tokio::test(start_paused = true)]
async fn what_zitadel_says_of_an_application_is_in_the_status() {
    let lab = lab().await;
    let it = declare(&lab, OIDC, "it", json!({})).await;
    let reported = || lab.status(&it).reported;
    assert!(reported().client_id.is_some());
    assert_eq!(reported().compliance_problems, ["NoRedirectUris"]);
    declare(&lab, OIDC, "it", json!({"redirectUris": ["https://a.example"]})).await;
    assert_eq!(reported().compliance_problems, [""; 0]);
    // Nobody can say it in a spec.
    declare(&lab, OIDC, "it", json!({"clientId": "mine"})).await;
    let (reason, message) = lab.reason(&it);
    assert_eq!(reason, Reason::InvalidSpec.to_string());
    assert!(message.contains("spec.clientId"), "{message}");
    assert_ne!(reported().client_id.as_deref(), Some("mine"));
}

#[tokio::test(start_paused = true)]
async fn who_may_not_delete_says_what_it_takes() {
    let lab = Lab::new().await;
    let iam: Value = lab.client.get(None, "/management/v1/iam").await.unwrap();
    let project = json!({"organizationId": iam["defaultOrgId"]});
    lab.declare("ns", "Project", "shop", project);
    lab.settle().await;
    for kind in [OIDC, API, SAML] {
        let it = declare(&lab, kind, "it", json!({})).await;
        assert_ready(&lab, &it);
        lab.emulator.set_roles(&lab.emulator.admin_id(), &["ORG_OWNER"]);
        lab.delete(&it);
        lab.look(&it).await;
        let (reason, message) = lab.reason(&it);
        assert_eq!(reason, Reason::Forbidden.to_string(), "{message}");
        assert!(message.contains("the role PROJECT_OWNER in the project"), "{message}");
        assert!(message.contains("or IAM_ORG_MANAGER in the instance"), "{message}");
        lab.emulator.set_roles(&lab.emulator.admin_id(), &["IAM_OWNER"]);
        lab.look(&it).await;
        assert!(lab.object(&it).is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_the_application_service_chooses_the_id() {
    let lab = lab().await;
    lab.emulator.faults().missing("/zitadel.application.v2", 404);
    for kind in [OIDC, API] {
        let it = declare(&lab, kind, kind, json!({"state": "Inactive"})).await;
        assert_ready(&lab, &it);
        let status = lab.status(&it);
        assert_ne!(status.id, lab.object(&it).unwrap().uid);
        let events = lab.emulator.event_count();
        lab.look(&it).await;
        assert_eq!(lab.emulator.event_count(), events);
        // What somebody else activates is reverted.
        let path = format!(
            "/management/v1/projects/{}/apps/{}/_reactivate",
            status.parents[0],
            status.id.unwrap()
        );
        let minnie = minnie(&lab, &it);
        let at = minnie.organization();
        minnie.client.write::<Value>(Method::POST, at, &path, &json!({})).await.unwrap();
        lab.follow().await;
        assert_ready(&lab, &it);
        assert_eq!(lab.count("project.application.deactivated") % 2, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_provider_keeps_its_id_and_its_entity_id_is_its_own() {
    let lab = lab().await;
    let it = declare(&lab, SAML, "it", json!({})).await;
    assert_ready(&lab, &it);
    let id = lab.status(&it).id;
    let renamed = json!({"name": "Renamed", "metadata": metadata("other")});
    declare(&lab, SAML, "it", renamed).await;
    assert_ready(&lab, &it);
    assert_eq!(lab.status(&it).id, id);

    let elsewhere = json!({"projectRef": {"name": "other"}, "metadata": metadata("other")});
    let twin = declare(&lab, SAML, "twin", elsewhere).await;
    let (reason, message) = lab.reason(&twin);
    assert_eq!(reason, Reason::Rejected.to_string());
    assert!(message.contains("SAMLEntityIDAlreadyExists"), "{message}");
    tokio::time::sleep(Duration::from_secs(90)).await;
    lab.look(&twin).await;
    let (reason, message) = lab.reason(&twin);
    assert_eq!(reason, Reason::Rejected.to_string());
    assert!(message.contains("something that has to be unique is taken"), "{message}");
    assert!(lab.status(&twin).condition("Stalled").is_some());
    assert!(lab.status(&twin).id.is_none() && lab.status(&twin).provenance.is_none());
    lab.delete(&it);
    lab.look(&it).await;
    lab.look(&twin).await;
    assert_ready(&lab, &twin);
}
