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

/// A member of the instance.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Member {
    #[serde(rename = "userId")]
    pub(super) id: String,
    /// The organization that it is in.
    #[serde(default, rename = "userResourceOwner")]
    pub(super) organization: String,
    #[serde(default)]
    roles: Vec<String>,
}

/// What the instance would lack without these members: somebody besides Kastellan itself who can do
/// everything in it. An account that may not see who can does not take it away from anybody.
pub(super) async fn needs(
    access: &Access,
    goes: impl Fn(&Member) -> bool,
) -> Result<Option<&'static str>> {
    let members =
        page::rows::<Member>(&access.client, None, "/admin/v1/members/_search", json!({}));
    let members: Vec<Row<Member>> = match members.try_collect().await {
        Ok(members) => members,
        Err(e) if matches!(e.code(), Some(Code::PermissionDenied | Code::NotFound)) => {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let owners = members.into_iter().filter_map(|row| match row {
        Row::Read(member) => Some(member),
        Row::Odd { .. } => None,
    });
    let owners = owners.filter(|member| is_owner(&member.roles) && member.id != access.account.id);
    let (going, staying): (Vec<Member>, Vec<Member>) = owners.partition(goes);
    let going: Vec<&str> = going.iter().map(|member| member.id.as_str()).collect();
    let staying = staying.iter().map(|member| member.id.as_str());
    let is_needed = !access.would_leave(&going, staying);
    Ok(is_needed.then_some(
        "nobody but Kastellan itself would have the role IAM_OWNER any more: it could not be got \
         back without it",
    ))
}
