//! What the events add up to. There are two of these models: the write side's, which commands
//! check themselves against, and the read side's, which queries answer from. They are fed the same
//! events, but the read side's may come late or not at all (see [`crate::faults`]), and the two
//! forget differently: an organization's removal takes everything in it off the read side, and
//! nothing but itself off the write side.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    clock,
    store::{Event, Position},
};

pub(crate) mod application;
pub(crate) mod grant;
pub(crate) mod instance;
pub(crate) mod member;
pub(crate) mod message;
pub(crate) mod metadata;
pub(crate) mod notification;
pub(crate) mod organization;
pub(crate) mod policy;
pub(crate) mod project;
pub(crate) mod provider;
pub(crate) mod role;
mod stamp;
pub(crate) mod table;
pub(crate) mod user;
pub(crate) mod web_key;

use application::{ApplicationKey, Applications};
use grant::Grants;
use instance::{Instance, Restrictions, Security};
use member::Members;
use message::Texts;
use metadata::Metadata;
use organization::Organization;
use policy::{
    Policy,
    login::{Change, Logins},
};
use project::Project;
use provider::Provider;
use role::Roles;
pub(crate) use stamp::Stamp;
use table::Table;
use user::User;
use web_key::WebKeys;

/// Which of the two models this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Write,
    Read,
}

/// The fields of a thing: the payloads of its events, laid over each other.
pub(crate) use crate::proto::Request as Fields;

