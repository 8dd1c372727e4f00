//! Which events of ZITADEL's event log concern a kind. Pure.

use serde_json::Value;

use super::{Place, Subject};

/// Events that touch things of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventFilter {
    /// Type of the aggregate.
    pub aggregate: &'static str,
    /// Types of events, exactly.
    pub types: &'static [&'static str],
    /// Those of `types` that create something.
    pub creates: &'static [&'static str],
    /// Those of `types` that remove something, and with it all that is below it.
    pub removes: &'static [&'static str],
    /// Where the thing is.
    pub place: EventPlace,
    /// Which thing it is.
    pub subject: EventSubject,
}

/// Where the thing is that an event touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventPlace {
    /// The instance.
    Instance,
    /// The organization that the aggregate is.
    Aggregate,
    /// The organization that owns the aggregate.
    Owner,
    /// Below the aggregate, in the organization that owns it.
    BelowAggregate,
    /// Below something in the aggregate whose id is in the payload under this name.
    BelowPayload(&'static str),
    /// Wherever things of the kind are: the instance and all organizations.
    Everywhere,
}

/// Which thing an event touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSubject {
    /// The setting of the place.
    Setting,
    /// The setting of the place that what the payload has under these names tells from others.
    Keyed(&'static [&'static str]),
    /// The entity that the aggregate is.
    Aggregate,
    /// The entity whose id is in the payload under this name.
    Payload(&'static str),
    /// Anything at the place: the event does not say which.
    Anything,
    /// The one thing at the place that has what only one can have: the event does not name it.
    OnlyOne,
}

/// What of an event tells which thing it touched.
#[derive(Debug, Clone, Copy)]
pub struct EventFacts<'a> {
    /// Id of the aggregate.
    pub aggregate: &'a str,
    /// Organization that owns the aggregate.
    pub owner: &'a str,
    /// The payload, where there is one.
    pub payload: &'a Value,
}

impl EventFilter {
    /// Where the thing is, and which it is; `None`: anything at the place. Of what is everywhere
    /// only the instance's.
    pub fn touched(&self, event: EventFacts<'_>) -> (Place, Option<Subject>) {
        let mut place = match self.place {
            EventPlace::Instance | EventPlace::Everywhere => Place::instance(),
            EventPlace::Aggregate => Place::organization(event.aggregate),
            EventPlace::Owner => Place::organization(event.owner),
            EventPlace::BelowAggregate => Place::organization(event.owner).below(event.aggregate),
            EventPlace::BelowPayload(field) => {
                let place = Place::organization(event.owner).below(event.aggregate);
                let id = event.payload.get(field).and_then(Value::as_str);
                id.map_or_else(|| place.clone(), |id| place.below(id))
            }
        };
        let subject = match self.subject {
            EventSubject::Setting => Some(Subject::Setting),
            EventSubject::Keyed(fields) => {
                let keys = fields.iter().filter_map(|field| event.payload.get(field)?.as_str());
                place.parents.extend(keys.map(ToOwned::to_owned));
                Some(Subject::Setting)
            }
            EventSubject::Aggregate => Some(Subject::from(event.aggregate)),
            EventSubject::Payload(field) => {
                event.payload.get(field).and_then(Value::as_str).map(Subject::from)
            }
            EventSubject::Anything | EventSubject::OnlyOne => None,
        };
        (place, subject)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_says_where_and_which() {
        let filter = |place, subject| EventFilter {
            aggregate: "project",
            types: &[],
            creates: &[],
            removes: &[],
            place,
            subject,
        };
        let payload = json!({"key": "admin", "grant": "g"});
        let event = EventFacts { aggregate: "p", owner: "o", payload: &payload };
        for (place, subject, expected) in [
            (
                EventPlace::Instance,
                EventSubject::Setting,
                (Place::instance(), Some(Subject::Setting)),
            ),
            (
                EventPlace::Aggregate,
                EventSubject::Setting,
                (Place::organization("p"), Some(Subject::Setting)),
            ),
            (
                EventPlace::Owner,
                EventSubject::Aggregate,
                (Place::organization("o"), Some(Subject::from("p"))),
            ),
            (
                EventPlace::BelowAggregate,
                EventSubject::Payload("key"),
                (Place::organization("o").below("p"), Some(Subject::from("admin"))),
            ),
            (
                EventPlace::BelowAggregate,
                EventSubject::Payload("other"),
                (Place::organization("o").below("p"), None),
            ),
            (
                EventPlace::BelowPayload("grant"),
                EventSubject::Payload("key"),
                (Place::organization("o").below("p").below("g"), Some(Subject::from("admin"))),
            ),
            (EventPlace::Owner, EventSubject::Anything, (Place::organization("o"), None)),
            (
                EventPlace::Instance,
                EventSubject::Keyed(&["key", "grant"]),
                (Place::instance().below("admin").below("g"), Some(Subject::Setting)),
            ),
        ] {
            assert_eq!(filter(place, subject).touched(event), expected);
        }
    }
}
