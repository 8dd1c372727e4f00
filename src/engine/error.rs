//! Why an object is not as declared: data with a class, which alone decides what happens next, and
//! a reason, which users see. The sentences are made in [`report`](super::report). Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::decide_secret::SecretRefusal;
use crate::{
    api::status::Reason,
    contract::{CheckError, Entry, Key, Permissions, Place, SpecError},
    live::VerifyError,
    zitadel::{self, Code, identity::IdentityError},
};

/// A reconcile, or a part of it, that did not get to its end.
#[derive(Debug, Clone)]
pub enum Error {
    /// The spec can't mean what it says.
    Spec(SpecError),
    /// Something that it refers to is not there, or not ready.
    Waiting(Waiting),
    /// There is no connection to its Instance.
    NotConnected {
        /// The Instance.
        instance: Key,
        /// Why, as the Instance says.
        reason: Option<Reason>,
        /// The same, for people.
        message: Option<String>,
    },
    /// A reference without the consent that it needs.
    NoConsent(Box<NoConsent>),
    /// The server knows no instance of the issuer's host name.
    UnknownHost,
    /// The account has no role in the instance or in an organization.
    NoRole {
        /// Its login name, where that is known.
        account: Option<String>,
    },
    /// Something exists and was not taken over.
    AdoptionRefused(Refusal),
    /// What has this id is elsewhere.
    Elsewhere {
        /// The id.
        id: String,
        /// The organization that it is in; `None`: the instance itself.
        organization: Option<String>,
    },
    /// What it was bound to is not where its references lead by now.
    LeftBehind {
        /// The id.
        id: String,
        /// Where it is.
        place: Place,
    },
    /// What it refers to came to mean something else, and what it is bound to can't follow.
    ReferenceChanged {
        /// The id.
        id: String,
        /// The fields that would have to change.
        fields: Vec<String>,
    },
    /// ZITADEL can't empty a list that is to be empty.
    CannotEmpty {
        /// The lists.
        fields: Vec<String>,
    },
    /// Something that it names by a key does not exist: ZITADEL says so.
    NamesMissing {
        /// What it says.
        source: zitadel::Error,
    },
    /// The Secret of the object does not get what it should.
    Secret {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Why not.
        refusal: SecretRefusal,
    },
    /// The Secret of the object is away, and may come back.
    SecretAway {
        /// Its name.
        name: String,
        /// How long that is waited for.
        left: Duration,
    },
    /// What differs comes true by steps, and the next one is not due yet.
    Scheduled {
        /// The fields.
        fields: Vec<String>,
        /// When it is due; `None`: at once.
        at: Option<Timestamp>,
        /// How long that is from now.
        left: Duration,
    },
    /// The Secret of the object can't be read or written.
    Output(OutputError),
    /// The server is older than the kind.
    TooOld {
        /// The first release that has it.
        since: &'static str,
        /// What it answers.
        source: zitadel::Error,
    },
    /// The server has no such endpoint, or what is before it does not let it through.
    NoEndpoint {
        /// What was tried.
        doing: Doing,
        /// What is answered.
        source: zitadel::Error,
    },
    /// What proves that it belongs to who declares it is not where ZITADEL looks for it.
    Unproven {
        /// Where that is, in words, and the text that has to be there; `None`: it was asked for, and
        /// what it is, is not known here.
        wanted: Option<(String, String)>,
        /// How long until it is looked for again.
        left: Duration,
    },
    /// The thing is the account that Kastellan itself acts as.
    OwnAccount {
        /// Its id.
        id: String,
    },
    /// Another object declares the same.
    Conflict {
        /// The older one.
        winner: Key,
    },
    /// Somebody else keeps undoing what is declared.
    Contested {
        /// Who, where that is known.
        by: Option<String>,
        /// What.
        fields: String,
        /// How often it was reverted.
        corrections: u32,
        /// When it is reverted again, or said to be over.
        retry_after: Duration,
    },
    /// Somebody else has changed something in a draft, which a write would publish too.
    Drafted {
        /// The fields.
        fields: Vec<String>,
    },
    /// Somebody would be locked out, and the object does not insist.
    LockOut {
        /// Who, in half a sentence.
        who: &'static str,
    },
    /// Another instance answers behind the same address.
    InstanceChanged {
        /// The Instance object.
        instance: Option<Key>,
        /// The id that it had.
        known: String,
        /// The id that it has.
        found: String,
    },
    /// ZITADEL knows a thing, or a change, that it does not show.
    Lost(Lost),
    /// What was read back is not what was written.
    NotConverged(NotConverged),
    /// What the account does not see may exist all the same.
    NoSight {
        /// The id of what it does not see.
        id: String,
    },
    /// Something that has to be unique is taken by what does not show here.
    Taken {
        /// What ZITADEL says.
        source: zitadel::Error,
    },
    /// What the account does not see may exist all the same, as it may not read it.
    MayNotRead {
        /// What that is: `the organization`.
        noun: &'static str,
        /// The permissions that it lacks.
        lacks: Vec<&'static str>,
    },
    /// The account lacks a permission.
    NotPermitted {
        /// What things of this kind need where this one is.
        permissions: &'static Permissions,
        /// What it may not do.
        error: Box<Error>,
    },
    /// A call failed.
    Zitadel {
        /// What was being done.
        doing: Doing,
        /// How it failed.
        source: zitadel::Error,
    },
    /// Kubernetes (or the disk) did not take what has to be remembered.
    Host(String),
}

