//! The life of one object, by an account of its own.

use std::{collections::HashMap, time::Duration};

use kastellan::{
    contract::{Fields, Key, Place},
    zitadel::roles::{self, Level},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    contract::{Case, merged},
    inprocess::{Lab, key},
    remote::entry,
    samples::{Object, Placed},
};

/// What happens to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Change,
    /// What somebody else changed.
    Revert,
    Delete,
    /// What somebody else created, and change it.
    Adopt,
    /// Delete what was adopted, or restore what was there before.
    DeleteAdopted,
}

/// A step that came to its end at something else than success.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) has_written: bool,
    /// The id that the object had before.
    id: Option<String>,
}

impl Refusal {
    /// It says what is missing, and what to do.
    pub(super) fn assert_explained(&self, permission: &str) {
        let Self { reason, message, .. } = self;
        assert_eq!(reason, "Forbidden", "{message}");
        assert!(message.contains(permission), "{permission}: {message}");
        assert!(message.contains("give the account the role "), "{message}");
    }
}

/// An object of one kind in one place, and the account by which Kastellan sees to it.
pub(super) struct Trial {
    pub(super) lab: Lab,
    case: Case,
    it: Key,
    place: Place,
    connected: Fields,
    organization: String,
    account: String,
    level: Level,
    role: &'static str,
    by_name: Option<(String, &'static str)>,
}

impl Trial {
    /// With an account that has this role alone.
    pub(super) async fn new(p: Placed, level: Level, role: &'static str) -> Self {
        let mut lab = Lab::new().await;
        let mut case = Case::new(p);
        let mut ids: HashMap<(&str, &str), String> = HashMap::new();
        // Everywhere, so that there is an organization for the account.
        let home = Object { kind: "Organization", name: "home", spec: json!({"name": "Home"}) };
        for Object { kind, name, spec } in std::iter::once(home).chain(p.surroundings()) {
            let outcome = lab.apply(kind, name, spec).await;
            assert!(outcome.status.is_ready(), "{outcome:?}");
            ids.insert((kind, name), outcome.status.id.unwrap());
        }
        let (place, connected) = p.located(|kind, name| ids[&(kind, name)].clone());
        if case.kind() == "LoginPolicy" {
            let mut providers = Vec::new();
            for name in ["a", "b"] {
                let body = json!({"name": name, "clientId": "client", "clientSecret": "secret"});
                let path = "/admin/v1/idps/google";
                let made: Value = lab.client.write(Method::POST, None, path, &body).await.unwrap();
                providers.push(made["id"].clone());
            }
            case.declared["identityProviderIds"] = json!(providers[..1]);
            case.changed["identityProviderIds"] = json!(providers);
        }
        let organization = ids[&("Organization", "home")].clone();
        let (account, pat) = account(&lab, &organization).await;
        let it = key(case.kind(), "ns", "it");
        // What another account has read is not known to this one.
        lab.restart();
        let trial = Self {
            lab,
            case,
            it,
            place,
            connected,
            organization,
            account,
            level,
            role,
            by_name: None,
        };
        trial.give_role().await;
        let outcome = trial.lab.act_as(&pat).await;
        assert!(outcome.status.is_ready(), "{p:?} as {role}: {outcome:?}");
        trial
    }

    /// Where the account is a member, and of what.
    fn memberships(&self) -> Vec<(Place, &'static str)> {
        let home = Place::organization(self.organization.clone());
        match self.level {
            Level::Instance => vec![(Place::instance(), self.role)],
            Level::Organization => vec![(home, self.role)],
            Level::Project => {
                let project = home.below(self.place.parents.first().unwrap());
                vec![(home, roles::beside().unwrap().name), (project, self.role)]
            }
        }
    }

    pub(super) async fn give_role(&self) {
        for (place, role) in self.memberships() {
            let member = Fields::from(json!({"userId": self.account, "roles": [role]}));
            let at = self.lab.client_at(place);
            entry("Administrator").create(&at, &self.account, &member).await.unwrap();
        }
    }

    pub(super) async fn take_role(&self) {
        for (place, _) in self.memberships() {
            let at = self.lab.client_at(place);
            entry("Administrator").delete(&at, &self.account).await.unwrap();
        }
    }

    /// Another account, which has no role but in an organization of its own.
    pub(super) async fn be_elsewhere(&mut self) {
        let other = self.lab.emulator.add_user("elsewhere", "Elsewhere", &["ORG_OWNER"]);
        self.account = other.id;
        let outcome = self.lab.act_as(&other.pat).await;
        assert!(outcome.status.is_ready(), "{outcome:?}");
    }

    /// Refers to the user by name instead of by the object.
    pub(super) fn name(&mut self, field: &str, by_name: &'static str) {
        self.by_name = Some((field.to_owned(), by_name));
    }

    /// Declares the object, and looks at it once.
    pub(super) async fn look_at_new(&self) {
        self.prepare(Step::Create).await;
        self.lab.look(&self.it).await;
    }

    pub(super) fn reason(&self) -> (String, String) {
        self.lab.reason(&self.it)
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        use Step::{Adopt, Change, Create, Delete, DeleteAdopted, Revert};
        if self.case.p.is_entity() {
            vec![Create, Change, Revert, Delete, Adopt, DeleteAdopted]
        } else {
            vec![Create, Change, Revert, DeleteAdopted]
        }
    }

