//! How kinds refer to users, be they declared here or not.

use futures::{TryStreamExt, future::BoxFuture};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    api::spec::ObjectReference,
    contract::{
        Consent, Reference, Role, Row,
        reference::{ById, ByName},
    },
    zitadel::{Client, Result, page},
};

/// Who gets something. To be named gives nobody access to the user.
pub(super) const REFERENCE: Reference = Reference {
    field: "userRef",
    id_field: "userId",
    by_id: ById::Anyone,
    by_name: Some(ByName { field: "userLoginName", permission: "user.read", find: by_login_name }),
    kinds: &["MachineUser"],
    role: Role::Input,
    required: true,
    consent: Consent::Named,
};

/// The user whom something is about.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names of the spec's fields")]
pub(super) struct UserScope {
    /// A `MachineUser` object. One of another namespace must name this kind in the `kinds` of its
    /// `allowedNamespaces`. Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_ref: Option<ObjectReference>,
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
