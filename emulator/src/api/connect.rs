//! The newer services that ZITADEL serves in two forms: what is a route of gRPC-gateway elsewhere is
//! a method over Connect here, with what that route has in its path and its query in the body.

use serde_json::Value;

use super::Route;
use crate::proto::{Field, Message, NAME, Request};

/// A method, and the route that does the same.
struct Twin {
    method: &'static str,
    route: &'static str,
    path: &'static str,
    /// The parts of the route's path, and the fields that stand for them.
    ids: &'static [(&'static str, &'static str)],
    /// What the route has in its query.
    query: &'static [Field],
}

const USER: &[(&str, &str)] = &[("id", "userId")];
const TOKEN: &[(&str, &str)] = &[("id", "userId"), ("token", "tokenId")];
const KEY: &[(&str, &str)] = &[("id", "userId"), ("key", "keyId")];
const ORGANIZATION: &[(&str, &str)] = &[("id", "organizationId")];
const KEYS: &[Field] = &[Field::text("keys").repeated()];
const DOMAIN: &[Field] = &[Field::text("domain").rules(NAME)];
static CONTEXT: Message = Message::new(
    "RequestContext",
    &[
        Field::text("orgId").in_group("resource_owner"),
        Field::flag("instance").in_group("resource_owner"),
    ],
);
const OF_CONTEXT: &[Field] = &[Field::message("ctx", &CONTEXT)];
const OF_PROVIDERS: &[Field] = &[
    Field::message("ctx", &CONTEXT),
    Field::flag("creationAllowed"),
    Field::flag("linkingAllowed"),
    Field::flag("autoCreation"),
    Field::flag("autoLinking"),
];

/// The methods of a service.
macro_rules! service {
    ($service:literal: $($name:literal = $method:literal $route:literal $ids:expr, $query:expr;)*) => {
        &[$(Twin {
            method: $method,
            route: $route,
            path: concat!("/zitadel.", $service, "/", $name),
            ids: $ids,
            query: $query,
        }),*]
    };
}

