//! A kind whatever its types: a line of the registry.

use std::{marker::PhantomData, ops::Deref};

use async_trait::async_trait;
use futures::{Stream, StreamExt, stream::BoxStream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Access, Challenge, CheckError, ConnectionKind, Cut, Declaration, Description, Entity,
    EntityDescription, Fields, Files, Inputs, Issued, Kind, Moment, Place, Reference, Remote,
    RemoteEntity, RemoteSetting, Role, Row, Schedule, Secrets, Setting, SpecError, Subject,
    Verified, Version, Written, crd, decode, secret,
};
use crate::{
    api::status::Status,
    zitadel::{Error, Result},
};

/// A kind, by its shape.
#[derive(Clone, Copy)]
pub enum Entry {
    /// Where an instance is.
    Connection(&'static dyn ConnectionKind),
    /// One of many, each with an id.
    Entity(&'static dyn ErasedEntity),
    /// Always there, once per place.
    Setting(&'static dyn ErasedSetting),
}

/// What entities and settings have in common.
#[async_trait]
pub trait ErasedKind: Send + Sync {
    /// What it is.
    fn description(&self) -> &'static Description;
    /// Its custom resource definition; of an entity, by what that is besides.
    fn crd(&self, entity: Option<&'static EntityDescription>) -> CustomResourceDefinition;
    /// The declared fields of a spec, and those that only count at a creation, or why it can't be
    /// read.
    fn desired(
        &self,
        spec: &Value,
        name: &str,
        inputs: &Inputs,
    ) -> std::result::Result<(Fields, Fields), SpecError>;
    /// See [`Kind::locks_out`].
    async fn locks_out(
        &self,
        access: &Access,
        id: Option<&str>,
        want: Option<&Fields>,
    ) -> Result<Option<&'static str>>;
}

/// An [`Entity`] whose state is [`Fields`].
#[async_trait]
pub trait ErasedEntity: ErasedKind {
    /// What it is besides.
    fn entity(&self) -> &'static EntityDescription;
    /// See [`Entity::list`].
    fn list(&self, access: &Access) -> BoxStream<'static, Result<Row<Remote>>>;
    /// See [`Entity::read`].
    async fn read(&self, access: &Access, id: &str) -> Result<Option<Remote>>;
    /// See [`Entity::told`].
    fn told(&self, id: String, place: Place, version: Version, payload: Value) -> Option<Remote>;
    /// See [`Entity::create_with`].
    async fn create(
        &self,
        access: &Access,
        id: &str,
        want: &Fields,
        secrets: &Secrets,
    ) -> Result<Written>;
    /// See [`Entity::update_with`].
    async fn update(
        &self,
        access: &Access,
        have: &Remote,
        want: &Fields,
        secrets: &Secrets,
    ) -> Result<Written>;
    /// See [`Entity::delete`].
    async fn delete(&self, access: &Access, id: &str) -> Result<()>;
    /// See [`Entity::is_taken`].
    async fn is_taken(&self, access: &Access, id: &str) -> Result<bool>;
    /// See [`Entity::has_secret`].
    fn has_secret(&self, remote: &Remote) -> Result<bool>;
    /// See [`Entity::values`].
    fn values(&self, remote: &Remote) -> Result<Vec<(&'static str, String)>>;
    /// See [`Entity::proves`].
    async fn proves(&self, access: &Access, remote: &Remote, value: &SecretString) -> Result<bool>;
    /// See [`Entity::cuts`].
    async fn cuts(&self, access: &Access, have: &Remote, want: &Fields) -> Result<Vec<Cut>>;
    /// See [`Entity::challenge`].
    async fn challenge(&self, access: &Access, id: &str, way: &str) -> Result<Challenge>;
    /// See [`Entity::verify`].
    async fn verify(&self, access: &Access, id: &str) -> Result<Verified>;
    /// See [`Entity::issue`].
    async fn issue(&self, access: &Access, id: &str) -> Result<Issued>;
}

/// A [`Setting`] whose state is [`Fields`].
#[async_trait]
pub trait ErasedSetting: ErasedKind {
    /// See [`Setting::read`].
    async fn read(&self, access: &Access) -> Result<Remote>;
    /// See [`Setting::places`].
    async fn places(&self, access: &Access) -> Result<Vec<Place>>;
    /// See [`Setting::write`].
    async fn write(&self, access: &Access, have: &Remote, want: &Fields) -> Result<Written>;
    /// See [`Setting::write_declared`].
    async fn write_declared(
        &self,
        access: &Access,
        have: &Remote,
        want: &Fields,
        declared: Declared<'_>,
    ) -> Result<Written>;
    /// See [`Setting::schedule`].
    fn schedule(
        &self,
        have: &Remote,
        declared: Declared<'_>,
    ) -> std::result::Result<Option<Schedule>, SpecError>;
    /// See [`Setting::drafts`].
    async fn drafts(&self, access: &Access, declared: Declared<'_>) -> Result<Vec<String>>;
    /// See [`Setting::reset`].
    async fn reset(&self, access: &Access) -> Result<()>;
    /// See [`Setting::check`].
    async fn check(&self, access: &Access, want: &Fields) -> std::result::Result<(), CheckError>;
}

/// A [`Declaration`] whose parts have no types.
#[derive(Debug, Clone, Copy)]
pub struct Declared<'a> {
    /// The spec.
    pub spec: &'a Value,
    /// The declared fields alone.
    pub fields: &'a Fields,
    /// The files that it names.
    pub files: &'a Files,
    /// When it is looked at.
    pub moment: Moment<'a>,
}

/// A kind's line of the registry.
pub struct Line<K>(PhantomData<K>);

impl Entry {
    /// The entry of an entity.
    pub const fn entity<K: Entity>() -> Self {
        Self::Entity(&Line::<K>(PhantomData))
    }

    /// The entry of a setting.
    pub const fn setting<K: Setting>() -> Self {
        Self::Setting(&Line::<K>(PhantomData))
    }

    /// Its name.
    pub fn kind(&self) -> &'static str {
        self.description().kind
    }

    /// What it is.
    pub fn description(&self) -> &'static Description {
        match self {
            Self::Connection(kind) => kind.description(),
            Self::Entity(kind) => kind.description(),
            Self::Setting(kind) => kind.description(),
        }
    }

    /// Its custom resource definition.
    pub fn crd(&self) -> CustomResourceDefinition {
        match self {
            Self::Connection(kind) => kind.crd(),
            Self::Entity(kind) => kind.crd(Some(kind.entity())),
            Self::Setting(kind) => kind.crd(None),
        }
    }

    /// The declared fields of a spec, or why it can't be read. A connection declares none.
    pub fn desired(
        &self,
        spec: &Value,
        name: &str,
        inputs: &Inputs,
    ) -> std::result::Result<Fields, SpecError> {
        self.desired_and_initial(spec, name, inputs).map(|(desired, _)| desired)
    }

    /// The same, and the fields that only count when something is created.
    pub fn desired_and_initial(
        &self,
        spec: &Value,
        name: &str,
        inputs: &Inputs,
    ) -> std::result::Result<(Fields, Fields), SpecError> {
        match self {
            Self::Connection(kind) => kind.read(spec).map(|_| Default::default()),
            Self::Entity(kind) => {
                if let Some(issues) = kind.entity().issues {
                    secret::declared(issues, spec)?;
                }
                kind.desired(spec, name, inputs)
            }
            Self::Setting(kind) => kind.desired(spec, name, inputs),
        }
    }

    /// See [`Kind::locks_out`].
    pub async fn locks_out(
        &self,
        access: &Access,
        id: Option<&str>,
        want: Option<&Fields>,
    ) -> Result<Option<&'static str>> {
        match self {
            Self::Connection(_) => Ok(None),
            Self::Entity(kind) => kind.locks_out(access, id, want).await,
            Self::Setting(kind) => kind.locks_out(access, id, want).await,
        }
    }

    /// Its references to what it is in.
    pub fn parents(&self) -> impl Iterator<Item = &'static Reference> + use<> {
        self.references.iter().filter(|r| r.role == Role::Parent)
    }

    /// What an entity is besides.
    pub fn as_entity(&self) -> Option<&'static EntityDescription> {
        match self {
            Self::Entity(kind) => Some(kind.entity()),
            _ => None,
        }
    }

