//! Why an object is not as declared: errors with a class, which alone decides what happens next,
//! and a reason, which is what users see. Pure.

use std::time::Duration;

use crate::{
    api::status::{Ready, Reason, Verdict},
    zitadel::{self, Code},
};

/// A reconcile, or a part of it, that did not get to its end.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The object can't mean what it says.
    #[error("{0}")]
    Invalid(String),
    /// Something it refers to is not there, or not ready.
    #[error("{0}")]
    Waiting(String),
    /// There was no connection to its Instance yet.
    #[error("{0}")]
    NotConnected(String),
    /// A reference without the consent it needs.
    #[error("{0}")]
    NoConsent(String),
    /// Something of that name exists and was not taken over.
    #[error("{0}")]
    AdoptionRefused(String),
    /// Another object declares the same.
    #[error("{0}")]
    Conflict(String),
    /// Somebody else keeps undoing what is declared.
    #[error("{message}")]
    Contested {
        /// Who, what, and what to do.
        message: String,
        /// When it is set back, or said to be over.
        again: Duration,
    },
    /// Another instance answers behind the same address.
    #[error("{0}")]
    InstanceChanged(String),
    /// ZITADEL knows a thing that it does not show.
    #[error("{0}")]
    Lost(String),
    /// What was read back is not what was written.
    #[error("{0}")]
    NotConverged(String),
    /// A call failed.
    #[error("{doing}: {source}")]
    Zitadel {
        /// What was being done, e.g. `create the project`.
        doing: String,
        /// How it failed.
        source: zitadel::Error,
    },
    /// Kubernetes (or the disk) did not take what has to be remembered.
    #[error("the cluster did not take the status: {0}")]
    Host(String),
}

/// The result of a part of a reconcile.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What happens after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Nothing until what is waited for changes.
    Waiting,
    /// Try again, after a growing pause or the one that was asked for.
    Transient(Option<Duration>),
    /// Nothing until a side changes, or the next full comparison.
    Terminal,
}

/// Says what was being done when a call failed.
pub trait Doing<T> {
    /// `what` completes "could not …".
    fn doing(self, what: &str) -> Result<T>;
}

impl<T> Doing<T> for zitadel::Result<T> {
    fn doing(self, what: &str) -> Result<T> {
        self.map_err(|source| Error::Zitadel { doing: format!("could not {what}"), source })
    }
}

impl Error {
    /// What happens next.
    pub fn class(&self) -> Class {
        match self {
            Self::Waiting(_) | Self::NotConnected(_) => Class::Waiting,
            Self::Invalid(_)
            | Self::NoConsent(_)
            | Self::AdoptionRefused(_)
            | Self::Conflict(_)
            | Self::Contested { .. }
            | Self::InstanceChanged(_)
            | Self::Lost(_) => Class::Terminal,
            Self::NotConverged(_) | Self::Host(_) => Class::Transient(None),
            Self::Zitadel { source, .. } => match source {
                // Somebody was faster, or the read side lags: look again.
                e if matches!(
                    e.code(),
                    Some(Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition)
                ) =>
                {
                    Class::Transient(None)
                }
                e if e.is_transient() => Class::Transient(e.retry_after()),
                _ => Class::Terminal,
            },
        }
    }

    /// What users see.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Invalid(_) => Reason::InvalidSpec,
            Self::Waiting(_) | Self::NotConnected(_) => Reason::WaitingForReference,
            Self::NoConsent(_) => Reason::Forbidden,
            Self::AdoptionRefused(_) => Reason::AdoptionRefused,
            Self::Conflict(_) => Reason::Conflict,
            Self::Contested { .. } => Reason::Contested,
            Self::InstanceChanged(_) => Reason::InstanceChanged,
            Self::Lost(_) => Reason::LostByZitadel,
            Self::NotConverged(_) | Self::Host(_) => Reason::NotConverged,
            Self::Zitadel { source, .. } => match source {
                zitadel::Error::Unreachable { .. }
                | zitadel::Error::NoAnswer { .. }
                | zitadel::Error::AddressNotAllowed { .. }
                | zitadel::Error::Malformed { .. }
                | zitadel::Error::TooLarge { .. }
                | zitadel::Error::TooManyPages { .. } => Reason::Unreachable,
                zitadel::Error::InvalidPath { .. } | zitadel::Error::Configuration(_) => {
                    Reason::InvalidSpec
                }
                zitadel::Error::Credentials(_) | zitadel::Error::TokenRefused { .. } => {
                    Reason::Unauthenticated
                }
                zitadel::Error::Status(s) => match s.code {
                    Code::Unauthenticated => Reason::Unauthenticated,
                    Code::PermissionDenied => Reason::Forbidden,
                    Code::ResourceExhausted => Reason::RateLimited,
                    Code::Unavailable => Reason::Unreachable,
                    _ if s.http >= 500 => Reason::Unreachable,
                    _ => Reason::Rejected,
                },
            },
        }
    }

    /// What becomes of the conditions.
    pub fn verdict(&self) -> Verdict {
        let ready = match self.class() {
            Class::Waiting | Class::Transient(_) => Ready::Progressing,
            Class::Terminal => Ready::Stalled,
        };
        Verdict { ready, reason: self.reason(), message: self.to_string() }
    }
}
