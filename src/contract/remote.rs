//! What was read from ZITADEL, how fresh it is, and what a write answered. Pure.

use jiff::Timestamp;
use secrecy::SecretString;

use super::{Fields, Place};

/// Which thing of a kind at a place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The setting, of which there is one.
    Setting,
    /// The entity with this id.
    Entity(String),
    /// An entity to which the server will give its id.
    New,
}

impl Subject {
    /// The id of an entity.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Setting | Self::New => None,
            Self::Entity(id) => Some(id),
        }
    }
}

impl From<&str> for Subject {
    fn from(id: &str) -> Self {
        Self::Entity(id.to_owned())
    }
}

/// How fresh something is. Comparable within one aggregate only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The aggregate's resource owner, or its id where that says more; `None`: not told.
    pub aggregate: Option<String>,
    /// Date of its last change, by ZITADEL's clock.
    pub changed: Timestamp,
}

impl Version {
    /// Of what was never set: older than every write.
    pub fn never() -> Self {
        Self { aggregate: None, changed: Timestamp::UNIX_EPOCH }
    }

    /// Whether this is as new as a write; `None`: they can't be compared.
    pub fn shows(&self, written: &Self) -> Option<bool> {
        let comparable = self.aggregate == written.aggregate || *self == Self::never();
        comparable.then(|| self.changed >= written.changed)
    }
}

/// An entity as a kind reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteEntity<S> {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub place: Place,
    /// All fields that are known, zero values included.
    pub state: S,
    /// How fresh this is, where the endpoint says so.
    pub version: Option<Version>,
}

/// A setting as a kind reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteSetting<S> {
    /// All fields that are known, zero values included.
    pub state: S,
    /// Whether it is the place's own; false: inherited.
    pub own: bool,
    /// How fresh this is, where the endpoint says so.
    pub version: Option<Version>,
}

/// Something in ZITADEL, whatever its kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    /// Which one.
    pub subject: Subject,
    /// Where it is.
    pub place: Place,
    /// All fields that are known and can be declared, zero values included.
    pub state: Fields,
    /// The fields that only ZITADEL sets.
    pub reported: Fields,
    /// Whether a setting is the place's own; false: inherited. Entities are always their own.
    pub own: bool,
    /// How fresh this is, where the endpoint says so.
    pub version: Option<Version>,
}

impl Remote {
    /// The id of an entity.
    pub fn id(&self) -> Option<&str> {
        self.subject.id()
    }
}

/// What a write answered.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// Id of what was created: the one that counts, whatever was asked for.
    pub id: Option<String>,
    /// How fresh a read must be to show it.
    pub version: Option<Version>,
    /// When the calls before the last one took effect, where a write took several, by ZITADEL's
    /// clock: their events are ours too.
    pub earlier: Vec<Timestamp>,
    /// What was created is a secret: this is it. Nobody can read it again.
    pub secret: Option<SecretString>,
}

impl Written {
    /// What a write answered whose last call answered this, and those before it `before`.
    #[must_use]
    pub fn after(self, before: Self) -> Self {
        let mut earlier = before.earlier;
        earlier.extend(before.version.as_ref().map(|version| version.changed));
        earlier.extend(self.earlier);
        Self {
            id: self.id.or(before.id),
            version: self.version.or(before.version),
            earlier,
            secret: self.secret.or(before.secret),
        }
    }
}

/// What a change takes from others, declared or not: ZITADEL does not give it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// What is taken, such as `the role admin`.
    pub what: String,
    /// From what, in the singular.
    pub from: &'static str,
    /// How many have it; `None`: that can't be known.
    pub count: Option<u64>,
}