    /// Whether it is a connection.
    pub fn is_connection(&self) -> bool {
        matches!(self, Self::Connection(_))
    }

    /// Whether it is nothing but a secret: a key or a token.
    pub fn is_key(&self) -> bool {
        self.as_entity().is_some_and(EntityDescription::is_key)
    }

    /// Whether it is a setting.
    pub fn is_setting(&self) -> bool {
        matches!(self, Self::Setting(_))
    }
}

impl Deref for Entry {
    type Target = Description;

    fn deref(&self) -> &Description {
        self.description()
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind()
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind())
    }
}

/// What differs right now, and who last made something differ.
const DRIFT: &[(&str, &str)] =
    &[("Drift", ".status.drift[*].field"), ("Changed By", ".status.lastDrift.by")];

trait Described: Kind {
    const DATA: &'static Description = &Self::DESCRIPTION;
}

impl<K: Kind> Described for K {}

trait DescribedEntity: Entity {
    const DATA: &'static EntityDescription = &Self::ENTITY;
}

impl<K: Entity> DescribedEntity for K {}

#[async_trait]
impl<K: Kind> ErasedKind for Line<K> {
    fn description(&self) -> &'static Description {
        <K as Described>::DATA
    }

    fn crd(&self, entity: Option<&'static EntityDescription>) -> CustomResourceDefinition {
        crd::crd::<K, Status>(<K as Described>::DATA, entity, DRIFT)
    }

    fn desired(
        &self,
        spec: &Value,
        name: &str,
        inputs: &Inputs,
    ) -> std::result::Result<(Fields, Fields), SpecError> {
        let Description { inputs: secrets, reported, .. } = K::DESCRIPTION;
        let state = decode::<K>(spec)?.desired(name, inputs)?;
        let fields = Fields::of(&state).map_err(|e| SpecError::new("", e.to_string()))?;
        // Where a secret comes from is nothing that ZITADEL knows.
        let sources: Vec<&str> = secrets.iter().map(|secret| secret.reference).collect();
        let fields = fields.split(reported).0.without(&sources);
        Ok(fields.divide(K::DESCRIPTION.initial))
    }

    async fn locks_out(
        &self,
        access: &Access,
        id: Option<&str>,
        want: Option<&Fields>,
    ) -> Result<Option<&'static str>> {
        K::locks_out(access, id, want.map(typed).transpose()?.as_ref()).await
    }
}

