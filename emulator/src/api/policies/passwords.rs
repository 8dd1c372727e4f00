//! The routes of the policies about passwords.

use super::{
    super::{Access::Permission, Route},
    Routes, instance, organization, read, read_v2,
};
use crate::{
    errors::ApiError,
    model::policy::{AGE, COMPLEXITY, Kind, LOCKOUT, NOTIFICATION},
};

/// Where the routes of a kind lie.
struct Paths {
    kind: &'static Kind,
    instance: &'static str,
    instance_update: &'static str,
    organization: &'static str,
    default: &'static str,
    /// The settings service v2: its path, and its names of the fields.
    v2: Option<(&'static str, &'static [(&'static str, &'static str)])>,
}

const PATHS: [Paths; 4] = [
    Paths {
        kind: &COMPLEXITY,
        instance: "/admin/v1/policies/password/complexity",
        instance_update: "/admin/v1/policies/password/complexity",
        organization: "/management/v1/policies/password/complexity",
        default: "/management/v1/policies/default/password/complexity",
        v2: Some((
            "/v2/settings/password/complexity",
            &[
                ("minLength", "minLength"),
                ("hasUppercase", "requiresUppercase"),
                ("hasLowercase", "requiresLowercase"),
                ("hasNumber", "requiresNumber"),
                ("hasSymbol", "requiresSymbol"),
            ],
        )),
    },
    Paths {
        kind: &AGE,
        instance: "/admin/v1/policies/password/age",
        instance_update: "/admin/v1/policies/password/age",
        organization: "/management/v1/policies/password/age",
        default: "/management/v1/policies/default/password/age",
        v2: Some((
            "/v2/settings/password/expiry",
            &[("maxAgeDays", "maxAgeDays"), ("expireWarnDays", "expireWarnDays")],
        )),
    },
    Paths {
        kind: &LOCKOUT,
        instance: "/admin/v1/policies/lockout",
        instance_update: "/admin/v1/policies/password/lockout",
        organization: "/management/v1/policies/lockout",
        default: "/management/v1/policies/default/lockout",
        v2: Some((
            "/v2/settings/lockout",
            &[("maxPasswordAttempts", "maxPasswordAttempts"), ("maxOTPAttempts", "maxOtpAttempts")],
        )),
    },
    Paths {
        kind: &NOTIFICATION,
        instance: "/admin/v1/policies/notification",
        instance_update: "/admin/v1/policies/notification",
        organization: "/management/v1/policies/notification",
        default: "/management/v1/policies/default/notification",
        v2: None,
    },
];

pub(super) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    for Paths { kind, instance: read_at, instance_update, organization: path, default, v2 } in PATHS
    {
        routes.extend(instance(read_at, instance_update, kind));
        routes.extend(organization(
            &Routes { path, read: "policy.read", write: "policy.write", remove: "policy.delete" },
            kind,
        ));
        routes.push(Route::get(default, Permission("policy.read"), |call| {
            let instance = call.state.instance_id.clone();
            read(call, kind, &instance, kind.fields)
        }));
        if let Some((path, names)) = v2 {
            routes.push(Route::get(path, Permission("policy.read"), |call| {
                read_v2(call, kind, names)
            }));
        }
    }
    let [_, add, _] = &NOTIFICATION.requests;
    routes.push(Route::post(
        "/admin/v1/policies/notification",
        Permission("iam.policy.write"),
        add,
        |_| Err(ApiError::exists("INSTANCE-xpo1bj", "Default Notification Policy already exists")),
    ));
    routes
}

/// Refuses a length that is none; checked before anything is looked up.
pub(super) fn check(
    kind: &Kind,
    want: &serde_json::Map<String, serde_json::Value>,
) -> Result<(), ApiError> {
    let length = want.get("minLength").and_then(serde_json::Value::as_u64);
    if kind.name == COMPLEXITY.name && !matches!(length, Some(1..=72)) {
        return Err(ApiError::invalid("MODEL-Lsp0e", "Given minimum length is not allowed"));
    }
    Ok(())
}

/// Whether the organization's read tells, next to the policy, that it is inherited.
pub(super) fn tells_default_outside(kind: &Kind) -> bool {
    [COMPLEXITY.name, AGE.name, LOCKOUT.name].contains(&kind.name)
}
