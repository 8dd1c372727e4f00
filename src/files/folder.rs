//! All manifests of files and folders. Reads files; nothing else.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::SecretString;
use serde_json::Value;

use super::document::{Document, Source};
use crate::{
    api::{GROUP, api_version, status::Status},
    engine::{Key, Object, kind::Entry},
    kinds,
    kinds::instance::InstanceDetails,
    validate::finding::{Finding, closest, did_you_mean},
};

/// The namespace of manifests that name none.
pub const NAMESPACE: &str = "default";

/// An object of this API in a file.
#[derive(Clone)]
pub struct Manifest {
    /// Its kind.
    pub entry: &'static dyn Entry,
    /// The object.
    pub object: Arc<Object>,
    /// Where all of it stands.
    pub document: Document,
}

/// What was found.
#[derive(Clone, Default)]
pub struct Folder {
    /// The objects of this API, in the order of files.
    pub manifests: Vec<Manifest>,
    /// Labels of the Namespaces that are declared.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// Values of Secrets that are declared: namespace, name, key.
    pub secrets: HashMap<(String, String, String), SecretString>,
    /// Values of `ConfigMap`s that are declared: namespace, name, key.
    pub config_maps: HashMap<(String, String, String), String>,
    /// What is wrong already with reading them.
    pub findings: Vec<Finding>,
    /// Changes when a file does.
    pub fingerprint: u64,
    /// Files that were read.
    pub files: usize,
}

impl Folder {
    /// Reads files, and folders with all below them: `*.yaml`, `*.yml`, `*.json`; what is hidden is
    /// left out. Fails only where a path that was asked for is not there.
    pub fn read(paths: &[PathBuf]) -> Result<Self, (PathBuf, io::Error)> {
        let mut files = Vec::new();
        for path in paths {
            let meta = fs::metadata(path).map_err(|e| (path.clone(), e))?;
            if meta.is_dir() {
                collect(path, &mut files).map_err(|e| (path.clone(), e))?;
            } else {
                files.push(path.clone());
            }
        }
        let mut folder = Self::default();
        let mut hasher = DefaultHasher::new();
        for path in files {
            let text = fs::read(&path);
            (&path, text.as_ref().ok()).hash(&mut hasher);
            folder.file(path, text);
        }
        folder.fingerprint = hasher.finish();
        folder.report_duplicates();
        Ok(folder)
    }

    fn file(&mut self, path: PathBuf, bytes: io::Result<Vec<u8>>) {
        self.files += 1;
        let text = bytes
            .map_err(|e| e.to_string())
            .and_then(|b| String::from_utf8(b).map_err(|_| "it is no text in UTF-8".into()));
        let (text, failed) = match text {
            Ok(text) => (text, None),
            Err(e) => (String::new(), Some(e)),
        };
        let source = Arc::new(Source { path, text });
        match (Document::all(&source), failed) {
            (Ok(documents), None) => documents.into_iter().for_each(|d| self.document(d)),
            (Err((mut place, message)), None) => {
                // A line of a Secret is not to be shown.
                if source.text.contains("Secret") {
                    place.source =
                        Arc::new(Source { path: source.path.clone(), text: String::new() });
                }
                self.findings.push(Finding::error("syntax", message, place));
            }
            (_, Some(e)) => {
                let place = super::Place { source, line: 1, column: 1, length: 1 };
                self.findings.push(Finding::error(
                    "syntax",
                    format!("this file can't be read: {e}"),
                    place,
                ));
            }
        }
    }

