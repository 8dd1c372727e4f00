//! What a kind is: the two shapes that cover ZITADEL as traits, and [`Entry`], their object-safe
//! face, which is all that the rest of the engine sees.

use std::{future::Future, marker::PhantomData};

use async_trait::async_trait;
use futures::{Stream, StreamExt, stream::BoxStream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Error, Fields, error};
use crate::{
    api::{
        crd::{self, Names, Rule},
        status::Status,
    },
    zitadel::{Client, Result},
};

/// Where a call goes.
#[derive(Clone)]
pub struct At {
    /// The instance.
    pub client: Client,
    /// The organization, for what is in one.
    pub organization: Option<String>,
}

impl At {
    /// The organization's id, or none.
    pub fn organization(&self) -> Option<&str> {
        self.organization.as_deref()
    }
}

/// What things of a kind belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The instance.
    Instance,
    /// An organization, always.
    Organization,
    /// The instance, or an organization that is named.
    Either,
}

/// Events that touch things of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events {
    /// Type of the aggregate.
    pub aggregate: &'static str,
    /// What the event's type starts with.
    pub prefix: &'static str,
}

/// How fresh something is, comparable within one aggregate only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The aggregate's resource owner, or its id where that says more.
    pub aggregate: String,
    /// Date of its last change, in ZITADEL's clock.
    pub changed: jiff::Timestamp,
}

impl Version {
    /// Of what was never set: older than every write.
    pub fn never() -> Self {
        Self { aggregate: String::new(), changed: jiff::Timestamp::UNIX_EPOCH }
    }

    /// Whether this is as new as a write; `None`: they can't be compared.
    pub fn shows(&self, written: &Self) -> Option<bool> {
        (self.aggregate == written.aggregate || *self == Self::never())
            .then(|| self.changed >= written.changed)
    }
}

/// Something in ZITADEL.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote<S = Fields> {
    /// Its id; of a setting, that of the organization or instance which has it.
    pub id: String,
    /// The organization that owns it, where one does.
    pub organization: Option<String>,
    /// All fields that we know, zero values included.
    pub state: S,
    /// Whether a setting is the scope's own; false: inherited. Entities are always their own.
    pub own: bool,
    /// How fresh this is, where the endpoint says so.
    pub version: Option<Version>,
}

impl<S: Serialize> Remote<S> {
    fn erase(self) -> Remote {
        Remote {
            id: self.id,
            organization: self.organization,
            state: Fields::of(&self.state),
            own: self.own,
            version: self.version,
        }
    }
}

/// What a write answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    /// Id of what was made.
    pub id: Option<String>,
    /// How fresh a read must be to show it.
    pub version: Option<Version>,
}

/// What both shapes have.
pub trait Kind: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The fields that can be managed, in ZITADEL's names: each an `Option`, `None` where it is
    /// left out.
    type State: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// Its names.
    const NAMES: Names;
    /// One sentence for `kubectl explain`.
    const ABOUT: &'static str;
    /// What it belongs to.
    const SCOPE: Scope;
    /// Which events touch it.
    const EVENTS: &'static [Events];
    /// CEL rules besides the common ones.
    const RULES: &'static [Rule] = &[];
    /// Paths of lists whose order means nothing.
    const SETS: &'static [&'static str] = &[];
    /// Ids of the errors that answer a write which changes nothing.
    const UNCHANGED: &'static [&'static str] = &[];

    /// What is declared. Pure. `name` is the object's, for kinds whose remote name follows it.
    fn desired(&self, name: &str) -> Self::State;
}

/// Many, each with an id.
pub trait Entity: Kind {
    /// The field by which people know it; unique in its scope, regardless of case.
    const NATURAL_KEY: &'static str = "name";
    /// How it is called in a sentence, in the singular: `the project`.
    const NOUN: &'static str;
    /// Deleted in ZITADEL only where `deletionPolicy: Delete` is written out.
    const PRECIOUS: bool = false;
    /// Fields and the words that ZITADEL sets by itself in what it makes, such as `("state",
    /// "Active")`; `false`, `""` and `[]` need no mention. An export leaves them out.
    const DEFAULTS: &'static [(&'static str, &'static str)] = &[];

