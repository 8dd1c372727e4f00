//! The policies about passwords: what they must hold, how long they last, how often they may be
//! wrong, and whether their change is notified.

use super::Kind;
use crate::{
    message::message,
    proto::{Field, Message},
};

/// The update of the instance's policy reads 32 bits, the organization's 64.
const INSTANCE_COMPLEXITY_FIELDS: &[Field] = &[
    Field::small_number("minLength"),
    Field::flag("hasUppercase"),
    Field::flag("hasLowercase"),
    Field::flag("hasNumber"),
    Field::flag("hasSymbol"),
];
const COMPLEXITY_FIELDS: &[Field] = &[
    Field::number("minLength"),
    Field::flag("hasUppercase"),
    Field::flag("hasLowercase"),
    Field::flag("hasNumber"),
    Field::flag("hasSymbol"),
];

/// What passwords must hold.
pub(crate) static COMPLEXITY: Kind = Kind {
    name: "password complexity",
    fields: &["minLength", "hasUppercase", "hasLowercase", "hasNumber", "hasSymbol"],
    cleared: None,
    initial: || {
        message! {
            "minLength" => 8,
            "hasUppercase" => true,
            "hasLowercase" => true,
            "hasNumber" => true,
            "hasSymbol" => true,
        }
    },
    requests: [
        Message::new("UpdatePasswordComplexityPolicyRequest", INSTANCE_COMPLEXITY_FIELDS),
        Message::new("AddCustomPasswordComplexityPolicyRequest", COMPLEXITY_FIELDS),
        Message::new("UpdateCustomPasswordComplexityPolicyRequest", COMPLEXITY_FIELDS),
    ],
    instance_events: [
        "instance.policy.password.complexity.added",
        "instance.policy.password.complexity.changed",
    ],
    organization_events: [
        "org.policy.password.complexity.added",
        "org.policy.password.complexity.changed",
        "org.policy.password.complexity.removed",
    ],
    instance_unchanged: (
        "INSTANCE-9jlsf",
        "Default Password Complexity Policy has not been changed",
    ),
    exists: ("Org-LdhbS", "Password Complexity Policy already exists"),
    nothing_to_update: ("ORG-Dgs3g", "Password Complexity Policy not found"),
    unchanged: ("Org-DAs21", "Errors.Org.PasswordComplexityPolicy.NotChanged"),
    nothing_to_remove: ("ORG-ADgs2", "Password Complexity Policy not found"),
};

const AGE_FIELDS: &[Field] =
    &[Field::small_number("maxAgeDays"), Field::small_number("expireWarnDays")];

/// How long passwords last.
pub(crate) static AGE: Kind = Kind {
    name: "password age",
    fields: &["maxAgeDays", "expireWarnDays"],
    cleared: None,
    initial: || message! {},
    requests: [
        Message::new("UpdatePasswordAgePolicyRequest", AGE_FIELDS),
        Message::new("AddCustomPasswordAgePolicyRequest", AGE_FIELDS),
        Message::new("UpdateCustomPasswordAgePolicyRequest", AGE_FIELDS),
    ],
    instance_events: ["instance.policy.password.age.added", "instance.policy.password.age.changed"],
    organization_events: [
        "org.policy.password.age.added",
        "org.policy.password.age.changed",
        "org.policy.password.age.removed",
    ],
    instance_unchanged: ("INSTANCE-180sf", "Default Password Age Policy has not been changed"),
    exists: ("ORG-Lk0dS", "Password Age Policy already exists"),
    nothing_to_update: ("ORG-0oPew", "Password Age Policy not found"),
    unchanged: ("Org-dsgjR", "Errors.ORg.LabelPolicy.NotChanged"),
    nothing_to_remove: ("ORG-Dgs1g", "Password Age Policy not found"),
};

const LOCKOUT_FIELDS: &[Field] =
    &[Field::small_number("maxPasswordAttempts"), Field::small_number("maxOtpAttempts")];

/// How often passwords may be wrong.
pub(crate) static LOCKOUT: Kind = Kind {
    name: "lockout",
    fields: &["maxPasswordAttempts", "maxOTPAttempts"],
    // It begins as `true`, so the first update of a fresh instance is always a change.
    cleared: Some("showLockOutFailures"),
    initial: || message! { "showLockOutFailures" => true },
    requests: [
        Message::new("UpdateLockoutPolicyRequest", LOCKOUT_FIELDS),
        Message::new("AddCustomLockoutPolicyRequest", LOCKOUT_FIELDS),
        Message::new("UpdateCustomLockoutPolicyRequest", LOCKOUT_FIELDS),
    ],
    instance_events: ["instance.policy.lockout.added", "instance.policy.lockout.changed"],
    organization_events: [
        "org.policy.lockout.added",
        "org.policy.lockout.changed",
        "org.policy.lockout.removed",
    ],
    instance_unchanged: ("INSTANCE-0psjF", "Errors.Instance.LockoutPolicy.NotChanged"),
    exists: ("ORG-0olDf", "Errors.ORG.LockoutPolicy.AlreadyExists"),
    nothing_to_update: ("ORG-ADfs1", "Errors.Org.LockoutPolicy.NotFound"),
    unchanged: ("ORG-0JFSr", "Errors.Org.LockoutPolicy.NotChanged"),
    nothing_to_remove: ("ORG-D4zuz", "Errors.Org.LockoutPolicy.NotFound"),
};

const NOTIFICATION_FIELDS: &[Field] = &[Field::flag("passwordChange")];

/// Whether users are told that their password was changed.
pub(crate) static NOTIFICATION: Kind = Kind {
    name: "notification",
    fields: &["passwordChange"],
    cleared: None,
    initial: || message! { "passwordChange" => true },
    requests: [
        Message::new("UpdateNotificationPolicyRequest", NOTIFICATION_FIELDS),
        Message::new("AddCustomNotificationPolicyRequest", NOTIFICATION_FIELDS),
        Message::new("UpdateCustomNotificationPolicyRequest", NOTIFICATION_FIELDS),
    ],
    instance_events: ["instance.policy.notification.added", "instance.policy.notification.changed"],
    organization_events: [
        "org.policy.notification.added",
        "org.policy.notification.changed",
        "org.policy.notification.removed",
    ],
    instance_unchanged: ("INSTANCE-29x02n", "Default Notification Policy not changed"),
    exists: ("Org-xa08n2", "Notification Policy already exists"),
    nothing_to_update: ("ORG-x029n3", "Notification Policy not found"),
    unchanged: ("Org-ioqnxz", "Notification Policy not changed"),
    nothing_to_remove: ("ORG-x029n1s", "Notification Policy not found"),
};
