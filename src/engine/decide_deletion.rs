//! Stage 3 of a deletion: what becomes of the remote side. Pure.

use std::time::Duration;

use super::error::NoConsent;
use crate::{
    api::{
        spec::DeletionPolicy,
        status::{Provenance, Reason},
    },
    contract::{Entry, Key},
};

/// What is known of an object that is being deleted.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts, each by itself, that never exclude another"
)]
pub struct DeletionFacts {
    /// Whether it is to be released without a call, by annotation.
    pub is_abandoned: bool,
    /// Whether what it had was handed over, and only its finalizer is left.
    pub is_handed_over: bool,
    /// Whether it only observes.
    pub observes: bool,
    /// Whether it is bound to something.
    pub is_bound: bool,
    /// Objects that refer to it and are being deleted too.
    pub children: Vec<Key>,
    /// Another object that declares the same, and may have it.
    pub successor: Option<Key>,
    /// What the spec says, or what holds where it says nothing.
    pub policy: DeletionPolicy,
    /// How long its deletion is known.
    pub waited: Duration,
    /// How long a deletion waits for a successor.
    pub pause: Duration,
}

/// How an object ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Without a call.
    Release(Release),
    /// After what refers to it.
    WaitForChildren(Vec<Key>),
    /// Another object gets what it has.
    HandOver(Key),
    /// Not yet: a successor may still come.
    Pause(Duration),
    /// The remote side is removed or restored.
    Remove,
}

/// Why an object is released without a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// Nothing was ever created or adopted.
    NeverBound,
    /// Another object has what it had.
    HandedOver,
    /// It only observes.
    Observed,
    /// By annotation.
    Abandoned,
    /// Its deletion policy says so.
    Retained,
    /// Its Instance object does not exist any more.
    InstanceGone,
    /// Another instance answers behind its Instance.
    InstanceChanged,
    /// Its Instance is being deleted, and the Secret is gone.
    CredentialsLost,
    /// It is the account that acts.
    OwnAccount,
    /// A consent was withdrawn.
    ConsentWithdrawn(NoConsent),
}

/// How an object ends that is being deleted.
pub fn ending(facts: DeletionFacts) -> Ending {
    if facts.is_abandoned {
        return Ending::Release(Release::Abandoned);
    }
    if facts.is_handed_over {
        return Ending::Release(Release::HandedOver);
    }
    if facts.observes {
        return Ending::Release(Release::Observed);
    }
    if !facts.children.is_empty() {
        return Ending::WaitForChildren(facts.children);
    }
    if !facts.is_bound {
        return Ending::Release(Release::NeverBound);
    }
    if let Some(successor) = facts.successor {
        return Ending::HandOver(successor);
    }
    if facts.policy == DeletionPolicy::Retain {
        return Ending::Release(Release::Retained);
    }
    if facts.waited < facts.pause {
        return Ending::Pause(facts.pause.saturating_sub(facts.waited));
    }
    Ending::Remove
}

/// What is deleted where the spec says nothing: what we created goes, what existed before stays,
/// and what is at the root of places always stays.
pub fn default_policy(
    entry: Entry,
    provenance: Option<Provenance>,
    in_organization: bool,
) -> DeletionPolicy {
    let retain = entry.as_entity().is_some_and(|e| e.retain_by_default);
    match (entry, provenance) {
        (Entry::Entity(_), Some(Provenance::Created) | None) if !retain => DeletionPolicy::Delete,
        // An organization's own: reset it, or give it its former values back.
        (Entry::Setting(_), Some(_)) if in_organization => DeletionPolicy::Delete,
        _ => DeletionPolicy::Retain,
    }
}

/// What is known of the Instance through which an object was bound.
#[derive(Debug, Clone)]
pub struct InstanceFacts {
    /// Whether it is being deleted.
    pub is_deleting: bool,
    /// Whether it is suspended.
    pub is_suspended: bool,
    /// The reason that it says.
    pub reason: Option<Reason>,
    /// The instance behind its connection.
    pub active: Option<String>,
    /// The instance behind the connection whose Secret is gone.
    pub retired: Option<String>,
    /// The consent that is missing by now.
    pub missing_consent: Option<NoConsent>,
}

/// By what a remote side is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The connection of the Instance.
    Active,
    /// The connection that the Instance had before its Secret went.
    Retired,
    /// Not now.
    Wait,
    /// It can't be removed, or must not be.
    Release(Release),
}

