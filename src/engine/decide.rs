//! Stage 3: what is declared, what was observed and what the policies say → what to do. Pure.

use super::{
    error::{Error, NoConsent, Refusal, Result},
    inputs::{SecretChange, SendCause},
    observe::Found,
};
use crate::{
    api::{
        spec::AdoptionPolicy,
        status::{Drift, Provenance},
    },
    contract::{Due, Fields, List, Place, Remote, Schedule, Subject, diff},
};

/// What is to be done for an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What to do.
    pub action: Action,
    /// The declared fields that differ.
    pub changes: Vec<Drift>,
    /// The secrets that are to be sent.
    pub secrets: Vec<SecretChange>,
    /// The step that is due, of what acts on time.
    pub due: Option<Due>,
    /// Whether it acts on time, and no step is due: what differs has to wait.
    pub waits: bool,
    /// Whether another thing is created in its place: ZITADEL can't change what is to change.
    pub by_another: bool,
    /// What exists now.
    pub have: Option<Remote>,
    /// All fields as they will be.
    pub want: Fields,
    /// Which thing it is, or will be.
    pub subject: Subject,
    /// Where it comes from, once this is done.
    pub provenance: Provenance,
    /// What exists already and is taken over by this.
    pub adopts: bool,
    /// The id of what was deleted behind our back, and is created again.
    pub former: Option<String>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is as declared.
    Nothing,
    /// Create it.
    Create,
    /// Change it.
    Update,
}

impl Plan {
    /// What users see of it: an organization's own policy in place of an inherited one is something
    /// new.
    pub fn effect(&self) -> Action {
        match &self.have {
            Some(have) if self.action == Action::Update && !have.own => Action::Create,
            _ => self.action,
        }
    }

    /// The id of the entity.
    pub fn id(&self) -> Option<&str> {
        self.subject.id()
    }

    /// The names of the fields that differ, and of the secrets that are to be sent.
    pub fn changed_fields(&self) -> Vec<String> {
        let secrets = self.secrets.iter().map(|secret| secret.field.to_owned());
        fields(&self.changes).into_iter().chain(secrets).collect()
    }

    /// The names of the fields that are not what they were, secrets that somebody else set among
    /// them.
    pub fn drifted_fields(&self) -> Vec<String> {
        let is_drift = |secret: &&SecretChange| matches!(secret.cause, SendCause::Drift(_));
        let secrets = self.secrets.iter().filter(is_drift).map(|secret| secret.field.to_owned());
        fields(&self.changes).into_iter().chain(secrets).collect()
    }

    /// What is done, in words: the step that is due, or the fields that change.
    pub fn done(&self) -> String {
        self.due.as_ref().map_or_else(|| self.changed_fields().join(", "), |due| due.what.clone())
    }

    /// What somebody else changed, in words.
    pub fn drifted(&self, noun: &str) -> String {
        let fields = self.drifted_fields();
        if self.action == Action::Create || fields.is_empty() {
            noun.to_owned()
        } else {
            fields.join(", ")
        }
    }

    /// Whether something was to be so already and is not: a secret whose Secret is another one now
    /// was not.
    pub fn is_drift(&self) -> bool {
        let is_there = self.have.as_ref().is_some_and(|have| have.own);
        self.action != Action::Nothing && !(is_there && self.drifted_fields().is_empty())
    }

    /// The same with secrets that are to be sent. `by_another`: fields that ZITADEL can't change.
    #[must_use]
    pub fn sending(self, secrets: Vec<SecretChange>, by_another: &[&str]) -> Self {
        let is_needed = self.action == Action::Nothing && !secrets.is_empty();
        let can_not_change = secrets.iter().any(|secret| secret.by_another)
            || self.changes.iter().any(|change| by_another.contains(&change.field.as_str()));
        Self {
            action: if is_needed { Action::Update } else { self.action },
            by_another: self.have.is_some() && can_not_change,
            secrets,
            ..self
        }
    }
}

/// The names of fields that differ.
pub fn fields(changes: &[Drift]) -> Vec<String> {
    changes.iter().map(|c| c.field.clone()).collect()
}

/// What an object declares, as far as it decides what to do.
pub struct Declared<'a> {
    /// The declared fields.
    pub fields: &'a Fields,
    /// Those that only count when it is created.
    pub initial: &'a Fields,
    /// What is special about lists.
    pub lists: &'a [List],
    /// Where it is declared.
    pub place: &'a Place,
    /// The fields that say which thing it is, and never change.
    pub fixed: &'a [&'static str],
    /// Whether differences are only reported.
    pub observes: bool,
    /// Whether existing things are taken over.
    pub adoption: AdoptionPolicy,
    /// The consent that adoption lacks.
    pub may_not_adopt: Option<NoConsent>,
}

