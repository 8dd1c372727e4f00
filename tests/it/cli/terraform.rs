//! From a state of terraform to manifests that have nothing to do.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Desk, snapshots::snapshot};

/// What somebody has made by terraform, and the state that it wrote of it.
#[expect(clippy::too_many_lines, reason = "one state, of every kind of resource")]
async fn state(desk: &Desk) -> Value {
    let client = desk.client(&desk.emulator().pat());
    let write = async |method: Method, organization: Option<&str>, path: &str, body: Value| {
        client
            .write::<Value>(method, organization, path, &body)
            .await
            .unwrap_or_else(|e| panic!("{path}: {e:?}"))
    };
    let post = async |organization: &str, path: &str, body: Value| {
        write(Method::POST, Some(organization), path, body).await
    };
    let text = |value: &Value, pointer: &str| {
        value.pointer(pointer).and_then(Value::as_str).unwrap().to_owned()
    };
    let mut ids = Vec::new();
    for name in ["ACME", "Partner"] {
        let path = "/v2/organizations";
        let made = write(Method::POST, None, path, json!({"name": name})).await;
        ids.push(text(&made, "/organizationId"));
    }
    let (acme, partner) = (ids[0].as_str(), ids[1].as_str());
    let project = json!({"name": "Shop", "projectRoleCheck": true});
    let project = text(&post(acme, "/management/v1/projects", project).await, "/id");
    let of = |path: &str| format!("/management/v1/projects/{project}/{path}");
    let role = json!({"roleKey": "clerk", "displayName": "Clerk", "group": "g"});
    post(acme, &of("roles"), role).await;
    let web = json!({
        "name": "Web", "redirectUris": ["https://a.example"], "appType": "OIDC_APP_TYPE_WEB",
        "responseTypes": ["OIDC_RESPONSE_TYPE_CODE"],
        "grantTypes": ["OIDC_GRANT_TYPE_AUTHORIZATION_CODE", "OIDC_GRANT_TYPE_REFRESH_TOKEN"],
        "authMethodType": "OIDC_AUTH_METHOD_TYPE_BASIC", "clockSkew": "5s",
    });
    let web = post(acme, &of("apps/oidc"), web).await;
    let api = json!({"name": "API", "authMethodType": "API_AUTH_METHOD_TYPE_PRIVATE_KEY_JWT"});
    let api = text(&post(acme, &of("apps/api"), api).await, "/appId");
    let key = json!({"type": "KEY_TYPE_JSON", "expirationDate": "2099-01-01T00:00:00Z"});
    let app_key = post(acme, &of(&format!("apps/{api}/keys")), key.clone()).await;
    let bot = json!({"userName": "bot", "name": "Bot", "accessTokenType": "ACCESS_TOKEN_TYPE_JWT"});
    let bot = text(&post(acme, "/management/v1/users/machine", bot).await, "/userId");
    let users = |path: &str| format!("/management/v1/users/{bot}/{path}");
    let machine_key = post(acme, &users("keys"), key).await;
    let token = json!({"expirationDate": "2099-01-01T00:00:00Z"});
    let token = post(acme, &users("pats"), token).await;
    let secret = write(Method::PUT, Some(acme), &users("secret"), json!({})).await;
    let grant = json!({"grantedOrgId": partner, "roleKeys": ["clerk"]});
    let lent = text(&post(acme, &of("grants"), grant).await, "/grantId");
    let grant = json!({"projectId": project, "roleKeys": ["clerk"]});
    let grant = text(&post(acme, &users("grants"), grant).await, "/userGrantId");
    let member = |role: &str| json!({"userId": bot, "roles": [role]});
    post(acme, "/management/v1/orgs/me/members", member("ORG_OWNER_VIEWER")).await;
    post(acme, &of("members"), member("PROJECT_OWNER_VIEWER")).await;
    write(Method::POST, None, "/admin/v1/members", member("IAM_OWNER_VIEWER")).await;
    let privacy = json!({"helpLink": "https://help.acme.example"});
    post(acme, "/management/v1/policies/privacy", privacy).await;
    let lockout = json!({"maxPasswordAttempts": 7, "maxOtpAttempts": 0});
    write(Method::PUT, None, "/admin/v1/policies/password/lockout", lockout).await;
    let decoded = |answer: &Value| {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let details = STANDARD.decode(text(answer, "/keyDetails")).unwrap();
        Value::from(String::from_utf8(details).unwrap())
    };
    let resources = [
        (
            "org",
            "acme",
            json!({"id": acme, "name": "ACME", "state": "ORG_STATE_ACTIVE", "is_default": false, "primary_domain": "acme.localhost"}),
        ),
        (
            "project",
            "shop",
            json!({
                "id": project, "org_id": acme, "name": "Shop", "state": "PROJECT_STATE_ACTIVE",
                "project_role_assertion": false, "project_role_check": true, "has_project_check": false,
                "private_labeling_setting": "PRIVATE_LABELING_SETTING_UNSPECIFIED",
            }),
        ),
        (
            "project_role",
            "clerk",
            json!({
                "id": format!("{project}_clerk"), "org_id": acme, "project_id": project,
                "role_key": "clerk", "display_name": "Clerk", "group": "g",
            }),
        ),
        (
            "application_oidc",
            "web",
            json!({
                "id": web["appId"], "org_id": acme, "project_id": project, "name": "Web",
                "redirect_uris": ["https://a.example"], "post_logout_redirect_uris": [],
                "response_types": ["OIDC_RESPONSE_TYPE_CODE"],
                "grant_types": ["OIDC_GRANT_TYPE_AUTHORIZATION_CODE", "OIDC_GRANT_TYPE_REFRESH_TOKEN"],
                "app_type": "OIDC_APP_TYPE_WEB", "auth_method_type": "OIDC_AUTH_METHOD_TYPE_BASIC",
                "version": "OIDC_VERSION_1_0", "dev_mode": false, "clock_skew": "5s",
                "access_token_type": "OIDC_TOKEN_TYPE_BEARER", "access_token_role_assertion": false,
                "id_token_role_assertion": false, "id_token_userinfo_assertion": false,
                "additional_origins": null, "skip_native_app_success_page": false,
                "login_version": [{"login_v1": [{}], "login_v2": []}],
                "client_id": web["clientId"], "client_secret": web["clientSecret"],
            }),
        ),
        (
            "application_api",
            "api",
            json!({
                "id": api, "org_id": acme, "project_id": project, "name": "API",
                "auth_method_type": "API_AUTH_METHOD_TYPE_PRIVATE_KEY_JWT", "client_id": "1",
                "client_secret": "",
            }),
        ),
        (
            "application_key",
            "api",
            json!({
                "id": app_key["id"], "org_id": acme, "project_id": project, "app_id": api,
                "key_type": "KEY_TYPE_JSON", "expiration_date": "2099-01-01T00:00:00Z",
                "key_details": decoded(&app_key),
            }),
        ),
        (
            "machine_user",
            "bot",
            json!({
                "id": bot, "user_id": bot, "org_id": acme, "user_name": "bot", "name": "Bot", "description": "",
                "access_token_type": "ACCESS_TOKEN_TYPE_JWT", "state": "USER_STATE_ACTIVE",
                "login_names": ["bot"], "preferred_login_name": "bot", "with_secret": true,
                "client_id": secret["clientId"], "client_secret": secret["clientSecret"],
            }),
        ),
        (
            "machine_key",
            "bot",
            json!({
                "id": machine_key["keyId"], "org_id": acme, "user_id": bot, "key_type": "KEY_TYPE_JSON",
                "expiration_date": "2099-01-01T00:00:00Z", "key_details": decoded(&machine_key),
            }),
        ),
        (
            "personal_access_token",
            "bot",
            json!({
                "id": token["tokenId"], "org_id": acme, "user_id": bot,
                "expiration_date": "2099-01-01T00:00:00Z", "token": token["token"],
            }),
        ),
        (
            "project_grant",
            "partner",
            json!({
                "id": lent, "org_id": acme, "project_id": project, "granted_org_id": partner,
                "role_keys": ["clerk"],
            }),
        ),
        (
            "user_grant",
            "bot",
            json!({
                "id": grant, "org_id": acme, "user_id": bot, "project_id": project,
                "project_grant_id": "", "role_keys": ["clerk"],
            }),
        ),
        (
            "org_member",
            "bot",
            json!({
                "id": format!("{acme}_{bot}"), "org_id": acme, "user_id": bot, "roles": ["ORG_OWNER_VIEWER"],
            }),
        ),
        (
            "project_member",
            "bot",
            json!({
                "id": format!("{project}_{bot}"), "org_id": acme, "project_id": project, "user_id": bot,
                "roles": ["PROJECT_OWNER_VIEWER"],
            }),
        ),
        (
            "instance_member",
            "bot",
            json!({"id": bot, "user_id": bot, "roles": ["IAM_OWNER_VIEWER"]}),
        ),
        (
            "privacy_policy",
            "acme",
            json!({
                "id": acme, "org_id": acme, "help_link": "https://help.acme.example", "tos_link": "",
                "privacy_link": "", "support_email": "",
            }),
        ),
        ("default_lockout_policy", "all", json!({"id": "1", "max_password_attempts": 7})),
        ("smtp_config", "all", json!({"id": "1", "password": "s3cret"})),
    ];
    let resources: Vec<Value> = resources
        .into_iter()
        .map(|(kind, name, attributes)| {
            json!({
                "mode": "managed", "type": format!("zitadel_{kind}"), "name": name,
                "provider": "provider[\"registry.terraform.io/zitadel/zitadel\"]",
                "instances": [{"schema_version": 0, "attributes": attributes}],
            })
        })
        .collect();
    json!({
        "version": 4, "terraform_version": "1.9.8", "serial": 7, "lineage": "l", "outputs": {},
        "resources": resources,
    })
}

