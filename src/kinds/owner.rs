//! Who can do everything in the instance: its last owner is not lost unless somebody insists.

use futures::TryStreamExt;
use serde::Deserialize;
use serde_json::json;

use crate::{
    contract::{Access, Row},
    zitadel::{Code, Result, page},
};

/// Whether these are roles of an owner.
pub(super) fn is_owner(roles: &[String]) -> bool {
    roles.iter().any(|role| role == "IAM_OWNER")
}

/// What the instance would lack without a user: somebody besides Kastellan itself who can do
/// everything in it. An account that may not see who can does not take it away from anybody.
pub(super) async fn is_last(access: &Access, user: &str) -> Result<Option<&'static str>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Member {
        #[serde(rename = "userId")]
        id: String,
        #[serde(default)]
        roles: Vec<String>,
    }
    let members =
        page::rows::<Member>(&access.client, None, "/admin/v1/members/_search", json!({}));
    let members: Vec<Row<Member>> = match members.try_collect().await {
        Ok(members) => members,
        Err(e) if matches!(e.code(), Some(Code::PermissionDenied | Code::NotFound)) => {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let owners = members.iter().filter_map(|row| match row {
        Row::Read(member) => is_owner(&member.roles).then_some(member.id.as_str()),
        Row::Odd { .. } => None,
    });
    let others: Vec<&str> = owners.filter(|id| *id != access.account.id).collect();
    Ok((others == [user]).then_some(
        "nobody but Kastellan itself would have the role IAM_OWNER any more: it could not be got \
         back without it",
    ))
}
