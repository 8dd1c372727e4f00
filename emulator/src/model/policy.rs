//! Policies that the instance has and an organization may replace: one mechanism, one table of
//! kinds.

use std::collections::HashMap;

use serde_json::Value;

use super::{Fields, Stamp, overlay};
use crate::{
    message::message,
    proto::{Field, Message, Rule},
    store::Event,
};

pub(crate) mod label;
pub(crate) mod login;
mod passwords;

pub(crate) use label::LABEL;
pub(crate) use login::LOGIN;
pub(crate) use passwords::{AGE, COMPLEXITY, LOCKOUT, NOTIFICATION};

/// A policy as it stands.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) stamp: Stamp,
    pub(crate) fields: Fields,
}

/// An id and a message of ZITADEL's.
pub(crate) type Refusal = (&'static str, &'static str);

/// What tells one kind of policy from another.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// The names of its fields in events.
    pub(crate) fields: &'static [&'static str],
    /// A flag that no request names and every write sets to `false`.
    pub(crate) cleared: Option<&'static str>,
    /// What the instance's policy begins with.
    pub(crate) initial: fn() -> Value,
    /// The requests: instance's update, organization's creation and update.
    pub(crate) requests: [Message; 3],
    pub(crate) instance_events: [&'static str; 2],
    pub(crate) organization_events: [&'static str; 3],
    pub(crate) instance_unchanged: Refusal,
    pub(crate) exists: Refusal,
    pub(crate) nothing_to_update: Refusal,
    pub(crate) unchanged: Refusal,
    pub(crate) nothing_to_remove: Refusal,
}

/// A field's name in requests and answers.
pub(crate) fn api_name(field: &'static str) -> &'static str {
    match field {
        "maxOTPAttempts" => "maxOtpAttempts",
        "forceMFA" => "forceMfa",
        "forceMFALocalOnly" => "forceMfaLocalOnly",
        "defaultRedirectURI" => "defaultRedirectUri",
        _ => field,
    }
}

const PRIVACY_FIELDS: &[Field] = &[
    Field::text("tosLink"),
    Field::text("privacyLink"),
    Field::text("helpLink"),
    Field::text("supportEmail").rules(&[Rule::Email]),
    Field::text("docsLink"),
    Field::text("customLink"),
    Field::text("customLinkText"),
];

/// Links of the login pages.
pub(crate) static PRIVACY: Kind = Kind {
    name: "privacy",
    fields: &[
        "tosLink",
        "privacyLink",
        "helpLink",
        "supportEmail",
        "docsLink",
        "customLink",
        "customLinkText",
    ],
    cleared: None,
    initial: || message! { "docsLink" => "https://zitadel.com/docs" },
    requests: [
        Message::new("UpdatePrivacyPolicyRequest", PRIVACY_FIELDS),
        Message::new("AddCustomPrivacyPolicyRequest", PRIVACY_FIELDS),
        Message::new("UpdateCustomPrivacyPolicyRequest", PRIVACY_FIELDS),
    ],
    instance_events: ["instance.policy.privacy.added", "instance.policy.privacy.changed"],
    organization_events: [
        "org.policy.privacy.added",
        "org.policy.privacy.changed",
        "org.policy.privacy.removed",
    ],
    instance_unchanged: ("INSTANCE-9jJfs", "Errors.Instance.PrivacyPolicy.NotChanged"),
    exists: ("Org-0oLpd", "Errors.Org.PrivacyPolicy.AlreadyExists"),
    nothing_to_update: ("ORG-Ng8sf", "Errors.Org.PrivacyPolicy.NotFound"),
    unchanged: ("Org-4N9fs", "Errors.Org.PrivacyPolicy.NotChanged"),
    nothing_to_remove: ("ORG-Ze9gs", "Errors.Org.PrivacyPolicy.NotFound"),
};

const DOMAIN_FIELDS: &[Field] = &[
    Field::flag("userLoginMustBeDomain"),
    Field::flag("validateOrgDomains"),
    Field::flag("smtpSenderAddressMatchesInstanceDomain"),
];

/// How login names and domains of organizations go together.
pub(crate) static DOMAIN: Kind = Kind {
    name: "domain",
    fields: &[
        "userLoginMustBeDomain",
        "validateOrgDomains",
        "smtpSenderAddressMatchesInstanceDomain",
    ],
    cleared: None,
    initial: || message! {},
    requests: [
        Message::new("UpdateDomainPolicyRequest", DOMAIN_FIELDS),
        Message::new("AddCustomDomainPolicyRequest", DOMAIN_FIELDS),
        Message::new("UpdateCustomDomainPolicyRequest", DOMAIN_FIELDS),
    ],
    instance_events: ["instance.policy.domain.added", "instance.policy.domain.changed"],
    organization_events: [
        "org.policy.domain.added",
        "org.policy.domain.changed",
        "org.policy.domain.removed",
    ],
    instance_unchanged: ("INSTANCE-pl9fN", "Organization Domain Policy has not been changed"),
    exists: ("ORG-1M8ds", "Errors.Org.DomainPolicy.AlreadyExists"),
    nothing_to_update: ("ORG-2N9sd", "Errors.Org.DomainPolicy.NotFound"),
    unchanged: ("ORG-3M9ds", "Private Label Policy has not been changed"),
    nothing_to_remove: ("ORG-Dvsh3", "Errors.Org.DomainPolicy.NotFound"),
};

/// All kinds.
pub(crate) static KINDS: [&Kind; 8] =
    [&LOGIN, &PRIVACY, &DOMAIN, &COMPLEXITY, &AGE, &LOCKOUT, &NOTIFICATION, &LABEL];

/// The kind that an event belongs to.
pub(super) fn of_event(event_type: &str) -> Option<&'static Kind> {
    KINDS.into_iter().find(|kind| {
        kind.instance_events.contains(&event_type) || kind.organization_events.contains(&event_type)
    })
}

pub(super) fn apply(
    policies: &mut HashMap<(String, &'static str), Policy>,
    kind: &Kind,
    event: &Event,
) {
    let key = (event.aggregate_id.clone(), kind.name);
    let [added_to_instance, _] = kind.instance_events;
    let [added, _, removed] = kind.organization_events;
    if event.event_type == added || event.event_type == added_to_instance {
        let mut fields = Fields::default();
        overlay(&mut fields, event);
        label::unify(&mut fields);
        policies.insert(key, Policy { stamp: Stamp::new(event), fields });
    } else if event.event_type == removed {
        policies.remove(&key);
    } else if let Some(policy) = policies.get_mut(&key) {
        policy.stamp.touch(event);
        overlay(&mut policy.fields, event);
    }
}
