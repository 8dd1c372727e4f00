//! What the policies have in common that exist once for the instance and once for each organization
//! that wants its own: GET (with `isDefault`), PUT, and for organizations POST and DELETE.

use reqwest::Method;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::wire::{Answer, Details};
use crate::{
    contract::{
        Access, EventFilter, EventPlace, EventSubject, Fields, Kind, Permissions, RemoteSetting,
        Setting, Written,
    },
    zitadel::{Error, Path, Result, path::Endpoint as _},
};

/// What the account needs.
pub(super) const PERMISSIONS: &[Permissions] = &[
    Permissions::in_instance(&["iam.policy.read", "iam.policy.write"]),
    Permissions::in_organization(&["org.read", "policy.read", "policy.write", "policy.delete"]),
];

/// Events of the instance's policy.
pub(super) const fn of_instance(types: &'static [&'static str]) -> EventFilter {
    EventFilter {
        aggregate: "instance",
        types,
        creates: &[],
        removes: &[],
        place: EventPlace::Instance,
        subject: EventSubject::Setting,
    }
}

/// Events of an organization's own policy.
pub(super) const fn of_organization(
    types: &'static [&'static str],
    creates: &'static [&'static str],
) -> EventFilter {
    EventFilter {
        aggregate: "org",
        types,
        creates,
        removes: &[],
        place: EventPlace::Aggregate,
        subject: EventSubject::Setting,
    }
}

/// A policy whose endpoints are alike: it is read and written as a whole, at one place for the
/// instance and at another for organizations. That makes it a [`Setting`].
pub(super) trait Policy: Kind {
    /// Where it is, in the admin API for the instance and in the management API for organizations.
    const PATHS: [&'static str; 2];
    /// Where the instance's is written, if that is not where it is read.
    const WRITTEN_AT: &'static str = Self::PATHS[0];

    /// The state of which all fields hold what ZITADEL omits from its answers.
    fn zero() -> Self::State;
}

impl<P: Policy> Setting for P {
    async fn read(access: &Access) -> Result<RemoteSetting<P::State>> {
        let [instance, organization] = P::PATHS;
        Endpoint::new(access, instance, organization).read(&P::zero()).await
    }

    async fn write(
        access: &Access,
        have: &RemoteSetting<P::State>,
        want: &P::State,
    ) -> Result<Written> {
        let [_, organization] = P::PATHS;
        Endpoint::new(access, P::WRITTEN_AT, organization).write(have.own, want).await
    }

    async fn reset(access: &Access) -> Result<()> {
        let [instance, organization] = P::PATHS;
        Endpoint::new(access, instance, organization).reset().await
    }
}

/// Where a policy is.
pub(super) struct Endpoint<'a> {
    pub(super) access: &'a Access,
    /// The organization for the header, where the path does not name it.
    pub(super) organization: Option<&'a str>,
    pub(super) path: Path,
}

impl<'a> Endpoint<'a> {
    /// By a path of the admin API for the instance's, of the management API for an organization's.
    pub(super) fn new(
        access: &'a Access,
        instance: &'static str,
        organization: &'static str,
    ) -> Self {
        let id = access.organization();
        let path = if id.is_some() { organization } else { instance };
        Self { access, organization: id, path: path.into() }
    }

    /// `zero`: the state of which all fields hold what ZITADEL omits from its answers.
    pub(super) async fn read<S: Serialize + DeserializeOwned>(
        &self,
        zero: &S,
    ) -> Result<RemoteSetting<S>> {
        self.read_as(zero, |_| ()).await
    }

    /// As [`Self::read`], of an answer whose fields `shape` gives the names of the state.
    pub(super) async fn read_as<S: Serialize + DeserializeOwned>(
        &self,
        zero: &S,
        shape: impl FnOnce(&mut Map<String, Value>),
    ) -> Result<RemoteSetting<S>> {
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
        let malformed = |e: serde_json::Error| Error::Malformed {
            endpoint: format!("GET {}", self.path.path()),
            what: format!("{:?} error in the policy", e.classify()),
        };
        let Read { mut policy } = self.access.client.get(self.organization, &self.path).await?;
        shape(&mut policy.fields);
        let zero = Fields::of(zero).map_err(malformed)?;
        let live = Fields::from(Value::Object(policy.fields)).select(&zero);
        Ok(RemoteSetting {
            state: zero.overlay(&live).to().map_err(malformed)?,
            own: self.access.organization().is_none() || !policy.is_default,
            version: policy.details.version(),
        })
    }

    /// PUT replaces all fields; an organization's first own policy is POSTed.
    pub(super) async fn write(&self, own: bool, want: &impl Serialize) -> Result<Written> {
        let method = if own { Method::PUT } else { Method::POST };
        let answer: Answer =
            self.access.client.write(method, self.organization, &self.path, want).await?;
        Ok(answer.written())
    }

    /// DELETE; 404 where there is no own one.
    pub(super) async fn reset(&self) -> Result<()> {
        super::wire::delete(self.access, &self.path).await
    }
}