/// A state that can't be taken apart, or put together, is not as this version knows it.
fn malformed(e: &serde_json::Error) -> Error {
    Error::Malformed {
        endpoint: "(the fields of a state)".into(),
        what: format!("{:?} error", e.classify()),
    }
}

/// What was read of an entity has its id.
fn not_an_entity() -> Error {
    Error::Malformed { endpoint: "(what was read)".into(), what: "an entity without an id".into() }
}

fn typed<S: DeserializeOwned>(fields: &Fields) -> Result<S> {
    fields.to().map_err(|e| malformed(&e))
}

/// The state of something that was read, with what only ZITADEL sets.
fn complete<S: DeserializeOwned>(remote: &Remote) -> Result<S> {
    typed(&remote.state.overlay(&remote.reported))
}

fn typed_entity<S: DeserializeOwned>(remote: &Remote) -> Result<RemoteEntity<S>> {
    Ok(RemoteEntity {
        id: remote.id().ok_or_else(not_an_entity)?.to_owned(),
        place: remote.place.clone(),
        state: complete(remote)?,
        version: remote.version.clone(),
    })
}

fn typed_setting<S: DeserializeOwned>(remote: &Remote) -> Result<RemoteSetting<S>> {
    let state = complete(remote)?;
    Ok(RemoteSetting { state, own: remote.own, version: remote.version.clone() })
}

/// A spec that was read before.
fn typed_spec<K: Kind>(spec: &Value) -> Result<K> {
    serde_json::from_value(spec.clone()).map_err(|e| malformed(&e))
}

/// The fields of a state, and those that only ZITADEL sets.
fn fields<K: Kind>(state: &K::State) -> Result<(Fields, Fields)> {
    let fields = Fields::of(state).map_err(|e| malformed(&e))?;
    Ok(fields.split(K::DESCRIPTION.reported))
}

fn erased<K: Kind>(r: RemoteEntity<K::State>) -> Result<Remote> {
    let (state, reported) = fields::<K>(&r.state)?;
    Ok(Remote {
        subject: Subject::Entity(r.id),
        place: r.place,
        state,
        reported,
        own: true,
        version: r.version,
    })
}

fn erased_row<K: Kind>(row: Row<RemoteEntity<K::State>>) -> Row<Remote> {
    match row {
        Row::Read(r) => {
            let id = r.id.clone();
            erased::<K>(r).map_or_else(|_| Row::Odd { id: Some(id) }, Row::Read)
        }
        Row::Odd { id } => Row::Odd { id },
    }
}

fn rows<K: Kind>(
    list: impl Stream<Item = Result<Row<RemoteEntity<K::State>>>> + Send + 'static,
) -> BoxStream<'static, Result<Row<Remote>>> {
    list.map(|row| row.map(erased_row::<K>)).boxed()
}

