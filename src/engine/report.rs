//! Stage 5: what is said about an object: status, Events, when to look again. The only place that
//! makes a status. Pure.

mod messages;

use std::time::Duration;

use jiff::Timestamp;

use super::{
    binding::Binding,
    decide::{Action, Plan},
    decide_deletion::Release,
    decide_secret::Cause,
    error::{Class, Error, NotConverged, Waiting},
    events::{EventReason, EventRecord},
    inputs::InputSecret,
    resolve::Target,
    schedule,
};
use crate::{
    api::{
        instance::InstanceDetails,
        secret::FormerKey,
        status::{Drift, LastDrift, Provenance, Readiness, Ready, Reason, Status},
    },
    contract::{Entry, Fields, Files, Key, Object, Remote, Schedule},
};

/// What was done about somebody else's change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// It is undone.
    Done,
    /// It could not be undone yet.
    Pending,
    /// Nothing: it is only observed.
    None,
}

/// What a reconcile came to.
#[derive(Debug)]
pub struct Outcome {
    /// The status from now on.
    pub status: Status,
    /// Of a connection: the rest of its status.
    pub details: Option<InstanceDetails>,
    /// What is worth an Event.
    pub events: Vec<EventRecord>,
    /// Why it is not as declared.
    pub error: Option<Error>,
    /// Look again after this.
    pub requeue_after: Option<Duration>,
    /// The remote side is settled: the object may go.
    pub release: bool,
    /// Other objects to look at.
    pub wake: Vec<Key>,
    /// It goes on as soon as ZITADEL is back, which is down.
    pub awaits_return: bool,
}

/// What else an object waits for, that is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pause {
    /// The end of what refers to it.
    Children(Vec<Key>),
    /// Another object that may take the thing over.
    Successor {
        /// The thing.
        id: String,
        /// How long a deletion waits in all.
        pause: Duration,
    },
    /// Its Instance.
    Instance,
    /// The end of what needs this connection.
    Dependants(Vec<Key>),
}

/// What became of the remote side of an object that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// An entity was deleted.
    Deleted {
        /// Its id.
        id: String,
    },
    /// It went with what it was in.
    WithPlace {
        /// Id of that.
        id: String,
    },
    /// An organization's own setting was reset.
    Reset,
    /// A setting got these former values back.
    Restored {
        /// The fields.
        fields: Vec<String>,
    },
    /// A setting held its former values already.
    Unchanged,
}

impl Outcome {
    /// What is said already.
    pub fn of(object: &Object) -> Self {
        Self {
            status: object.status.clone(),
            details: None,
            events: Vec::new(),
            error: None,
            requeue_after: None,
            release: false,
            wake: Vec::new(),
            awaits_return: false,
        }
    }

    fn event(&mut self, reason: EventReason, message: String) {
        self.events.push(EventRecord { reason, message });
    }

    fn conclude(&mut self, object: &Object, readiness: &Readiness) {
        let former = object.status.reason();
        let fails = readiness.ready == Ready::Stalled;
        // A class of failure that begins is an Event, one that goes on is not.
        if fails && former != Some(readiness.reason) {
            self.event(EventReason::Failed(readiness.reason), readiness.message.clone());
        }
        let stalled = object.status.condition("Stalled");
        if let (Ready::True, Some(before)) = (readiness.ready, stalled) {
            let message = format!("{}, after {}", readiness.message, before.reason);
            self.event(EventReason::Recovered, message);
        }
        self.status.set(readiness, object.generation, Timestamp::now());
    }

    fn say(&mut self, object: &Object, ready: Ready, reason: Reason, message: String) {
        self.conclude(object, &Readiness { ready, reason, message });
    }

