//! The engine's view of a folder. Statuses live as long as the process: what has to be remembered
//! longer is derived from kind, namespace and name, or written as `spec.id`.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    hash::{BuildHasher, RandomState},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use super::{
    environment::{Environment, SECRET},
    output::{self, Outlet},
};
use crate::{
    api::status::Status,
    contract::{FileOrigin, Key, Object, connection::ValueSource},
    engine::{
        error::{Missing, OutputError},
        host::{HeldValue, Host, OutputSecret},
        report::Outcome,
    },
    files::Folder,
};

/// Objects, Secrets and namespaces of a folder.
pub struct FileHost {
    objects: RwLock<HashMap<Key, Arc<Object>>>,
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
    secrets: HashMap<(String, String, String), SecretString>,
    config_maps: HashMap<(String, String, String), String>,
    binaries: HashMap<(&'static str, String, String, String), Vec<u8>>,
    secret_dir: Option<PathBuf>,
    /// Where Secrets are written.
    pub(super) secrets_to: Option<Arc<Outlet>>,
    /// Whether secrets are sent to what exists.
    pub(super) sends_secrets: bool,
    /// Tells the values of secrets apart.
    pub(super) hashes: RandomState,
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
            binaries: folder.binaries.clone(),
            secret_dir,
            secrets_to: None,
            sends_secrets: false,
            hashes: RandomState::new(),
            environment,
        }
    }

    /// A value of a Secret: of the environment, of the directory of Secrets, or of these files.
    fn value(&self, namespace: &str, name: &str, key: &str) -> Result<SecretString, Missing> {
        if name == SECRET {
            return self.environment.secret(key);
        }
        if let Some(dir) = &self.secret_dir
            && let Some(path) = secret_file(dir, namespace, name, key)?
        {
            return fs::read_to_string(&path)
                .map(Into::into)
                .map_err(|e| Missing::Unreadable(format!("{}: {e}", path.display())));
        }
        self.secrets
            .get(&(namespace.into(), name.into(), key.into()))
            .cloned()
            .ok_or(Missing::Object)
    }

    /// Adds an object, or replaces it.
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

    /// Keeps the outcome of a reconcile.
    pub fn report(&self, object: &Object, outcome: &Outcome) {
        let details = outcome.details.clone().unwrap_or_else(|| object.details.clone());
        self.put(Object { status: outcome.status.clone(), details, ..object.clone() });
    }

    /// Copies what another host remembers of the objects that both have.
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

    /// Nothing is ever deleted on this side.
    fn dependants(&self, _: &Key) -> Vec<Key> {
        Vec::new()
    }

    /// Nothing is ever deleted on this side.
    fn deleting_children(&self, _: &Key) -> Vec<Key> {
        Vec::new()
    }

    /// A namespace that these files don't declare has no labels here.
    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String> {
        self.namespaces.get(namespace).cloned().unwrap_or_default()
    }

    async fn secret(&self, namespace: &str, name: &str, key: &str) -> Result<HeldValue, Missing> {
        let value = self.value(namespace, name, key)?;
        // Files have no versions: a hash tells one value from another, as long as the process lives.
        let version = format!("{:016x}", self.hashes.hash_one(value.expose_secret()));
        Ok(HeldValue { value, version })
    }

    fn keeps_statuses(&self) -> bool {
        false
    }

    fn sends_unknown_secrets(&self) -> bool {
        self.sends_secrets
    }

    async fn output(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<OutputSecret>, OutputError> {
        match (&self.secrets_to, &self.secret_dir) {
            (Some(outlet), _) => outlet.read(namespace, name),
            // A plan finds there what an apply has written.
            (None, Some(dir)) => output::dir::read(dir, namespace, name),
            (None, None) => Err(OutputError::NowhereToWrite),
        }
    }

    fn issues_into(&self, namespace: &str, name: &str) -> bool {
        self.secrets_to.as_ref().is_none_or(|outlet| outlet.issues_into(namespace, name))
    }

    async fn write_output(
        &self,
        object: &Object,
        secret: &OutputSecret,
        dry_run: bool,
    ) -> Result<(), OutputError> {
        let outlet = self.secrets_to.clone().ok_or(OutputError::NowhereToWrite)?;
        let (key, secret) = (object.key.clone(), secret.clone());
        // A command takes its time, and so may a disk.
        let written = tokio::task::spawn_blocking(move || outlet.write(&key, &secret, dry_run));
        written.await.map_err(|e| OutputError::Failed(e.to_string()))?
    }

    async fn config_map(&self, namespace: &str, name: &str, key: &str) -> Result<String, Missing> {
        self.config_maps
            .get(&(namespace.into(), name.into(), key.into()))
            .cloned()
            .ok_or(Missing::Object)
    }

    async fn file(&self, namespace: &str, origin: &FileOrigin) -> Result<Vec<u8>, Missing> {
        let ValueSource { name, key } = origin.source();
        if let (FileOrigin::Secret(_), Some(dir)) = (origin, &self.secret_dir)
            && let Some(path) = secret_file(dir, namespace, name, key)?
        {
            return fs::read(&path)
                .map_err(|e| Missing::Unreadable(format!("{}: {e}", path.display())));
        }
        let at = (origin.kind(), namespace.to_owned(), name.clone(), key.clone());
        if let Some(bytes) = self.binaries.get(&at) {
            return Ok(bytes.clone());
        }
        match origin {
            FileOrigin::ConfigMap(_) => {
                self.config_map(namespace, name, key).await.map(String::into_bytes)
            }
            FileOrigin::Secret(_) => {
                let text = self.value(namespace, name, key)?;
                Ok(text.expose_secret().as_bytes().to_vec())
            }
        }
    }

    async fn remember(&self, object: &Object, status: &Status) -> Result<(), String> {
        self.put(Object { status: status.clone(), ..object.clone() });
        Ok(())
    }
}