/// The result of a part of a reconcile.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an object waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// An object that does not exist.
    Missing(Key),
    /// An object that is being deleted.
    Deleting(Key),
    /// An object of another instance.
    OtherInstance(Key),
    /// An object that is not bound to anything yet.
    NotBound {
        /// The object.
        object: Key,
        /// What it says about itself.
        message: Option<String>,
    },
    /// A remote thing that does not exist in this instance.
    Remote {
        /// How it is called: `the organization`.
        noun: &'static str,
        /// Its id.
        id: String,
        /// It was created a moment ago, and does not show yet.
        is_new: bool,
    },
    /// What has a name that ZITADEL knows.
    Name {
        /// The field that gives the name.
        field: &'static str,
        /// The name.
        name: String,
        /// How many there are: none, or several.
        found: usize,
    },
    /// A value of a Secret or ConfigMap.
    Value {
        /// `Secret` or `ConfigMap`.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The key in it.
        key: String,
        /// Why there is no value.
        missing: Missing,
    },
}

/// Why a Secret can't be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputError {
    /// The operator may not.
    Forbidden(String),
    /// There is no place for it.
    NowhereToWrite,
    /// What was issued got nowhere, and can't be handed over again.
    NotDelivered(String),
    /// Something else, which may pass.
    Failed(String),
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// No such Secret or ConfigMap.
    Object,
    /// It has no such key, or holds no text there.
    Key,
    /// It may not be read, or can't be just now.
    Unreadable(String),
}

/// A consent that would be needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoConsent {
    /// Who would have to give it.
    pub giver: Key,
    /// In which field of its spec.
    pub field: &'static str,
    /// The namespace that would need it.
    pub namespace: String,
    /// What for.
    pub purpose: Purpose,
}

/// What a consent is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To refer to the object, by any kind.
    Refer,
    /// To refer to the object by this kind.
    ReferBy(&'static str),
    /// To declare what is at the root of places.
    DeclareRoot,
    /// To act on the instance itself, or to name an id in it.
    ActOnInstance,
    /// To adopt what is at the root of places.
    AdoptRoot,
}

/// Why something that exists was not taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It differs, and the policy is `IfIdentical`.
    Differs {
        /// Its id.
        id: String,
        /// The fields that differ.
        fields: Vec<String>,
    },
    /// The policy is `Never`.
    Never {
        /// Its id.
        id: String,
    },
    /// Several things fit.
    Ambiguous {
        /// Their ids.
        ids: Vec<String>,
    },
    /// It is in another organization.
    Elsewhere {
        /// Its id.
        id: String,
        /// The organization.
        organization: Option<String>,
    },
    /// It is of another kind, among which names are unique too.
    OtherKind {
        /// Its id.
        id: String,
        /// How it is called: `the API application`.
        noun: &'static str,
    },
    /// Something that is not to be seen here has the id that the spec names.
    IdTaken {
        /// The id.
        id: String,
    },
}

/// What ZITADEL's read side has lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// A thing that it accepted.
    Thing {
        /// Its id.
        id: String,
        /// How long ago it was accepted.
        age: Duration,
    },
    /// A change that it accepted.
    Change {
        /// How long ago it was accepted.
        age: Duration,
    },
    /// It refuses to create what it does not show.
    RefusedAsExisting {
        /// The id that was asked for.
        id: String,
    },
    /// It says that nothing changes, and shows something else.
    RefusedAsUnchanged {
        /// The fields that differ.
        fields: Vec<String>,
    },
}