    /// It is not as declared. `failures`: how many in a row, this one included.
    pub fn failed(&mut self, object: &Object, noun: &str, error: Error, failures: u32) {
        self.details.get_or_insert_with(|| object.details.clone());
        let class = error.class();
        let ready = match (&error, class) {
            (Error::NotConnected { reason: Some(Reason::Suspended), .. }, _) => Ready::Unknown,
            (_, Class::Waiting | Class::Transient(_)) => Ready::Progressing,
            (_, Class::Terminal) => Ready::Stalled,
        };
        self.say(object, ready, error.reason(), messages::sentence(&error, noun));
        self.requeue_after = Some(match (&error, class) {
            (Error::NotConverged(NotConverged::Sought), _) => SEARCH_PAUSE,
            (Error::Contested { retry_after, .. }, _) => *retry_after,
            (Error::Scheduled { left, .. } | Error::Unproven { left, .. }, _) => *left,
            (_, Class::Transient(asked)) => {
                let own = backoff(failures).min(LONGEST_RETRY);
                asked.unwrap_or_default().max(own).min(LONGEST_PAUSE)
            }
            (_, Class::Terminal) if error.is_refusal() => backoff(failures).min(LONGEST_PAUSE),
            // Nothing wakes it: a name is not in the events of what somebody declared.
            (Error::Waiting(Waiting::Name { .. }), _) => backoff(failures).min(LONGEST_PAUSE),
            // Woken earlier by what it waits for.
            (_, Class::Waiting | Class::Terminal) => LONGEST_PAUSE,
        });
        self.awaits_return = error.is_down();
        self.error = Some(error);
    }

    /// It is not as declared, and something is done about it.
    pub fn updating(&mut self, object: &Object, noun: &str, is_new: bool) {
        let doing = if is_new { "created" } else { "changed" };
        let message = format!("{noun} is being {doing}");
        self.say(object, Ready::Progressing, Reason::Updating, message);
    }

    /// Until it is in its Secret, nobody has one that is valid.
    pub fn issuing(&mut self, object: &Object, secret: &str) {
        let message = format!("a secret is being issued into Secret {secret}");
        self.say(object, Ready::Progressing, Reason::Updating, message);
    }

    /// Nothing is looked at.
    pub fn suspended(&mut self, object: &Object) {
        self.details = Some(object.details.clone());
        let message = if object.is_deleting {
            "spec.suspend is true: its deletion waits until that is removed"
        } else {
            "spec.suspend is true: nothing is looked at, nothing is changed"
        };
        self.say(object, Ready::Unknown, Reason::Suspended, message.into());
    }

    /// While the instance is away, what was seen as declared stays what it was.
    pub fn unchanged(&mut self, error: &Error, failures: u32) {
        self.awaits_return = error.is_down();
        self.requeue_after = Some(backoff(failures).min(LONGEST_RETRY));
    }

    /// It is bound to this thing from now on.
    pub fn bind(&mut self, target: &Target, id: &str, provenance: Provenance) {
        self.status.provenance = Some(provenance);
        self.locate(target, Some(id));
    }

    /// Something of this name is created whose id is not known yet.
    pub fn creating(&mut self, target: &Target, name: Option<String>) {
        self.status.provenance = Some(Provenance::Created);
        self.locate(target, None);
        self.status.creating = name;
    }

    /// It is bound to what it was bound to before.
    pub fn unbind(&mut self, object: &Object) {
        let former = &object.status;
        let status = &mut self.status;
        status.provenance = former.provenance;
        status.id.clone_from(&former.id);
        status.creating.clone_from(&former.creating);
        status.instance_id.clone_from(&former.instance_id);
        status.instance.clone_from(&former.instance);
        status.organization_id.clone_from(&former.organization_id);
        status.parents.clone_from(&former.parents);
        status.resolved.clone_from(&former.resolved);
    }

    fn locate(&mut self, target: &Target, id: Option<&str>) {
        let status = &mut self.status;
        status.id = id.map(ToOwned::to_owned);
        status.creating = None;
        status.instance_id = Some(target.connection.instance_id.clone());
        status.instance = Some(target.instance_binding.clone());
        status.organization_id.clone_from(&target.place.organization);
        status.parents.clone_from(&target.place.parents);
        status.resolved.clone_from(&target.resolved);
    }

    /// What ZITADEL says of a thing besides what can be declared.
    pub fn reported(&mut self, remote: &Remote) {
        // What is of another form is not shown.
        self.status.reported = remote.reported.to().unwrap_or_default();
    }

