//! What is worth an Event. Pure.

use crate::api::status::Reason;

/// Something that users want to know happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// In one word.
    pub reason: EventReason,
    /// A sentence.
    pub message: String,
}

/// What happened, in one word: the `reason` of an Event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventReason {
    /// See [`EventReason::about`].
    Created,
    /// See [`EventReason::about`].
    Updated,
    /// See [`EventReason::about`].
    Adopted,
    /// See [`EventReason::about`].
    Drift,
    /// See [`EventReason::about`].
    FieldsReleased,
    /// See [`EventReason::about`].
    HandedOver,
    /// See [`EventReason::about`].
    Deleted,
    /// See [`EventReason::about`].
    RetainedInZitadel,
    /// See [`EventReason::about`].
    LeftoverRemoved,
    /// See [`EventReason::about`].
    Recreated,
    /// See [`EventReason::about`].
    Recovered,
    /// See [`EventReason::about`].
    SecretIssued,
    /// See [`EventReason::about`].
    SecretReissued,
    /// See [`EventReason::about`].
    SecretRotated,
    /// See [`EventReason::about`].
    KeyEnded,
    /// A failure that needs a person has begun; its reason is that of the condition.
    Failed(Reason),
}

impl EventReason {
    /// All that are no failures.
    pub const ALL: [Self; 15] = [
        Self::Created,
        Self::Updated,
        Self::Adopted,
        Self::Drift,
        Self::FieldsReleased,
        Self::HandedOver,
        Self::Deleted,
        Self::RetainedInZitadel,
        Self::LeftoverRemoved,
        Self::Recreated,
        Self::Recovered,
        Self::SecretIssued,
        Self::SecretReissued,
        Self::SecretRotated,
        Self::KeyEnded,
    ];

    /// Whether it is a warning.
    pub const fn is_warning(self) -> bool {
        matches!(
            self,
            Self::Drift
                | Self::RetainedInZitadel
                | Self::Recreated
                | Self::SecretReissued
                | Self::KeyEnded
                | Self::Failed(_)
        )
    }

    /// What it means, for the documentation.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Created => {
                "It was created in ZITADEL. Of an organization's policy: the organization has its \
                 own from now on."
            }
            Self::Updated => "It was changed in ZITADEL; the message names the fields.",
            Self::Adopted => "It existed already and is managed from now on.",
            Self::Drift => {
                "Somebody else changed or deleted what was as declared. The message names the \
                 fields and, as far as the event feed tells, the person, and says whether it is \
                 reverted or only observed."
            }
            Self::FieldsReleased => {
                "Fields of a setting are no longer declared. They keep their values."
            }
            Self::HandedOver => {
                "The thing belongs to another object that declares it too. Both objects say so; \
                 nothing is deleted."
            }
            Self::Deleted => {
                "The object is gone, and the message says what became of the thing in ZITADEL: \
                 deleted, reset, or given its former values back."
            }
            Self::RetainedInZitadel => {
                "The object is gone without a call: the thing stays in ZITADEL as it is. The \
                 message says which, and why."
            }
            Self::LeftoverRemoved => {
                "What was left of a former life, in an organization that was deleted and created \
                 again, was removed."
            }
            Self::Recreated => {
                "ZITADEL accepted what Kastellan created and lost it from its read side. Nothing \
                 could depend on it yet: it was deleted by its id and is created again under it."
            }
            Self::Recovered => "A failure that needed a person is over.",
            Self::SecretIssued => "A secret was issued and written into the Secret.",
            Self::SecretReissued => {
                "Another secret was issued and written into the Secret, which ends the former one. \
                 The message says why."
            }
            Self::SecretRotated => {
                "Another secret was issued, as `rotateAfter` or the annotation \
                 `kastellan.dev/renew-at` asks, which ends the former one."
            }
            Self::KeyEnded => {
                "The oldest of more former keys than are kept was ended before its time: who still \
                 uses it has to read the Secret."
            }
            Self::Failed(reason) => reason.about(),
        }
    }
}

impl std::fmt::Display for EventReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(reason) => write!(f, "{reason}"),
            other => write!(f, "{other:?}"),
        }
    }
}
