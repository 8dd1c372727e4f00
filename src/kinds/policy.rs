//! What the policies have in common that exist once for the instance and once for each organization
//! that wants its own: GET (with `isDefault`), PUT, and for organizations POST and DELETE.

use reqwest::Method;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::wire::{Answer, Details, is_gone};
use crate::{
    engine::{
        Fields,
        kind::{At, Remote, Written},
    },
    zitadel::{Error, Result},
};

/// Where a policy is.
pub(super) struct Endpoint<'a> {
    pub(super) at: &'a At,
    /// The organization for the header, where the path does not name it.
    pub(super) organization: Option<&'a str>,
    pub(super) path: String,
}

impl Endpoint<'_> {
    /// `zero`: the state of which all fields hold what ZITADEL leaves out of its answers.
    pub(super) async fn read<S: Serialize + DeserializeOwned>(
        &self,
        zero: &S,
    ) -> Result<Remote<S>> {
        #[derive(Deserialize)]
        struct Read {
            policy: Policy,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Policy {
            #[serde(default)]
            details: Details,
            #[serde(default)]
            is_default: bool,
            #[serde(flatten)]
            fields: Map<String, Value>,
        }
        let Read { policy } = self.at.client.get(self.organization, &self.path).await?;
        let zero = Fields::of(zero);
        let live = zero.overlaid(&Fields::of(&policy.fields).restricted(&zero));
        Ok(Remote {
            id: policy.details.resource_owner.clone(),
            organization: self.at.organization.clone(),
            state: live.to().map_err(|e| Error::Malformed {
                endpoint: format!("GET {}", self.path),
                what: e.to_string(),
            })?,
            own: self.at.organization.is_none() || !policy.is_default,
            version: policy.details.version(),
        })
    }

    /// PUT replaces all fields; an organization's first own policy is POSTed.
    pub(super) async fn write(&self, own: bool, want: &impl Serialize) -> Result<Written> {
        let method = if own { Method::PUT } else { Method::POST };
        let answer: Answer =
            self.at.client.write(method, self.organization, &self.path, want).await?;
        Ok(answer.written())
    }

    /// DELETE; 404 where there is no own one.
    pub(super) async fn reset(&self) -> Result<()> {
        match self
            .at
            .client
            .write::<Value>(Method::DELETE, self.organization, &self.path, &json!(null))
            .await
        {
            Err(e) if !is_gone(&e) => Err(e),
            _ => Ok(()),
        }
    }
}