/// What has not converged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotConverged {
    /// An own write does not show yet.
    Pending,
    /// Whether an attempt that failed has created it shows in a while.
    Sought,
    /// What was created does not show yet.
    Absent,
    /// It disappeared between two reads.
    JustGone,
    /// It still differs.
    Differs {
        /// The fields.
        fields: Vec<String>,
    },
    /// A thing can't be read.
    Unreadable,
}

/// What was being done when a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// `could not VERB the thing`.
    Thing(&'static str),
    /// `could not PHRASE`.
    Other(&'static str),
}

impl Doing {
    /// Looking for what a thing is in.
    pub const AROUND: Self = Self::Other("look for what it is in");
    /// Finding out which instance it is.
    pub const CONNECT: Self = Self::Other("reach the instance");
}

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

impl Class {
    /// In one word, for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Transient(_) => "transient",
            Self::Terminal => "terminal",
        }
    }
}

/// Says what was being done when a call failed.
pub trait WhileDoing<T> {
    /// `verb` completes "could not … the project".
    fn doing(self, verb: &'static str) -> Result<T>;
    /// `phrase` completes "could not …".
    fn doing_other(self, phrase: &'static str) -> Result<T>;
}

impl<T> WhileDoing<T> for zitadel::Result<T> {
    fn doing(self, verb: &'static str) -> Result<T> {
        self.map_err(|source| Error::Zitadel { doing: Doing::Thing(verb), source })
    }

    fn doing_other(self, phrase: &'static str) -> Result<T> {
        self.map_err(|source| Error::Zitadel { doing: Doing::Other(phrase), source })
    }
}

impl Error {
    /// Whether ZITADEL refuses something about the thing itself, or about what it is in.
    fn is_denial(&self) -> bool {
        match self {
            Self::Zitadel { doing: Doing::Thing(_) | Doing::AROUND, source } => {
                source.code() == Some(Code::PermissionDenied)
            }
            _ => false,
        }
    }

    /// Says what is needed, where the account may not do something to the thing at this place.
    pub(super) fn explained(self, entry: Entry, place: &Place) -> Self {
        match (self, entry.permissions_at(place)) {
            (error @ Self::MayNotRead { .. }, Some(permissions)) => {
                Self::NotPermitted { permissions, error: Box::new(error) }
            }
            (error @ Self::Zitadel { .. }, Some(permissions)) if error.is_denial() => {
                Self::NotPermitted { permissions, error: Box::new(error) }
            }
            (Self::Zitadel { source, .. }, _)
                if source.is_missing_endpoint() && !entry.since.is_empty() =>
            {
                Self::TooOld { since: entry.since, source }
            }
            (Self::Zitadel { doing, source }, _) if source.is_missing_endpoint() => {
                Self::NoEndpoint { doing, source }
            }
            (error, _) => error,
        }
    }
}

impl From<SpecError> for Error {
    fn from(e: SpecError) -> Self {
        Self::Spec(e)
    }
}

impl OutputError {
    fn reason(&self) -> Reason {
        match self {
            Self::Forbidden(_) => Reason::Forbidden,
            Self::NowhereToWrite => Reason::InvalidSpec,
            Self::NotDelivered(_) => Reason::SecretMissing,
            Self::Failed(_) => Reason::NotConverged,
        }
    }
}

impl From<OutputError> for Error {
    fn from(e: OutputError) -> Self {
        Self::Output(e)
    }
}

impl From<NoConsent> for Error {
    fn from(e: NoConsent) -> Self {
        Self::NoConsent(Box::new(e))
    }
}

impl From<CheckError> for Error {
    fn from(e: CheckError) -> Self {
        match e {
            CheckError::Spec(e) => Self::Spec(e),
            CheckError::Zitadel(source) => Self::Zitadel { doing: Doing::Thing("check"), source },
        }
    }
}

impl From<IdentityError> for Error {
    fn from(e: IdentityError) -> Self {
        match e {
            IdentityError::Zitadel(source) => Self::Zitadel { doing: Doing::CONNECT, source },
            IdentityError::UnknownHost => Self::UnknownHost,
            IdentityError::NoRole { account } => Self::NoRole { account },
        }
    }
}

impl From<VerifyError> for Error {
    fn from(e: VerifyError) -> Self {
        match e {
            VerifyError::Identity(e) => e.into(),
            VerifyError::Changed { known, found } => {
                Self::InstanceChanged { instance: None, known, found }
            }
        }
    }
}

impl Error {
    /// What happens next.
    pub fn class(&self) -> Class {
        match self {
            Self::Waiting(_)
            | Self::NotConnected { .. }
            | Self::Scheduled { .. }
            | Self::Unproven { .. } => Class::Waiting,
            Self::Spec(_)
            | Self::NoConsent(_)
            | Self::UnknownHost
            | Self::NoRole { .. }
            | Self::AdoptionRefused(_)
            | Self::Elsewhere { .. }
            | Self::LeftBehind { .. }
            | Self::ReferenceChanged { .. }
            | Self::CannotEmpty { .. }
            | Self::Taken { .. }
            | Self::TooOld { .. }
            | Self::NoEndpoint { .. }
            | Self::NotPermitted { .. }
            | Self::Secret { .. }
            | Self::Output(
                OutputError::Forbidden(_)
                | OutputError::NowhereToWrite
                | OutputError::NotDelivered(_),
            )
            | Self::OwnAccount { .. }
            | Self::Conflict { .. }
            | Self::Contested { .. }
            | Self::Drafted { .. }
            | Self::LockOut { .. }
            | Self::InstanceChanged { .. }
            | Self::Lost(_)
            | Self::MayNotRead { .. }
            | Self::NoSight { .. } => Class::Terminal,
            Self::SecretAway { left, .. } => Class::Transient(Some(*left)),
            Self::NotConverged(_)
            | Self::Host(_)
            | Self::NamesMissing { .. }
            | Self::Output(OutputError::Failed(_)) => Class::Transient(None),
            Self::Zitadel { source, .. } => match source.code() {
                // Somebody was faster, or the read side lags: look again.
                Some(Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition) => {
                    Class::Transient(None)
                }
                _ if source.is_transient() => Class::Transient(source.retry_after()),
                _ => Class::Terminal,
            },
        }
    }

    /// What users see.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Spec(_)
            | Self::UnknownHost
            | Self::Elsewhere { .. }
            | Self::CannotEmpty { .. }
            | Self::OwnAccount { .. } => Reason::InvalidSpec,
            Self::NotConnected { reason: Some(Reason::Suspended), .. } => Reason::Suspended,
            Self::Secret { refusal, .. } => refusal.reason(),
            Self::SecretAway { .. } => Reason::SecretMissing,
            Self::Output(e) => e.reason(),
            Self::LeftBehind { .. } | Self::ReferenceChanged { .. } => Reason::ReferenceChanged,
            Self::Waiting(_) | Self::NotConnected { .. } | Self::NamesMissing { .. } => {
                Reason::WaitingForReference
            }
            Self::NoConsent(_)
            | Self::NoRole { .. }
            | Self::NoSight { .. }
            | Self::MayNotRead { .. }
            | Self::NotPermitted { .. } => Reason::Forbidden,
            Self::AdoptionRefused(_) => Reason::AdoptionRefused,
            Self::Taken { .. } | Self::TooOld { .. } | Self::NoEndpoint { .. } => Reason::Rejected,
            Self::Scheduled { .. } => Reason::Updating,
            Self::Unproven { .. } => Reason::NotVerified,
            Self::Conflict { .. } => Reason::Conflict,
            Self::Contested { .. } | Self::Drafted { .. } => Reason::Contested,
            Self::LockOut { .. } => Reason::LockOut,
            Self::InstanceChanged { .. } => Reason::InstanceChanged,
            Self::Lost(_) => Reason::LostByZitadel,
            Self::NotConverged(_) | Self::Host(_) => Reason::NotConverged,
            Self::Zitadel { source, .. } => reason_of(source),
        }
    }

    /// Whether nothing was asked, because the whole of ZITADEL is known to be down.
    pub fn is_down(&self) -> bool {
        matches!(self, Self::Zitadel { source, .. } if source.is_down())
    }

    /// Whether ZITADEL refuses who we are, or what we may, or what it is asked for at all: somebody may
    /// lift that there, which nobody tells us, and which a server that has just started says too.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::NoRole { .. }
            | Self::NoSight { .. }
            | Self::MayNotRead { .. }
            | Self::NoEndpoint { .. }
            | Self::NotPermitted { .. } => true,
            Self::Zitadel { source, .. } => {
                matches!(reason_of(source), Reason::Forbidden | Reason::Unauthenticated)
            }
            _ => false,
        }
    }

    /// Whether it is an answer to the credentials, not to the object: the Instance has to say it.
    pub fn is_about_credentials(&self) -> bool {
        self.reason() == Reason::Unauthenticated
    }
}

fn reason_of(source: &zitadel::Error) -> Reason {
    match source {
        zitadel::Error::Down(cause) => reason_of(cause),
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
    }
}
