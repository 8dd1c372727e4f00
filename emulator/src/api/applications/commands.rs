//! What changes applications of any kind.

use serde_json::{Map, Value};

use super::{
    super::{Call, credentials, projects},
    At, ENTITIES, NAMES, aggregate, existing, secrets,
};
use crate::{
    errors::ApiError,
    model::{
        application::{Application, Kind},
        difference, is_zero,
        organization::State as Life,
    },
    proto::Request,
    store::{Aggregate, Draft, Event},
};

const TAKEN: &str = "Application already exists";

/// A name is unique in its project without regard to case.
fn unique(project: &str, name: &str) -> String {
    format!("{name}:{project}")
}

/// The event of a kind of configuration.
fn event_type(kind: Kind, happened: Happened) -> &'static str {
    match (kind, happened) {
        (Kind::Oidc, Happened::Added) => "project.application.config.oidc.added",
        (Kind::Oidc, Happened::Changed) => "project.application.config.oidc.changed",
        (Kind::Api, Happened::Added) => "project.application.config.api.added",
        (Kind::Api, Happened::Changed) => "project.application.config.api.changed",
        (Kind::Saml, Happened::Added) => "project.application.config.saml.added",
        (Kind::Saml, Happened::Changed) => "project.application.config.saml.changed",
    }
}

#[derive(Clone, Copy)]
enum Happened {
    Added,
    Changed,
}

/// The project that an application is about to be made in, as an aggregate. Whether the caller may
/// do so is checked later.
pub(super) fn project(call: &Call<'_>, at: &At) -> Result<Aggregate, ApiError> {
    projects::parent(call, &at.project, at.owner.as_deref())
}

/// Checks that the caller may write applications in a project.
pub(super) fn permit(call: &Call<'_>, project: &Aggregate) -> Result<(), ApiError> {
    call.permit_one("project.app.write", &project.owner, &project.id)
}

/// What was made.
pub(super) struct Made {
    pub(super) id: String,
    pub(super) client: String,
    /// The secret, told this once; for some means of authentication only.
    pub(super) secret: Option<String>,
    pub(super) event: Event,
}

/// The id that a request chose, or a new one.
pub(super) fn chosen(call: &mut Call<'_>, at: &At) -> String {
    if at.id.is_empty() { call.state.clock.id() } else { at.id.clone() }
}

/// The events that make an application.
pub(super) fn additions(
    project: &Aggregate,
    id: &str,
    name: &str,
    kind: Kind,
    configuration: Map<String, Value>,
) -> Vec<Draft> {
    let added = Draft::new(project, "project.application.added")
        .with("appId", id)
        .with("name", name)
        .take(NAMES, unique(&project.id, name), TAKEN);
    let mut payload: Map<_, _> =
        configuration.into_iter().filter(|(_, value)| !is_zero(value)).collect();
    payload.insert("appId".to_owned(), id.into());
    let mut configured =
        Draft::new(project, event_type(kind, Happened::Added)).payload(payload.clone());
    if kind == Kind::Saml {
        let entity = payload.get("entityId").and_then(Value::as_str).unwrap_or_default();
        configured = configured.with("entityId", entity).take(
            ENTITIES,
            entity,
            "Errors.Project.App.SAMLEntityIDAlreadyExists",
        );
    }
    vec![added, configured]
}

/// Makes a client: an application with a client id and, where it authenticates by one, a secret.
pub(super) fn push_client(
    call: &mut Call<'_>,
    project: &Aggregate,
    id: String,
    name: &str,
    kind: Kind,
    mut configuration: Map<String, Value>,
) -> Result<Made, ApiError> {
    let client = call.state.clock.id();
    configuration.insert("clientId".to_owned(), client.as_str().into());
    let means = configuration.get("authMethodType").and_then(Value::as_u64).unwrap_or_default();
    // By a secret in the header, and for OpenID Connect in the form as well.
    let secret = (means == 0 || (kind == Kind::Oidc && means == 1)).then(secrets::new);
    if let Some(secret) = &secret {
        let hash = credentials::hash(secret);
        configuration.insert("hashedSecret".to_owned(), hash.into());
    }
    let event = call.push(additions(project, &id, name, kind, configuration))?;
    Ok(Made { id, client, secret, event })
}

