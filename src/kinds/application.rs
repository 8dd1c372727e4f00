//! What applications of all kinds have in common. Created by the application service v2 (since
//! 4.5.0), which lets the client choose the id, where that is heeded, and listed by it in all
//! projects; read, changed and deleted by the management API.

use futures::Stream;
use reqwest::Method;
use secrecy::SecretString;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::wire::{self, Activity, Details, found, lenient, some_default};
use crate::{
    contract::{
        Access, Breadth, Entity, EntityDescription, EventFilter, EventPlace, EventSubject, Issued,
        Issues, Kind, Permissions, Place, RemoteEntity, Renewal, Row, Version, Written,
    },
    zitadel::{Capability, Error, Path, Result},
};

mod creation;
mod listing;
pub(super) mod login;

/// Permissions that applications of every kind need.
pub(super) const PERMISSIONS: &[Permissions] = &[Permissions::in_project(&[
    "project.read",
    "project.app.read",
    "project.app.write",
    "project.app.delete",
])];
/// Of the configuration, and of the name.
pub(super) const UNCHANGED: &[&str] = &["COMMAND-1m88i", "COMMAND-2m8vx"];
/// Reads in all projects, since 4.5.0.
const READ: Capability = Capability::new("GetApplication");
const ONE: &str = "/management/v1/projects/{}/apps/{}";

/// Events of applications of any kind.
pub(super) const EVENTS: EventFilter = events(
    &[
        "project.application.changed",
        "project.application.deactivated",
        "project.application.reactivated",
        "project.application.removed",
    ],
    &[],
);

/// Events of applications of one kind.
pub(super) const fn events(
    types: &'static [&'static str],
    creates: &'static [&'static str],
) -> EventFilter {
    EventFilter {
        aggregate: "project",
        types,
        creates,
        removes: &[],
        place: EventPlace::BelowAggregate,
        subject: EventSubject::Payload("appId"),
    }
}

/// What clients with a secret have.
pub(super) const fn issues(events: &'static [&'static str]) -> Issues {
    Issues {
        renewal: Renewal::InPlace,
        value: "clientSecret",
        values: &["clientId", "appId", "projectId"],
        keys: &[
            ("clientId", "${clientId}"),
            ("clientSecret", "${clientSecret}"),
            ("issuer", "${issuer}"),
        ],
        events,
    }
}

/// What entities of these kinds have in common.
pub(super) const LISTED: EntityDescription =
    EntityDescription { listed_by: Breadth::Instance, ..EntityDescription::NAMED };

/// A kind of application. That makes it an [`Entity`].
pub(super) trait Application: Kind {
    /// See [`Entity::ENTITY`].
    const DATA: EntityDescription;
    /// Its configuration as both APIs tell it.
    type Configuration: DeserializeOwned;
    /// Its calls and their fields.
    const CALLS: Calls;

    /// What was read. ZITADEL omits what is the zero value.
    fn read_as(name: String, state: Option<Activity>, read: Self::Configuration) -> Self::State;
    /// Its name.
    fn name(state: &Self::State) -> Option<&str>;
    /// Whether it can be used.
    fn activity(state: &Self::State) -> Option<Activity>;
    /// The configuration for the management API, complete: updates reset what is omitted.
    fn configuration(state: &Self::State) -> Map<String, Value>;
    /// The same for the service v2.
    fn configuration_v2(state: &Self::State) -> Map<String, Value> {
        Self::configuration(state)
    }
    /// Its client id, and whether there is a secret to it.
    fn client(state: &Self::State) -> (Option<&str>, bool) {
        let _ = state;
        (None, false)
    }
}

impl<A: Application> Entity for A {
    const ENTITY: EntityDescription = A::DATA;

    fn list(
        access: &Access,
    ) -> impl Stream<Item = Result<Row<RemoteEntity<A::State>>>> + Send + 'static {
        listing::list::<A>(&access.client)
    }

    async fn read(access: &Access, id: &str) -> Result<Option<RemoteEntity<A::State>>> {
        read::<A>(access, id).await
    }

    async fn create(access: &Access, id: &str, want: &A::State) -> Result<Written> {
        creation::create::<A>(access, id, want).await
    }

    async fn update(
        access: &Access,
        have: &RemoteEntity<A::State>,
        want: &A::State,
    ) -> Result<Written> {
        update::<A>(access, have, want).await
    }

    async fn delete(access: &Access, id: &str) -> Result<()> {
        wire::delete(access, &path(access, ONE, id)?).await
    }

    /// ZITADEL creates an API under the id of another application, and what comes of it is hardly
    /// seen (recording `app-id-edge`). Where the server chooses the id, none is given.
    async fn is_taken(access: &Access, id: &str) -> Result<bool> {
        is_taken(access, id).await
    }

    fn has_secret(state: &A::State) -> bool {
        A::client(state).1
    }

    fn values(app: &RemoteEntity<A::State>) -> Vec<(&'static str, String)> {
        let (client_id, _) = A::client(&app.state);
        let client_id = client_id.unwrap_or_default().to_owned();
        let project = app.place.parents.first().cloned().unwrap_or_default();
        vec![("projectId", project), ("appId", app.id.clone()), ("clientId", client_id)]
    }

    async fn proves(
        access: &Access,
        app: &RemoteEntity<A::State>,
        value: &SecretString,
    ) -> Result<bool> {
        match A::client(&app.state) {
            (Some(client_id), true) => access.client.accepts_client(client_id, value).await,
            _ => Ok(false),
        }
    }

    async fn issue(access: &Access, id: &str) -> Result<Issued> {
        let Some(template) = A::CALLS.issue else {
            return Err(Error::Malformed {
                endpoint: "(no call)".into(),
                what: "no secret".into(),
            });
        };
        issue(access, template, id).await
    }
}

