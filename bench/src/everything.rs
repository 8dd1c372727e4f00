//! A world with things of all kinds: what a project has, what an organization has, and what the
//! instance has.

use serde_json::{Value, json};

use crate::world::{organization, project};

/// Objects by kind.
pub(crate) type Objects = Vec<(&'static str, Vec<(String, Value)>)>;

/// What providers need: the Secret, its key and what it holds.
pub(crate) const SECRET: (&str, &str, &str) = ("provider", "secret", "S3cret-of-a-provider");

/// All that there is besides organizations and projects.
pub(crate) fn objects(projects: usize, organizations: usize) -> Objects {
    let part = |kind: &str, i| of_project(kind, i, organizations);
    let mut all: Objects = PROJECT.map(|kind| (kind, each(projects, kind, part))).into();
    all.extend(ORGANIZATION.map(|kind| (kind, each(organizations, kind, of_organization))));
    all.extend(INSTANCE.map(|kind| (kind, vec![("instance".to_owned(), of_instance(kind))])));
    all
}

fn each(n: usize, kind: &str, of: impl Fn(&str, usize) -> Vec<Value>) -> Vec<(String, Value)> {
    let parts = |i: usize| {
        let named = move |(part, spec)| (format!("of-{i:05}-{part}"), spec);
        of(kind, i).into_iter().enumerate().map(named)
    };
    (0..n).flat_map(parts).collect()
}

const PROJECT: [&str; 12] = [
    "ProjectRole",
    "OidcApplication",
    "ApiApplication",
    "SamlApplication",
    "MachineUser",
    "HumanUser",
    "MachineKey",
    "PersonalAccessToken",
    "ApplicationKey",
    "UserGrant",
    "ProjectGrant",
    "Administrator",
];

fn of_project(kind: &str, i: usize, organizations: usize) -> Vec<Value> {
    let (project, home) = (json!({"name": project(i)}), home(i % organizations));
    let account = json!({"name": format!("of-{i:05}-0")});
    let secret = |of: &str| json!({"name": format!("{of}-{i:05}")});
    match kind {
        "ProjectRole" => {
            let role = |part| json!({"projectRef": project, "key": format!("role-{part}")});
            (0..5).map(role).collect()
        }
        "OidcApplication" => {
            let web = json!({"projectRef": project, "name": "web", "authMethod": "None", "redirectUris": ["https://a.example"]});
            let app = json!({"projectRef": project, "name": "app", "authMethod": "None", "redirectUris": ["https://b.example"]});
            vec![web, app]
        }
        "ApiApplication" => {
            vec![json!({"projectRef": project, "name": "api", "authMethod": "PrivateKeyJwt"})]
        }
        "SamlApplication" => {
            let xml = format!(
                r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://{i}.example"><md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://{i}.example/acs" index="1"/></md:SPSSODescriptor></md:EntityDescriptor>"#
            );
            vec![json!({"projectRef": project, "name": "saml", "metadata": {"xml": xml}})]
        }
        "MachineUser" => vec![home],
        "HumanUser" => {
            let initial = json!({"profile": {"givenName": "Ada", "familyName": "Lovelace"}});
            let email = format!("ada-{i}@example.com");
            vec![with(&home, json!({"userName": email, "email": email, "initial": initial}))]
        }
        "MachineKey" => vec![json!({"userRef": account, "secret": secret("key")})],
        "PersonalAccessToken" => {
            vec![json!({"userRef": account, "lifetime": "720h", "secret": secret("token")})]
        }
        "ApplicationKey" => {
            let application = with(&json!({"kind": "ApiApplication"}), account);
            vec![
                json!({"applicationRef": application, "lifetime": "720h", "secret": secret("api-key")}),
            ]
        }
        "UserGrant" => {
            let grant = json!({"userRef": account, "projectRef": project, "roleKeys": ["role-0", "role-1"]});
            vec![with(&home, grant)]
        }
        "ProjectGrant" => {
            let to = json!({"name": organization((i + 1) % organizations)});
            vec![
                json!({"projectRef": project, "grantedOrganizationRef": to, "roleKeys": ["role-0"]}),
            ]
        }
        _ if i < organizations => {
            vec![with(&home, json!({"userRef": account, "roles": ["ORG_OWNER_VIEWER"]}))]
        }
        _ => Vec::new(),
    }
}

const ORGANIZATION: [&str; 13] = [
    "DomainPolicy",
    "LoginPolicy",
    "LockoutPolicy",
    "PasswordComplexityPolicy",
    "PasswordAgePolicy",
    "NotificationPolicy",
    "PrivacyPolicy",
    "LabelPolicy",
    "MessageText",
    "IdentityProvider",
    "OrganizationDomain",
    "OrganizationMetadata",
    "UserMetadata",
];

fn of_organization(kind: &str, o: usize) -> Vec<Value> {
    let more = match kind {
        "UserMetadata" => {
            let person = json!({"kind": "HumanUser", "name": format!("of-{o:05}-0")});
            return vec![json!({"userRef": person, "entries": {"team": "payments"}})];
        }
        "MessageText" => {
            let text = |language| json!({"type": "PasswordReset", "language": language, "subject": "Password"});
            return ["en", "de"].map(|language| with(&home(o), text(language))).into();
        }
        "DomainPolicy" => json!({"userLoginMustBeDomain": false}),
        "LoginPolicy" => json!({"allowRegister": false}),
        "PasswordAgePolicy" => json!({"maxAgeDays": 365}),
        "NotificationPolicy" => json!({"passwordChange": false}),
        "PrivacyPolicy" => json!({"helpLink": "https://help.example.com"}),
        "LabelPolicy" => json!({"primaryColor": "#b3261e"}),
        "IdentityProvider" => oidc_provider(),
        "OrganizationDomain" => json!({"domain": format!("{o}.example.com")}),
        "OrganizationMetadata" => json!({"entries": {"tier": "gold"}}),
        _ => small(kind),
    };
    vec![with(&home(o), more)]
}

const INSTANCE: [&str; 9] = [
    "SecurityPolicy",
    "Restrictions",
    "WebKeys",
    "EmailProvider",
    "SmsProvider",
    "IdentityProvider",
    "LockoutPolicy",
    "PasswordComplexityPolicy",
    "LabelPolicy",
];

fn of_instance(kind: &str) -> Value {
    let (name, key, _) = SECRET;
    let secret = json!({"name": name, "key": key});
    match kind {
        "SecurityPolicy" => json!({"enableImpersonation": false}),
        "Restrictions" => json!({"disallowPublicOrgRegistration": true}),
        "WebKeys" => json!({"algorithm": "RSA-2048-SHA256", "rotateAfter": "2160h"}),
        "EmailProvider" => json!({"smtp": {
            "host": "smtp.example.com:587", "tls": true, "senderAddress": "noreply@example.com", "senderName": "Example",
            "user": "mailer", "authentication": "Plain", "passwordSecretRef": secret,
        }}),
        "SmsProvider" => json!({"twilio": {
            "sid": "AC0123456789abcdef0123456789abcdef", "senderNumber": "+15550100", "tokenSecretRef": secret,
        }}),
        "IdentityProvider" => oidc_provider(),
        "LabelPolicy" => json!({"primaryColor": "#0b3d91"}),
        _ => small(kind),
    }
}

/// Policies that look the same everywhere.
fn small(kind: &str) -> Value {
    match kind {
        "LockoutPolicy" => json!({"maxPasswordAttempts": 5}),
        _ => json!({"minLength": 12}),
    }
}

fn oidc_provider() -> Value {
    let (name, key, _) = SECRET;
    json!({"name": "Keycloak", "oidc": {
        "issuer": "https://keycloak.example.com", "clientId": "zitadel", "scopes": ["openid"],
        "clientSecretRef": {"name": name, "key": key},
    }})
}

fn home(o: usize) -> Value {
    json!({"organizationRef": {"name": organization(o)}})
}

fn with(spec: &Value, more: Value) -> Value {
    let (mut spec, mut more) = (spec.clone(), more);
    if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object_mut()) {
        spec.append(more);
    }
    spec
}