    /// Takes a step; it must succeed.
    pub(super) async fn run(&self, step: Step) -> Result<(), (Step, Refusal)> {
        self.refused(step).await.map_or(Ok(()), |refusal| Err((step, refusal)))
    }

    /// Takes a step. If it is refused, nothing is released.
    pub(super) async fn refused(&self, step: Step) -> Option<Refusal> {
        let id = self.lab.object(&self.it).and_then(|o| o.status.id.clone());
        self.prepare(step).await;
        let before = self.own_events();
        let mut refusal = self.settle(step).await?;
        refusal.has_written = self.own_events() > before;
        refusal.id = id;
        Some(refusal)
    }

    /// Takes a step that was refused, now that it is permitted, with the same thing.
    pub(super) async fn finish(&self, step: Step, refusal: &Refusal) {
        let (p, former) = (self.case.p, refusal.id.as_deref());
        tokio::time::advance(Duration::from_secs(11)).await;
        if let Some(refusal) = self.settle(step).await {
            panic!("{p:?} {step:?}, permitted: {refusal:?}");
        }
        if let (Some(former), Some(object)) = (former, self.lab.object(&self.it)) {
            assert_eq!(object.status.id.as_deref(), Some(former), "{p:?} {step:?}: the same one");
        }
    }

    fn spec(&self, fields: &Value, policies: &Value) -> Value {
        let mut spec = merged(self.case.spec(fields), policies);
        if self.case.p.entry.as_entity().is_some_and(|entity| entity.issues.is_some()) {
            spec["secret"] = json!({"name": "it", "onMissing": "Reissue"});
        }
        if let Some((field, by_name)) = &self.by_name {
            spec.as_object_mut().unwrap().remove(field);
            spec[by_name] = json!("Guest");
        }
        spec
    }

    async fn prepare(&self, step: Step) {
        let (p, kind) = (self.case.p, self.case.kind());
        let at = self.lab.client_at(self.place.clone());
        let delete = json!({"deletionPolicy": "Delete"});
        let declare = |fields: &Value, policies: &Value| {
            self.lab.declare("ns", kind, "it", self.spec(fields, policies));
        };
        match step {
            Step::Create => declare(&self.case.declared, &delete),
            Step::Change => declare(&self.case.changed, &delete),
            Step::Revert => {
                let id = self.lab.status(&self.it).id.unwrap();
                let tampered = Fields::from(self.case.declared.clone());
                p.entry.change(&at, &id, &tampered).await;
                tokio::time::advance(Duration::from_secs(700)).await;
            }
            Step::Delete | Step::DeleteAdopted => self.lab.delete(&self.it),
            Step::Adopt => {
                // As Kubernetes does it when its owner goes.
                self.lab.host.outputs.lock().unwrap().clear();
                let (named, id) = match p.natural_key() {
                    Some(key) if p.is_keyed() => (json!({key: "it"}), "it"),
                    Some(key) => (json!({key: "ONE"}), "before"),
                    None => (json!({}), self.connected.iter().next().unwrap().1.as_str().unwrap()),
                };
                let there = merged(self.case.changed.clone(), &named);
                let there = Fields::from(there).overlay(&self.connected);
                p.entry.create(&at, id, &there).await.unwrap();
                let policies = merged(delete, &json!({"adoptionPolicy": "Always"}));
                declare(&self.case.declared, &policies);
                tokio::time::advance(Duration::from_secs(700)).await;
            }
        }
    }

    /// Looks at the object until it is as declared, or gone; or until it says that it won't be.
    async fn settle(&self, step: Step) -> Option<Refusal> {
        let ends = matches!(step, Step::Delete | Step::DeleteAdopted);
        for _ in 0..20 {
            let outcome = self.lab.look(&self.it).await;
            match (ends, outcome.release, outcome.status.is_ready()) {
                (true, true, _) | (false, false, true) => return None,
                (_, released, _) => assert!(!released, "{:?} {step:?}", self.case.p),
            }
            if outcome.status.condition("Stalled").is_some_and(|c| c.status == "True") {
                let (reason, message) = self.lab.reason(&self.it);
                return Some(Refusal { reason, message, has_written: false, id: None });
            }
            tokio::time::advance(outcome.requeue_after.unwrap_or(Duration::from_secs(11))).await;
        }
        panic!("{:?} {step:?}: {:?}", self.case.p, self.lab.reason(&self.it));
    }

    /// How much the account has written.
    fn own_events(&self) -> usize {
        let events = self.lab.emulator.events();
        events.iter().filter(|event| event.editor.user_id == self.account).count()
    }
}

/// An account in an organization, without a role: its id and its token.
async fn account(lab: &Lab, organization: &str) -> (String, String) {
    let at = Some(organization);
    let body = json!({"userName": "keeper", "name": "Keeper"});
    let path = "/management/v1/users/machine";
    let made: Value = lab.client.write(Method::POST, at, path, &body).await.unwrap();
    let id = made["userId"].as_str().unwrap().to_owned();
    let path = kastellan::zitadel::Path::new("/management/v1/users/{}/pats", &[&id]).unwrap();
    let made: Value = lab.client.write(Method::POST, at, &path, &json!({})).await.unwrap();
    (id, made["token"].as_str().unwrap().to_owned())
}
