//! `SamlApplication`: a service provider of SAML. Its id is the server's: the application service
//! does not heed another one, so it is created by the management API.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Map, Value, json};

use super::{
    application::{
        self, Application, Calls,
        login::{self, LoginVersion},
    },
    project::{self, ProjectScope},
    wire::Activity,
};
use crate::{
    api::spec::{Adoption, Common},
    contract::{Description, EntityDescription, IdSource, Inputs, Kind, SpecError},
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SamlApplication {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    adoption: Adoption,
    #[serde(flatten)]
    project: ProjectScope,
    #[serde(flatten)]
    state: SamlApplicationState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SamlApplicationState {
    /// Name, unique in the project among applications of all kinds, regardless of case. Omitted:
    /// the name of this object.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What the service provider says of itself.
    #[schemars(required)]
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
    /// Which login its users see. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    login_version: Option<LoginVersion>,
    /// Whether it can be used. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Activity>,
}

/// What a service provider says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Metadata {
    /// The metadata document, an `EntityDescriptor`. Its `entityID` is unique in the instance: ZITADEL
    /// refuses one that another application has.
    #[schemars(length(min = 1, max = 100_000))]
    xml: String,
}

impl Kind for SamlApplication {
    type State = SamlApplicationState;
    const DESCRIPTION: Description = Description {
        kind: "SamlApplication",
        plural: "samlapplications",
        short: "zsaml",
        about: "An application of a project whose users log in by SAML (a service provider).",
        noun: "the SAML application",
        references: &[project::PARENT],
        events: &[
            application::EVENTS,
            application::events(
                &[
                    "project.application.config.saml.added",
                    "project.application.config.saml.changed",
                ],
                &["project.application.config.saml.added"],
            ),
        ],
        rules: &[login::RULE],
        unchanged: application::UNCHANGED,
        permissions: application::PERMISSIONS,
        ..Description::EMPTY
    };

    fn desired(&self, name: &str, _: &Inputs) -> Result<SamlApplicationState, SpecError> {
        let name = self.state.name.clone().unwrap_or_else(|| name.into());
        Ok(SamlApplicationState { name: Some(name), ..self.state.clone() })
    }
}

/// A configuration in the management API. An address from which ZITADEL fetched the metadata is not
/// in it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Configuration {
    #[serde(default, deserialize_with = "text")]
    metadata_xml: String,
    #[serde(default)]
    login_version: login::Wire,
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let encoded = String::deserialize(deserializer)?;
    let bytes = STANDARD.decode(encoded).map_err(D::Error::custom)?;
    String::from_utf8(bytes).map_err(D::Error::custom)
}

impl Application for SamlApplication {
    const DATA: EntityDescription = EntityDescription {
        id: IdSource::Server,
        defaults: &[("loginVersion.version", "Instance"), ("state", "Active")],
        rivals: &["OidcApplication", "ApiApplication"],
        ..application::LISTED
    };
    type Configuration = Configuration;
    const CALLS: Calls = Calls {
        field: "samlConfig",
        field_v2: "samlConfiguration",
        heeds_id: false,
        word: "APPLICATION_TYPE_SAML",
        add: "/management/v1/projects/{}/apps/saml",
        configure: "/management/v1/projects/{}/apps/{}/saml_config",
        issue: None,
    };

    fn read_as(name: String, state: Option<Activity>, read: Configuration) -> SamlApplicationState {
        SamlApplicationState {
            name: Some(name),
            metadata: Some(Metadata { xml: read.metadata_xml }),
            login_version: Some(read.login_version.into()),
            state,
        }
    }

    fn name(state: &SamlApplicationState) -> Option<&str> {
        state.name.as_deref()
    }

    fn activity(state: &SamlApplicationState) -> Option<Activity> {
        state.state
    }

    fn configuration(state: &SamlApplicationState) -> Map<String, Value> {
        let xml = state.metadata.as_ref().map(|metadata| STANDARD.encode(&metadata.xml));
        let login = state.login_version.as_ref().map(LoginVersion::wire);
        let fields = [("metadataXml", json!(xml)), ("loginVersion", json!(login))];
        fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect()
    }
}
