//! What a login policy leaves of ways to log in.

use serde::Deserialize;

use crate::{
    contract::Access,
    zitadel::{Code, Result},
};

/// Where the login policies are.
pub(super) const INSTANCE: &str = "/admin/v1/policies/login";
pub(super) const ORGANIZATION: &str = "/management/v1/policies/login";

/// Where there is no way in.
pub(super) const NONE: &str = "nobody could log in: passwords and passkeys are not allowed, and no \
                               identity provider is offered";

/// Whether the login policy of a provider's own place has no other way in than this one: with a
/// provider that is deleted ZITADEL takes it out of policies. An account that may not see the policy
/// does not take it for one.
pub(super) async fn needs_provider(access: &Access, id: &str) -> Result<Option<&'static str>> {
    #[derive(Deserialize)]
    struct Read {
        policy: Policy,
    }
    /// ZITADEL omits what is not allowed.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Policy {
        #[serde(default)]
        allow_username_password: bool,
        #[serde(default)]
        allow_external_idp: bool,
        passwordless_type: Option<String>,
        #[serde(default)]
        idps: Vec<Offered>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Offered {
        idp_id: String,
    }
    let path = if access.organization().is_some() { ORGANIZATION } else { INSTANCE };
    let policy = match access.client.get::<Read>(access.organization(), path).await {
        Ok(Read { policy }) => policy,
        Err(e) if matches!(e.code(), Some(Code::PermissionDenied | Code::NotFound)) => {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let has_passkeys =
        policy.passwordless_type.is_some_and(|word| word != "PASSWORDLESS_TYPE_NOT_ALLOWED");
    if policy.allow_username_password || has_passkeys || !policy.allow_external_idp {
        return Ok(None);
    }
    let offered = policy.idps.iter().map(|offered| offered.idp_id.as_str());
    let (going, staying): (Vec<&str>, Vec<&str>) = offered.partition(|offered| *offered == id);
    Ok((!access.would_leave(&going, staying.into_iter())).then_some(NONE))
}
