//! Applications: clients of `OpenID` Connect, APIs, and service providers of SAML.

use super::{
    Fields, Side, Stamp,
    organization::State,
    overlay,
    table::{Row, Table},
};
use crate::store::{Event, Position};

pub(crate) mod key;

pub(crate) use key::ApplicationKey;

/// What an application is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Oidc,
    Api,
    Saml,
}

impl Kind {
    /// In the order in which ZITADEL looks for the configuration of an application.
    pub(crate) const ALL: [Self; 3] = [Self::Oidc, Self::Saml, Self::Api];
}

/// An application. On the write side removed ones stay, as their events do.
#[derive(Clone, Debug)]
pub(crate) struct Application {
    pub(crate) id: String,
    pub(crate) project: String,
    pub(crate) position: Position,
    pub(crate) stamp: Stamp,
    pub(crate) state: State,
    pub(crate) name: String,
    oidc: Option<Fields>,
    api: Option<Fields>,
    saml: Option<Fields>,
}

impl Application {
    fn added(position: Position, event: &Event, fields: &Fields) -> Self {
        Self {
            id: fields.text("appId").to_owned(),
            project: event.aggregate_id.clone(),
            position,
            stamp: Stamp::new(event),
            state: State::Active,
            name: fields.text("name").to_owned(),
            oidc: None,
            api: None,
            saml: None,
        }
    }

    /// Its configuration of a kind. An application has more than one where an API was made under
    /// the id of another application.
    pub(crate) fn configuration(&self, kind: Kind) -> Option<&Fields> {
        match kind {
            Kind::Oidc => self.oidc.as_ref(),
            Kind::Api => self.api.as_ref(),
            Kind::Saml => self.saml.as_ref(),
        }
    }

    fn configuration_mut(&mut self, kind: Kind) -> &mut Option<Fields> {
        match kind {
            Kind::Oidc => &mut self.oidc,
            Kind::Api => &mut self.api,
            Kind::Saml => &mut self.saml,
        }
    }

    /// What reads tell it to be, and its configuration as such.
    pub(crate) fn seen(&self) -> Option<(Kind, &Fields)> {
        Kind::ALL.into_iter().find_map(|kind| Some((kind, self.configuration(kind)?)))
    }

    /// The configuration under which a client id stands for it.
    pub(crate) fn of_client(&self, client: &str) -> Option<(Kind, &Fields)> {
        [Kind::Oidc, Kind::Api]
            .into_iter()
            .filter_map(|kind| Some((kind, self.configuration(kind)?)))
            .find(|(_, fields)| fields.text("clientId") == client)
    }
}

impl Row for Application {
    fn owner(&self) -> &str {
        &self.stamp.owner
    }

    fn position(&self) -> Position {
        self.position
    }
}

/// All applications. The write side knows an id once in each project, the read side once in all.
pub(crate) struct Applications {
    side: Side,
    table: Table<Application>,
}

impl Applications {
    pub(super) fn new(side: Side) -> Self {
        Self { side, table: Table::default() }
    }

    fn key(&self, project: &str, id: &str) -> String {
        match self.side {
            Side::Write => format!("{project}/{id}"),
            Side::Read => id.to_owned(),
        }
    }

    /// An application of a project.
    pub(crate) fn of_project(&self, project: &str, id: &str) -> Option<&Application> {
        let application = self.table.get(&self.key(project, id))?;
        (application.project == project && application.id == id).then_some(application)
    }

    /// The application that the read side knows by this id, of whatever project.
    pub(crate) fn get(&self, id: &str) -> Option<&Application> {
        self.table.get(id)
    }

    /// All applications, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Application> {
        self.table.iter()
    }

    /// Whether the tables of the read side have no place for what an event adds: another
    /// application, or another configuration, under an id that is there.
    pub(crate) fn refuse(&self, event: &Event) -> bool {
        let fields = Fields(event.payload.clone().unwrap_or_default());
        let Some(application) = self.get(fields.text("appId")) else {
            return false;
        };
        match configuration(event.event_type) {
            Some((kind, adds)) => adds && application.configuration(kind).is_some(),
            None => event.event_type == "project.application.added",
        }
    }

    pub(super) fn forget_owner(&mut self, organization: &str) {
        self.table.remove_owned(organization);
    }

    /// Ends the applications of a project that is removed.
    pub(super) fn end_project(&mut self, event: &Event) {
        let ended: Vec<_> = self
            .table
            .iter()
            .filter(|application| application.project == event.aggregate_id)
            .map(|application| self.key(&application.project, &application.id))
            .collect();
        for key in ended {
            self.end(&key, event);
        }
    }

    fn end(&mut self, key: &str, event: &Event) {
        if self.side == Side::Read {
            self.table.remove(key);
        } else if let Some(application) = self.table.get_mut(key) {
            application.state = State::Removed;
            application.stamp.touch(event);
        }
    }

    /// Applies an event. The read side finds an application by its id alone: what happens to a
    /// namesake in another project happens to it.
    pub(super) fn apply(&mut self, position: Position, event: &Event) {
        let fields = Fields(event.payload.clone().unwrap_or_default());
        let key = self.key(&event.aggregate_id, fields.text("appId"));
        if self.side == Side::Read && self.refuse(event) {
            return;
        }
        if event.event_type == "project.application.added" {
            let added = Application::added(position, event, &fields);
            let application = match self.table.get(&key).cloned() {
                // An API may be made under an id that is taken or was: the rest stays.
                Some(former) => {
                    Application { oidc: former.oidc, api: former.api, saml: former.saml, ..added }
                }
                None => added,
            };
            self.table.insert(&key, application);
            return;
        }
        if event.event_type == "project.application.removed" {
            self.end(&key, event);
            return;
        }
        let Some(application) = self.table.get_mut(&key) else {
            return;
        };
        match event.event_type {
            "project.application.changed" => fields.text("name").clone_into(&mut application.name),
            "project.application.deactivated" => application.state = State::Inactive,
            "project.application.reactivated" => application.state = State::Active,
            event_type => {
                let Some((kind, adds)) = configuration(event_type) else {
                    return;
                };
                let configuration = application.configuration_mut(kind);
                let configuration = if adds {
                    configuration.insert(Fields::default())
                } else {
                    configuration.get_or_insert_default()
                };
                // A change that leaves the entity as it is tells an empty one.
                let entity = configuration.text("entityId").to_owned();
                overlay(configuration, event);
                if kind == Kind::Saml && fields.text("entityId").is_empty() {
                    configuration.0.insert("entityId".to_owned(), entity.into());
                }
            }
        }
        application.stamp.touch(event);
    }
}

/// The kind of configuration that an event is about, and whether the event adds it.
fn configuration(event_type: &str) -> Option<(Kind, bool)> {
    let (kind, happened) =
        event_type.strip_prefix("project.application.config.")?.split_once('.')?;
    let kind = match kind {
        "oidc" => Kind::Oidc,
        "api" => Kind::Api,
        "saml" => Kind::Saml,
        _ => return None,
    };
    Some((kind, happened == "added"))
}