/// The state tells the truth: there is nothing to do, and the secrets stay what they are.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_true_plans_to_nothing_and_its_secrets_are_kept() {
    let desk = Desk::new().await;
    let state = state(&desk).await;
    fs::write(desk.path().join("state.json"), state.to_string()).unwrap();
    let export = ["export", "--from-terraform", "state.json", "--dir", "tenant"];
    let ran = desk.run(&[&export[..], &["--secrets-to", "dir:secrets"]].concat()).await;
    snapshot("export-from-terraform", &ran);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    let mut yaml = String::new();
    for entry in walk(&desk.path().join("tenant")) {
        yaml.push_str(&fs::read_to_string(entry).unwrap());
    }
    let secrets = walk(&desk.path().join("secrets"));
    assert_eq!(
        secrets
            .iter()
            .filter(|p| !p.file_name().unwrap().to_string_lossy().starts_with('.'))
            .count(),
        7
    );
    for resource in state["resources"].as_array().unwrap() {
        let attributes = &resource["instances"][0]["attributes"];
        for secret in ["client_secret", "key_details", "token", "password"] {
            let secret = attributes[secret].as_str().filter(|s| !s.is_empty());
            assert!(secret.is_none_or(|s| !said.contains(s) && !yaml.contains(s)), "{secret:?}");
        }
    }
    let validate = desk.run(&["validate", "-f", "tenant"]).await;
    assert_eq!(validate.code, 0, "{}{}", validate.stdout, validate.stderr);
    let plan = desk.run(&["plan", "-f", "tenant", "--secret-dir", "secrets"]).await;
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);

    // To take them over is to write nothing.
    let events = desk.emulator().event_count();
    let apply = ["apply", "-f", "tenant", "--secrets-to", "dir:secrets"];
    let ran = desk.run(&apply).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(desk.emulator().event_count(), events, "{}", ran.stdout);
    let again = desk.run(&["plan", "-f", "tenant", "--secret-dir", "secrets"]).await;
    assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_place_for_them_secrets_are_left_out_and_that_is_said() {
    let desk = Desk::new().await;
    let state = state(&desk).await;
    fs::write(desk.path().join("state.json"), state.to_string()).unwrap();
    let ran =
        desk.run(&["export", "--from-terraform", "state.json", "--kind", "OidcApplication"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("--secrets-to"), "{}", ran.stderr);
    assert!(!ran.stdout.contains("secret:"), "{}", ran.stdout);
    fs::write(desk.path().join("none.json"), "{\"serial\": 1}").unwrap();
    let ran = desk.run(&["export", "--from-terraform", "none.json"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("none.json is no state of terraform"), "{}", ran.stderr);
}

/// All files below a directory.
fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(walk(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}
