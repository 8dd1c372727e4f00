//! Who is at the other end of a connection, and as whom we act.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, Code, Error, exchange::PROBE, status::NO_MEMBERSHIP};

/// An instance as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceIdentity {
    /// ZITADEL's own id of the instance.
    pub id: String,
    /// Version of the server, where it tells.
    pub version: Option<String>,
}

/// The account of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountIdentity {
    /// User id.
    pub id: String,
    /// Login name.
    pub name: String,
    /// The organization that it is in.
    pub organization: String,
    /// Where it has a role.
    pub sight: Sight,
}

/// Where an account has a role: what it can't see there does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// In the instance itself, and so everywhere.
    pub instance: bool,
    /// In these organizations.
    pub organizations: BTreeSet<String>,
}

impl Sight {
    /// Whether what an organization holds can be seen; `None`: what the instance itself holds, its
    /// organizations included.
    pub fn covers(&self, organization: Option<&str>) -> bool {
        self.instance || organization.is_some_and(|id| self.organizations.contains(id))
    }
}

/// Why an instance or account could not be identified.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IdentityError {
    /// A call failed.
    #[error(transparent)]
    Zitadel(Error),
    /// The server knows no instance of the issuer's host name.
    #[error("the server knows no instance of this host name")]
    UnknownHost,
    /// The account has no role in the instance or in an organization.
    #[error("the account has no role")]
    NoRole {
        /// Its login name, where ZITADEL told it.
        account: Option<String>,
    },
}

impl From<Error> for IdentityError {
    fn from(e: Error) -> Self {
        if has_no_role(&e) { Self::NoRole { account: None } } else { Self::Zitadel(e) }
    }
}

/// Without any role many calls are answered so.
fn has_no_role(e: &Error) -> bool {
    e.id() == Some(NO_MEMBERSHIP)
}

/// The instance's own id and, where told, its version.
pub async fn fetch_instance(client: &Client) -> Result<InstanceIdentity, IdentityError> {
    #[derive(Deserialize)]
    struct Answer {
        instance: InstanceAnswer,
    }
    #[derive(Deserialize)]
    struct InstanceAnswer {
        id: String,
        version: Option<String>,
    }
    let identity = |Answer { instance: i }| InstanceIdentity { id: i.id, version: i.version };
    let e = match client.query::<Answer>(None, PROBE, &json!({})).await {
        Ok(answer) => return Ok(identity(answer)),
        Err(e) => e,
    };
    if e.is_missing_endpoint() {
        // An unknown host answers so on every path, an older server on this one alone.
        if let Err(e) = client.get::<Value>(None, "/admin/v1/healthz").await {
            return Err(if e.is_missing_endpoint() {
                IdentityError::UnknownHost
            } else {
                IdentityError::Zitadel(e)
            });
        }
        match client.get(None, "/admin/v1/instances/me").await {
            Ok(answer) => return Ok(identity(answer)),
            Err(e) if may_not_read(&e) => {}
            Err(e) => return Err(e.into()),
        }
    } else if !may_not_read(&e) {
        return Err(e.into());
    }
    inherited_id(client).await
}

/// An organization's owner may not read the instance.
fn may_not_read(e: &Error) -> bool {
    matches!(e.code(), Some(Code::PermissionDenied | Code::NotFound))
}

/// The policies that an organization inherits name their owner.
async fn inherited_id(client: &Client) -> Result<InstanceIdentity, IdentityError> {
    #[derive(Deserialize)]
    struct Inherited {
        policy: Policy,
    }
    #[derive(Deserialize)]
    struct Policy {
        details: Details,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Details {
        resource_owner: String,
    }
    let path = "/management/v1/policies/default/privacy";
    let Inherited { policy } = client.get(None, path).await?;
    Ok(InstanceIdentity { id: policy.details.resource_owner, version: None })
}

/// What the account is permitted in an organization, or, `None`, in its own: for anything there.
/// `POST /auth/v1/permissions/zitadel/me/_search`.
pub async fn fetch_permissions(
    client: &Client,
    organization: Option<&str>,
) -> Result<BTreeSet<String>, IdentityError> {
    #[derive(Deserialize)]
    struct Permissions {
        #[serde(default)]
        result: BTreeSet<String>,
    }
    let path = "/auth/v1/permissions/zitadel/me/_search";
    match client.query::<Permissions>(organization, path, &json!({})).await {
        Ok(Permissions { result }) => Ok(result),
        Err(e) if has_no_role(&e) => Ok(BTreeSet::new()),
        Err(e) => Err(e.into()),
    }
}

/// The account, and where it has a role.
pub async fn fetch_account(client: &Client) -> Result<AccountIdentity, IdentityError> {
    #[derive(Deserialize)]
    struct Me {
        user: User,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct User {
        id: String,
        #[serde(default)]
        preferred_login_name: String,
        #[serde(default)]
        details: Details,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Details {
        #[serde(default)]
        resource_owner: String,
    }
    #[derive(Deserialize)]
    struct Memberships {
        #[serde(default)]
        result: Vec<Membership>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Membership {
        #[serde(default)]
        iam: bool,
        org_id: Option<String>,
    }
    let Me { user } = client.get(None, "/auth/v1/users/me").await?;
    let path = "/auth/v1/memberships/me/_search";
    let found = match client.query::<Memberships>(None, path, &json!({})).await {
        Ok(Memberships { result }) => result,
        Err(e) if has_no_role(&e) => Vec::new(),
        Err(e) => return Err(e.into()),
    };
    let sight = Sight {
        instance: found.iter().any(|m| m.iam),
        organizations: found.into_iter().filter_map(|m| m.org_id).collect(),
    };
    if sight == Sight::default() {
        return Err(IdentityError::NoRole { account: Some(user.preferred_login_name) });
    }
    Ok(AccountIdentity {
        id: user.id,
        name: user.preferred_login_name,
        organization: user.details.resource_owner,
        sight,
    })
}