/// Where the calls of a kind of application go, and how its configuration is called.
pub(super) struct Calls {
    /// The configuration in answers of the management API.
    pub(super) field: &'static str,
    /// The same in the service v2.
    pub(super) field_v2: &'static str,
    /// Whether the service v2 lets the client choose the id.
    pub(super) heeds_id: bool,
    /// The word of the service v2 for the kind.
    pub(super) word: &'static str,
    /// Creates one.
    pub(super) add: &'static str,
    /// Changes the configuration.
    pub(super) configure: &'static str,
    /// Issues a secret; `None`: it has none.
    pub(super) issue: Option<&'static str>,
}

/// An application of any kind in the management API.
#[derive(Debug, Deserialize)]
struct Wire {
    id: String,
    #[serde(default)]
    details: Details,
    name: String,
    #[serde(default = "some_default", deserialize_with = "lenient")]
    state: Option<Activity>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Wire {
    fn is<A: Application>(&self) -> bool {
        self.rest.contains_key(A::CALLS.field)
    }

    /// A word that this version does not know makes the application unreadable, not a field of it
    /// unknown: a change of another field would reset it.
    fn row<A: Application>(mut self, place: &Place) -> Row<RemoteEntity<A::State>> {
        let configuration = self.rest.remove(A::CALLS.field).unwrap_or_default();
        let version = self.details.version();
        row::<A>(self.id, place.clone(), self.name, self.state, configuration, version)
    }
}

/// An application as an API tells it.
fn row<A: Application>(
    id: String,
    place: Place,
    name: String,
    activity: Option<Activity>,
    configuration: Value,
    version: Option<Version>,
) -> Row<RemoteEntity<A::State>> {
    match serde_json::from_value(configuration) {
        Ok(read) => {
            Row::Read(RemoteEntity { id, place, state: A::read_as(name, activity, read), version })
        }
        Err(_) => Row::Odd { id: Some(id) },
    }
}

async fn read<A: Application>(access: &Access, id: &str) -> Result<Option<RemoteEntity<A::State>>> {
    #[derive(Deserialize)]
    struct Read {
        app: Wire,
    }
    let answer: Result<Read> =
        access.client.get(access.organization(), &path(access, ONE, id)?).await;
    let wire = found(answer)?.map(|read| read.app).filter(Wire::is::<A>);
    match wire.map(|wire| wire.row::<A>(&access.place)) {
        None => Ok(None),
        Some(Row::Read(remote)) => Ok(Some(remote)),
        Some(Row::Odd { .. }) => Err(Error::Malformed {
            endpoint: format!("GET {ONE}"),
            what: "a configuration of another form".into(),
        }),
    }
}

async fn update<A: Application>(
    access: &Access,
    have: &RemoteEntity<A::State>,
    want: &A::State,
) -> Result<Written> {
    let mut written = Written::default();
    let moves = A::activity(want).filter(|to| A::activity(&have.state) != Some(*to));
    // What is to be out of use is so before anything else of it changes.
    if let Some(to) = moves.filter(|to| *to == Activity::Inactive) {
        written = move_to(access, &have.id, to).await?;
    }
    let configuration = A::configuration(want);
    if A::configuration(&have.state) != configuration {
        let path = path(access, A::CALLS.configure, &have.id)?;
        let body = Value::Object(configuration);
        written = wire::write(access, Method::PUT, &path, &body).await?.after(written);
    }
    if A::name(&have.state) != A::name(want) {
        let path = path(access, ONE, &have.id)?;
        let body = json!({"name": A::name(want)});
        written = wire::write(access, Method::PUT, &path, &body).await?.after(written);
    }
    if let Some(to) = moves.filter(|to| *to == Activity::Active) {
        written = move_to(access, &have.id, to).await?.after(written);
    }
    Ok(written)
}

async fn move_to(access: &Access, id: &str, to: Activity) -> Result<Written> {
    let template = match to {
        Activity::Active => "/management/v1/projects/{}/apps/{}/_reactivate",
        Activity::Inactive => "/management/v1/projects/{}/apps/{}/_deactivate",
    };
    wire::write(access, Method::POST, &path(access, template, id)?, &json!({})).await
}

/// The service v2 reads in all projects; a server without it does not let the client choose an id.
async fn is_taken(access: &Access, id: &str) -> Result<bool> {
    let read = || async {
        let path = "/zitadel.application.v2.ApplicationService/GetApplication";
        access.client.query::<Value>(None, path, &json!({"applicationId": id})).await.map(Some)
    };
    let answer = access.client.with_fallback(READ, read, || async { Ok(None) }).await;
    Ok(found(answer)?.flatten().is_some())
}

async fn issue(access: &Access, template: &'static str, id: &str) -> Result<Issued> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Generated {
        client_secret: SecretString,
        #[serde(default)]
        details: Details,
    }
    let path = path(access, template, id)?;
    let generated: Generated =
        access.client.write(Method::POST, access.organization(), &path, &json!({})).await?;
    Ok(Issued { secret: generated.client_secret, version: generated.details.version() })
}

fn path(access: &Access, template: &'static str, id: &str) -> Result<Path> {
    Path::new(template, &[access.parent(), id])
}
