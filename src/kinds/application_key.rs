//! `ApplicationKey`: a key of an application whose `authMethod` is `PrivateKeyJwt`, by the management
//! API. ZITADEL makes the pair: it takes no public key here.

use futures::Stream;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::key::{self, KeyState};
use crate::{
    api::{
        secret::KeyScope,
        spec::{Common, Identity},
    },
    contract::{
        Access, Breadth, Description, Entity, EntityDescription, EventFilter, EventPlace, IdSource,
        Inputs, Issues, Kind, NaturalKey, Permissions, Reference, RemoteEntity, Renewal, Row,
        SpecError, Written,
    },
    zitadel::Result,
};

const ALL: &str = "/zitadel.application.v2.ApplicationService/ListApplicationKeys";
const NEW: &str = "/management/v1/projects/{}/apps/{}/keys";
const ONE: &str = "/management/v1/projects/{}/apps/{}/keys/{}";

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationKey {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    identity: Identity,
    /// The application, in the namespace of this object: its `authMethod` is `PrivateKeyJwt`.
    /// Immutable.
    application_ref: ApplicationReference,
    #[serde(flatten)]
    key: KeyScope,
}

/// An application.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ApplicationReference {
    /// Kind of the object. Omitted: `OidcApplication`.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<ApplicationKind>,
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    name: String,
}

/// Kinds of applications that can have keys.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
enum ApplicationKind {
    /// A client of OpenID Connect.
    OidcApplication,
    /// An API.
    ApiApplication,
}

impl Kind for ApplicationKey {
    type State = KeyState;
    const DESCRIPTION: Description = Description {
        kind: "ApplicationKey",
        plural: "applicationkeys",
        short: "zappkey",
        about: "A key by which an application proves who it is, renewed before it ends.",
        noun: "the key",
        references: &[Reference {
            field: "applicationRef",
            kinds: &["OidcApplication", "ApiApplication"],
            required: true,
            ..Reference::PARENT
        }],
        events: &[
            EventFilter {
                place: EventPlace::BelowPayload("applicationId"),
                ..key::events(
                    "project",
                    &["project.application.oidc.key.added"],
                    &["project.application.oidc.key.added"],
                    "keyId",
                )
            },
            // It does not say of which application it was.
            EventFilter {
                place: EventPlace::Everywhere,
                ..key::events("project", &["project.application.oidc.key.removed"], &[], "keyId")
            },
        ],
        permissions: &[Permissions::in_project(&[
            "project.read",
            "project.app.read",
            "project.app.write",
        ])],
        ..Description::EMPTY
    };

    fn desired(&self, _: &str, _: &Inputs) -> std::result::Result<KeyState, SpecError> {
        Ok(KeyState::default())
    }
}

impl Entity for ApplicationKey {
    const ENTITY: EntityDescription = EntityDescription {
        id: IdSource::Server,
        natural_key: NaturalKey::Field("expiresAt"),
        listed_by: Breadth::Instance,
        // "Chosen Auth Method does not require a key."
        missing: &["COMMAND-Dff54"],
        issues: Some(&Issues {
            renewal: Renewal::ByAnother,
            value: "key",
            values: &["keyId", "projectId", "appId", "expiresAt"],
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
        let body = json!({"type": "KEY_TYPE_JSON", "expirationDate": want.expires_at});
        let created = key::create(access, NEW, &body).await?;
        let file = created.file()?;
        Ok(created.written(Some(file)))
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
        key::values(key, &["projectId", "appId"], "keyId")
    }

    async fn proves(
        _: &Access,
        key: &RemoteEntity<KeyState>,
        value: &SecretString,
    ) -> Result<bool> {
        Ok(key::is_of(value, &key.id))
    }
}
