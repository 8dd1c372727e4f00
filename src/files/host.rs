//! The engine's view of a folder. Statuses live as long as the process: what has to be remembered
//! longer is derived from kind, namespace and name, or written as `spec.id`.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::ErrorKind,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use secrecy::SecretString;

use super::environment::{Environment, SECRET};
use crate::{
    api::status::Status,
    engine::{
        Key, Object,
        host::{Host, Missing},
        outcome::Outcome,
    },
    files::Folder,
};

/// Objects, Secrets and namespaces of a folder.
pub struct FileHost {
    objects: RwLock<HashMap<Key, Arc<Object>>>,
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
    secrets: HashMap<(String, String, String), SecretString>,
    config_maps: HashMap<(String, String, String), String>,
    secret_dir: Option<PathBuf>,
    environment: Environment,
}

impl FileHost {
    /// The objects of a folder. Secrets come from `secret_dir` (`NAMESPACE/NAME/KEY` or
    /// `NAME/KEY`), else from the folder.
    pub fn new(folder: &Folder, secret_dir: Option<PathBuf>, environment: Environment) -> Self {
        Self {
            objects: RwLock::new(
                folder.manifests.iter().map(|m| (m.object.key.clone(), m.object.clone())).collect(),
            ),
            namespaces: folder.namespaces.clone(),
            secrets: folder.secrets.clone(),
            config_maps: folder.config_maps.clone(),
            secret_dir,
            environment,
        }
    }

    /// Puts an object in, or in the place of a former one.
    pub fn put(&self, object: Object) {
        self.objects
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(object.key.clone(), Arc::new(object));
    }

    /// All objects, in the order of their keys.
    pub fn objects(&self) -> Vec<Arc<Object>> {
        let mut all: Vec<Arc<Object>> =
            self.objects.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }

    /// Keeps what a reconcile came to.
    pub fn report(&self, object: &Object, outcome: &Outcome) {
        let details = outcome.details.clone().unwrap_or_else(|| object.details.clone());
        self.put(Object { status: outcome.status.clone(), details, ..object.clone() });
    }

    /// Takes over what another host of the same objects remembers.
    pub fn remember_from(&self, former: &Self) {
        for known in former.objects() {
            if let Some(object) = self.object(&known.key) {
                self.put(Object {
                    status: known.status.clone(),
                    details: known.details.clone(),
                    ..(*object).clone()
                });
            }
        }
    }
}

#[async_trait]
impl Host for FileHost {
    fn object(&self, key: &Key) -> Option<Arc<Object>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn instances(&self) -> Vec<Arc<Object>> {
        self.objects().into_iter().filter(|o| o.key.kind == "Instance").collect()
    }

    /// Nothing is ever deleted on this side.
    fn dependants(&self, _: &Key) -> Vec<Key> {
        Vec::new()
    }

    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String> {
        self.namespaces.get(namespace).cloned().unwrap_or_default()
    }

    async fn secret(
        &self,
        namespace: &str,
        name: &str,
        key: &str,
    ) -> Result<SecretString, Missing> {
        if name == SECRET {
            return self.environment.secret(key);
        }
        for path in self
            .secret_dir
            .iter()
            .flat_map(|dir| [dir.join(namespace).join(name).join(key), dir.join(name).join(key)])
        {
            match fs::read_to_string(&path) {
                Ok(text) => return Ok(text.into()),
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(e) => return Err(Missing::Unreadable(format!("{}: {e}", path.display()))),
            }
        }
        self.secrets
            .get(&(namespace.into(), name.into(), key.into()))
            .cloned()
            .ok_or(Missing::Object)
    }

    async fn config_map(&self, namespace: &str, name: &str, key: &str) -> Result<String, Missing> {
        self.config_maps
            .get(&(namespace.into(), name.into(), key.into()))
            .cloned()
            .ok_or(Missing::Object)
    }

    async fn remember(&self, object: &Object, status: &Status) -> Result<(), String> {
        self.put(Object { status: status.clone(), ..object.clone() });
        Ok(())
    }
}