    /// All of the scope, in pages.
    fn list(at: &At) -> impl Stream<Item = Result<Remote<Self::State>>> + Send + 'static;
    /// One by its id; `None`: it is not there.
    fn read(at: &At, id: &str) -> impl Future<Output = Result<Option<Remote<Self::State>>>> + Send;
    /// Makes it, under the id where the server lets the client choose.
    fn create(
        at: &At,
        id: &str,
        want: &Self::State,
    ) -> impl Future<Output = Result<Written>> + Send;
    /// Changes it to `want`, which is complete.
    fn update(
        at: &At,
        have: &Remote<Self::State>,
        want: &Self::State,
    ) -> impl Future<Output = Result<Written>> + Send;
    /// Deletes it; that it is gone already is success.
    fn delete(at: &At, id: &str) -> impl Future<Output = Result<()>> + Send;
}

/// Always there, once a scope.
pub trait Setting: Kind {
    /// How it is called in a sentence, in the singular: `the privacy policy`.
    const NOUN: &'static str;

    /// The scope's own, or what it inherits.
    fn read(at: &At) -> impl Future<Output = Result<Remote<Self::State>>> + Send;
    /// Changes it to `want`, which is complete; makes the scope's own where it has none.
    fn write(
        at: &At,
        have: &Remote<Self::State>,
        want: &Self::State,
    ) -> impl Future<Output = Result<Written>> + Send;
    /// Removes the organization's own, so that it inherits again; that there is none is success.
    fn reset(at: &At) -> impl Future<Output = Result<()>> + Send {
        let _ = at;
        async { Ok(()) }
    }
    /// What only a look at ZITADEL can tell of `want`, before it is written: `Err` says what to do.
    fn check(at: &At, want: &Self::State) -> impl Future<Output = error::Result<()>> + Send {
        let _ = (at, want);
        async { Ok(()) }
    }
}

/// Which of the shapes a kind has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `Instance`: where the others are.
    Connection,
    /// [`Entity`]
    Entity {
        /// [`Entity::NATURAL_KEY`]
        natural_key: &'static str,
        /// [`Entity::PRECIOUS`]
        precious: bool,
    },
    /// [`Setting`]
    Setting,
}

/// A kind as the engine sees it: a line of [`crate::kinds::ALL`].
#[async_trait]
pub trait Entry: Send + Sync {
    /// Its names.
    fn names(&self) -> &'static Names;
    /// One sentence about it.
    fn about(&self) -> &'static str;
    /// `the project`
    fn noun(&self) -> &'static str;
    /// Its shape.
    fn shape(&self) -> Shape;
    /// What it belongs to.
    fn scope(&self) -> Scope;
    /// Which events touch it.
    fn events(&self) -> &'static [Events];
    /// Paths of lists whose order means nothing.
    fn sets(&self) -> &'static [&'static str];
    /// [`Kind::UNCHANGED`]
    fn unchanged(&self) -> &'static [&'static str] {
        &[]
    }
    /// Of an entity: fields and the words that ZITADEL sets by itself.
    fn defaults(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
    /// Its custom resource definition.
    fn crd(&self) -> CustomResourceDefinition;
    /// The declared fields of a spec, or why it can't be read.
    fn desired(&self, spec: &Value, name: &str) -> error::Result<Fields>;
    /// Entities: all of a scope.
    fn list(&self, at: &At) -> BoxStream<'static, Result<Remote>>;
    /// An entity by its id; the setting.
    async fn read(&self, at: &At, id: &str) -> Result<Option<Remote>>;
    /// Makes an entity.
    async fn create(&self, at: &At, id: &str, want: &Fields) -> Result<Written>;
    /// Changes an entity or a setting; `want` is complete.
    async fn write(&self, at: &At, have: &Remote, want: &Fields) -> Result<Written>;
    /// Deletes an entity; resets an organization's own setting.
    async fn delete(&self, at: &At, id: &str) -> Result<()>;
    /// Asks ZITADEL what only it can tell of a setting, before it is written.
    async fn check(&self, at: &At, want: &Fields) -> error::Result<()>;
}

/// The kinds of [`Entity`] as entries.
pub struct EntityEntry<K>(PhantomData<K>);
/// The kinds of [`Setting`] as entries.
pub struct SettingEntry<K>(PhantomData<K>);

impl<K> EntityEntry<K> {
    /// For the registry.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<K> SettingEntry<K> {
    /// For the registry.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<K> Default for EntityEntry<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> Default for SettingEntry<K> {
    fn default() -> Self {
        Self::new()
    }
}

fn desired<K: Kind>(spec: &Value, name: &str) -> error::Result<Fields> {
    decode::<K>(spec).map(|k| Fields::of(&k.desired(name)))
}

