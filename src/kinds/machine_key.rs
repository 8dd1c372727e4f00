//! `MachineKey`: a key of a service account, for JWT profile grants, by the management API. The key
//! pair is made here, and ZITADEL gets the public half alone.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::Stream;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::key::{self, AccountScope, KeyState, Pair};
use crate::{
    api::{
        secret::KeyScope,
        spec::{Common, Identity},
    },
    contract::{
        Access, Breadth, Description, Entity, EntityDescription, IdSource, Inputs, Issues, Kind,
        NaturalKey, Permissions, RemoteEntity, Renewal, Row, SpecError, Written,
    },
    zitadel::Result,
};

const ALL: &str = "/v2/users/keys/search";
const NEW: &str = "/management/v1/users/{}/keys";
const ONE: &str = "/management/v1/users/{}/keys/{}";

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineKey {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    identity: Identity,
    #[serde(flatten)]
    account: AccountScope,
    #[serde(flatten)]
    key: KeyScope,
}

impl Kind for MachineKey {
    type State = KeyState;
    const DESCRIPTION: Description = Description {
        kind: "MachineKey",
        plural: "machinekeys",
        short: "zkey",
        about: "A key by which a service account logs in (JWT profile), renewed before it ends.",
        noun: "the key",
        references: &[key::OF_USER],
        events: &[key::events(
            "user",
            &["user.machine.key.added", "user.machine.key.removed"],
            &["user.machine.key.added"],
            "keyId",
        )],
        permissions: &[Permissions::in_organization(&["org.read", "user.read", "user.write"])],
        ..Description::EMPTY
    };

    fn desired(&self, _: &str, _: &Inputs) -> std::result::Result<KeyState, SpecError> {
        Ok(KeyState::default())
    }
}

impl Entity for MachineKey {
    const ENTITY: EntityDescription = EntityDescription {
        id: IdSource::Server,
        natural_key: NaturalKey::Field("expiresAt"),
        listed_by: Breadth::Instance,
        issues: Some(&Issues {
            renewal: Renewal::ByAnother,
            value: "key",
            values: &["keyId", "userId", "expiresAt"],
            keys: &[("key.json", "${key}")],
            events: &[],
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
        let pair = Pair::generate().await?;
        let created = key::create(
            access,
            NEW,
            &json!({
                "type": "KEY_TYPE_JSON",
                "expirationDate": want.expires_at,
                "publicKey": STANDARD.encode(&pair.public),
            }),
        )
        .await?;
        let file = json!({
            "type": "serviceaccount",
            "keyId": created.id(),
            "key": pair.private.expose_secret(),
            "expirationDate": want.expires_at,
            "userId": access.parent(),
        });
        Ok(created.written(Some(file.to_string().into())))
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

    fn values(key: &RemoteEntity<KeyState>) -> Vec<(&'static str, String)> {
        key::values(key, &["userId"], "keyId")
    }

    async fn proves(
        _: &Access,
        key: &RemoteEntity<KeyState>,
        value: &SecretString,
    ) -> Result<bool> {
        Ok(key::is_of(value, &key.id))
    }
}