/// Makes a service provider.
pub(super) fn push_provider(
    call: &mut Call<'_>,
    project: &Aggregate,
    name: &str,
    configuration: Map<String, Value>,
) -> Result<Made, ApiError> {
    let id = call.state.clock.id();
    let event = call.push(additions(project, &id, name, Kind::Saml, configuration))?;
    Ok(Made { id, client: String::new(), secret: None, event })
}

/// The application whose configuration of a kind is about to change.
pub(super) fn configured<'a>(
    call: &'a Call<'_>,
    at: &At,
    kind: Kind,
) -> Result<(&'a Application, &'a Request), ApiError> {
    let application = existing(call, at, "COMMAND-2n8uU")?;
    let configuration = application.configuration(kind).ok_or_else(|| match kind {
        Kind::Oidc => ApiError::invalid("COMMAND-GBr34", "Application is not type OIDC"),
        Kind::Api => ApiError::invalid("COMMAND-Gnwt3", "Application is not type API"),
        Kind::Saml => ApiError::invalid("COMMAND-GBr35", "Application is not type SAML"),
    })?;
    permit(call, &aggregate(application))?;
    Ok((application, configuration))
}

/// Changes the configuration of an application to what is wanted.
pub(super) fn reconfigure(
    call: &mut Call<'_>,
    at: &At,
    kind: Kind,
    want: &Map<String, Value>,
) -> Result<Event, ApiError> {
    let (application, have) = configured(call, at, kind)?;
    let mut changes = difference(have, want);
    if changes.is_empty() {
        return Err(ApiError::precondition("COMMAND-1m88i", "No changes"));
    }
    changes.insert("appId".to_owned(), at.id.as_str().into());
    let former = have.text("entityId").to_owned();
    let draft = Draft::new(&aggregate(application), event_type(kind, Happened::Changed));
    let entity = changes.get("entityId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut draft = draft.payload(changes);
    if kind == Kind::Saml {
        // Told even where it stays as it is.
        draft = draft.with("entityId", entity.as_str());
        if !entity.is_empty() {
            draft = draft.release(ENTITIES, former).take(
                ENTITIES,
                entity,
                "Errors.Project.App.SAMLEntityIDAlreadyExists",
            );
        }
    }
    call.push(vec![draft])
}

pub(super) fn rename(call: &mut Call<'_>, at: &At, name: &str) -> Result<Event, ApiError> {
    let application = existing(call, at, "COMMAND-28di9")?;
    if application.name == name {
        return Err(ApiError::precondition("COMMAND-2m8vx", "No changes"));
    }
    let project = aggregate(application);
    permit(call, &project)?;
    let draft = Draft::new(&project, "project.application.changed")
        .with("appId", at.id.as_str())
        .with("name", name)
        .release(NAMES, unique(&project.id, &application.name))
        .take(NAMES, unique(&project.id, name), TAKEN);
    call.push(vec![draft])
}

pub(super) fn set_active(call: &mut Call<'_>, at: &At, active: bool) -> Result<Event, ApiError> {
    let application = existing(call, at, "COMMAND-ov9d3")?;
    if active && application.state != Life::Inactive {
        return Err(ApiError::precondition("COMMAND-1n8cM", "Application is not inactive"));
    }
    if !active && application.state != Life::Active {
        return Err(ApiError::precondition("COMMAND-dsh35", "Application is not active"));
    }
    let project = aggregate(application);
    permit(call, &project)?;
    let event_type =
        if active { "project.application.reactivated" } else { "project.application.deactivated" };
    call.push(vec![Draft::new(&project, event_type).with("appId", at.id.as_str())])
}

pub(super) fn remove(call: &mut Call<'_>, at: &At) -> Result<Event, ApiError> {
    let application = existing(call, at, "COMMAND-0po9s")?;
    let project = aggregate(application);
    call.permit_one("project.app.delete", &project.owner, &project.id)?;
    let entity = application.configuration(Kind::Saml).map(|fields| fields.text("entityId"));
    let mut draft = Draft::new(&project, "project.application.removed")
        .with("appId", at.id.as_str())
        .release(NAMES, unique(&project.id, &application.name));
    if let Some(entity) = entity.filter(|entity| !entity.is_empty()) {
        draft = draft.release(ENTITIES, entity);
    }
    call.push(vec![draft])
}