    /// What is said of what acts on time, and when to look again.
    pub fn scheduled(&mut self, schedule: &Schedule) {
        self.status.rotation = Some(schedule.rotation.clone());
        self.requeue_after = schedule::requeue_after(schedule, Timestamp::now());
    }

    /// What differs right now.
    pub fn differs(&mut self, changes: Vec<Drift>) {
        self.status.drift = changes;
    }

    /// A secret was issued and written.
    pub fn secret_issued(&mut self, name: &str, cause: &Cause) {
        let (reason, why) = match cause {
            Cause::First => (EventReason::SecretIssued, String::new()),
            Cause::CutOff => {
                (EventReason::SecretReissued, ": an attempt to issue one was cut off".into())
            }
            Cause::Missing => {
                (EventReason::SecretReissued, ": it did not hold the former one any more".into())
            }
            Cause::Changed(by) if by.is_empty() => {
                (EventReason::SecretReissued, ": the former one was changed in ZITADEL".into())
            }
            Cause::Changed(by) => (
                EventReason::SecretReissued,
                format!(": the former one was changed in ZITADEL by {by}"),
            ),
            Cause::Gone => (EventReason::SecretReissued, ": the former one is gone".into()),
            Cause::Keys => (EventReason::SecretReissued, ": its keys changed".into()),
            Cause::Rotation => (EventReason::SecretRotated, ": it was time".into()),
            Cause::Asked => (EventReason::SecretRotated, ": as the annotation asks".into()),
        };
        self.event(reason, format!("issued a secret into Secret {name}{why}"));
    }

    /// A former key that was still valid was ended.
    pub fn key_ended(&mut self, former: &FormerKey) {
        let FormerKey { id, expires_at } = former;
        let what = format!("ended the key {id}, valid until {expires_at}: too many came after it");
        self.event(EventReason::KeyEnded, what);
    }

    /// These secrets are the last that were sent.
    pub fn secrets_sent(&mut self, sent: &[&InputSecret]) {
        let applied = &mut self.status.secrets_applied;
        applied.extend(sent.iter().map(|s| (s.input.field.to_owned(), s.version.clone())));
    }

    /// ZITADEL has these secrets, as far as can be known, and no others are declared.
    pub fn secrets_applied(&mut self, declared: &[InputSecret]) {
        self.status.secrets_applied.clear();
        self.secrets_sent(&declared.iter().collect::<Vec<_>>());
    }

    /// ZITADEL has these files.
    pub fn files_applied(&mut self, declared: &Files) {
        self.status.files_applied = declared.fingerprints();
    }

    /// Another thing is created in the place of this one.
    pub fn replacing(&mut self, id: &str) {
        self.status.replaces = Some(id.to_owned());
    }

    /// What was replaced is gone.
    pub fn replaced(&mut self) {
        self.status.replaces = None;
    }

    /// It was read back, and is as declared.
    pub fn in_sync(&mut self, object: &Object, noun: &str) {
        self.say(object, Ready::True, Reason::InSync, format!("{noun} is as declared"));
        if let Some(drift) = &mut self.status.last_drift {
            drift.corrected = true;
        }
    }

    /// What would be done, if it were not only observed.
    pub fn observed(&mut self, object: &Object, noun: &str, target: &Target, plan: Plan) {
        let (ready, reason, message) = match plan.action {
            Action::Nothing => {
                (Ready::True, Reason::InSync, format!("{noun} is as declared; only observed"))
            }
            Action::Create => {
                (Ready::False, Reason::Observing, format!("{noun} does not exist; only observed"))
            }
            Action::Update => {
                let fields = plan.changed_fields().join(", ");
                let message = match &plan.due {
                    Some(due) if plan.changes.is_empty() => {
                        format!("due of {noun}: {}; only observed", due.what)
                    }
                    _ => format!("{noun} differs in {fields}; only observed"),
                };
                (Ready::False, Reason::Observing, message)
            }
        };
        // What it was bound to while it was managed is not forgotten.
        if object.status.provenance.is_none() {
            match (&plan.have, plan.id()) {
                (Some(_), Some(id)) => self.locate(target, Some(id)),
                (Some(_), None) => self.locate(target, Some(&setting_id(target))),
                (None, _) => self.locate(target, None),
            }
        }
        if let Some(remote) = &plan.have {
            self.reported(remote);
        }
        self.status.drift = plan.changes;
        self.say(object, ready, reason, message);
    }