/// What to do for an entity. `provenance`: where what was found comes from.
pub fn entity(found: Found, provenance: Provenance, declared: &Declared) -> Result<Plan> {
    match found {
        Found::Bound(remote) | Found::Derived(remote) => declared.keep(remote, provenance, false),
        Found::Given(remote) => {
            declared.may_adopt()?;
            declared.keep(remote, provenance, true)
        }
        Found::Named(all) => declared.adopt(all),
        Found::Nothing { id } => Ok(declared.create(id, None)),
        Found::Gone { former, id } => Ok(declared.create(id, Some(former))),
        Found::Taken(refusal) => Err(Error::AdoptionRefused(refusal)),
        Found::Elsewhere { id, organization } => {
            Err(Error::Elsewhere { id, organization: Some(organization) })
        }
    }
}

/// What to do for a setting, which always exists. `schedule`: of one that acts on time.
pub fn setting(
    remote: Remote,
    provenance: Option<Provenance>,
    declared: &Declared,
    schedule: Option<&Schedule>,
) -> Plan {
    let changes = declared.changes(&remote.state);
    let due = schedule.and_then(|schedule| schedule.due.clone());
    let waits = schedule.is_some() && due.is_none();
    let is_settled = changes.is_empty() && remote.own && due.is_none();
    let found = if remote.own { Provenance::Adopted } else { Provenance::Created };
    Plan {
        action: if is_settled { Action::Nothing } else { Action::Update },
        want: remote.state.changed(&changes),
        changes,
        secrets: Vec::new(),
        due,
        waits,
        by_another: false,
        have: Some(remote),
        subject: Subject::Setting,
        provenance: provenance.unwrap_or(found),
        adopts: false,
        former: None,
    }
}

/// What to do for a setting at a place that is only planned yet.
pub fn planned_setting(declared: &Declared) -> Plan {
    Plan { subject: Subject::Setting, ..declared.create(None, None) }
}

