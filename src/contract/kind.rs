//! The traits that a kind implements, and its description as data.

use std::future::Future;

use futures::Stream;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Access, Challenge, Cut, EventFilter, Fields, FileInput, Files, Inputs, Issued, Issues, List,
    Moment, Permissions, Place, Proof, Reference, Remote, RemoteEntity, RemoteSetting, Renewal,
    Row, Schedule, SecretInput, Secrets, SpecError, Verified, Written, crd::Rule,
};
use crate::zitadel::{Error, Result};

/// What a kind is, as data.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// `Project`
    pub kind: &'static str,
    /// `projects`
    pub plural: &'static str,
    /// Short name; it starts with `z`, so that it collides with none that other APIs have.
    pub short: &'static str,
    /// One sentence for `kubectl explain`.
    pub about: &'static str,
    /// How it is called in a sentence, in the singular: `the project`.
    pub noun: &'static str,
    /// What it refers to. Without a parent it is in the instance itself.
    pub references: &'static [Reference],
    /// What it refers to several times: the field is a list of objects, and the field for ids a list
    /// of the ids of all that is meant.
    pub reference_lists: &'static [Reference],
    /// What it names by the keys that those have, as a grant names roles.
    pub names: &'static [Names],
    /// Fields that tell the settings of one place apart, where there are several: each is addressed
    /// below what these say. Every spec has them, and they never change.
    pub keyed_by: &'static [&'static str],
    /// Whether it reaches what is in other organizations than its own: those alone declare it who
    /// may act on the instance.
    pub reaches_others: bool,
    /// Which events touch it.
    pub events: &'static [EventFilter],
    /// Lists whose order means nothing, or that are special in another way.
    pub lists: &'static [List],
    /// Fields that are maps of texts whose keys anybody chooses: what is not there is empty.
    pub maps: &'static [&'static str],
    /// Fields that ZITADEL takes and never shows: they come from Secrets.
    pub inputs: &'static [SecretInput],
    /// Fields that are files.
    pub files: &'static [FileInput],
    /// Fields of the spec that say how to write, and nothing of what is to be so.
    pub options: &'static [&'static str],
    /// Fields of which every spec has exactly one, and always the same: the forms of the kind.
    pub forms: &'static [&'static str],
    /// Fields, with all below them, that count only when something is created: what becomes of them
    /// afterwards is somebody else's.
    pub initial: &'static [&'static str],
    /// Fields of the state that only ZITADEL sets: no spec declares them, and the status shows
    /// them.
    pub reported: &'static [&'static str],
    /// CEL rules besides those that follow from the rest.
    pub rules: &'static [Rule],
    /// Whether what is declared comes true by steps with pauses between them, and some of them are
    /// due just because time passes: see [`Setting::schedule`]. Nothing is given back at its end.
    pub takes_time: bool,
    /// The first release of ZITADEL that has it, such as `4.0`; empty: every supported one.
    pub since: &'static str,
    /// Ids of the errors that answer a write which changes nothing.
    pub unchanged: &'static [&'static str],
    /// Permissions that the account needs, in each thing that it can be in: for messages and for the
    /// documentation.
    pub permissions: &'static [Permissions],
}

impl Description {
    /// A description that says nothing: `Description { kind: …, ..Description::EMPTY }`.
    pub const EMPTY: Self = Self {
        kind: "",
        plural: "",
        short: "",
        about: "",
        noun: "",
        references: &[],
        reference_lists: &[],
        names: &[],
        keyed_by: &[],
        reaches_others: false,
        events: &[],
        lists: &[],
        maps: &[],
        inputs: &[],
        files: &[],
        options: &[],
        forms: &[],
        initial: &[],
        reported: &[],
        rules: &[],
        takes_time: false,
        since: "",
        unchanged: &[],
        permissions: &[],
    };
}

impl Description {
    /// The place of the thing that a spec declares, which is in what is at this place.
    #[must_use]
    pub fn place_below(&self, place: Place, spec: &Value) -> Place {
        let keys = self.keyed_by.iter().filter_map(|field| spec.get(field)?.as_str());
        keys.fold(place, |place, key| place.below(key))
    }

    /// What tells the setting at a place from others of what it is in.
    pub fn keys<'a>(&self, place: &'a Place) -> &'a [String] {
        let (_, keys) =
            place.parents.split_at(place.parents.len().saturating_sub(self.keyed_by.len()));
        keys
    }

    /// The form that something with these fields has, where the kind has several.
    pub fn form(&self, fields: &Fields) -> Option<&'static str> {
        let is_of = |form: &str, path: &str| {
            path.strip_prefix(form).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let mut forms = self.forms.iter().copied();
        forms.find(|form| fields.iter().any(|(path, _)| is_of(form, path)))
    }
}

