//! What all kinds of users share: their states, and how others refer to them, be they declared here or
//! not.

use futures::{TryStreamExt, future::BoxFuture};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{owner, wire};
use crate::{
    api::spec::ObjectReference,
    contract::{
        Access, Consent, Reference, Role, Row, Written,
        reference::{ById, ByName},
    },
    zitadel::{Client, Path, Result, page},
};

/// Who gets something. To be named gives nobody access to the user.
pub(super) const REFERENCE: Reference = Reference {
    field: "userRef",
    id_field: "userId",
    by_id: ById::Anyone,
    by_name: Some(ByName { field: "userLoginName", permission: "user.read", find: by_login_name }),
    kinds: &["MachineUser", "HumanUser"],
    role: Role::Input,
    required: true,
    consent: Consent::Named,
};

/// The user whom something is about.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names of the spec's fields")]
pub(super) struct UserScope {
    /// The object of an account. One of another namespace must name this kind in the `kinds` of its
    /// `allowedNamespaces`. Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_ref: Option<UserReference>,
    /// The id of a user who is not declared here. Immutable.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// The login name of a user who is not declared here, such as `ada@acme.example`. It is looked
    /// up once: whoever has it then is meant for as long as this object exists. Immutable.
    #[schemars(length(min = 1, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    user_login_name: Option<String>,
}

/// A reference to the object of an account.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct UserReference {
    /// Kind of the object. Omitted: `MachineUser`.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<UserKind>,
    #[serde(flatten)]
    object: ObjectReference,
}

/// Kinds of accounts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
enum UserKind {
    /// A service account.
    MachineUser,
    /// A person.
    HumanUser,
}

/// The ids of all users with a login name: one at most, unless the server says otherwise.
fn by_login_name<'a>(client: &'a Client, name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct User {
        #[serde(alias = "userId")]
        id: String,
    }
    let query = json!({"loginName": name, "method": "TEXT_QUERY_METHOD_EQUALS_IGNORE_CASE"});
    let query = json!({"queries": [{"loginNameQuery": query}]});
    let rows = page::rows::<User>(client, None, "/v2/users", query);
    Box::pin(async move {
        let found: Vec<Row<User>> = rows.try_collect().await?;
        let ids = found.into_iter().filter_map(|row| match row {
            Row::Read(user) => Some(user.id),
            Row::Odd { id } => id,
        });
        Ok(ids.collect())
    })
}

/// Whether an account can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum UserState {
    /// Yes, if it has something to log in with.
    #[serde(alias = "USER_STATE_ACTIVE", alias = "USER_STATE_INITIAL")]
    Active,
    /// No, until it is activated again.
    #[serde(alias = "USER_STATE_INACTIVE")]
    Inactive,
    /// No, until it is unlocked.
    #[serde(alias = "USER_STATE_LOCKED")]
    Locked,
}

/// Who would be locked out if a user were deleted, or came into a state.
pub(super) async fn locks_out(
    access: &Access,
    id: Option<&str>,
    to: UserState,
) -> Result<Option<&'static str>> {
    match id {
        Some(id) if to != UserState::Active => owner::needs(access, |member| member.id == id).await,
        _ => Ok(None),
    }
}

/// Between inactive and locked the way leads over active: an inactive account can't be locked, and
/// a locked one becomes inactive without being unlocked.
pub(super) async fn move_to(
    access: &Access,
    id: &str,
    from: UserState,
    to: UserState,
) -> Result<Written> {
    let mut written = Written::default();
    let path = match (from, to) {
        (UserState::Inactive, UserState::Locked) => {
            let path = Path::new("/management/v1/users/{}/_reactivate", &[id])?;
            written = wire::write(access, Method::POST, &path, &json!({})).await?;
            "/management/v1/users/{}/_lock"
        }
        (_, UserState::Locked) => "/management/v1/users/{}/_lock",
        (_, UserState::Inactive) => "/management/v1/users/{}/_deactivate",
        (UserState::Locked, UserState::Active) => "/management/v1/users/{}/_unlock",
        (_, UserState::Active) => "/management/v1/users/{}/_reactivate",
    };
    let path = Path::new(path, &[id])?;
    Ok(wire::write(access, Method::POST, &path, &json!({})).await?.after(written))
}
