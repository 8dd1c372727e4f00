//! Leaving terraform: its state becomes manifests, which plan to nothing.

use std::{fs, os::unix::fs::PermissionsExt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Desk, snapshots::snapshot};
use crate::contract::merged;

const STATE: &str = include_str!("terraform/state.json");
const NEVER_SHOWN: &str = "never-to-be-shown";

/// What the state says is there, and what of it only ZITADEL knows.
struct Made {
    /// Placeholders of the state, and their values.
    values: Vec<(&'static str, String)>,
}

impl Made {
    fn of(&self, name: &str) -> &str {
        let value = self.values.iter().find(|(n, _)| *n == name);
        value.map(|(_, value)| value.as_str()).unwrap()
    }

    fn keep(&mut self, name: &'static str, value: String) -> String {
        self.values.push((name, value.clone()));
        value
    }

    /// The state as terraform would have written it.
    fn state(&self) -> String {
        let mut state: Value = serde_json::from_str(STATE).unwrap();
        self.fill(&mut state);
        state.to_string()
    }

    fn fill(&self, value: &mut Value) {
        match value {
            Value::String(text) if text.contains('~') => {
                // The longest first: one may be the beginning of another.
                let mut values: Vec<_> = self.values.iter().collect();
                values.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
                for (name, value) in values {
                    *text = text.replace(&format!("~{name}"), value);
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.fill(value)),
            Value::Object(map) => map.values_mut().for_each(|value| self.fill(value)),
            _ => {}
        }
    }
}

fn at(answer: &Value, pointer: &str) -> String {
    answer.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{answer}")).to_owned()
}

async fn write(desk: &Desk, method: Method, org: &str, path: &str, body: Value) -> Value {
    let org = Some(org).filter(|org| !org.is_empty());
    let client = desk.client(&desk.emulator().pat());
    let answer: Result<Value, _> = client.write(method, org, path, &body).await;
    answer.unwrap_or_else(|e| panic!("{path}: {e}"))
}

async fn post(desk: &Desk, org: &str, path: &str, body: Value) -> Value {
    write(desk, Method::POST, org, path, body).await
}

/// Makes by the API what the state says.
async fn make(desk: &Desk) -> Made {
    let mut made = Made { values: Vec::new() };
    let org = async |name: &str| {
        at(&post(desk, "", "/v2/organizations", json!({"name": name})).await, "/organizationId")
    };
    let acme = &made.keep("acme", org("ACME").await);
    made.keep("branch", org("Branch").await);
    let partner = &made.keep("partner", org("Partner").await);

    let body = json!({
        "name": "Shop",
        "projectRoleAssertion": true,
        "privateLabelingSetting": "PRIVATE_LABELING_SETTING_ENFORCE_PROJECT_RESOURCE_OWNER_POLICY",
    });
    let project = post(desk, acme, "/management/v1/projects", body).await;
    let project = made.keep("project", at(&project, "/id"));
    let projects = format!("/management/v1/projects/{project}");
    for body in [
        json!({"roleKey": "buyer", "displayName": "Buyer", "group": "people"}),
        json!({"roleKey": "seller", "displayName": "Seller"}),
    ] {
        post(desk, acme, &format!("{projects}/roles"), body).await;
    }

    let body = json!({"userName": "bot", "name": "Bot", "description": "deploys", "accessTokenType": "ACCESS_TOKEN_TYPE_JWT"});
    let bot = at(&post(desk, acme, "/management/v1/users/machine", body).await, "/userId");
    let bot = made.keep("bot", bot);
    let users = format!("/management/v1/users/{bot}");
    let secret = write(desk, Method::PUT, acme, &format!("{users}/secret"), json!({})).await;
    made.keep("bot_secret", at(&secret, "/clientSecret"));
    // Somebody whom terraform does not know as an account.
    let person = json!({"userName": "person", "name": "Person"});
    let person = post(desk, partner, "/management/v1/users/machine", person).await;
    let person = made.keep("person", at(&person, "/userId"));

    let minnie = json!({"organizationId": acme, "username": "minnie", "human": {
        "profile": {"givenName": "Minnie", "familyName": "Mouse", "preferredLanguage": "de", "gender": "GENDER_FEMALE"},
        "email": {"email": "minnie@example.com", "isVerified": true},
    }});
    let minnie = post(desk, acme, "/v2/users/new", minnie).await;
    made.keep("minnie", at(&minnie, "/id"));

    let entry = |key: &str, value: &str| json!({"key": key, "value": STANDARD.encode(value)});
    for (path, entries) in [
        (
            "/management/v1/metadata/_bulk".to_owned(),
            [entry("tier", "gold"), entry("value.form", "base64:")],
        ),
        (format!("{users}/metadata/_bulk"), [entry("team", "shop"), entry("cost/center", "7")]),
    ] {
        post(desk, acme, &path, json!({"metadata": entries})).await;
    }
    make_clients(desk, acme, &projects, &users, &mut made).await;
    let domains = "/management/v1/orgs/me/domains";
    for domain in ["acme.example", "shop.example"] {
        post(desk, acme, domains, json!({"domain": domain})).await;
    }
    post(desk, acme, &format!("{domains}/acme.example/_set_primary"), json!({})).await;

    let body = json!({"grantedOrgId": partner, "roleKeys": ["buyer"]});
    let grant = post(desk, acme, &format!("{projects}/grants"), body).await;
    let grant = made.keep("grant", at(&grant, "/grantId"));
    let body = json!({"projectId": project, "roleKeys": ["buyer", "seller"]});
    let user_grant = post(desk, acme, &format!("{users}/grants"), body).await;
    made.keep("user_grant", at(&user_grant, "/userGrantId"));
    for (path, user, role) in [
        ("/admin/v1/members".to_owned(), &bot, "IAM_OWNER_VIEWER"),
        ("/management/v1/orgs/me/members".to_owned(), &bot, "ORG_OWNER"),
        (format!("{projects}/members"), &bot, "PROJECT_OWNER"),
        (format!("{projects}/grants/{grant}/members"), &person, "PROJECT_GRANT_OWNER"),
    ] {
        post(desk, acme, &path, json!({"userId": user, "roles": [role]})).await;
    }
    make_providers(desk, &mut made).await;
    make_identity_providers(desk, acme, &mut made).await;
    set_policies(desk, acme, partner).await;
    made
}

/// What e-mails and SMS are sent by.
async fn make_providers(desk: &Desk, made: &mut Made) {
    let password = made.keep("smtp_password", "pa55word-of-smtp".into());
    let token = made.keep("twilio_token", "t0ken-of-twilio".into());
    let smtp = json!({
        "description": "mail server",
        "host": "mail.example:25",
        "tls": true,
        "user": "mailer",
        "password": password,
        "senderAddress": "noreply@localhost",
        "senderName": "Shop",
    });
    let email_hook = json!({"description": "spare", "endpoint": "https://203.0.113.7/mail"});
    let twilio = json!({
        "description": "twilio",
        "sid": "AC1",
        "senderNumber": "+15550100",
        "token": token,
    });
    let sms_hook = json!({"description": "spare", "endpoint": "https://203.0.113.7/sms"});
    for (name, path, body) in [
        ("smtp", "/admin/v1/email/smtp", smtp),
        ("email_hook", "/admin/v1/email/http", email_hook),
        ("twilio", "/admin/v1/sms/twilio", twilio),
        ("sms_hook", "/admin/v1/sms/http", sms_hook),
    ] {
        made.keep(name, at(&post(desk, "", path, body).await, "/id"));
    }
    for path in [
        format!("/admin/v1/email/{}/_activate", made.of("smtp")),
        format!("/admin/v1/sms/{}/_activate", made.of("sms_hook")),
    ] {
        post(desk, "", &path, json!({})).await;
    }
}

/// Where people log in with an account of theirs: at the instance and in the organization.
async fn make_identity_providers(desk: &Desk, acme: &str, made: &mut Made) {
    let secret = made.keep("idp_secret", "s3cret-of-idp".into());
    let key = made.keep("idp_key", "k3y-of-idp".into());
    let client = json!({"clientId": "c", "clientSecret": secret, "scopes": ["email", "openid"]});
    let endpoints = json!({
        "authorizationEndpoint": "https://o.example/a",
        "tokenEndpoint": "https://o.example/t",
        "userEndpoint": "https://o.example/u",
    });
    let with = |more: Value| merged(client.clone(), &more);
    let metadata = STANDARD.encode("<EntityDescriptor entityID=\"idp\"></EntityDescriptor>");
    let ldap = json!({
        "servers": ["ldaps://b.example", "ldaps://a.example"],
        "baseDn": "dc=example",
        "bindDn": "cn=admin",
        "bindPassword": "pa55word-of-ldap",
        "userBase": "dn",
        "userObjectClasses": ["person"],
        "userFilters": ["mail", "uid"],
        "timeout": "60s",
        "attributes": {"idAttribute": "uid", "firstNameAttribute": "givenName"},
    });
    let saml = json!({
        "metadataXml": metadata,
        "binding": "SAML_BINDING_POST",
        "withSignedRequest": true,
        "nameIdFormat": "SAML_NAME_ID_FORMAT_TRANSIENT",
        "transientMappingAttributeName": "uid",
        "signatureAlgorithm": "SAML_SIGNATURE_RSA_SHA256",
    });
    let organizations = json!({"tenantType": "AZURE_AD_TENANT_TYPE_ORGANISATIONS"});
    let azure = |tenant: Value| with(json!({"tenant": tenant, "emailVerified": true}));
    let oidc = json!({"issuer": "https://i.example", "isIdTokenMapping": true, "usePkce": true});
    let apple = json!({
        "clientId": "c",
        "teamId": "ABCDEFGHIJ",
        "keyId": "KEYID12345",
        "privateKey": STANDARD.encode(key),
        "scopes": ["name"],
    });
    let jwt = json!({
        "issuer": "https://j.example",
        "jwtEndpoint": "https://j.example/jwt",
        "keysEndpoint": "https://j.example/keys",
        "headerName": "x-auth",
    });
    let same = |body: Value| [Some(body.clone()), Some(body)];
    let of_tenant = azure(json!({"tenantId": "9d0f7c1e"}));
    for (names, path, bodies) in [
        (["idp_oidc", "org_idp_oidc"], "generic_oidc", same(with(oidc))),
        (
            ["idp_oauth", "org_idp_oauth"],
            "oauth",
            same(with(merged(json!({"idAttribute": "sub"}), &endpoints))),
        ),
        (
            ["idp_azure_ad", "org_idp_azure_ad"],
            "azure",
            [Some(azure(organizations)), Some(of_tenant)],
        ),
        (["idp_github", "org_idp_github"], "github", same(client.clone())),
        (["idp_github_es", "org_idp_github_es"], "github_es", same(with(endpoints))),
        (["idp_gitlab", "org_idp_gitlab"], "gitlab", same(client.clone())),
        (
            ["idp_gitlab_self_hosted", "org_idp_gitlab_self_hosted"],
            "gitlab_self_hosted",
            same(with(json!({"issuer": "https://g.example"}))),
        ),
        (["idp_google", "org_idp_google"], "google", same(client.clone())),
        (["idp_apple", "org_idp_apple"], "apple", same(apple)),
        (["idp_ldap", "org_idp_ldap"], "ldap", same(ldap)),
        (["idp_saml", "org_idp_saml"], "saml", same(saml)),
        (["", "org_idp_jwt"], "generic_jwt", [None, Some(jwt)]),
    ] {
        let places = [("", "admin"), (acme, "management")];
        for ((name, body), (org, api)) in names.into_iter().zip(bodies).zip(places) {
            let Some(body) = body else { continue };
            let options = json!({
                "isLinkingAllowed": true,
                "isCreationAllowed": true,
                "isAutoUpdate": true,
                "autoLinking": "AUTO_LINKING_OPTION_USERNAME",
            });
            let common = json!({"name": name.replace('_', " "), "providerOptions": options});
            let path = format!("/{api}/v1/idps/{path}");
            let answer = post(desk, org, &path, merged(common, &body)).await;
            made.keep(name, at(&answer, "/id"));
        }
    }
}

/// Applications, keys and tokens.
async fn make_clients(desk: &Desk, acme: &str, projects: &str, users: &str, made: &mut Made) {
    let body = json!({
        "name": "Web",
        "redirectUris": ["https://shop.example/b", "https://shop.example/a"],
        "postLogoutRedirectUris": ["https://shop.example"],
        "responseTypes": ["OIDC_RESPONSE_TYPE_CODE"],
        "grantTypes": ["OIDC_GRANT_TYPE_AUTHORIZATION_CODE", "OIDC_GRANT_TYPE_REFRESH_TOKEN"],
        "clockSkew": "1s",
        "accessTokenType": "OIDC_TOKEN_TYPE_JWT",
        "accessTokenRoleAssertion": true,
        "loginVersion": {"loginV1": {}},
    });
    let web = post(desk, acme, &format!("{projects}/apps/oidc"), body).await;
    made.keep("web", at(&web, "/appId"));
    made.keep("web_client", at(&web, "/clientId"));
    made.keep("web_secret", at(&web, "/clientSecret"));
    let body = json!({
        "name": "Native",
        "redirectUris": ["shop://callback"],
        "responseTypes": ["OIDC_RESPONSE_TYPE_CODE"],
        "grantTypes": ["OIDC_GRANT_TYPE_AUTHORIZATION_CODE"],
        "appType": "OIDC_APP_TYPE_NATIVE",
        "authMethodType": "OIDC_AUTH_METHOD_TYPE_NONE",
    });
    let native = post(desk, acme, &format!("{projects}/apps/oidc"), body).await;
    made.keep("native", at(&native, "/appId"));
    made.keep("native_client", at(&native, "/clientId"));
    let body = json!({"name": "API", "authMethodType": "API_AUTH_METHOD_TYPE_PRIVATE_KEY_JWT"});
    let api = post(desk, acme, &format!("{projects}/apps/api"), body).await;
    made.keep("api_client", at(&api, "/clientId"));
    let api = made.keep("api", at(&api, "/appId"));
    let metadata = STANDARD.encode("<EntityDescriptor entityID=\"a\"/>");
    let body = json!({"name": "SAML", "metadataXml": metadata});
    let saml = post(desk, acme, &format!("{projects}/apps/saml"), body).await;
    made.keep("saml", at(&saml, "/appId"));

    let ends = json!({"type": "KEY_TYPE_JSON", "expirationDate": "2519-04-01T08:45:00Z"});
    let file =
        |key: &Value| String::from_utf8(STANDARD.decode(at(key, "/keyDetails")).unwrap()).unwrap();
    let key = post(desk, acme, &format!("{users}/keys"), ends.clone()).await;
    made.keep("machine_key", at(&key, "/keyId"));
    made.keep("machine_key_file", file(&key));
    let token = post(desk, acme, &format!("{users}/pats"), ends.clone()).await;
    made.keep("token", at(&token, "/tokenId"));
    made.keep("token_value", at(&token, "/token"));
    let key = post(desk, acme, &format!("{projects}/apps/{api}/keys"), ends).await;
    made.keep("app_key", at(&key, "/id"));
    made.keep("app_key_file", file(&key));
}

/// How login pages look.
fn label(primary: &str, primary_dark: &str, mode: &str) -> Value {
    json!({
        "primaryColor": primary, "backgroundColor": "#ffffff", "warnColor": "#cd3d56", "fontColor": "#000000",
        "primaryColorDark": primary_dark, "backgroundColorDark": "#111827", "warnColorDark": "#ff3b5b",
        "fontColorDark": "#ffffff", "themeMode": format!("THEME_MODE_{mode}"),
        "hideLoginNameSuffix": mode == "LIGHT", "disableWatermark": mode == "DARK",
    })
}

async fn set_policies(desk: &Desk, acme: &str, partner: &str) {
    let login = json!({
        "allowUsernamePassword": true,
        "allowExternalIdp": true,
        "passwordlessType": "PASSWORDLESS_TYPE_ALLOWED",
        "ignoreUnknownUsernames": true,
        "defaultRedirectUri": "https://shop.example",
        "passwordCheckLifetime": "864000s",
        "externalLoginCheckLifetime": "864000s",
        "mfaInitSkipLifetime": "2592000s",
        "secondFactorCheckLifetime": "66600s",
        "multiFactorCheckLifetime": "43200s",
        "allowDomainDiscovery": true,
        "disableLoginWithEmail": true,
        "secondFactors": ["SECOND_FACTOR_TYPE_OTP", "SECOND_FACTOR_TYPE_U2F"],
        "multiFactors": ["MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION"],
    });
    let links = json!({"tosLink": "https://partner.example/{{.Lang}}", "supportEmail": "help@partner.example"});
    let complexity = json!({"minLength": 12, "hasUppercase": true, "hasLowercase": true});
    let age = json!({"maxAgeDays": 90, "expireWarnDays": 7});
    for (org, path, body) in [
        (partner, "privacy", links),
        (acme, "password/complexity", complexity),
        (acme, "password/age", age),
        (acme, "lockout", json!({"maxPasswordAttempts": 5})),
        (acme, "notification", json!({"passwordChange": false})),
        (acme, "login", login),
        (acme, "label", label("#b3261e", "#f2b8b5", "LIGHT")),
    ] {
        post(desk, org, &format!("/management/v1/policies/{path}"), body).await;
    }
    post(desk, acme, "/management/v1/policies/label/_activate", json!({})).await;
    let domain = json!({"validateOrgDomains": true});
    post(desk, "", &format!("/admin/v1/orgs/{acme}/policies/domain"), domain).await;
    for message in [
        "init",
        "passwordreset",
        "verifyemail",
        "verifyphone",
        "verifysmsotp",
        "verifyemailotp",
        "domainclaimed",
        "passwordless_registration",
        "password_change",
        "invite_user",
    ] {
        for (org, api) in [("", "admin"), (acme, "management")] {
            let path = format!("/{api}/v1/text/message/{message}/de");
            let text = json!({"title": message, "subject": "Betreff", "text": "Code {{.Code}}"});
            write(desk, Method::PUT, org, &path, text).await;
        }
    }
    let login = json!({
        "allowUsernamePassword": true,
        "allowRegister": true,
        "allowExternalIdp": true,
        "hidePasswordReset": true,
        "passwordCheckLifetime": "3600s",
        "externalLoginCheckLifetime": "7200s",
        "mfaInitSkipLifetime": "0s",
        "secondFactorCheckLifetime": "14400s",
        "multiFactorCheckLifetime": "18000s",
        "disableLoginWithPhone": true,
    });
    let complexity =
        json!({"minLength": 10, "hasUppercase": true, "hasLowercase": true, "hasNumber": true});
    let security = json!({
        "enableImpersonation": true,
        "embeddedIframe": {"enabled": true, "allowedOrigins": ["https://a.example", "https://b.example"]},
    });
    let restrictions =
        json!({"disallowPublicOrgRegistration": true, "allowedLanguages": {"list": ["de", "en"]}});
    let client = desk.client(&desk.emulator().pat());
    for (path, body) in [
        ("/admin/v1/policies/privacy", json!({"tosLink": "https://example.com/tos"})),
        (
            "/admin/v1/policies/domain",
            json!({"validateOrgDomains": true, "smtpSenderAddressMatchesInstanceDomain": true}),
        ),
        ("/admin/v1/policies/password/complexity", complexity),
        ("/admin/v1/policies/password/age", json!({"maxAgeDays": 365})),
        (
            "/admin/v1/policies/password/lockout",
            json!({"maxPasswordAttempts": 10, "maxOtpAttempts": 8}),
        ),
        ("/admin/v1/policies/notification", json!({"passwordChange": true})),
        ("/admin/v1/policies/login", login),
        ("/admin/v1/policies/label", label("#0b3d91", "#7aa2f7", "DARK")),
        ("/v2/policies/security", security),
        ("/admin/v1/restrictions", restrictions),
    ] {
        // What is so already is refused as no change.
        client.write::<Value>(Method::PUT, None, path, &body).await.ok();
    }
    post(desk, "", "/admin/v1/policies/label/_activate", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_terraform_manages_plans_to_nothing() {
    let desk = Desk::new().await;
    let made = make(&desk).await;
    fs::write(desk.path().join("state.json"), made.state()).unwrap();
    let export =
        ["export", "--from-terraform", "state.json", "--dir", "out", "--secrets-to", "dir:secrets"];
    let ran = desk.run_with(&export, &[("ZITADEL_ISSUER", ""), ("ZITADEL_TOKEN", "")]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let validate = desk.run(&["validate", "-f", "out", "--strict"]).await;
    assert_eq!(validate.code, 0, "{}", validate.stdout);

    let written: String = super::laws::files(&desk.path().join("out")).into_values().collect();
    for entry in kastellan::kinds::REGISTRY.all().filter(|entry| !entry.is_connection()) {
        assert!(written.contains(&format!("kind: {}\n", entry.kind())), "{}", entry.kind());
    }
    // A live instance has the same names; what is in it besides is more.
    let kinds = ["Project", "ProjectRole", "MachineUser", "OidcApplication", "SamlApplication"];
    let kinds = kinds.map(|kind| ["--kind", kind]).concat();
    let part = ["--organization", "ACME", "--dir"];
    for (dir, from) in [("a", &export[..3]), ("b", &export[..1])] {
        let ran = desk.run(&[from, &kinds, &part, &[dir]].concat()).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    let files = |dir| super::laws::files(&desk.path().join(dir)).into_keys().collect::<Vec<_>>();
    assert_eq!(files("a"), files("b"));

    let secrets = [
        "bot_secret",
        "web_secret",
        "token_value",
        "machine_key_file",
        "app_key_file",
        "smtp_password",
        "twilio_token",
        "idp_secret",
        "idp_key",
    ];
    let manifests = desk.run(&["export", "--from-terraform", "state.json"]).await.stdout;
    for text in [&ran.stderr, &ran.stdout, &manifests] {
        let secrets = secrets.iter().map(|secret| made.of(secret));
        for secret in secrets.chain([NEVER_SHOWN, "PRIVATE KEY"]) {
            assert!(!text.contains(secret), "{text}");
        }
    }
    let secret = |name: &str, key: &str| desk.path().join("secrets/default").join(name).join(key);
    let web = secret("acme-shop-web-oidc-application", "clientSecret");
    assert_eq!(fs::read_to_string(&web).unwrap(), made.of("web_secret"));
    assert_eq!(fs::metadata(&web).unwrap().permissions().mode() & 0o777, 0o600);
    let bot = |key: &str| fs::read_to_string(secret("acme-bot-machine-user", key)).unwrap();
    assert_eq!((bot("clientId"), bot("clientSecret")), {
        ("bot".to_owned(), made.of("bot_secret").to_owned())
    });

    let token = secret("twilio-sms-provider", "token");
    assert_eq!(fs::read_to_string(&token).unwrap(), made.of("twilio_token"));

    let key = secret("idp-apple-identity-provider", "privateKey");
    assert_eq!(fs::read_to_string(&key).unwrap(), made.of("idp_key"));

    let before = desk.writes();
    let plan = desk.run(&["plan", "-f", "out", "--secret-dir", "secrets"]).await;
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
    let apply = ["apply", "-f", "out", "--secret-dir", "secrets", "--secrets-to", "dir:secrets"];
    let apply = desk.run(&apply).await;
    assert_eq!(apply.code, 0, "{}{}", apply.stdout, apply.stderr);
    assert_eq!(desk.writes(), before, "nothing is written: {}", apply.stdout);
    assert_eq!(fs::read_to_string(&web).unwrap(), made.of("web_secret"), "and nothing issued");

    // What is newer than the state stays.
    fs::write(&web, "newer").unwrap();
    let again = desk.run(&export).await;
    assert!(again.stderr.contains("clientSecret holds another value"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(&web).unwrap(), "newer");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_is_told_of_both_formats_and_of_a_part() {
    let desk = Desk::new().await;
    fs::write(desk.path().join("state.json"), STATE.replace('~', "id-")).unwrap();
    let export = ["export", "--from-terraform", "state.json"];
    let whole = desk.run(&export).await;
    snapshot("export-from-terraform", &whole);

    let mut state: Value = serde_json::from_str(&STATE.replace('~', "id-")).unwrap();
    let mut resources = Vec::new();
    for resource in state["resources"].as_array_mut().unwrap() {
        let text = |field: &str| resource[field].as_str().map_or(String::new(), ToOwned::to_owned);
        let module = resource["module"].as_str().map_or(String::new(), |m| format!("{m}."));
        for instance in resource["instances"].as_array().unwrap() {
            let key = instance.get("index_key").map_or(String::new(), |key| format!("[{key}]"));
            resources.push(json!({
                "address": format!("{module}{}.{}{key}", text("type"), text("name")),
                "mode": text("mode"),
                "type": text("type"),
                "values": instance["attributes"],
            }));
        }
    }
    let shown = json!({"format_version": "1.0", "values": {"root_module": {"child_modules": [
        {"resources": resources},
    ]}}});
    fs::write(desk.path().join("shown.json"), shown.to_string()).unwrap();
    let other = desk.run(&["export", "--from-terraform", "shown.json"]).await;
    assert_eq!((other.stdout, other.stderr), (whole.stdout, whole.stderr));

    let part = [&export[..], &["--organization", "acme", "--kind", "ProjectRole"]].concat();
    snapshot(
        "export-from-terraform-a-part",
        &desk.run(&[&part[..], &["--namespace", "team"]].concat()).await,
    );
    let nobody = desk.run(&[&export[..], &["--organization", "nobody"]].concat()).await;
    assert_eq!(nobody.code, 1, "{}", nobody.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_named() {
    let desk = Desk::new().await;
    let managed = |of_type: &str, name: &str, attributes: Value| json!({"mode": "managed", "type": of_type, "name": name, "instances": [{"attributes": attributes}]});
    let project = |name: &str, org: Value| json!({"id": name, "org_id": org, "name": name});
    let state = json!({"version": 4, "terraform_version": "1.9.8", "resources": [
        managed("zitadel_project", "homeless", project("homeless", Value::Null)),
        managed("zitadel_project", "shop", project("shop", json!("elsewhere"))),
        managed("zitadel_project", "twin", project("shop", json!("elsewhere"))),
        managed("zitadel_project", "nameless", json!({"name": "Nameless", "org_id": "elsewhere"})),
        managed("zitadel_application_v2", "what", json!({"id": "1", "name": "What", "project_id": "shop"})),
        managed("zitadel_application_v2", "url", json!({"id": "2", "name": "URL", "project_id": "shop",
            "saml": [{"metadata_url": "https://a.example"}]})),
        managed("zitadel_application_oidc", "word", json!({"id": "3", "name": "Word", "project_id": "shop",
            "app_type": "OIDC_APP_TYPE_TOASTER"})),
        managed("zitadel_application_api", "far", json!({"id": "4", "name": "Far", "project_id": "far",
            "org_id": "elsewhere", "client_id": "c", "client_secret": NEVER_SHOWN})),
        managed("zitadel_machine_key", "key", json!({"id": "5", "user_id": "somebody",
            "org_id": "elsewhere", "key_details": NEVER_SHOWN})),
        managed("zitadel_user_grant", "of_nothing", json!({"id": "7", "user_id": "somebody",
            "org_id": "elsewhere", "role_keys": []})),
        managed("zitadel_org_member", "somebody", json!({"id": "6", "user_id": "somebody",
            "org_id": "elsewhere", "roles": ["ORG_OWNER"]})),
    ]});
    fs::write(desk.path().join("state.json"), state.to_string()).unwrap();
    let ran = desk.run(&["export", "--from-terraform", "state.json"]).await;
    assert!(!ran.text().contains(NEVER_SHOWN));
    snapshot("export-from-terraform-misfits", &ran);
    fs::write(desk.path().join("out.yaml"), &ran.stdout).unwrap();
    let validate = desk.run(&["validate", "-f", "out.yaml", "--strict"]).await;
    assert_eq!(validate.code, 0, "{}", validate.stdout);

    let policy = json!({"id": "elsewhere", "org_id": "elsewhere", "support_email": "ask Minnie"});
    let state = json!({"version": 4, "terraform_version": "1.9.8", "resources": [
        managed("zitadel_privacy_policy", "old", policy),
    ]});
    fs::write(desk.path().join("old.json"), state.to_string()).unwrap();
    snapshot(
        "export-from-terraform-invalid",
        &desk.run(&["export", "--from-terraform", "old.json"]).await,
    );

    let mut told = String::new();
    for (name, text) in [
        ("none.json", "resource \"zitadel_org\" \"a\" {}".to_owned()),
        (
            "old.json",
            json!({"version": 3, "terraform_version": "0.11.14", "modules": []}).to_string(),
        ),
        ("encrypted.json", json!({"serial": 1, "encrypted_data": NEVER_SHOWN}).to_string()),
        ("plan.json", json!({"format_version": "1.2", "planned_values": {}}).to_string()),
        ("other.json", json!({"version": 4, "resources": []}).to_string()),
    ] {
        fs::write(desk.path().join(name), text).unwrap();
        let ran = desk.run(&["export", "--from-terraform", name]).await;
        assert_eq!(ran.code, 1);
        told += &ran.stderr;
    }
    told += &desk.run(&["export", "--from-terraform", "gone.json"]).await.stderr;
    told += &desk.run(&["export", "--secrets-to", "dir:secrets"]).await.stderr;
    assert!(!told.contains(NEVER_SHOWN));
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("export-from-terraform-errors", told);
    });
}