/// Lays an event's payload over the fields.
pub(crate) fn overlay(fields: &mut Fields, event: &Event) {
    if let Some(payload) = &event.payload {
        fields.0.extend(payload.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
}

/// The fields of a payload that differ from what is there; leaving one out means its zero value.
pub(crate) fn difference(have: &Fields, want: &Map<String, Value>) -> Map<String, Value> {
    want.iter()
        .filter(|(name, value)| match have.0.get(*name) {
            Some(have) => have != *value,
            None => !is_zero(value),
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Whether protobuf's JSON form leaves a value out.
pub(crate) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(_) => *value == json!(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(_) => false,
    }
}

/// One side's view of everything.
pub(crate) struct Model {
    side: Side,
    pub(crate) instance: Instance,
    pub(crate) restrictions: Option<Restrictions>,
    pub(crate) security: Option<Security>,
    pub(crate) organizations: Table<Organization>,
    pub(crate) projects: Table<Project>,
    pub(crate) applications: Applications,
    /// The keys of applications.
    pub(crate) keys: Table<ApplicationKey>,
    pub(crate) roles: Roles,
    pub(crate) grants: Grants,
    pub(crate) users: Table<User>,
    pub(crate) members: Members,
    /// What login policies allow.
    pub(crate) logins: Logins,
    pub(crate) providers: Table<Provider>,
    /// What e-mails are sent by.
    pub(crate) emails: notification::Providers,
    /// What SMS are sent by.
    pub(crate) texts: notification::Providers,
    /// The texts of messages.
    pub(crate) messages: Texts,
    pub(crate) metadata: Metadata,
    /// What signs tokens.
    pub(crate) web_keys: WebKeys,
    policies: HashMap<(String, &'static str), Policy>,
    latest: HashMap<&'static str, Timestamp>,
}

impl Model {
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            instance: Instance::default(),
            restrictions: None,
            security: None,
            organizations: Table::default(),
            projects: Table::default(),
            applications: Applications::new(side),
            keys: Table::default(),
            roles: Roles::default(),
            grants: Grants::default(),
            users: Table::default(),
            members: Members::default(),
            logins: Logins::default(),
            providers: Table::default(),
            emails: notification::Providers::default(),
            texts: notification::Providers::default(),
            messages: Texts::default(),
            metadata: Metadata::default(),
            web_keys: WebKeys::default(),
            policies: HashMap::new(),
            latest: HashMap::new(),
        }
    }

    /// An organization's own policy, or the instance's.
    pub(crate) fn policy(&self, owner: &str, kind: &policy::Kind) -> Option<&Policy> {
        self.policies.get(&(owner.to_owned(), kind.name))
    }

    /// What was last published of the policy of how an owner's pages look.
    pub(crate) fn published(&self, owner: &str) -> Option<&Policy> {
        policy::label::published(&self.policies, owner)
    }

    /// When the last event of a table was applied.
    pub(crate) fn latest(&self, table: &'static str) -> String {
        clock::text(self.latest.get(table).copied().unwrap_or_default())
    }

    /// Applies an event. `position` orders what is made.
    pub(crate) fn apply(&mut self, position: Position, event: &Event) {
        let table = match event.aggregate_type {
            "org" => self.apply_organization(position, event),
            "project" => self.apply_project(position, event),
            "usergrant" => {
                self.grants.apply_user(self.side, position, event);
                "grants"
            }
            "user" => self.apply_user(position, event),
            "restrictions" => {
                instance::apply_restrictions(&mut self.restrictions, event);
                "restrictions"
            }
            "instance" => self.apply_instance(position, event),
            "web_key" => {
                self.web_keys.apply(self.side, position, event);
                "web keys"
            }
            _ => return,
        };
        self.latest.insert(table, event.creation_date);
        for table in also_seen_by(event.event_type) {
            self.latest.insert(table, event.creation_date);
        }
    }

    fn apply_organization(&mut self, position: Position, event: &Event) -> &'static str {
        if self.metadata.apply(self.side, event) {
            return "metadata";
        }
        if self.messages.apply(self.side, event) {
            return "messages";
        }
        if let Some(table) = self.apply_policy(position, event) {
            return table;
        }
        if event.event_type.starts_with("org.member.") {
            self.members.apply(self.side, position, event);
            return "members";
        }
        if event.event_type == "org.removed" && self.side == Side::Read {
            let id = &event.aggregate_id;
            let users = self.users.remove_owned(id);
            for user in &users {
                self.members.forget_user(user);
            }
            let projects = self.projects.remove_owned(id);
            for project in &projects {
                self.members.forget_project(project);
            }
            self.applications.forget_owner(id);
            self.keys.remove_owned(id);
            self.roles.forget_owner(id);
            let grants = self.grants.forget(|grant| {
                grant.stamp.owner == *id
                    || grant.grantee == *id
                    || projects.contains(&grant.project)
                    || users.contains(&grant.grantee)
            });
            for grant in &grants {
                self.members.forget_scope(grant);
            }
            self.members.forget_scope(id);
            self.policies.retain(|(owner, _), _| owner != id);
            self.messages.forget(id);
            self.logins.forget(id);
            self.providers.remove_owned(id);
        }
        organization::apply(&mut self.organizations, position, event);
        "organizations"
    }

    fn apply_project(&mut self, position: Position, event: &Event) -> &'static str {
        if event.event_type.starts_with("project.member.")
            || event.event_type.starts_with("project.grant.member.")
        {
            self.members.apply(self.side, position, event);
            return "members";
        }
        if self.roles.apply(position, event) {
            return "roles";
        }
        if self.grants.apply_project(self.side, position, event) {
            if event.event_type == "project.grant.removed" {
                let fields = Fields(event.payload.clone().unwrap_or_default());
                self.members.forget_scope(fields.text("grantId"));
            }
            return "grants";
        }
        if event.event_type.starts_with("project.application.oidc.key.") {
            application::key::apply(&mut self.keys, position, event);
            return "keys";
        }
        if event.event_type.starts_with("project.application.") {
            application::key::follow(&mut self.keys, self.side, event);
            self.applications.apply(position, event);
            return "applications";
        }
        if event.event_type == "project.removed" {
            application::key::follow(&mut self.keys, self.side, event);
            self.applications.end_project(event);
            self.members.forget_project(&event.aggregate_id);
            self.roles.forget_project(&event.aggregate_id);
            if self.side == Side::Read {
                self.grants.forget(|grant| grant.project == event.aggregate_id);
            }
        }
        project::apply(&mut self.projects, self.side, position, event)
    }

    fn apply_user(&mut self, position: Position, event: &Event) -> &'static str {
        if self.metadata.apply(self.side, event) {
            return "metadata";
        }
        user::apply(&mut self.users, self.side, position, event);
        if event.event_type == "user.removed" && self.side == Side::Read {
            self.members.forget_user(&event.aggregate_id);
            self.grants.forget(|grant| grant.grantee == event.aggregate_id);
        }
        user::table_of(event.event_type)
    }

    fn apply_instance(&mut self, position: Position, event: &Event) -> &'static str {
        if self.messages.apply(self.side, event) {
            return "messages";
        }
        if let Some(table) = self.apply_policy(position, event) {
            return table;
        }
        if event.event_type.starts_with("instance.member.") {
            self.members.apply(self.side, position, event);
            return "members";
        }
        if notification::is_of(event.event_type, "smtp.config.") {
            self.emails.apply(self.side, position, event);
            return "emails";
        }
        if notification::is_of(event.event_type, "sms.config") {
            self.texts.apply(self.side, position, event);
            return "texts";
        }
        if event.event_type == "instance.policy.security.set" {
            instance::apply_security(&mut self.security, event);
            return "security";
        }
        self.instance.apply(event);
        "instance"
    }

    /// Applies an event of a policy or of an identity provider, of the instance or an organization.
    fn apply_policy(&mut self, position: Position, event: &Event) -> Option<&'static str> {
        if policy::label::apply(&mut self.policies, event) {
            return Some("policies");
        }
        if let Some(kind) = policy::of_event(event.event_type) {
            policy::apply(&mut self.policies, kind, event);
            if event.event_type == "org.policy.login.removed" {
                self.logins.forget(&event.aggregate_id);
            }
            return Some("policies");
        }
        let policy = self.policies.get_mut(&(event.aggregate_id.clone(), policy::LOGIN.name));
        match self.logins.apply(self.side, policy.is_some(), event) {
            Some(Change::Factors) => {
                if let Some(policy) = policy {
                    policy.stamp.touch(event);
                }
                return Some("policies");
            }
            Some(Change::Providers) => return Some("provider links"),
            None => {}
        }
        if !provider::apply(&mut self.providers, position, event) {
            return None;
        }
        // No command takes a deleted provider out of the policies; their reads do.
        if event.event_type.ends_with(".idp.removed") && self.side == Side::Read {
            let fields = Fields(event.payload.clone().unwrap_or_default());
            self.logins.forget_provider(fields.text("id"));
        }
        Some("providers")
    }
}

/// The tables that an event reaches besides its own: those that drop what belonged to what is gone.
fn also_seen_by(event_type: &str) -> &'static [&'static str] {
    match event_type {
        "project.removed" => &["roles", "grants", "applications", "keys"],
        "org.removed" => &[
            "projects",
            "applications",
            "keys",
            "roles",
            "grants",
            "users",
            "members",
            "policies",
            "providers",
            "provider links",
            "metadata",
        ],
        "user.removed" => &["metadata"],
        "org.policy.login.removed" | "org.idp.removed" | "instance.idp.removed" => {
            &["provider links"]
        }
        _ => &[],
    }
}
