//! What the providers of e-mail and of SMS have in common: they are in the instance, at most one of
//! them is active, and any of them may be a webhook.

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::wire::{Activity, Answer, Created};
use crate::{
    contract::{
        Access, EntityDescription, EventFilter, EventPlace, EventSubject, IdSource, NaturalKey,
        Permissions, Written,
    },
    zitadel::{Path, Result},
};

/// What the account needs.
pub(super) const PERMISSIONS: &[Permissions] =
    &[Permissions::in_instance(&["iam.read", "iam.write"])];

/// What an entity of these is besides.
pub(super) const ENTITY: EntityDescription = EntityDescription {
    id: IdSource::Server,
    natural_key: NaturalKey::Field("description"),
    defaults: &[("state", "Inactive")],
    only_one: Some(("state", "Active")),
    is_unique: false,
    ..EntityDescription::NAMED
};

/// Events that name the provider.
pub(super) const fn events(
    types: &'static [&'static str],
    creates: &'static [&'static str],
) -> EventFilter {
    EventFilter {
        aggregate: "instance",
        types,
        creates,
        removes: &[],
        place: EventPlace::Instance,
        subject: EventSubject::Payload("id"),
    }
}

/// Events that touch the one that is active, and do not name it.
pub(super) const fn events_of_active(types: &'static [&'static str]) -> EventFilter {
    EventFilter { subject: EventSubject::OnlyOne, ..events(types, &[]) }
}

/// A webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Http {
    /// The URL to which each message is posted as JSON. ZITADEL has to be able to resolve it, and
    /// refuses addresses of itself.
    #[schemars(required, length(min = 1, max = 2048), regex(pattern = r"^https?://\S+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) endpoint: Option<String>,
}

/// Creates a provider, and activates it where that is wanted: only what the answer has named, since
/// ZITADEL takes any id for the one that is active from then on.
pub(super) async fn create(
    access: &Access,
    path: &'static str,
    body: &serde_json::Value,
    activate: &'static str,
    state: Option<Activity>,
) -> Result<Written> {
    let created: Created = access.client.write(Method::POST, None, &Path::from(path), body).await?;
    let written = created.written();
    match (state, &written.id) {
        (Some(Activity::Active), Some(id)) => {
            let activated = call(access, activate, id).await?;
            Ok(activated.after(written))
        }
        _ => Ok(written),
    }
}

/// Changes a provider. What is to be out of use is so before anything else of it changes; what is to
/// be used is so afterwards.
pub(super) async fn update(
    access: &Access,
    [activate, deactivate]: [&'static str; 2],
    id: &str,
    [have, want]: [Option<Activity>; 2],
    change: impl Future<Output = Result<Written>>,
) -> Result<Written> {
    let moves_to = want.filter(|to| have != Some(*to));
    let mut written = Written::default();
    if moves_to == Some(Activity::Inactive) {
        written = call(access, deactivate, id).await?;
    }
    written = change.await?.after(written);
    if moves_to == Some(Activity::Active) {
        written = call(access, activate, id).await?.after(written);
    }
    Ok(written)
}

/// A call that changes the state of a provider.
async fn call(access: &Access, path: &'static str, id: &str) -> Result<Written> {
    let path = Path::new(path, &[id])?;
    let answer: Answer = access.client.write(Method::POST, None, &path, &json!({})).await?;
    Ok(answer.written())
}