    /// What the declared fields of a setting held before, and which of them are not declared any
    /// more.
    pub fn originals(&mut self, originals: Fields, released: &[String]) {
        if !released.is_empty() {
            let message =
                format!("no longer declared, and kept as ZITADEL has it: {}", released.join(", "));
            self.event(EventReason::FieldsReleased, message);
        }
        self.status.original = Some(originals.into_map());
    }

    /// What existed before is managed from now on.
    pub fn adopted(&mut self, noun: &str, id: &str) {
        let message = format!("{noun} {id} existed already and is managed from now on");
        self.event(EventReason::Adopted, message);
    }

    /// A write was accepted.
    pub fn written(&mut self, noun: &str, plan: &Plan) {
        let is_new = plan.effect() == Action::Create;
        let (reason, verb) = if is_new {
            (EventReason::Created, "created")
        } else {
            (EventReason::Updated, "changed")
        };
        let names = plan.done();
        let what = match (names.is_empty(), &plan.have) {
            (false, Some(_)) => format!(": {names}"),
            _ => String::new(),
        };
        self.event(reason, format!("{noun} was {verb}{what}"));
    }

    /// Something was left of a former life, and was removed.
    pub fn leftover_removed(&mut self, noun: &str) {
        let message = format!(
            "{noun} had a former life in an organization that was deleted and created again; what \
             was left of it was removed"
        );
        self.event(EventReason::LeftoverRemoved, message);
    }

    /// What ZITADEL lost was deleted, and will be created again.
    pub fn recreated(&mut self, noun: &str, id: &str) {
        let message = format!(
            "ZITADEL accepted {noun} {id} and has lost it from its read side; it is recreated"
        );
        self.event(EventReason::Recreated, message);
    }

    /// Somebody else changed or deleted what was as declared.
    pub fn drifted(&mut self, noun: &str, plan: &Plan, by: Option<String>, remedy: Remedy) {
        let fields = plan.drifted_fields();
        let told = self.status.last_drift.take();
        let by = by.or_else(|| told.filter(|t| !t.corrected && t.fields == fields)?.by);
        let who = by.as_ref().map_or_else(String::new, |b| format!(" by {b}"));
        let (happened, done) = match (plan.action, &plan.former, plan.id()) {
            (Action::Create, Some(former), Some(id)) if former != id => {
                (format!("{noun} {former} was deleted"), format!("recreated as {id}"))
            }
            (Action::Create, former, _) => {
                let former = former.as_ref().map_or_else(String::new, |id| format!(" {id}"));
                (format!("{noun}{former} was deleted"), "recreated".to_owned())
            }
            _ if fields.is_empty() => (format!("{noun} was reset"), "recreated".to_owned()),
            _ => (format!("{} changed", fields.join(", ")), "reverted".to_owned()),
        };
        let remedy_in_words = match remedy {
            Remedy::Done => &done,
            Remedy::Pending => "not corrected yet",
            Remedy::None => "only observed",
        };
        self.event(EventReason::Drift, format!("{happened}{who}; {remedy_in_words}"));
        let at = format!("{:.0}", Timestamp::now());
        let corrected = remedy == Remedy::Done;
        self.status.last_drift = Some(LastDrift { at, fields, by, corrected });
    }

    /// What another object had is this one's from now on.
    pub fn inherited(&mut self) {
        if let Some(id) = &self.status.id {
            let message =
                format!("{id} is this object's from now on, as it is; nothing was deleted");
            self.event(EventReason::HandedOver, message);
        }
    }

    /// What this object had is another one's from now on.
    pub fn handed_over(&mut self, noun: &str, successor: &Key) {
        let what = self.what(noun);
        let message =
            format!("{what} goes to {successor}, which declares it too; nothing is deleted");
        self.event(EventReason::HandedOver, message);
    }

