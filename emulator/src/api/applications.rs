//! Applications of projects: the management API, and the application service v2.

use super::Call;
use crate::{
    errors::ApiError,
    model::application::{Application, Kind},
    state::State,
    store::Aggregate,
};

mod apis;
mod commands;
mod compliance;
mod keys;
mod logins;
mod management;
mod oidc;
mod own;
mod saml;
mod secrets;
mod service;
mod views;

pub(crate) use own::setup;

/// The space of the names of applications, which are unique in their project. Nothing but the
/// removal of the application gives them back, so they outlive the project.
const NAMES: &str = "appname";
/// The space of the entities of SAML, which are unique in the instance.
pub(super) const ENTITIES: &str = "entity_ids";

pub(super) fn routes() -> Vec<super::Route> {
    let mut routes = management::routes();
    routes.extend(service::routes());
    routes.extend(keys::routes());
    routes
}

/// Which application is meant, in a project of which organization.
struct At {
    project: String,
    id: String,
    /// The newer interface takes a project of any organization.
    owner: Option<String>,
}

impl At {
    fn path(call: &Call<'_>) -> Self {
        Self {
            project: call.param("id").to_owned(),
            id: call.param("app").to_owned(),
            owner: Some(call.organization.clone()),
        }
    }

    fn request(call: &Call<'_>) -> Self {
        Self {
            project: call.request.text("projectId").to_owned(),
            id: call.request.text("applicationId").to_owned(),
            owner: None,
        }
    }
}

fn missing(place: &'static str) -> ApiError {
    ApiError::not_found(place, "Application doesn't exist")
}

/// The write side's application, if it exists.
fn existing<'a>(
    call: &'a Call<'_>,
    at: &At,
    place: &'static str,
) -> Result<&'a Application, ApiError> {
    call.state
        .write
        .applications
        .of_project(&at.project, &at.id)
        .filter(|application| application.state.exists())
        .filter(|application| at.owner.as_ref().is_none_or(|own| application.stamp.owner == *own))
        .ok_or_else(|| missing(place))
}

/// The project of an application as an aggregate.
fn aggregate(application: &Application) -> Aggregate {
    Aggregate::new("project", &*application.project, &*application.stamp.owner)
}

/// The entities that the applications of a project stand for.
pub(super) fn entities_of_project(state: &State, project: &str) -> impl Iterator<Item = String> {
    let applications = state.write.applications.iter();
    applications
        .filter(move |application| application.project == project && application.state.exists())
        .filter_map(|application| application.configuration(Kind::Saml))
        .map(|fields| fields.text("entityId").to_owned())
}