/// The file of a Secret's value in a folder of Secrets, if there is one: `NAMESPACE/NAME/KEY`, else
/// `NAME/KEY`. Names come from manifests, which somebody else may have written: one that would lead
/// out of the folder is refused.
pub fn secret_file(
    dir: &Path,
    namespace: &str,
    name: &str,
    key: &str,
) -> Result<Option<PathBuf>, Missing> {
    for (what, part) in [("namespace", namespace), ("name", name), ("key", key)] {
        // What Kubernetes allows in names and keys of Secrets.
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if part.is_empty() || part.starts_with("..") || part == "." || !part.chars().all(is_allowed)
        {
            return Err(Missing::Unreadable(format!(
                "the {what} {part:?} is not one that a Secret can have: letters, digits, - _ and . are allowed; nothing outside of the Secret directory is read"
            )));
        }
    }
    let paths = [dir.join(namespace).join(name).join(key), dir.join(name).join(key)];
    // What is there but can't be read is an error of its own, not a Secret that is missing.
    Ok(paths.into_iter().find(|path| path.symlink_metadata().is_ok()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_secret_lead_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = dir.path().join("secrets");
        fs::create_dir_all(secrets.join("kastellan")).unwrap();
        fs::write(secrets.join("kastellan/pat"), "right").unwrap();
        fs::write(dir.path().join("other"), "somebody else's").unwrap();
        let file = |namespace, name, key| secret_file(&secrets, namespace, name, key);
        assert_eq!(file("default", "kastellan", "pat"), Ok(Some(secrets.join("kastellan/pat"))));
        assert_eq!(file("default", "kastellan", "none"), Ok(None));
        let absolute = dir.path().join("other");
        for (namespace, name, key) in [
            ("default", "..", "other"),
            ("default", ".", "other"),
            ("default", "kastellan", "../../other"),
            ("default", "kastellan", absolute.to_str().unwrap()),
            ("default", "../secrets/kastellan", "pat"),
            ("default", "a\\b", "pat"),
            ("default", "", "pat"),
            ("..", "kastellan", "pat"),
            ("default", "kastellan", "..data"),
            ("default", "kastellan\0", "pat"),
        ] {
            assert!(
                matches!(file(namespace, name, key), Err(Missing::Unreadable(_))),
                "{namespace:?} {name:?} {key:?}"
            );
        }
    }
}