/// A list of the spec whose items are the keys of other things.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// The list, such as `roleKeys`.
    pub list: &'static str,
    /// The kind of what is named: it is created first.
    pub kind: &'static str,
}

/// What an entity is besides, as data.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct EntityDescription {
    /// Where its id comes from.
    pub id: IdSource,
    /// What tells it from others of its kind at the same place.
    pub natural_key: NaturalKey,
    /// Deleted in ZITADEL only where `deletionPolicy: Delete` is written out.
    pub retain_by_default: bool,
    /// Fields and the words that ZITADEL sets by itself in what it creates, such as
    /// `("state", "Active")`; `false`, `""` and `[]` need no mention. An export omits them.
    pub defaults: &'static [(&'static str, &'static str)],
    /// Ids of errors that mean "exists already", besides the code that says so.
    pub exists: &'static [&'static str],
    /// Ids of errors that mean that something it names by its key does not exist, such as a role.
    pub missing: &'static [&'static str],
    /// Other kinds among which its natural key is unique too.
    pub rivals: &'static [&'static str],
    /// Whether it is about people: an export has it only where it is asked for.
    pub is_personal: bool,
    /// Whether a list of less than the instance, too, omits without a word what the account may not
    /// read, in place of being refused.
    pub omits_unreadable: bool,
    /// What one list call covers.
    pub listed_by: Breadth,
    /// Within what its natural key is unique.
    pub unique_in: Breadth,
    /// Whether ZITADEL refuses a second one with the same natural key.
    pub is_unique: bool,
    /// Whether there is none of it in what was just created.
    pub starts_empty: bool,
    /// Type of the event that ends one, of a kind whose events tell all that it is: see
    /// [`Entity::told`].
    pub ended_by: Option<&'static str>,
    /// Whether ZITADEL may accept to create a second one under the same id, by another name or in
    /// another organization: one of the names is taken for good then.
    pub takes_ids_twice: bool,
    /// The secret that it has, or is.
    pub issues: Option<&'static Issues>,
    /// A field and the value that it has of at most one thing at a place: whichever gets it takes it
    /// from the one that had it.
    pub only_one: Option<(&'static str, &'static str)>,
    /// A field that is `true` of what ZITADEL makes by itself along with what it is in, and takes
    /// with it: no export has it, and it is not missed where nobody declares it.
    pub comes_along: Option<&'static str>,
    /// What has to be published to prove that a thing belongs to who declares it.
    pub proof: Option<&'static Proof>,
    /// Fields that ZITADEL can't change: where one differs, another thing is created in the place of
    /// the former one.
    pub by_another: &'static [&'static str],
}

impl EntityDescription {
    /// Whether it is nothing but a secret: a key or a token, in whose place another one is created
    /// in time.
    pub fn is_key(&self) -> bool {
        self.issues.is_some_and(|issues| issues.renewal == Renewal::ByAnother)
    }

    /// Whether ZITADEL made a thing along with what it is in.
    pub fn has_come_along(&self, remote: &Remote) -> bool {
        self.comes_along.is_some_and(|field| remote.reported.says(field, "true"))
    }

    /// An entity with a chosen id and a unique `name`.
    pub const NAMED: Self = Self {
        id: IdSource::Chosen,
        natural_key: NaturalKey::Field("name"),
        retain_by_default: false,
        defaults: &[],
        exists: &[],
        missing: &[],
        rivals: &[],
        is_personal: false,
        omits_unreadable: false,
        listed_by: Breadth::Place,
        unique_in: Breadth::Place,
        is_unique: true,
        starts_empty: false,
        ended_by: None,
        takes_ids_twice: false,
        issues: None,
        only_one: None,
        comes_along: None,
        proof: None,
        by_another: &[],
    };
}

/// What tells an entity from others of its kind at the same place, regardless of case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NaturalKey {
    /// The field by which people know it, such as `name`.
    Field(&'static str),
    /// The ids of what it connects, such as `userId`: given by references, and the same for ever.
    References(&'static [&'static str]),
}

impl NaturalKey {
    /// The fields that it is made of.
    pub fn fields(&self) -> &[&'static str] {
        match self {
            Self::Field(field) => std::slice::from_ref(field),
            Self::References(fields) => fields,
        }
    }

    /// The field by which people know it; of what only connects others there is none.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Field(field) => Some(field),
            Self::References(_) => None,
        }
    }

    /// The key of what has these fields; `None`: not all of it is known.
    pub fn of(&self, fields: &Fields) -> Option<String> {
        let parts = self.fields().iter().map(|field| fields.text(field));
        parts.collect::<Option<Vec<_>>>().map(|parts| parts.join("/"))
    }
}