impl Declared<'_> {
    /// What a thing has to change in.
    pub fn changes(&self, have: &Fields) -> Vec<Drift> {
        diff(self.fields, have, self.lists)
    }

    /// Observing needs the same consent: others refer to what is observed.
    fn may_adopt(&self) -> Result<()> {
        self.may_not_adopt.clone().map_or(Ok(()), |consent| Err(consent.into()))
    }

    /// Takes over what somebody else created, if the policy says so.
    fn adopt(&self, mut all: Vec<Remote>) -> Result<Plan> {
        let remote = match (all.pop(), all.is_empty()) {
            (Some(only), true) => only,
            (Some(last), false) => {
                let ids = all.iter().chain([&last]).filter_map(Remote::id);
                let ids = ids.map(ToOwned::to_owned).collect();
                return Err(Error::AdoptionRefused(Refusal::Ambiguous { ids }));
            }
            (None, _) => return Ok(self.create(None, None)),
        };
        let id = remote.id().unwrap_or_default().to_owned();
        if remote.place != *self.place {
            let organization = remote.place.organization;
            return Err(Error::AdoptionRefused(Refusal::Elsewhere { id, organization }));
        }
        self.may_adopt()?;
        if self.observes {
            return self.keep(remote, Provenance::Adopted, false);
        }
        let changes = self.changes(&remote.state);
        match self.adoption {
            AdoptionPolicy::Never => Err(Error::AdoptionRefused(Refusal::Never { id })),
            AdoptionPolicy::IfIdentical if !changes.is_empty() => {
                let fields = fields(&changes);
                Err(Error::AdoptionRefused(Refusal::Differs { id, fields }))
            }
            AdoptionPolicy::Always | AdoptionPolicy::IfIdentical => {
                self.keep(remote, Provenance::Adopted, true)
            }
        }
    }

    /// What exists and is this object's. Calls by id reach any organization: what is written must
    /// be in the declared one.
    fn keep(&self, remote: Remote, provenance: Provenance, adopts: bool) -> Result<Plan> {
        if remote.place != *self.place {
            let id = remote.id().unwrap_or_default().to_owned();
            return Err(Error::Elsewhere { id, organization: remote.place.organization });
        }
        let changes = self.changes(&remote.state);
        let fixed = changes.iter().filter(|c| self.fixed.contains(&c.field.as_str()));
        let fixed: Vec<String> = fixed.map(|c| c.field.clone()).collect();
        if !fixed.is_empty() {
            let id = remote.id().unwrap_or_default().to_owned();
            return Err(Error::ReferenceChanged { id, fields: fixed });
        }
        let is_refused = |c: &&Drift| self.lists.iter().any(|list| list.refuses(c));
        let fields: Vec<String> =
            changes.iter().filter(is_refused).map(|c| c.field.clone()).collect();
        if !fields.is_empty() && !self.observes {
            return Err(Error::CannotEmpty { fields });
        }
        Ok(Plan {
            action: if changes.is_empty() { Action::Nothing } else { Action::Update },
            want: remote.state.changed(&changes),
            changes,
            secrets: Vec::new(),
            due: None,
            waits: false,
            by_another: false,
            subject: remote.subject.clone(),
            have: Some(remote),
            provenance,
            adopts,
            former: None,
        })
    }

    fn create(&self, id: Option<String>, former: Option<String>) -> Plan {
        let want = self.initial.overlay(self.fields);
        Plan {
            action: Action::Create,
            changes: diff(&want, &Fields::default(), self.lists),
            secrets: Vec::new(),
            due: None,
            waits: false,
            by_another: false,
            have: None,
            want,
            subject: id.map_or(Subject::New, Subject::Entity),
            provenance: Provenance::Created,
            adopts: false,
            former,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{contract::Key, engine::error::Purpose};

    fn remote(id: &str, name: &str) -> Remote {
        Remote {
            subject: Subject::from(id),
            place: Place::organization("o"),
            state: Fields::from(json!({"name": name, "other": true})),
            reported: Fields::default(),
            own: true,
            version: None,
        }
    }

    struct Case {
        fields: Fields,
        initial: Fields,
        place: Place,
        fixed: &'static [&'static str],
        observes: bool,
        adoption: AdoptionPolicy,
        may_not_adopt: Option<NoConsent>,
    }

    impl Case {
        fn new() -> Self {
            Self {
                fields: Fields::from(json!({"name": "a"})),
                initial: Fields::default(),
                place: Place::organization("o"),
                fixed: &[],
                observes: false,
                adoption: AdoptionPolicy::IfIdentical,
                may_not_adopt: None,
            }
        }

        fn entity(&self, found: Found, provenance: Provenance) -> Result<Plan> {
            entity(found, provenance, &self.declared())
        }

        fn declared(&self) -> Declared<'_> {
            Declared {
                fields: &self.fields,
                initial: &self.initial,
                lists: &[],
                place: &self.place,
                fixed: self.fixed,
                observes: self.observes,
                adoption: self.adoption,
                may_not_adopt: self.may_not_adopt.clone(),
            }
        }
    }

    fn no_consent() -> NoConsent {
        let giver = Key { kind: "Instance", namespace: "ns".into(), name: "i".into() };
        let namespace = "other".to_owned();
        NoConsent { giver, field: "instanceScope", namespace, purpose: Purpose::AdoptRoot }
    }

    #[test]
    fn what_is_ours_is_changed_where_it_differs_and_nowhere_else() {
        for provenance in [Provenance::Created, Provenance::Adopted] {
            for found in [Found::Bound, Found::Derived] {
                let same = Case::new().entity(found(remote("1", "a")), provenance).unwrap();
                assert_eq!((same.action, same.provenance), (Action::Nothing, provenance));
                let other = Case::new().entity(found(remote("1", "b")), provenance).unwrap();
                assert_eq!((other.action, other.provenance), (Action::Update, provenance));
                assert_eq!(other.changed_fields(), ["name"]);
                assert_eq!(other.want, Fields::from(json!({"name": "a", "other": true})));
                assert!(!other.adopts);
            }
        }
    }

    fn secret(cause: SendCause, by_another: bool) -> Vec<SecretChange> {
        vec![SecretChange { field: "token", cause, by_another }]
    }

    #[test]
    fn a_secret_is_a_change_and_only_what_somebody_else_set_is_drift() {
        let plan = |name: &str| {
            let plan = Case::new().entity(Found::Bound(remote("1", name)), Provenance::Created);
            plan.unwrap()
        };
        assert!(!plan("a").is_drift() && plan("b").is_drift());
        let changed = plan("a").sending(secret(SendCause::Changed, false), &[]);
        assert_eq!((changed.action, changed.by_another), (Action::Update, false));
        assert_eq!(changed.changed_fields(), ["token"]);
        assert!(!changed.is_drift());
        let set = plan("a").sending(secret(SendCause::Drift(String::new()), false), &[]);
        assert!(set.is_drift());
        assert_eq!(set.drifted_fields(), ["token"]);
        let both = plan("b").sending(secret(SendCause::Changed, false), &[]);
        assert_eq!(both.drifted_fields(), ["name"]);
    }

    #[test]
    fn what_can_not_be_changed_is_replaced_and_only_that() {
        let plan = |name: &str, secrets| {
            let plan = Case::new().entity(Found::Bound(remote("1", name)), Provenance::Created);
            plan.unwrap().sending(secrets, &["name"])
        };
        assert!(!plan("a", Vec::new()).by_another);
        assert!(plan("b", Vec::new()).by_another);
        assert!(plan("a", secret(SendCause::Changed, true)).by_another);
        let new = Case::new().entity(Found::Nothing { id: None }, Provenance::Created).unwrap();
        assert!(!new.sending(secret(SendCause::New, true), &["name"]).by_another);
    }

    #[test]
    fn what_says_which_thing_it_is_never_changes() {
        let case = Case { fixed: &["name"], ..Case::new() };
        let same = case.entity(Found::Bound(remote("1", "a")), Provenance::Created).unwrap();
        assert_eq!(same.action, Action::Nothing);
        let other = case.entity(Found::Bound(remote("1", "b")), Provenance::Created);
        let Err(Error::ReferenceChanged { id, fields }) = other else { panic!("{other:?}") };
        assert_eq!((&*id, fields), ("1", vec!["name".to_owned()]));
    }

    #[test]
    fn an_id_that_the_server_chooses_is_not_known_before() {
        let new = Case::new().entity(Found::Nothing { id: None }, Provenance::Created).unwrap();
        assert_eq!(
            (new.action, new.subject.clone(), new.id()),
            (Action::Create, Subject::New, None)
        );
    }

    #[test]
    fn what_exists_by_name_is_adopted_as_the_policy_says() {
        use AdoptionPolicy::{Always, IfIdentical, Never};
        for (policy, name, expected) in [
            (IfIdentical, "a", Ok(Action::Nothing)),
            (
                IfIdentical,
                "b",
                Err(Refusal::Differs { id: "1".into(), fields: vec!["name".into()] }),
            ),
            (Always, "a", Ok(Action::Nothing)),
            (Always, "b", Ok(Action::Update)),
            (Never, "a", Err(Refusal::Never { id: "1".into() })),
            (Never, "b", Err(Refusal::Never { id: "1".into() })),
        ] {
            let case = Case { adoption: policy, ..Case::new() };
            let plan = case.entity(Found::Named(vec![remote("1", name)]), Provenance::Adopted);
            match (plan, expected) {
                (Ok(plan), Ok(action)) => {
                    assert_eq!(plan.action, action, "{policy:?}");
                    assert_eq!((plan.provenance, plan.adopts), (Provenance::Adopted, true));
                }
                (Err(Error::AdoptionRefused(refusal)), Err(expected)) => {
                    assert_eq!(refusal, expected, "{policy:?}");
                }
                other => panic!("{policy:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_has_the_given_id_is_adopted_whatever_the_policy_says() {
        let case = Case { adoption: AdoptionPolicy::Never, ..Case::new() };
        let plan = case.entity(Found::Given(remote("1", "b")), Provenance::Adopted).unwrap();
        assert_eq!((plan.action, plan.provenance), (Action::Update, Provenance::Adopted));
    }

    #[test]
    fn adoption_needs_consent_and_what_is_ours_does_not() {
        let case = Case { may_not_adopt: Some(no_consent()), ..Case::new() };
        for found in [Found::Given(remote("1", "a")), Found::Named(vec![remote("1", "a")])] {
            let refused = case.entity(found, Provenance::Adopted);
            assert!(matches!(refused, Err(Error::NoConsent(_))), "{refused:?}");
        }
        let ours = case.entity(Found::Derived(remote("1", "a")), Provenance::Created);
        assert_eq!(ours.unwrap().action, Action::Nothing);
    }

    #[test]
    fn observing_compares_with_what_exists_and_asks_no_policy() {
        let case = Case { observes: true, adoption: AdoptionPolicy::Never, ..Case::new() };
        let plan = case.entity(Found::Named(vec![remote("1", "b")]), Provenance::Adopted).unwrap();
        assert_eq!((plan.action, plan.adopts), (Action::Update, false));
    }

    #[test]
    fn observing_needs_the_consent_that_adopting_needs() {
        let case = Case { observes: true, may_not_adopt: Some(no_consent()), ..Case::new() };
        for found in [Found::Named(vec![remote("1", "a")]), Found::Given(remote("1", "a"))] {
            let plan = case.entity(found, Provenance::Adopted);
            assert!(matches!(plan, Err(Error::NoConsent(_))), "{plan:?}");
        }
    }

    #[test]
    fn of_several_that_fit_none_is_taken() {
        let found = Found::Named(vec![remote("1", "a"), remote("2", "A")]);
        let case = Case { adoption: AdoptionPolicy::Always, ..Case::new() };
        match case.entity(found, Provenance::Adopted) {
            Err(Error::AdoptionRefused(Refusal::Ambiguous { ids })) => assert_eq!(ids, ["1", "2"]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_in_another_organization_is_never_touched() {
        let case = Case {
            place: Place::organization("p"),
            adoption: AdoptionPolicy::Always,
            ..Case::new()
        };
        for found in [
            Found::Bound(remote("1", "a")),
            Found::Given(remote("1", "a")),
            Found::Derived(remote("1", "a")),
        ] {
            match case.entity(found, Provenance::Created) {
                Err(Error::Elsewhere { id, organization }) => {
                    assert_eq!((id.as_str(), organization.as_deref()), ("1", Some("o")));
                }
                other => panic!("{other:?}"),
            }
        }
        let elsewhere = Found::Elsewhere { id: "1".into(), organization: "o".into() };
        assert!(matches!(
            case.entity(elsewhere, Provenance::Created),
            Err(Error::Elsewhere { .. })
        ));
        match case.entity(Found::Named(vec![remote("1", "a")]), Provenance::Adopted) {
            Err(Error::AdoptionRefused(Refusal::Elsewhere { organization, .. })) => {
                assert_eq!(organization.as_deref(), Some("o"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_does_not_exist_is_created_and_what_is_gone_created_again() {
        let new = Case::new().entity(Found::Nothing { id: Some("1".into()) }, Provenance::Created);
        let new = new.unwrap();
        assert_eq!(
            (new.action, new.id(), new.former.as_deref()),
            (Action::Create, Some("1"), None)
        );
        assert_eq!(new.provenance, Provenance::Created);
        let gone = Found::Gone { former: "1".into(), id: Some("2".into()) };
        let again = Case::new().entity(gone, Provenance::Created).unwrap();
        assert_eq!(
            (again.action, again.id(), again.former.as_deref()),
            (Action::Create, Some("2"), Some("1"))
        );
        assert_eq!(again.provenance, Provenance::Created, "what was adopted and is gone is ours");
    }

    #[test]
    fn a_setting_is_written_where_it_differs_or_is_inherited() {
        let setting = |name: &str, own: bool, provenance| {
            let remote = Remote { subject: Subject::Setting, own, ..remote("", name) };
            super::setting(remote, provenance, &Case::new().declared(), None)
        };
        assert_eq!(setting("a", true, None).action, Action::Nothing);
        assert_eq!(setting("b", true, None).action, Action::Update);
        let inherited = setting("a", false, None);
        assert_eq!((inherited.action, inherited.effect()), (Action::Update, Action::Create));
        assert_eq!(setting("a", true, None).provenance, Provenance::Adopted);
        assert_eq!(inherited.provenance, Provenance::Created);
        let remembered = setting("a", false, Some(Provenance::Adopted));
        assert_eq!(remembered.provenance, Provenance::Adopted, "what is remembered counts");
    }

    #[test]
    fn what_only_counts_at_a_creation_is_in_it_and_in_nothing_else() {
        let case = Case { initial: Fields::from(json!({"initial": {"size": 1}})), ..Case::new() };
        let created = case.entity(Found::Nothing { id: None }, Provenance::Created).unwrap();
        assert_eq!(created.want, Fields::from(json!({"name": "a", "initial": {"size": 1}})));
        assert_eq!(created.changed_fields(), ["initial.size", "name"]);
        let kept = case.entity(Found::Bound(remote("1", "a")), Provenance::Created).unwrap();
        assert_eq!((kept.action, kept.changes), (Action::Nothing, Vec::new()));
        let changed = case.entity(Found::Bound(remote("1", "b")), Provenance::Created).unwrap();
        assert_eq!(changed.changed_fields(), ["name"]);
        assert_eq!(changed.want, Fields::from(json!({"name": "a", "other": true})));
    }
}
