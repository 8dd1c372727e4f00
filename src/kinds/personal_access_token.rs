//! `PersonalAccessToken`: a token of a service account, by the management API.

use futures::Stream;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::key::{self, AccountScope, KeyState};
use crate::{
    api::{
        secret::KeyScope,
        spec::{Common, Identity},
    },
    contract::{
        Access, Breadth, Description, Entity, EntityDescription, EventFilter, EventPlace,
        EventSubject, IdSource, Inputs, Issues, Kind, NaturalKey, Permissions, RemoteEntity,
        Renewal, Row, SpecError, Written,
    },
    zitadel::Result,
};

const ALL: &str = "/v2/users/pats/search";
const NEW: &str = "/management/v1/users/{}/pats";
const ONE: &str = "/management/v1/users/{}/pats/{}";
/// They end the tokens of a user for good, though ZITADEL still lists them (recording
/// `pat-lifecycle`).
const ENDED: &[&str] = &["user.deactivated", "user.locked"];

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonalAccessToken {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    identity: Identity,
    #[serde(flatten)]
    account: AccountScope,
    #[serde(flatten)]
    key: KeyScope,
}

impl Kind for PersonalAccessToken {
    type State = KeyState;
    const DESCRIPTION: Description = Description {
        kind: "PersonalAccessToken",
        plural: "personalaccesstokens",
        short: "zpat",
        about: "A token by which a service account calls ZITADEL itself, renewed before it ends.",
        noun: "the token",
        references: &[key::OF_USER],
        events: &[
            key::events(
                "user",
                &["user.pat.added", "user.pat.removed"],
                &["user.pat.added"],
                "tokenId",
            ),
            EventFilter {
                aggregate: "user",
                types: ENDED,
                creates: &[],
                removes: &[],
                place: EventPlace::BelowAggregate,
                subject: EventSubject::Anything,
            },
        ],
        permissions: &[Permissions::in_organization(&["org.read", "user.read", "user.write"])],
        ..Description::EMPTY
    };

    fn desired(&self, _: &str, _: &Inputs) -> std::result::Result<KeyState, SpecError> {
        Ok(KeyState::default())
    }
}

impl Entity for PersonalAccessToken {
    const ENTITY: EntityDescription = EntityDescription {
        id: IdSource::Server,
        natural_key: NaturalKey::Field("expiresAt"),
        listed_by: Breadth::Instance,
        issues: Some(&Issues {
            renewal: Renewal::ByAnother,
            value: "token",
            values: &["tokenId", "userId", "expiresAt"],
            keys: &[("token", "${token}")],
            events: ENDED,
        }),
        ..EntityDescription::NAMED
    };

    fn list(
        access: &Access,
    ) -> impl Stream<Item = Result<Row<RemoteEntity<KeyState>>>> + Send + 'static {
        key::list(access, ALL)
    }

    async fn read(access: &Access, id: &str) -> Result<Option<RemoteEntity<KeyState>>> {
        key::read(access, ONE, id).await
    }

    async fn create(access: &Access, _: &str, want: &KeyState) -> Result<Written> {
        let body = json!({"expirationDate": want.expires_at});
        Ok(key::create(access, NEW, &body).await?.written(None))
    }

    async fn update(_: &Access, _: &RemoteEntity<KeyState>, _: &KeyState) -> Result<Written> {
        Ok(Written::default())
    }

    async fn delete(access: &Access, id: &str) -> Result<()> {
        key::delete(access, ONE, id).await
    }

    fn has_secret(_: &KeyState) -> bool {
        true
    }

    /// That it is a token of the account has to do: nothing tells which one.
    async fn proves(
        access: &Access,
        _: &RemoteEntity<KeyState>,
        value: &SecretString,
    ) -> Result<bool> {
        Ok(access.client.user_of(value).await?.as_deref() == Some(access.parent()))
    }

    fn values(token: &RemoteEntity<KeyState>) -> Vec<(&'static str, String)> {
        key::values(token, &["userId"], "tokenId")
    }
}