    /// It is not at its end yet.
    pub fn paused(&mut self, object: &Object, noun: &str, pause: &Pause, requeue_after: Duration) {
        self.details.get_or_insert_with(|| object.details.clone());
        let message = messages::pause(pause, noun);
        self.say(object, Ready::Progressing, Reason::Deleting, message);
        self.requeue_after = Some(requeue_after);
    }

    /// The object may go; the thing stays in ZITADEL.
    pub fn released(&mut self, object: &Object, noun: &str, release: &Release) {
        self.release = true;
        let what = self.what(noun);
        if Binding::of(&object.status).is_none() && *release != Release::Abandoned {
            return;
        }
        if let Some(why) = messages::release(release) {
            let message = format!("{why}; {what} stays in ZITADEL as it is");
            self.event(EventReason::RetainedInZitadel, message);
        }
    }

    /// The object may go; its remote side is settled.
    pub fn removed(&mut self, noun: &str, removed: &Removed) {
        self.release = true;
        self.event(EventReason::Deleted, messages::removed(removed, noun));
    }

    /// The object may go: it has no remote side of its own.
    pub fn gone(&mut self) {
        self.release = true;
    }

    /// A connection works.
    pub fn connected(&mut self, object: &Object, instance_id: &str, details: InstanceDetails) {
        self.status.id = Some(instance_id.to_owned());
        self.status.instance_id = Some(instance_id.to_owned());
        let message = details.account.as_ref().map_or_else(String::new, |account| {
            format!("connected as {}, acting on the {}", account.name, account.scope)
        });
        self.details = Some(details);
        self.say(object, Ready::True, Reason::InSync, message);
    }

    fn what(&self, noun: &str) -> String {
        self.status.id.clone().unwrap_or_else(|| noun.to_owned())
    }
}

/// The id in the status of a setting: that of its organization, or of the instance.
pub fn setting_id(target: &Target) -> String {
    let instance = &target.connection.instance_id;
    target.place.organization.as_ref().unwrap_or(instance).clone()
}

/// The status of an object that gets what another one has: its binding and its history.
pub fn inheritance(
    successor: &Object,
    former: &Object,
    original: Option<Fields>,
    instance: crate::api::status::InstanceBinding,
) -> Status {
    let mut status = successor.status.clone();
    let of = &former.status;
    // What one of them created was adopted by the other from it.
    if status.provenance != Some(Provenance::Created) {
        status.provenance = of.provenance;
    }
    status.original = original.map(Fields::into_map);
    status.id.clone_from(&of.id);
    status.instance_id.clone_from(&of.instance_id);
    status.instance = Some(instance);
    status.organization_id.clone_from(&of.organization_id);
    status.parents.clone_from(&of.parents);
    status
}

/// What the status of a parent would be after a plan: others refer to it by what is known of it.
pub fn as_planned(object: &Object, target: &Target, plan: &Plan) -> Option<Status> {
    let id = plan.have.as_ref().and_then(|_| plan.id())?;
    let mut outcome = Outcome::of(object);
    outcome.locate(target, Some(id));
    Some(outcome.status)
}

/// Why an object can't be planned, as its status would say it.
pub fn as_failed(object: &Object, reason: Reason, message: &str) -> Status {
    let mut status = object.status.clone();
    let readiness = Readiness { ready: Ready::Stalled, reason, message: message.into() };
    status.set(&readiness, object.generation, Timestamp::now());
    status
}

/// The status of an object whose reconcile panicked. What was known of it stays.
pub fn as_broken(object: &Object) -> Status {
    let mut status = object.status.clone();
    let message =
        "internal error: a bug in Kastellan, which its log describes; it is tried again".into();
    let (ready, reason) = (Ready::Progressing, Reason::NotConverged);
    let readiness = Readiness { ready, reason, message };
    status.set(&readiness, object.generation, Timestamp::now());
    status
}

