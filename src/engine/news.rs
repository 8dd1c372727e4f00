//! What is worth an Event. Pure.

use crate::api::status::Reason;

/// Something that users want to know happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// In one word.
    pub news: News,
    /// A sentence.
    pub message: String,
}

/// What happened, in one word: the `reason` of an Event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// See [`News::about`].
    Created,
    /// See [`News::about`].
    Updated,
    /// See [`News::about`].
    Adopted,
    /// See [`News::about`].
    Drift,
    /// See [`News::about`].
    Released,
    /// See [`News::about`].
    HandedOver,
    /// See [`News::about`].
    Deleted,
    /// See [`News::about`].
    LeftBehind,
    /// See [`News::about`].
    RemainsRemoved,
    /// See [`News::about`].
    MadeAnew,
    /// See [`News::about`].
    Recovered,
    /// A failure that needs a person has begun; its word is that of the condition.
    Failed(Reason),
}

impl News {
    /// All that are no failures.
    pub const ALL: [Self; 11] = [
        Self::Created,
        Self::Updated,
        Self::Adopted,
        Self::Drift,
        Self::Released,
        Self::HandedOver,
        Self::Deleted,
        Self::LeftBehind,
        Self::RemainsRemoved,
        Self::MadeAnew,
        Self::Recovered,
    ];

    /// Whether it is a warning.
    pub const fn is_warning(self) -> bool {
        matches!(self, Self::Drift | Self::LeftBehind | Self::MadeAnew | Self::Failed(_))
    }

    /// What it means, for the documentation.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Created => {
                "It was made in ZITADEL; of an organization's policy: it has its own from now on."
            }
            Self::Updated => "It was changed in ZITADEL; the message names the fields.",
            Self::Adopted => "It was there already and is kept from now on.",
            Self::Drift => {
                "Somebody else changed or deleted what was as declared. The message names the fields and, as far as the event feed tells, who it was; and whether it is set back or only observed."
            }
            Self::Released => "Fields of a setting are no longer declared. They keep their values.",
            Self::HandedOver => {
                "The thing belongs to another object that declares it too. Both objects say so; nothing is deleted."
            }
            Self::Deleted => {
                "The object is gone, and the message says what became of the thing in ZITADEL: deleted, reset, or given its former values back."
            }
            Self::LeftBehind => {
                "The object is gone without a call: the thing stays in ZITADEL as it is. The message says why and which."
            }
            Self::RemainsRemoved => {
                "What was left of a former life, in an organization that was deleted and made again, was removed."
            }
            Self::MadeAnew => {
                "ZITADEL accepted what Kastellan made and lost it from its read side. Nothing could hang on it yet: it was deleted by its id and is made again under it."
            }
            Self::Recovered => "A failure that needed a person is over.",
            Self::Failed(reason) => reason.about(),
        }
    }
}

impl std::fmt::Display for News {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(reason) => write!(f, "{reason}"),
            other => write!(f, "{other:?}"),
        }
    }
}