    fn document(&mut self, document: Document) {
        let text = |key: &str| {
            document.value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (version, kind) = (text("apiVersion"), text("kind"));
        match (version.as_str(), kind.as_str()) {
            ("v1", "List") => {
                let count =
                    document.value.get("items").and_then(Value::as_array).map_or(0, Vec::len);
                (0..count)
                    .filter_map(|i| document.part(&format!("/items/{i}")))
                    .for_each(|d| self.document(d));
            }
            ("v1", "Namespace") => {
                let labels = document
                    .value
                    .pointer("/metadata/labels")
                    .cloned()
                    .and_then(|l| serde_json::from_value(l).ok());
                self.namespaces.insert(name(&document), labels.unwrap_or_default());
            }
            ("v1", "Secret") => self.secret(&document),
            ("v1", "ConfigMap") => {
                for (key, value) in
                    document.value.get("data").and_then(Value::as_object).into_iter().flatten()
                {
                    let value = value.as_str().unwrap_or_default().to_owned();
                    self.config_maps
                        .insert((namespace(&document), name(&document), key.clone()), value);
                }
            }
            _ if version.starts_with(GROUP) => self.own(&version, &kind, document),
            _ => self.foreign(&version, &kind, &document),
        }
    }

    fn secret(&mut self, document: &Document) {
        let values = |field: &str| {
            document.value.get(field).and_then(Value::as_object).cloned().into_iter().flatten()
        };
        let key = |key: String| (namespace(document), name(document), key);
        for (k, value) in values("data") {
            let bytes = value.as_str().and_then(|v| BASE64_STANDARD.decode(v.trim()).ok());
            if let Some(text) = bytes.and_then(|b| String::from_utf8(b).ok()) {
                self.secrets.insert(key(k), text.into());
            }
        }
        for (k, value) in values("stringData") {
            self.secrets.insert(key(k), value.as_str().unwrap_or_default().into());
        }
    }

    /// Something of another API is none of our business, unless it looks like a slip.
    fn foreign(&mut self, version: &str, kind: &str, document: &Document) {
        let ours = kinds::find(kind).is_some();
        let group = version.split('/').next().unwrap_or_default();
        if ours && (version.is_empty() || closest(group, [GROUP]).is_some()) {
            let place = if version.is_empty() {
                document.key_at("/kind")
            } else {
                document.value_at("/apiVersion")
            };
            let message = if version.is_empty() {
                "apiVersion is missing".to_owned()
            } else {
                format!("there is no apiVersion {version}")
            };
            self.findings.push(
                Finding::error("kind", message, place)
                    .hint(format!("apiVersion: {}", api_version())),
            );
        }
    }

    fn own(&mut self, version: &str, kind: &str, document: Document) {
        if version != api_version() {
            let finding = Finding::error(
                "kind",
                format!("there is no apiVersion {version}"),
                document.value_at("/apiVersion"),
            );
            self.findings.push(finding.hint(format!("apiVersion: {}", api_version())));
            return;
        }
        let Some(entry) = kinds::find(kind) else {
            let names: Vec<&str> = kinds::ALL.iter().map(|e| e.names().kind).collect();
            let finding = Finding::error(
                "kind",
                format!("there is no kind {kind:?} in {version}"),
                document.value_at("/kind"),
            );
            self.findings.push(finding.hint(did_you_mean(kind, names)));
            return;
        };
        self.check_metadata(&document);
        let object = Arc::new(object(entry, &document));
        self.manifests.push(Manifest { entry, object, document });
    }

    fn check_metadata(&mut self, document: &Document) {
        let hint = "lower case letters, digits and - (in names also .), beginning and ending with a letter or digit";
        let label = |text: &str| {
            let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            !text.is_empty()
                && text.starts_with(inner)
                && text.ends_with(inner)
                && text.chars().all(|c| inner(c) || c == '-')
        };
        let (name, namespace) = (name(document), namespace(document));
        if name.is_empty() {
            self.findings.push(Finding::error(
                "metadata",
                "metadata.name is missing",
                document.key_at("/metadata/name"),
            ));
        } else if name.len() > 253 || !name.split('.').all(label) {
            self.findings.push(
                Finding::error(
                    "metadata",
                    format!("metadata.name can't be {name:?}"),
                    document.value_at("/metadata/name"),
                )
                .hint(hint),
            );
        }
        if namespace.len() > 63 || !label(&namespace) {
            self.findings.push(
                Finding::error(
                    "metadata",
                    format!("metadata.namespace can't be {namespace:?}"),
                    document.value_at("/metadata/namespace"),
                )
                .hint(hint),
            );
        }
        let known = ["apiVersion", "kind", "metadata", "spec", "status"];
        for key in document
            .value
            .as_object()
            .into_iter()
            .flat_map(|map| map.keys())
            .filter(|k| !known.contains(&k.as_str()))
        {
            let finding = Finding::error(
                "unknown-field",
                format!("there is no field {key}"),
                document.key_at(&format!("/{key}")),
            );
            self.findings.push(finding.hint(did_you_mean(key, known)));
        }
    }

    fn report_duplicates(&mut self) {
        let mut first: HashMap<&Key, &Manifest> = HashMap::new();
        let mut kept = Vec::new();
        for manifest in &self.manifests {
            if let Some(other) = first.get(&manifest.object.key) {
                let finding = Finding::error(
                    "duplicate",
                    format!("{} is declared twice", manifest.object.key),
                    manifest.document.value_at("/metadata/name"),
                );
                self.findings.push(finding.hint(format!(
                    "the other one is at {}",
                    other.document.value_at("/metadata/name")
                )));
            } else {
                first.insert(&manifest.object.key, manifest);
                kept.push(manifest.clone());
            }
        }
        self.manifests = kept;
    }
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries: Vec<fs::DirEntry> = fs::read_dir(dir)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // A link to a folder may lead in a circle.
        if entry.file_type()?.is_dir() {
            collect(&path, files)?;
        } else if path.is_file()
            && path.extension().is_some_and(|e| matches!(e.to_str(), Some("yaml" | "yml" | "json")))
        {
            files.push(path);
        }
    }
    Ok(())
}

fn name(document: &Document) -> String {
    document.value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().into()
}

fn namespace(document: &Document) -> String {
    document
        .value
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or(NAMESPACE)
        .into()
}

/// The engine's view of a document. What was read from a cluster (it has a UID) brings its binding
/// and its age along.
fn object(entry: &'static dyn Entry, document: &Document) -> Object {
    let created = document.value.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
    let uid =
        document.value.pointer("/metadata/uid").and_then(Value::as_str).map(ToOwned::to_owned);
    let status: Status = match (&uid, document.value.get("status")) {
        (Some(_), Some(status)) => serde_json::from_value(status.clone()).unwrap_or_default(),
        _ => Status::default(),
    };
    let spec = document.value.get("spec").cloned().unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    spec.to_string().hash(&mut hasher);
    Object {
        key: Key { kind: entry.names().kind, namespace: namespace(document), name: name(document) },
        uid,
        generation: i64::from(u32::try_from(hasher.finish() >> 33).unwrap_or_default()),
        created: created
            .and_then(|t| t.parse::<jiff::Timestamp>().ok())
            .map_or(0, jiff::Timestamp::as_second),
        is_deleting: false,
        annotations: document
            .value
            .pointer("/metadata/annotations")
            .cloned()
            .and_then(|a| serde_json::from_value(a).ok())
            .unwrap_or_default(),
        spec,
        status: Status {
            id: status.id,
            instance_id: status.instance_id,
            organization_id: status.organization_id,
            provenance: status.provenance,
            original: status.original,
            ..Status::default()
        },
        details: InstanceDetails::default(),
    }
}