/// Where the id of an entity comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdSource {
    /// The client chooses it: derived from the object. Unique in the instance.
    Chosen,
    /// The natural key is the id. Unique in its place.
    Key,
    /// The server chooses it, and the natural key tells whether it exists. Unique in the instance.
    Server,
}

/// How much is meant around a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breadth {
    /// What is in one place.
    Place,
    /// All of an organization, whatever it is below there.
    Organization,
    /// All of the instance. Ids have to be unique in it.
    Instance,
}

impl Breadth {
    /// The place that stands for all that is meant.
    pub fn around(self, place: &Place) -> Place {
        match self {
            Self::Place => place.clone(),
            Self::Organization => {
                Place { organization: place.organization.clone(), parents: Vec::new() }
            }
            Self::Instance => Place::instance(),
        }
    }
}

/// What both shapes have.
pub trait Kind: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The fields that can be managed, in ZITADEL's names: each an `Option`, `None` if omitted.
    type State: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What it is.
    const DESCRIPTION: Description;

    /// What is declared. Pure. `name` is the object's, for kinds whose remote name follows it.
    fn desired(&self, name: &str, inputs: &Inputs) -> std::result::Result<Self::State, SpecError>;

    /// Who could get in no more if this became `want`, or were deleted, in half a sentence; `None`:
    /// nobody is locked out. `id`: of what exists. Fields that `want` does not have are not known.
    fn locks_out(
        access: &Access,
        id: Option<&str>,
        want: Option<&Self::State>,
    ) -> impl Future<Output = Result<Option<&'static str>>> + Send {
        let _ = (access, id, want);
        async { Ok(None) }
    }
}

/// One of many, each with an id.
pub trait Entity: Kind {
    /// What it is besides.
    const ENTITY: EntityDescription;

    /// All that one list call covers, in pages.
    fn list(
        access: &Access,
    ) -> impl Stream<Item = Result<Row<RemoteEntity<Self::State>>>> + Send + 'static;
    /// Reads one by its id; `None`: it does not exist.
    fn read(
        access: &Access,
        id: &str,
    ) -> impl Future<Output = Result<Option<RemoteEntity<Self::State>>>> + Send;
    /// What it is by the payloads of its events, each laid over those before: of a kind that has
    /// [`EntityDescription::ended_by`].
    fn told(payload: Value) -> Option<Self::State> {
        let _ = payload;
        None
    }
    /// Creates it, under the id where the server lets the client choose. The id in the answer
    /// counts. Of a key the answer holds the secret.
    fn create(
        access: &Access,
        id: &str,
        want: &Self::State,
    ) -> impl Future<Output = Result<Written>> + Send;
    /// Changes it to `want`, which is complete. Several calls may be needed: after an error nothing
    /// is assumed of any.
    fn update(
        access: &Access,
        have: &RemoteEntity<Self::State>,
        want: &Self::State,
    ) -> impl Future<Output = Result<Written>> + Send;
    /// The same as [`Self::create`], with secrets: of a kind that takes some.
    fn create_with(
        access: &Access,
        id: &str,
        want: &Self::State,
        secrets: &Secrets,
    ) -> impl Future<Output = Result<Written>> + Send {
        let _ = secrets;
        Self::create(access, id, want)
    }
    /// The same as [`Self::update`], with those of its secrets that are to be changed.
    fn update_with(
        access: &Access,
        have: &RemoteEntity<Self::State>,
        want: &Self::State,
        secrets: &Secrets,
    ) -> impl Future<Output = Result<Written>> + Send {
        let _ = secrets;
        Self::update(access, have, want)
    }
    /// Deletes it; that it does not exist is success.
    fn delete(access: &Access, id: &str) -> impl Future<Output = Result<()>> + Send;
    /// Whether something has this id that can't be read here, as it is of another kind or in another
    /// place: asked before something is created under an id that was given.
    fn is_taken(access: &Access, id: &str) -> impl Future<Output = Result<bool>> + Send {
        let _ = (access, id);
        async { Ok(false) }
    }
    /// Whether it has a secret, as it is configured.
    fn has_secret(state: &Self::State) -> bool {
        let _ = state;
        false
    }
    /// The values of its own that templates can use; none of them secret.
    fn values(remote: &RemoteEntity<Self::State>) -> Vec<(&'static str, String)> {
        let _ = remote;
        Vec::new()
    }
    /// Whether this value, which was found in a Secret, is its secret.
    fn proves(
        access: &Access,
        remote: &RemoteEntity<Self::State>,
        value: &SecretString,
    ) -> impl Future<Output = Result<bool>> + Send {
        let _ = (access, remote, value);
        async { Ok(false) }
    }
    /// What a change takes from others: a plan says so. A few cheap calls at most.
    fn cuts(
        access: &Access,
        have: &RemoteEntity<Self::State>,
        want: &Self::State,
    ) -> impl Future<Output = Result<Vec<Cut>>> + Send {
        let _ = (access, have, want);
        async { Ok(Vec::new()) }
    }
    /// Has ZITADEL ask for another proof, given in this way: it ends the former one.
    fn challenge(
        access: &Access,
        id: &str,
        way: &str,
    ) -> impl Future<Output = Result<Challenge>> + Send {
        let _ = (access, id, way);
        async { Err(Error::Malformed { endpoint: "(no call)".into(), what: "no proof".into() }) }
    }
    /// Has ZITADEL look for the proof.
    fn verify(access: &Access, id: &str) -> impl Future<Output = Result<Verified>> + Send {
        let _ = (access, id);
        async { Err(Error::Malformed { endpoint: "(no call)".into(), what: "no proof".into() }) }
    }
    /// Gives it another secret, which ends the former one.
    fn issue(access: &Access, id: &str) -> impl Future<Output = Result<Issued>> + Send {
        let _ = (access, id);
        async { Err(Error::Malformed { endpoint: "(no call)".into(), what: "no secret".into() }) }
    }
}

