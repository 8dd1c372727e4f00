//! Who may declare what is in the instance itself, and delete organizations.

use serde_json::json;

use super::{Ruled, namespace};
use crate::world::eventually;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_the_instance_are_for_some_namespaces_only() {
    let own = json!({"instanceOwners": {"enabled": true, "namespaces": ["nobody"]}});
    let ruled = Ruled::new("owners", own).await;
    let user = json!({"userId": "1"});
    let organization = json!({"name": "acme"});

    let refused = ruled.apply("LoginPolicy", "it", json!({})).await.unwrap_err();
    let says = format!(
        "namespace {} may not declare what is in the instance itself: declare it in a namespace \
         that {0}-kastellan's admission.instanceOwners allows, or set organizationRef or \
         organizationId",
        ruled.namespace
    );
    assert!(refused.contains(&says), "{refused}");
    let refused = ruled.apply("Restrictions", "it", json!({})).await.unwrap_err();
    assert!(refused.ends_with("admission.instanceOwners allows"), "{refused}");
    for (kind, spec) in [
        ("SecurityPolicy", json!({})),
        // A field that is null is none.
        ("LoginPolicy", json!({"organizationRef": null})),
        ("PrivacyPolicy", json!({"organizationId": null, "instanceRef": {"name": "main"}})),
        ("Administrator", user.clone()),
        ("Administrator", json!({"userId": "1", "projectRef": null})),
    ] {
        let refused = ruled.apply(kind, "it", spec.clone()).await.unwrap_err();
        assert!(refused.contains("may not declare what is in the instance"), "{spec}: {refused}");
    }
    let elsewhere = [
        ("Organization", json!({})),
        ("LoginPolicy", json!({"organizationRef": organization})),
        ("PrivacyPolicy", json!({"organizationId": "1"})),
        ("Administrator", json!({"userId": "1", "organizationRef": organization})),
        ("Administrator", json!({"userId": "2", "projectRef": {"name": "p"}})),
        ("MachineUser", json!({"organizationRef": organization})),
        ("Project", json!({"organizationRef": organization})),
    ];
    for (n, (kind, spec)) in elsewhere.into_iter().enumerate() {
        let name = format!("it-{n}");
        ruled.apply(kind, &name, spec.clone()).await.unwrap_or_else(|e| panic!("{kind}: {e}"));
        // Nor is anything in the way of a change.
        ruled.merge(kind, &name, json!({"spec": {"suspend": true}})).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_of_the_instance_are_named_or_have_labels() {
    let labels = json!({"zitadel": "owner", "tier": "platform"});
    let owners = json!({"enabled": true, "namespaceLabels": labels});
    let ruled = Ruled::new("labels", json!({"instanceOwners": owners})).await;
    let attempt = async || ruled.apply("Restrictions", "it", json!({})).await;
    attempt().await.unwrap_err();
    ruled.mark(&ruled.namespace, json!({"labels": {"zitadel": "owner"}})).await;
    attempt().await.unwrap_err();
    ruled.mark(&ruled.namespace, json!({"labels": labels})).await;
    eventually("allowed", attempt, Result::is_ok).await.unwrap();

    // Who is no owner any more keeps what is there, and can't change it.
    let other = namespace(&ruled.client, "labels-other").await;
    let both = [&*ruled.namespace, &*other];
    let owners = json!({"enabled": true, "namespaces": [other]});
    ruled.set(&both, json!({"instanceOwners": owners})).await;
    let change = json!({"spec": {"disallowPublicOrgRegistration": true}});
    let refused = ruled.merge("Restrictions", "it", change).await.unwrap_err();
    assert!(refused.contains("may not declare what is in the instance"), "{refused}");
    attempt().await.unwrap();
    let label = json!({"metadata": {"labels": {"a": "b"}, "finalizers": ["example.com/f"]}});
    ruled.merge("Restrictions", "it", label).await.unwrap();
    let spec = json!({});
    ruled.try_metadata(&other, "Restrictions", "it", json!({}), spec, false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_count_in_the_namespaces_of_their_release_alone() {
    let rule = json!({"instanceOwners": {"enabled": true, "namespaces": ["nobody"]}});
    let ruled = Ruled::new("scope", rule).await;
    let other = namespace(&ruled.client, "scope-other").await;
    ruled.apply("Restrictions", "it", json!({})).await.unwrap_err();
    let spec = json!({});
    ruled.try_metadata(&other, "Restrictions", "it", json!({}), spec, false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_is_deleted_only_where_that_is_said_twice() {
    let ruled =
        Ruled::new("deletion", json!({"confirmOrganizationDeletion": {"enabled": true}})).await;
    let declare = async |annotation: Option<&str>, policy: Option<&str>| {
        let metadata = json!({"annotations": {"kastellan.dev/confirm-deletion": annotation}});
        let metadata = if annotation.is_some() { metadata } else { json!({}) };
        let mut spec = json!({"name": "Acme"});
        if let Some(policy) = policy {
            spec["deletionPolicy"] = policy.into();
        }
        ruled.try_metadata(&ruled.namespace, "Organization", "acme", metadata, spec, false).await
    };
    let refused = declare(None, Some("Delete")).await.unwrap_err();
    let says = "deletionPolicy: Delete has the organization deleted in ZITADEL, with its users and \
                projects: set the annotation kastellan.dev/confirm-deletion: acme, or remove \
                deletionPolicy";
    assert!(refused.contains(says), "{refused}");
    // That of a manifest that was copied says another name.
    declare(Some("other"), Some("Delete")).await.unwrap_err();
    declare(None, None).await.unwrap();
    declare(None, Some("Delete")).await.unwrap_err();
    declare(None, Some("Retain")).await.unwrap();
    declare(Some("acme"), Some("Delete")).await.unwrap();
    // What was said twice is not taken back once.
    declare(None, Some("Delete")).await.unwrap_err();
    let unconfirmed =
        json!({"metadata": {"annotations": {"kastellan.dev/confirm-deletion": null}}});
    ruled.merge("Organization", "acme", unconfirmed).await.unwrap_err();
    declare(None, None).await.unwrap();
    // Other kinds are not meant.
    let spec = json!({"organizationRef": {"name": "acme"}, "deletionPolicy": "Delete"});
    ruled.apply("Project", "p", spec).await.unwrap();
}
