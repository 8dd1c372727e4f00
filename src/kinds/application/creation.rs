//! How applications are created.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Application, move_to};
use crate::{
    contract::{Access, Version, Written},
    kinds::wire::{Activity, Details},
    zitadel::{Capability, Path, Result},
};

/// The application service v2, since 4.5.0.
const CREATE: Capability = Capability::new("CreateApplication");

pub(super) async fn create<A: Application>(
    access: &Access,
    id: &str,
    want: &A::State,
) -> Result<Written> {
    let by_v1 = || create_v1::<A>(access, want);
    let written = if A::CALLS.heeds_id {
        let by_v2 = || create_v2::<A>(access, id, want);
        access.client.with_fallback(CREATE, by_v2, by_v1).await?
    } else {
        by_v1().await?
    };
    match (A::activity(want), &written.id) {
        (Some(Activity::Inactive), Some(id)) => {
            Ok(move_to(access, id, Activity::Inactive).await?.after(written))
        }
        _ => Ok(written),
    }
}

/// The secret in the answer is not used: one is issued when there is a Secret for it.
async fn create_v2<A: Application>(access: &Access, id: &str, want: &A::State) -> Result<Written> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Created {
        application_id: String,
        creation_date: Option<jiff::Timestamp>,
    }
    let body = json!({
        "projectId": access.parent(),
        "applicationId": id,
        "name": A::name(want),
        (A::CALLS.field_v2): A::configuration_v2(want),
    });
    let path = "/zitadel.application.v2.ApplicationService/CreateApplication";
    let created: Created = access.client.write(Method::POST, None, path, &body).await?;
    let aggregate = access.organization().map(ToOwned::to_owned);
    let version = created.creation_date.map(|changed| Version { aggregate, changed });
    Ok(Written { id: Some(created.application_id), version, ..Written::default() })
}

async fn create_v1<A: Application>(access: &Access, want: &A::State) -> Result<Written> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Created {
        app_id: String,
        #[serde(default)]
        details: Details,
    }
    let mut body = A::configuration(want);
    body.insert("name".into(), json!(A::name(want)));
    let path = Path::new(A::CALLS.add, &[access.parent()])?;
    let created: Created =
        access.client.write(Method::POST, access.organization(), &path, &body).await?;
    let version = created.details.version();
    Ok(Written { id: Some(created.app_id), version, ..Written::default() })
}