/// Always there, once per place.
pub trait Setting: Kind {
    /// Reads the place's own, or what it inherits.
    fn read(access: &Access) -> impl Future<Output = Result<RemoteSetting<Self::State>>> + Send;
    /// Changes it to `want`, which is complete; creates the place's own where it has none.
    fn write(
        access: &Access,
        have: &RemoteSetting<Self::State>,
        want: &Self::State,
    ) -> impl Future<Output = Result<Written>> + Send;
    /// The same as [`Self::write`], of a kind for which more counts than what the fields will be.
    fn write_declared(
        access: &Access,
        have: &RemoteSetting<Self::State>,
        want: &Self::State,
        declaration: &Declaration<'_, Self>,
    ) -> impl Future<Output = Result<Written>> + Send {
        let _ = declaration;
        Self::write(access, have, want)
    }
    /// What is due now, of a kind that acts on time: a write does just that. Pure.
    fn schedule(
        have: &RemoteSetting<Self::State>,
        declaration: &Declaration<'_, Self>,
    ) -> std::result::Result<Option<Schedule>, SpecError> {
        let _ = (have, declaration);
        Ok(None)
    }
    /// The fields that somebody has changed in a draft, and that a write would publish without being
    /// asked to.
    fn drafts(
        access: &Access,
        declaration: &Declaration<'_, Self>,
    ) -> impl Future<Output = Result<Vec<String>>> + Send {
        let _ = (access, declaration);
        async { Ok(Vec::new()) }
    }
    /// The places of all that can be in what is at this place.
    fn places(access: &Access) -> impl Future<Output = Result<Vec<Place>>> + Send {
        let place = access.place.clone();
        async { Ok(vec![place]) }
    }
    /// Removes a place's own, so that it inherits again; that there is none is success.
    fn reset(access: &Access) -> impl Future<Output = Result<()>> + Send {
        let _ = access;
        async { Ok(()) }
    }
    /// What only a look at ZITADEL can tell of `want`, before it is written.
    fn check(
        access: &Access,
        want: &Self::State,
    ) -> impl Future<Output = std::result::Result<(), CheckError>> + Send {
        let _ = (access, want);
        async { Ok(()) }
    }
}

/// What an object declares, for those to whom more of it counts than what the fields will be.
pub struct Declaration<'a, K: Kind> {
    /// The spec.
    pub spec: &'a K,
    /// The declared fields alone.
    pub state: &'a K::State,
    /// The files that it names.
    pub files: &'a Files,
    /// When it is looked at.
    pub moment: Moment<'a>,
}

/// Why a setting can't be written as declared.
#[derive(Debug, Clone)]
pub enum CheckError {
    /// The instance does not allow it.
    Spec(SpecError),
    /// ZITADEL could not be asked.
    Zitadel(crate::zitadel::Error),
}

impl From<crate::zitadel::Error> for CheckError {
    fn from(e: crate::zitadel::Error) -> Self {
        Self::Zitadel(e)
    }
}

impl From<SpecError> for CheckError {
    fn from(e: SpecError) -> Self {
        Self::Spec(e)
    }
}
