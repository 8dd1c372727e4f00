//! What holds for every folder and every instance.

use std::{collections::BTreeMap, fs, path::Path};

use kastellan::{
    contract::{Access, Entry, Fields, Place, Remote},
    kinds::REGISTRY,
    zitadel::Client,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::Desk;
use crate::{
    remote::entry,
    samples::{Object, place_below, placed},
};

/// An identity provider without a secret, as the API takes it.
fn jwt_provider(name: &str) -> Value {
    json!({
        "name": name,
        "issuer": "https://portal.example",
        "jwtEndpoint": "https://portal.example/jwt",
        "keysEndpoint": "https://portal.example/keys",
        "headerName": "x-jwt",
    })
}

/// Three more organizations, forty projects, every policy.
async fn populate(client: &Client) {
    let write =
        async |method: Method, organization: Option<&str>, path: &str, body: Value| -> Value {
            client
                .write(method, organization, path, &body)
                .await
                .unwrap_or_else(|e| panic!("{path}: {e}"))
        };
    let labels = [
        "PRIVATE_LABELING_SETTING_UNSPECIFIED",
        "PRIVATE_LABELING_SETTING_ENFORCE_PROJECT_RESOURCE_OWNER_POLICY",
    ];
    let default: Value = client.get(None, "/admin/v1/orgs/default").await.unwrap();
    let mut organizations = vec![default["org"]["id"].as_str().unwrap().to_owned()];
    for name in ["ACME", "Ümläut & Söhne", "Third One"] {
        let made = write(Method::POST, None, "/v2/organizations", json!({"name": name})).await;
        organizations.push(made["organizationId"].as_str().unwrap().to_owned());
    }
    for n in 0..40usize {
        let at = organizations[n % 4].as_str();
        let body = json!({
            "name": format!("Project {}", n / 4),
            "projectRoleAssertion": n % 2 == 0,
            "projectRoleCheck": n % 3 == 0,
            "hasProjectCheck": n % 5 == 0,
            "privateLabelingSetting": labels[n % 2],
        });
        let made = write(Method::POST, Some(at), "/management/v1/projects", body).await;
        if n % 7 == 0 {
            let id = made["id"].as_str().unwrap();
            write(
                Method::POST,
                Some(at),
                &format!("/management/v1/projects/{id}/_deactivate"),
                json!({}),
            )
            .await;
        }
    }
    let twin = json!({"name": "Project: 1"});
    write(Method::POST, Some(&organizations[1]), "/management/v1/projects", twin).await;
    let strange = json!({"name": "日本 \"no\": #1"});
    write(Method::POST, Some(&organizations[1]), "/management/v1/projects", strange).await;
    let shop = json!({"name": "Shop"});
    let shop = write(Method::POST, Some(&organizations[1]), "/management/v1/projects", shop).await;
    let apps = format!("/management/v1/projects/{}/apps", shop["id"].as_str().unwrap());
    let uris = json!(["https://b.example/cb", "https://a.example/cb"]);
    for (kind, body) in [
        ("oidc", json!({"name": "Web", "redirectUris": uris, "appType": "OIDC_APP_TYPE_NATIVE"})),
        ("api", json!({"name": "API"})),
        (
            "saml",
            json!({"name": "SP", "metadataXml": "PEVudGl0eURlc2NyaXB0b3IgZW50aXR5SUQ9ImEiLz4="}),
        ),
    ] {
        write(Method::POST, Some(&organizations[1]), &format!("{apps}/{kind}"), body).await;
    }
    write(
        Method::POST,
        None,
        &format!("/v2/organizations/{}/deactivate", organizations[3]),
        json!({}),
    )
    .await;
    let jwt = jwt_provider("Portal");
    write(Method::POST, Some(&organizations[1]), "/management/v1/idps/generic_jwt", jwt).await;
    let saml = json!({
        "name": "Company",
        "metadataXml": "PEVudGl0eURlc2NyaXB0b3IgZW50aXR5SUQ9ImEiLz4=",
        "binding": "SAML_BINDING_REDIRECT",
        "providerOptions": {"isLinkingAllowed": true},
    });
    write(Method::POST, None, "/admin/v1/idps/saml", saml).await;
    let links = json!({"tosLink": "https://acme.example/{{.Lang}}", "supportEmail": "help@acme.example", "customLinkText": "no"});
    write(Method::PUT, None, "/admin/v1/policies/privacy", links.clone()).await;
    write(Method::POST, Some(&organizations[1]), "/management/v1/policies/privacy", json!({}))
        .await;
    write(Method::POST, Some(&organizations[2]), "/management/v1/policies/privacy", links).await;
    write(Method::PUT, None, "/admin/v1/policies/domain", json!({"userLoginMustBeDomain": true}))
        .await;
    write(
        Method::POST,
        None,
        &format!("/admin/v1/orgs/{}/policies/domain", organizations[1]),
        json!({"validateOrgDomains": true}),
    )
    .await;
    write(
        Method::PUT,
        None,
        "/admin/v1/restrictions",
        json!({"allowedLanguages": {"list": ["fr", "en", "de"]}}),
    )
    .await;
    let text = json!({"title": "Neu: \"{{.Code}}\"", "text": "a\nb: c"});
    let path = "/management/v1/text/message/passwordreset/de";
    write(Method::PUT, Some(&organizations[1]), path, text).await;
    let security = json!({"embeddedIframe": {"enabled": true, "allowedOrigins": ["https://b.example", "https://a.example"]}});
    write(Method::PUT, None, "/v2/policies/security", security).await;
}

/// All fields of all that is there, by kind, place and name: an export omits what is as ZITADEL
/// makes it. Places are told by names too, for ids differ.
async fn states(desk: &Desk) -> BTreeMap<(&'static str, String, String), (bool, Fields)> {
    let client = desk.client(&desk.emulator().pat());
    let me: Value = client.get(None, "/auth/v1/users/me").await.unwrap();
    let iam: Value = client.get(None, "/management/v1/iam").await.unwrap();
    // What no manifest makes: the account that exports, and what is in ZITADEL's own project.
    let own = [&me["user"]["id"], &iam["iamProjectId"]].map(|id| id.as_str().unwrap().to_owned());
    let is_own = |remote: &Remote| own.iter().any(|id| remote.id() == Some(id));
    let mut all = BTreeMap::new();
    for p in placed() {
        let mut places = vec![(String::new(), Place::instance())];
        for Object { kind, .. } in p.parents() {
            let natural_key = entry(kind).as_entity().unwrap().natural_key;
            let mut below = Vec::new();
            for (name, place) in places {
                let at = Access::anonymous(client.clone(), place);
                let found = entry(kind).list(&at).await;
                below.extend(found.iter().filter(|remote| !is_own(remote)).map(|remote| {
                    let name = format!("{name}/{}", natural_key.of(&remote.state).unwrap());
                    (name, place_below(kind, &at.place, remote.id().unwrap()))
                }));
            }
            places = below;
        }
        for (home, place) in places {
            let at = Access::anonymous(client.clone(), place);
            let found: Vec<Remote> =
                if p.is_entity() { p.entry.list(&at).await } else { p.entry.settings(&at).await };
            for remote in found.into_iter().filter(|remote| !is_own(remote)) {
                let sorted = remote.state.iter().map(|(path, value)| {
                    let mut value = value.clone();
                    if let (Value::Array(list), true) = (&mut value, p.is_set(path)) {
                        list.sort_by_key(ToString::to_string);
                    }
                    (path.clone(), value)
                });
                let natural_key = p.entry.as_entity().map(|e| e.natural_key);
                let name = natural_key.and_then(|key| key.of(&remote.state));
                let name = name.or_else(|| Some(p.entry.keys(&remote.place).join("/")));
                let key = (p.entry.kind(), home.clone(), name.unwrap_or_default());
                all.insert(key, (remote.own, Fields::from_map(sorted.collect())));
            }
        }
    }
    all
}

pub(super) fn files(dir: &Path) -> BTreeMap<String, String> {
    fn collect(root: &Path, dir: &Path, into: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                collect(root, &path, into);
            } else {
                into.insert(
                    path.strip_prefix(root).unwrap().display().to_string(),
                    fs::read_to_string(&path).unwrap(),
                );
            }
        }
    }
    let mut all = BTreeMap::new();
    collect(dir, dir, &mut all);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_plans_to_nothing_and_makes_the_same_elsewhere() {
    let (first, second) = (Desk::new().await, Desk::new().await);
    populate(&first.client(&first.emulator().pat())).await;
    let before = first.writes();

    let export = first.run(&["export", "--dir", "out"]).await;
    assert_eq!(export.code, 0, "{}", export.stderr);
    assert_eq!(first.run(&["validate", "-f", "out", "--strict"]).await.code, 0);
    let plan = first.run(&["plan", "-f", "out"]).await;
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
    let apply = first.run(&["apply", "-f", "out"]).await;
    assert_eq!(apply.code, 0, "{}", apply.stderr);
    assert_eq!(first.writes(), before, "neither export nor plan nor apply writes anything");

    let out = first.path().join("out");
    let to = out.to_str().unwrap();
    let apply = second.run(&["apply", "-f", to]).await;
    assert_eq!(apply.code, 0, "{}", apply.stderr);
    assert_eq!(second.run(&["plan", "-f", to]).await.code, 0);
    assert_eq!(second.run(&["export", "--dir", "out"]).await.code, 0);
    let (one, other) = (files(&out), files(&second.path().join("out")));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (path, text) in &one {
        assert_eq!(text, &other[path], "{path}");
    }
    assert_eq!(states(&first).await, states(&second).await, "down to what is not written");
    let is_of_instance = |e: &Entry| {
        e.is_setting() && e.parents().all(|parent| !parent.required) && e.keyed_by.is_empty()
    };
    let settings = REGISTRY.all().filter(is_of_instance).count();
    assert_eq!(
        one.len(),
        settings + 4 + 43 + 3 + 2 + 2 + 1 + 4,
        "settings, organizations, projects, applications, providers, policies of organizations, texts"
    );
    let stdout = first.run(&["export"]).await.stdout;
    assert_eq!(stdout.split("---\n").count(), one.len(), "stdout has the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_an_export_plans_to_nothing_by_itself() {
    let desk = Desk::new().await;
    populate(&desk.client(&desk.emulator().pat())).await;
    for (n, args) in [
        &["--kind", "Project"][..],
        &["--organization", "ACME"],
        &["--kind", "PrivacyPolicy", "--kind", "DomainPolicy"],
        &["--organization", "Third One", "--kind", "project"],
    ]
    .iter()
    .enumerate()
    {
        let dir = format!("out-{n}");
        let export = desk.run(&[&["export", "--dir", &dir], *args].concat()).await;
        assert_eq!(export.code, 0, "{}", export.stderr);
        let plan = desk.run(&["plan", "-f", &dir]).await;
        assert_eq!(plan.code, 0, "{args:?}: {}{}", plan.stdout, plan.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_it_is_edited_and_renamed_it_is_one_remote_object() {
    let desk = Desk::new().await;
    let tenant = |project: &str, organization: &str| {
        format!(
            "kind: Organization\nmetadata: {{name: acme}}\nspec: {{name: {organization}}}\n---\nkind: Project\nmetadata: {{name: shop}}\nspec:\n  organizationRef: {{name: acme}}\n{project}\n"
        )
    };
    for (project, organization) in [
        ("  name: Shop", "ACME"),
        ("  name: Shop\n  projectRoleCheck: true", "ACME"),
        ("  name: Webshop", "ACME"),
        ("  name: Webshop", "Acme Inc."),
    ] {
        desk.write("tenant.yaml", &tenant(project, organization));
        let plan = desk.run(&["plan", "-f", "tenant.yaml"]).await;
        assert_eq!(plan.code, 2, "{}", plan.stderr);
        let before = desk.writes();
        assert_eq!(
            desk.run(&["plan", "-f", "tenant.yaml"]).await.stdout,
            plan.stdout,
            "a plan that is asked for again is the same"
        );
        assert_eq!(desk.writes(), before, "a plan writes nothing");
        let apply = desk.run(&["apply", "-f", "tenant.yaml"]).await;
        assert_eq!(apply.code, 0, "{}", apply.stderr);
        assert_eq!(
            desk.run(&["plan", "-f", "tenant.yaml"]).await.code,
            0,
            "after an apply there is nothing to do"
        );
    }
    // One of each is there from the beginning.
    let made = |kind: &str| {
        desk.emulator()
            .events()
            .iter()
            .filter(|e| {
                serde_json::to_value(e).unwrap().to_string().contains(&format!("\"{kind}\""))
            })
            .count()
    };
    assert_eq!((made("org.added"), made("project.added")), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_are_valid_and_can_be_applied() {
    let desk = Desk::new().await;
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tenant");
    let validate = desk.run(&["validate", "--strict", "-f", examples]).await;
    assert_eq!(validate.code, 0, "{}", validate.stdout);
    for (verb, code) in [("plan", 2), ("apply", 0), ("plan", 0)] {
        let ran = desk.run(&[verb, "-f", examples]).await;
        assert_eq!(ran.code, code, "{verb}: {}{}", ran.stdout, ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_objects_for_one_thing_never_fight() {
    let desk = Desk::new().await;
    let policy = |name: &str, namespace: &str, link: &str| {
        format!(
            "kind: PrivacyPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{tosLink: \"{link}\"}}\n"
        )
    };
    // In different namespaces, whose Instances are the same ZITADEL: files alone can't tell.
    desk.write(
        "a.yaml",
        &format!(
            "{}---\n{}",
            policy("p", "one", "https://one.example"),
            policy("p", "two", "https://two.example")
        ),
    );
    for _ in 0..2 {
        let apply = desk.run(&["apply", "-f", "a.yaml"]).await;
        assert_eq!(apply.code, 1);
        assert!(apply.stderr.contains("PrivacyPolicy two/p: Conflict"), "{}", apply.stderr);
    }
    assert_eq!(desk.writes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_called_instance_is_exported_like_any_other() {
    let desk = Desk::new().await;
    let client = desk.client(&desk.emulator().pat());
    let write = async |organization: Option<&str>, path: &str, body: Value| -> Value {
        client.write(Method::POST, organization, path, &body).await.unwrap()
    };
    let made = write(None, "/v2/organizations", json!({"name": "Instance"})).await;
    let id = made["organizationId"].as_str().unwrap();
    write(Some(id), "/management/v1/policies/privacy", json!({})).await;
    let domain = json!({"validateOrgDomains": true});
    write(None, &format!("/admin/v1/orgs/{id}/policies/domain"), domain).await;
    assert_eq!(desk.run(&["export", "--dir", "out"]).await.code, 0);
    let validate = desk.run(&["validate", "-f", "out", "--strict"]).await;
    assert_eq!(validate.code, 0, "{}", validate.stdout);
    let plan = desk.run(&["plan", "-f", "out"]).await;
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_policy_names_the_providers_that_are_exported_too() {
    let desk = Desk::new().await;
    let client = desk.client(&desk.emulator().pat());
    let post = async |path: &str, body: Value| -> Value {
        client.write(Method::POST, None, path, &body).await.unwrap()
    };
    let made = post("/admin/v1/idps/generic_jwt", jwt_provider("Portal")).await;
    post("/admin/v1/policies/login/idps", json!({"idpId": made["id"]})).await;

    assert_eq!(desk.run(&["export", "--dir", "out"]).await.code, 0);
    let written: String = files(&desk.path().join("out")).into_values().collect();
    assert!(written.contains("identityProviders:\n  - name: portal\n"), "{written}");
    let plan = desk.run(&["plan", "-f", "out"]).await;
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);

    let policy = desk.run(&["export", "--kind", "LoginPolicy"]).await.stdout;
    let id = made["id"].as_str().unwrap();
    assert!(policy.contains("identityProviderIds:") && policy.contains(id), "{policy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_an_organization_exports_none_of_zitadels_own() {
    let desk = Desk::new().await;
    let owner = desk.emulator().add_user("owner", "Owner", &["ORG_OWNER"]);
    let client = desk.client(&desk.emulator().pat());
    let default: Value = client.get(None, "/admin/v1/orgs/default").await.unwrap();
    let organization = default["org"]["id"].as_str();
    // Somebody else's, which only looks like it.
    let elsewhere: Value = client
        .write(Method::POST, None, "/v2/organizations", &json!({"name": "ACME"}))
        .await
        .unwrap();
    for (organization, name) in
        [(organization, "Shop"), (elsewhere["organizationId"].as_str(), "ZITADEL")]
    {
        let _: Value = client
            .write(Method::POST, organization, "/management/v1/projects", &json!({"name": name}))
            .await
            .unwrap();
    }
    let export = desk.run_with(&["export"], &[("ZITADEL_TOKEN", &owner.pat)]).await;
    assert_eq!(export.code, 0, "{}", export.stderr);
    let count = |text: &str, kind: &str| text.matches(&format!("kind: {kind}\n")).count();
    assert_eq!(count(&export.stdout, "Project"), 1, "{}", export.stdout);
    let all = desk.run(&["export", "--kind", "Project"]).await.stdout;
    assert_eq!(count(&all, "Project"), 2, "{all}");

    fs::write(desk.path().join("out.yaml"), &export.stdout).unwrap();
    let plan = desk.run_with(&["plan", "-f", "out.yaml"], &[("ZITADEL_TOKEN", &owner.pat)]).await;
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
}