/// The status of an Instance that its operator leaves to another one. What was known of it stays.
pub fn as_left(object: &Object) -> Status {
    let mut status = object.status.clone();
    let message =
        "its labels do not select the operator any more that served it: the one that they \
                   select takes it over; if there is none, nothing is done for it"
            .into();
    let (ready, reason) = (Ready::Unknown, Reason::NotServed);
    status.set(&Readiness { ready, reason, message }, object.generation, Timestamp::now());
    status
}

/// The sentence of an error about something of a kind.
pub fn sentence(error: &Error, entry: Entry) -> String {
    messages::sentence(error, entry.noun)
}

/// No pause is longer: a full comparison comes now and then.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// The pause between looks for what an attempt may have created.
const SEARCH_PAUSE: Duration = Duration::from_secs(2);

/// No pause between attempts is longer at what may pass by itself.
const LONGEST_RETRY: Duration = Duration::from_secs(120);

/// 0.2 s, doubling.
fn backoff(failures: u32) -> Duration {
    let doubled = 2u32.saturating_pow(failures.saturating_sub(1).min(12));
    Duration::from_millis(200).saturating_mul(doubled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::instance::InstanceDetails,
        zitadel::{self, Code, error},
    };

    fn object() -> Object {
        Object {
            key: Key { kind: "Project", namespace: "ns".into(), name: "a".into() },
            uid: Some("uid".into()),
            generation: 3,
            created: 0,
            is_deleting: false,
            annotations: std::collections::BTreeMap::new(),
            spec: serde_json::Value::Null,
            status: Status::default(),
            details: InstanceDetails::default(),
        }
    }

    fn rate_limited(retry_after: Option<Duration>) -> Error {
        let status = error::Status {
            http: 429,
            code: Code::ResourceExhausted,
            id: None,
            message: String::new(),
            retry_after,
        };
        let source = zitadel::Error::Status(status);
        Error::Zitadel { doing: super::super::error::Doing::Thing("read"), source }
    }

    #[test]
    fn a_pause_that_is_asked_for_is_kept_but_never_makes_a_loop() {
        let seconds = Duration::from_secs;
        for (asked, failures, expected) in [
            (None, 1, Duration::from_millis(200)),
            (Some(Duration::ZERO), 1, Duration::from_millis(200)),
            (Some(Duration::ZERO), 5, Duration::from_millis(3200)),
            (Some(seconds(30)), 1, seconds(30)),
            (Some(seconds(1)), 40, seconds(120)),
            (Some(seconds(1_000_000)), 1, LONGEST_PAUSE),
        ] {
            let mut outcome = Outcome::of(&object());
            outcome.failed(&object(), "the project", rate_limited(asked), failures);
            assert_eq!(outcome.requeue_after, Some(expected), "{asked:?} after {failures}");
        }
    }

    #[test]
    fn what_nothing_wakes_is_looked_for_at_growing_pauses() {
        let name = || Waiting::Name { field: "userLoginName", name: "ada".into(), found: 0 };
        for (waiting, failures, expected) in [
            (name(), 1, Duration::from_millis(200)),
            (name(), 9, Duration::from_millis(51_200)),
            (name(), 40, LONGEST_PAUSE),
            (Waiting::Missing(object_key()), 1, LONGEST_PAUSE),
        ] {
            let mut outcome = Outcome::of(&object());
            outcome.failed(&object(), "the grant", Error::Waiting(waiting), failures);
            assert_eq!(outcome.requeue_after, Some(expected), "after {failures}");
        }
    }

    #[test]
    fn a_failure_is_an_event_when_it_begins_and_when_it_ends() {
        let mut object = object();
        let conflict = || Error::Conflict { winner: object_key() };
        let mut outcome = Outcome::of(&object);
        outcome.failed(&object, "the project", conflict(), 1);
        assert_eq!(outcome.events.len(), 1);
        object.status = outcome.status;
        let mut outcome = Outcome::of(&object);
        outcome.failed(&object, "the project", conflict(), 2);
        assert!(outcome.events.is_empty(), "{:?}", outcome.events);
        let mut outcome = Outcome::of(&object);
        outcome.in_sync(&object, "the project");
        assert_eq!(outcome.events[0].reason, EventReason::Recovered);
    }

    fn object_key() -> Key {
        object().key
    }
}