/// By what the remote side of an object is removed that is bound to `instance_id`. `instance`: the
/// very Instance object through which it was bound, if it exists.
pub fn way(instance_id: &str, instance: Option<InstanceFacts>) -> Way {
    let Some(instance) = instance else { return Way::Release(Release::InstanceGone) };
    if let Some(consent) = instance.missing_consent {
        return Way::Release(Release::ConsentWithdrawn(consent));
    }
    if instance.is_suspended {
        return Way::Wait;
    }
    match (instance.active, instance.retired) {
        (Some(active), _) if active == instance_id => Way::Active,
        (Some(_), _) => Way::Release(Release::InstanceChanged),
        (None, Some(retired)) if instance.is_deleting && retired == instance_id => Way::Retired,
        (None, _) if instance.reason == Some(Reason::InstanceChanged) => {
            Way::Release(Release::InstanceChanged)
        }
        // Its Secret went first, and nothing is left of it: nobody can ever make a call.
        (None, _)
            if instance.is_deleting && instance.reason == Some(Reason::WaitingForReference) =>
        {
            Way::Release(Release::CredentialsLost)
        }
        (None, _) => Way::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::error::Purpose, kinds::REGISTRY};

    fn key(name: &str) -> Key {
        Key { kind: "Project", namespace: "ns".into(), name: name.into() }
    }

    fn facts() -> DeletionFacts {
        DeletionFacts {
            is_abandoned: false,
            is_handed_over: false,
            observes: false,
            is_bound: true,
            children: Vec::new(),
            successor: None,
            policy: DeletionPolicy::Delete,
            waited: Duration::from_secs(10),
            pause: Duration::from_secs(10),
        }
    }

    #[test]
    fn what_is_bound_and_waited_for_is_removed() {
        assert_eq!(ending(facts()), Ending::Remove);
    }

    #[test]
    fn each_reason_to_leave_a_thing_alone_holds() {
        let seconds = Duration::from_secs;
        for (facts, expected) in [
            (
                DeletionFacts { is_abandoned: true, observes: true, ..facts() },
                Ending::Release(Release::Abandoned),
            ),
            (
                DeletionFacts { is_handed_over: true, successor: Some(key("b")), ..facts() },
                Ending::Release(Release::HandedOver),
            ),
            (
                DeletionFacts { observes: true, successor: Some(key("b")), ..facts() },
                Ending::Release(Release::Observed),
            ),
            (
                DeletionFacts { children: vec![key("c")], is_bound: false, ..facts() },
                Ending::WaitForChildren(vec![key("c")]),
            ),
            (
                DeletionFacts { is_bound: false, successor: Some(key("b")), ..facts() },
                Ending::Release(Release::NeverBound),
            ),
            (
                DeletionFacts {
                    successor: Some(key("b")),
                    policy: DeletionPolicy::Retain,
                    waited: Duration::ZERO,
                    ..facts()
                },
                Ending::HandOver(key("b")),
            ),
            (
                DeletionFacts { policy: DeletionPolicy::Retain, waited: Duration::ZERO, ..facts() },
                Ending::Release(Release::Retained),
            ),
            (DeletionFacts { waited: seconds(4), ..facts() }, Ending::Pause(seconds(6))),
        ] {
            assert_eq!(ending(facts.clone()), expected, "{facts:?}");
        }
    }

    #[test]
    fn what_the_spec_does_not_say_follows_from_where_a_thing_comes_from() {
        use DeletionPolicy::{Delete, Retain};
        use Provenance::{Adopted, Created};
        for (kind, provenance, in_organization, expected) in [
            ("Project", Some(Created), true, Delete),
            ("Project", None, true, Delete),
            ("Project", Some(Adopted), true, Retain),
            ("Organization", Some(Created), false, Retain),
            ("Organization", Some(Adopted), false, Retain),
            ("PrivacyPolicy", Some(Created), true, Delete),
            ("PrivacyPolicy", Some(Adopted), true, Delete),
            ("PrivacyPolicy", None, true, Retain),
            ("PrivacyPolicy", Some(Adopted), false, Retain),
            ("SecurityPolicy", Some(Adopted), false, Retain),
        ] {
            let entry = REGISTRY.find(kind).unwrap();
            let policy = default_policy(entry, provenance, in_organization);
            assert_eq!(policy, expected, "{kind}, {provenance:?}, {in_organization}");
        }
    }

    fn instance() -> InstanceFacts {
        InstanceFacts {
            is_deleting: false,
            is_suspended: false,
            reason: Some(Reason::InSync),
            active: None,
            retired: None,
            missing_consent: None,
        }
    }

    #[test]
    fn a_deletion_goes_by_the_instance_that_was_bound_or_not_at_all() {
        let id = |id: &str| Some(id.to_owned());
        let consent = NoConsent {
            giver: key("i"),
            field: "instanceScope",
            namespace: "other".into(),
            purpose: Purpose::ActOnInstance,
        };
        let waiting = Some(Reason::WaitingForReference);
        for (facts, expected) in [
            (None, Way::Release(Release::InstanceGone)),
            (Some(InstanceFacts { active: id("i"), ..instance() }), Way::Active),
            (
                Some(InstanceFacts { active: id("other"), ..instance() }),
                Way::Release(Release::InstanceChanged),
            ),
            (
                Some(InstanceFacts { reason: Some(Reason::InstanceChanged), ..instance() }),
                Way::Release(Release::InstanceChanged),
            ),
            (
                Some(InstanceFacts {
                    active: id("i"),
                    missing_consent: Some(consent.clone()),
                    ..instance()
                }),
                Way::Release(Release::ConsentWithdrawn(consent)),
            ),
            (Some(InstanceFacts { active: id("i"), is_suspended: true, ..instance() }), Way::Wait),
            // A Secret that is gone: its connection is used only while the Instance goes too.
            (Some(InstanceFacts { retired: id("i"), reason: waiting, ..instance() }), Way::Wait),
            (
                Some(InstanceFacts {
                    retired: id("i"),
                    is_deleting: true,
                    reason: waiting,
                    ..instance()
                }),
                Way::Retired,
            ),
            (
                Some(InstanceFacts {
                    retired: id("other"),
                    is_deleting: true,
                    reason: waiting,
                    ..instance()
                }),
                Way::Release(Release::CredentialsLost),
            ),
            (
                Some(InstanceFacts { is_deleting: true, reason: waiting, ..instance() }),
                Way::Release(Release::CredentialsLost),
            ),
            (Some(InstanceFacts { reason: Some(Reason::Unreachable), ..instance() }), Way::Wait),
            (
                Some(InstanceFacts {
                    is_deleting: true,
                    reason: Some(Reason::Unreachable),
                    ..instance()
                }),
                Way::Wait,
            ),
        ] {
            assert_eq!(way("i", facts.clone()), expected, "{facts:?}");
        }
    }
}