#[async_trait]
impl<K: Entity> ErasedEntity for Line<K> {
    fn entity(&self) -> &'static EntityDescription {
        <K as DescribedEntity>::DATA
    }

    fn list(&self, access: &Access) -> BoxStream<'static, Result<Row<Remote>>> {
        rows::<K>(K::list(access))
    }

    async fn read(&self, access: &Access, id: &str) -> Result<Option<Remote>> {
        K::read(access, id).await?.map(erased::<K>).transpose()
    }

    fn told(&self, id: String, place: Place, version: Version, payload: Value) -> Option<Remote> {
        let state = K::told(payload)?;
        erased::<K>(RemoteEntity { id, place, state, version: Some(version) }).ok()
    }

    async fn create(
        &self,
        access: &Access,
        id: &str,
        want: &Fields,
        secrets: &Secrets,
    ) -> Result<Written> {
        K::create_with(access, id, &typed(want)?, secrets).await
    }

    async fn update(
        &self,
        access: &Access,
        have: &Remote,
        want: &Fields,
        secrets: &Secrets,
    ) -> Result<Written> {
        K::update_with(access, &typed_entity(have)?, &typed(want)?, secrets).await
    }

    async fn delete(&self, access: &Access, id: &str) -> Result<()> {
        K::delete(access, id).await
    }

    async fn is_taken(&self, access: &Access, id: &str) -> Result<bool> {
        K::is_taken(access, id).await
    }

    fn has_secret(&self, remote: &Remote) -> Result<bool> {
        Ok(K::has_secret(&complete(remote)?))
    }

    fn values(&self, remote: &Remote) -> Result<Vec<(&'static str, String)>> {
        Ok(K::values(&typed_entity(remote)?))
    }

    async fn proves(&self, access: &Access, remote: &Remote, value: &SecretString) -> Result<bool> {
        K::proves(access, &typed_entity(remote)?, value).await
    }

    async fn cuts(&self, access: &Access, have: &Remote, want: &Fields) -> Result<Vec<Cut>> {
        K::cuts(access, &typed_entity(have)?, &typed(want)?).await
    }

    async fn challenge(&self, access: &Access, id: &str, way: &str) -> Result<Challenge> {
        K::challenge(access, id, way).await
    }

    async fn verify(&self, access: &Access, id: &str) -> Result<Verified> {
        K::verify(access, id).await
    }

    async fn issue(&self, access: &Access, id: &str) -> Result<Issued> {
        K::issue(access, id).await
    }
}

#[async_trait]
impl<K: Setting> ErasedSetting for Line<K> {
    async fn read(&self, access: &Access) -> Result<Remote> {
        let r = K::read(access).await?;
        let (state, reported) = fields::<K>(&r.state)?;
        Ok(Remote {
            subject: Subject::Setting,
            place: access.place.clone(),
            state,
            reported,
            own: r.own,
            version: r.version,
        })
    }

    async fn write(&self, access: &Access, have: &Remote, want: &Fields) -> Result<Written> {
        K::write(access, &typed_setting(have)?, &typed(want)?).await
    }

    async fn write_declared(
        &self,
        access: &Access,
        have: &Remote,
        want: &Fields,
        declared: Declared<'_>,
    ) -> Result<Written> {
        let have = typed_setting(have)?;
        let (spec, state) = (typed_spec::<K>(declared.spec)?, typed(declared.fields)?);
        let Declared { files, moment, .. } = declared;
        let declaration = Declaration { spec: &spec, state: &state, files, moment };
        K::write_declared(access, &have, &typed(want)?, &declaration).await
    }

    fn schedule(
        &self,
        have: &Remote,
        declared: Declared<'_>,
    ) -> std::result::Result<Option<Schedule>, SpecError> {
        let unreadable = |e: Error| SpecError::new("", e.to_string());
        let have = typed_setting(have).map_err(unreadable)?;
        let spec = decode::<K>(declared.spec)?;
        let state = typed(declared.fields).map_err(unreadable)?;
        let Declared { files, moment, .. } = declared;
        K::schedule(&have, &Declaration { spec: &spec, state: &state, files, moment })
    }

    async fn drafts(&self, access: &Access, declared: Declared<'_>) -> Result<Vec<String>> {
        let (spec, state) = (typed_spec::<K>(declared.spec)?, typed(declared.fields)?);
        let Declared { files, moment, .. } = declared;
        let declaration = Declaration { spec: &spec, state: &state, files, moment };
        K::drafts(access, &declaration).await
    }

    async fn places(&self, access: &Access) -> Result<Vec<Place>> {
        K::places(access).await
    }

    async fn reset(&self, access: &Access) -> Result<()> {
        K::reset(access).await
    }

    async fn check(&self, access: &Access, want: &Fields) -> std::result::Result<(), CheckError> {
        K::check(access, &typed(want)?).await
    }
}