/// Reads a spec; an error names the fields that don't fit, which serde alone can't where fields are
/// flattened.
pub fn decode<T: DeserializeOwned>(spec: &Value) -> error::Result<T> {
    serde_json::from_value(spec.clone()).map_err(|all| {
        let alone = |(field, value): (&String, &Value)| {
            let one = Value::Object([(field.clone(), value.clone())].into_iter().collect());
            serde_json::from_value::<T>(one)
                .err()
                .filter(|e| !e.to_string().starts_with("missing field"))
                .map(|e| format!("spec.{field}: {e}"))
        };
        let found: Vec<String> = spec.as_object().into_iter().flatten().filter_map(alone).collect();
        Error::Invalid(if found.is_empty() { format!("spec: {all}") } else { found.join("; ") })
    })
}

fn typed<S: DeserializeOwned>(fields: &Fields) -> Result<S> {
    fields.to().map_err(|e| crate::zitadel::Error::Malformed {
        endpoint: "(the fields to write)".into(),
        what: e.to_string(),
    })
}

fn typed_remote<S: DeserializeOwned>(r: &Remote) -> Result<Remote<S>> {
    Ok(Remote {
        id: r.id.clone(),
        organization: r.organization.clone(),
        state: typed(&r.state)?,
        own: r.own,
        version: r.version.clone(),
    })
}

/// What both shapes answer alike.
macro_rules! described_by {
    ($k:ty) => {
        fn names(&self) -> &'static Names {
            &<$k>::NAMES
        }
        fn about(&self) -> &'static str {
            <$k>::ABOUT
        }
        fn noun(&self) -> &'static str {
            <$k>::NOUN
        }
        fn scope(&self) -> Scope {
            <$k>::SCOPE
        }
        fn events(&self) -> &'static [Events] {
            <$k>::EVENTS
        }
        fn sets(&self) -> &'static [&'static str] {
            <$k>::SETS
        }
        fn unchanged(&self) -> &'static [&'static str] {
            <$k>::UNCHANGED
        }
        fn crd(&self) -> CustomResourceDefinition {
            crd::crd::<$k, Status>(&<$k>::NAMES, <$k>::ABOUT, <$k>::RULES)
        }
        fn desired(&self, spec: &Value, name: &str) -> error::Result<Fields> {
            desired::<$k>(spec, name)
        }
    };
}

#[async_trait]
impl<K: Entity> Entry for EntityEntry<K> {
    described_by!(K);

    fn defaults(&self) -> &'static [(&'static str, &'static str)] {
        K::DEFAULTS
    }

    fn shape(&self) -> Shape {
        Shape::Entity { natural_key: K::NATURAL_KEY, precious: K::PRECIOUS }
    }

    fn list(&self, at: &At) -> BoxStream<'static, Result<Remote>> {
        K::list(at).map(|r| r.map(Remote::erase)).boxed()
    }

    async fn read(&self, at: &At, id: &str) -> Result<Option<Remote>> {
        Ok(K::read(at, id).await?.map(Remote::erase))
    }

    async fn create(&self, at: &At, id: &str, want: &Fields) -> Result<Written> {
        K::create(at, id, &typed(want)?).await
    }

    async fn write(&self, at: &At, have: &Remote, want: &Fields) -> Result<Written> {
        K::update(at, &typed_remote(have)?, &typed(want)?).await
    }

    async fn delete(&self, at: &At, id: &str) -> Result<()> {
        K::delete(at, id).await
    }

    async fn check(&self, _: &At, _: &Fields) -> error::Result<()> {
        Ok(())
    }
}

#[async_trait]
impl<K: Setting> Entry for SettingEntry<K> {
    described_by!(K);

    fn shape(&self) -> Shape {
        Shape::Setting
    }

    fn list(&self, _: &At) -> BoxStream<'static, Result<Remote>> {
        futures::stream::empty().boxed()
    }

    async fn read(&self, at: &At, _: &str) -> Result<Option<Remote>> {
        K::read(at).await.map(|r| Some(r.erase()))
    }

    async fn create(&self, _: &At, _: &str, _: &Fields) -> Result<Written> {
        Ok(Written::default())
    }

    async fn write(&self, at: &At, have: &Remote, want: &Fields) -> Result<Written> {
        K::write(at, &typed_remote(have)?, &typed(want)?).await
    }

    async fn delete(&self, at: &At, _: &str) -> Result<()> {
        K::reset(at).await
    }

    async fn check(&self, at: &At, want: &Fields) -> error::Result<()> {
        match fields_to::<K>(want) {
            Some(want) => K::check(at, &want).await,
            None => Ok(()),
        }
    }
}

fn fields_to<K: Kind>(fields: &Fields) -> Option<K::State> {
    fields.to().ok()
}