const USERS: &[Twin] = service! { "user.v2.UserService":
    "CreateUser" = "POST" "/v2/users/new" &[], &[];
    "ListUsers" = "POST" "/v2/users" &[], &[];
    "GetUserByID" = "GET" "/v2/users/{id}" USER, &[];
    "UpdateUser" = "PATCH" "/v2/users/{id}" USER, &[];
    "DeleteUser" = "DELETE" "/v2/users/{id}" USER, &[];
    "AddHumanUser" = "POST" "/v2/users/human" &[], &[];
    "UpdateHumanUser" = "PUT" "/v2/users/human/{id}" USER, &[];
    "SetEmail" = "POST" "/v2/users/{id}/email" USER, &[];
    "ResendEmailCode" = "POST" "/v2/users/{id}/email/resend" USER, &[];
    "SendEmailCode" = "POST" "/v2/users/{id}/email/send" USER, &[];
    "VerifyEmail" = "POST" "/v2/users/{id}/email/verify" USER, &[];
    "SetPhone" = "POST" "/v2/users/{id}/phone" USER, &[];
    "RemovePhone" = "DELETE" "/v2/users/{id}/phone" USER, &[];
    "ResendPhoneCode" = "POST" "/v2/users/{id}/phone/resend" USER, &[];
    "VerifyPhone" = "POST" "/v2/users/{id}/phone/verify" USER, &[];
    "SetPassword" = "POST" "/v2/users/{id}/password" USER, &[];
    "DeactivateUser" = "POST" "/v2/users/{id}/deactivate" USER, &[];
    "ReactivateUser" = "POST" "/v2/users/{id}/reactivate" USER, &[];
    "LockUser" = "POST" "/v2/users/{id}/lock" USER, &[];
    "UnlockUser" = "POST" "/v2/users/{id}/unlock" USER, &[];
    "AddSecret" = "POST" "/v2/users/{id}/secret" USER, &[];
    "RemoveSecret" = "DELETE" "/v2/users/{id}/secret" USER, &[];
    "AddPersonalAccessToken" = "POST" "/v2/users/{id}/pats" USER, &[];
    "RemovePersonalAccessToken" = "DELETE" "/v2/users/{id}/pats/{token}" TOKEN, &[];
    "ListPersonalAccessTokens" = "POST" "/v2/users/pats/search" &[], &[];
    "AddKey" = "POST" "/v2/users/{id}/keys" USER, &[];
    "RemoveKey" = "DELETE" "/v2/users/{id}/keys/{key}" KEY, &[];
    "ListKeys" = "POST" "/v2/users/keys/search" &[], &[];
    "SetUserMetadata" = "POST" "/v2/users/{id}/metadata" USER, &[];
    "ListUserMetadata" = "POST" "/v2/users/{id}/metadata/search" USER, &[];
    "DeleteUserMetadata" = "DELETE" "/v2/users/{id}/metadata" USER, KEYS;
};
const ORGANIZATIONS: &[Twin] = service! { "org.v2.OrganizationService":
    "AddOrganization" = "POST" "/v2/organizations" &[], &[];
    "ListOrganizations" = "POST" "/v2/organizations/_search" &[], &[];
    "UpdateOrganization" = "POST" "/v2/organizations/{id}" ORGANIZATION, &[];
    "DeleteOrganization" = "DELETE" "/v2/organizations/{id}" ORGANIZATION, &[];
    "DeactivateOrganization" = "POST" "/v2/organizations/{id}/deactivate" ORGANIZATION, &[];
    "ActivateOrganization" = "POST" "/v2/organizations/{id}/activate" ORGANIZATION, &[];
    "AddOrganizationDomain" = "POST" "/v2/organizations/{id}/domains" ORGANIZATION, &[];
    "ListOrganizationDomains" = "POST" "/v2/organizations/{id}/domains/search" ORGANIZATION, &[];
    "DeleteOrganizationDomain" = "DELETE" "/v2/organizations/{id}/domains" ORGANIZATION, DOMAIN;
    "GenerateOrganizationDomainValidation" =
        "POST" "/v2/organizations/{id}/domains/validation/generate" ORGANIZATION, &[];
    "VerifyOrganizationDomain" =
        "POST" "/v2/organizations/{id}/domains/validation/verify" ORGANIZATION, &[];
    "SetOrganizationMetadata" = "POST" "/v2/organizations/{id}/metadata" ORGANIZATION, &[];
    "ListOrganizationMetadata" = "POST" "/v2/organizations/{id}/metadata/search" ORGANIZATION, &[];
    "DeleteOrganizationMetadata" = "DELETE" "/v2/organizations/{id}/metadata" ORGANIZATION, KEYS;
};
const SETTINGS: &[Twin] = service! { "settings.v2.SettingsService":
    "GetGeneralSettings" = "GET" "/v2/settings" &[], &[];
    "GetLoginSettings" = "GET" "/v2/settings/login" &[], OF_CONTEXT;
    "GetPasswordComplexitySettings" = "GET" "/v2/settings/password/complexity" &[], OF_CONTEXT;
    "GetPasswordExpirySettings" = "GET" "/v2/settings/password/expiry" &[], OF_CONTEXT;
    "GetBrandingSettings" = "GET" "/v2/settings/branding" &[], OF_CONTEXT;
    "GetDomainSettings" = "GET" "/v2/settings/domain" &[], OF_CONTEXT;
    "GetLegalAndSupportSettings" = "GET" "/v2/settings/legal_support" &[], OF_CONTEXT;
    "GetLockoutSettings" = "GET" "/v2/settings/lockout" &[], OF_CONTEXT;
    "GetActiveIdentityProviders" = "GET" "/v2/settings/login/idps" &[], OF_PROVIDERS;
    "GetSecuritySettings" = "GET" "/v2/settings/security" &[], &[];
    "SetSecuritySettings" = "PUT" "/v2/policies/security" &[], &[];
};
const PROVIDERS: &[Twin] = service! { "idp.v2.IdentityProviderService":
    "GetIDPByID" = "GET" "/v2/idps/{id}" &[("id", "id")], &[];
};

/// The methods that do what routes do.
pub(super) fn twins(routes: &[Route]) -> Vec<Route> {
    let twins = [USERS, ORGANIZATIONS, SETTINGS, PROVIDERS].into_iter().flatten();
    twins
        .filter_map(|twin| {
            let is_it =
                |route: &&Route| route.path == twin.route && route.method.as_str() == twin.method;
            let route = routes.iter().find(is_it)?;
            Some(route.over_connect(twin.path, message(route.message, twin), twin.ids))
        })
        .collect()
}

/// The message of a method: that of the route, with what the route has elsewhere. It lives as long
/// as the program, like those that are written down.
fn message(of_route: &'static Message, twin: &Twin) -> &'static Message {
    if twin.ids.is_empty() && twin.query.is_empty() {
        return of_route;
    }
    let ids = twin.ids.iter().map(|(_, field)| Field::text(field).rules(NAME));
    let fields: Vec<Field> =
        ids.chain(twin.query.iter().copied()).chain(of_route.fields.iter().copied()).collect();
    Box::leak(Box::new(Message {
        name: of_route.name,
        fields: Box::leak(fields.into_boxed_slice()),
        one_of: of_route.one_of,
    }))
}

/// A request as a query has it.
pub(super) fn query(request: &Request) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (name, value) in &request.0 {
        flatten(name, value, &mut pairs);
    }
    pairs
}

fn flatten(name: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                flatten(&format!("{name}.{field}"), value, pairs);
            }
        }
        Value::Array(entries) => {
            for entry in entries {
                flatten(name, entry, pairs);
            }
        }
        Value::String(text) => pairs.push((name.to_owned(), text.clone())),
        other => pairs.push((name.to_owned(), other.to_string())),
    }
}
