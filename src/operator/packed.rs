//! An object as it is kept: little, for there are thousands.

use std::borrow::Cow;

use kube::{
    Resource, ResourceExt,
    core::{DynamicResourceScope, ObjectMeta},
};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    api,
    contract::{Entry, Key},
};

/// The names of a kind. Each reference to an object has a copy: strings of their own would take
/// more room than the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Names {
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
}

impl Names {
    pub(super) fn of(entry: Entry) -> Self {
        Self { kind: entry.kind(), plural: entry.plural }
    }
}

/// An object without what nobody reads, and with one text of spec and status: as trees they take
/// six times the memory, and they would be most of it.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    pub(super) metadata: ObjectMeta,
    content: Box<str>,
}

/// An object without what its metadata say.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Content {
    #[serde(default)]
    pub(super) spec: Value,
    #[serde(default)]
    pub(super) status: Value,
}

impl Packed {
    /// Which object it is.
    pub(super) fn key(&self, kind: &'static str) -> Key {
        Key { kind, namespace: self.namespace().unwrap_or_default(), name: self.name_any() }
    }

    /// Resource versions of one resource are comparable numbers.
    pub(super) fn version(&self) -> u64 {
        self.resource_version().and_then(|v| v.parse().ok()).unwrap_or_default()
    }

    /// What is read of the status, and nothing else; a status that can't be read is none.
    pub(super) fn status<T: DeserializeOwned + Default>(&self) -> T {
        #[derive(Deserialize)]
        struct Only<T> {
            status: Option<T>,
        }
        let only = serde_json::from_str::<Only<T>>(&self.content).ok();
        only.and_then(|only| only.status).unwrap_or_default()
    }

    /// Spec and status.
    pub(super) fn content(&self) -> Content {
        serde_json::from_str(&self.content).unwrap_or_default()
    }
}

/// A status that can't be read is none: it will be written again.
pub(super) fn lenient<T: DeserializeOwned + Default>(status: &Value) -> T {
    T::deserialize(status).unwrap_or_default()
}

/// Packs each object as it is read: a page of a list never holds them as trees.
impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Whole {
            #[serde(default)]
            metadata: ObjectMeta,
            #[serde(default)]
            spec: Value,
            #[serde(default)]
            status: Value,
        }
        let Whole { mut metadata, spec, status } = Whole::deserialize(deserializer)?;
        metadata.managed_fields = None;
        if let Some(annotations) = &mut metadata.annotations {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
        // Trees of JSON can always be written.
        let content = serde_json::to_string(&Content { spec, status }).unwrap_or_default();
        Ok(Self { metadata, content: content.into() })
    }
}

impl Resource for Packed {
    type DynamicType = Names;
    type Scope = DynamicResourceScope;

    fn kind(names: &Names) -> Cow<'_, str> {
        names.kind.into()
    }

    fn group(_: &Names) -> Cow<'_, str> {
        api::GROUP.into()
    }

    fn version(_: &Names) -> Cow<'_, str> {
        api::VERSION.into()
    }

    fn plural(names: &Names) -> Cow<'_, str> {
        names.plural.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
