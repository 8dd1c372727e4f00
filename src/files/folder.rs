//! All manifests of texts. Pure, but for what reads a folder.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::Path,
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::SecretString;
use serde_json::Value;

use super::{
    document::Document,
    input::{self, Input},
    malformed::Malformed,
    manifest::{Manifest, name, namespace, typed},
    place::{Origin, Place, Source},
};
use crate::{
    api::{GROUP, api_version, is_served},
    contract::Key,
    files::finding::{Finding, closest, did_you_mean},
    kinds::REGISTRY,
};

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
    /// Values of Secrets and `ConfigMap`s that are no text: the kind, namespace, name, key.
    pub binaries: HashMap<(&'static str, String, String, String), Vec<u8>>,
    /// What is wrong already with reading them.
    pub findings: Vec<Finding>,
    /// Changes when a file does.
    pub fingerprint: u64,
    /// Files that were read.
    pub files: usize,
    /// Whether kustomize built some of them: that takes longer than to read them.
    pub is_built: bool,
}

impl Folder {
    /// Reads a folder with all below it: `*.yaml`, `*.yml`, `*.json`; what is hidden is omitted.
    /// Nothing is built.
    pub fn read(dir: &Path) -> io::Result<Self> {
        Ok(Self::of(input::read_plain(dir)?))
    }

    /// What these texts declare.
    pub fn of(inputs: impl IntoIterator<Item: Into<Input>>) -> Self {
        let mut folder = Self::default();
        let mut hasher = DefaultHasher::new();
        for input in inputs {
            let input: Input = input.into();
            (&input.path, input.bytes.as_ref().ok()).hash(&mut hasher);
            folder.is_built |= input.origin == Origin::Kustomization;
            folder.input(input);
        }
        folder.fingerprint = hasher.finish();
        folder.report_duplicates();
        folder
    }

    fn input(&mut self, Input { origin, path, bytes }: Input) {
        self.files += 1;
        let text = bytes
            .map_err(|e| e.to_string())
            .and_then(|b| String::from_utf8(b).map_err(|_| "it is not text in UTF-8".into()));
        let text = match text {
            Ok(text) => text,
            Err(e) => {
                let source = Arc::new(Source { origin, path, text: String::new() });
                let place = Place { source, line: 1, column: 1, length: 1 };
                let message = format!("this file can't be read: {e}");
                self.findings.push(Finding::error("syntax", message, place));
                return;
            }
        };
        let source = Arc::new(Source { origin, path, text });
        let (documents, malformed) = Document::all(&source);
        for document in documents {
            self.document(document);
        }
        let templates: Vec<&Malformed> = malformed.iter().filter(|m| is_template(m)).collect();
        let is_ours = templates.iter().any(|m| m.text.contains(GROUP));
        // One finding for the file: a template is rendered as a whole.
        self.findings.extend(templates.first().map(|m| template(&m.place, is_ours)));
        for m in malformed.iter().filter(|m| !is_template(m)) {
            let place = if source.text.contains("Secret") {
                m.place.without_text()
            } else {
                m.place.clone()
            };
            self.findings.push(Finding::error("syntax", m.message, place).hint(m.hint));
        }
    }

    fn document(&mut self, document: Document) {
        let text =
            |key: &str| document.value.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
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
                let labels =
                    typed(&document, "/metadata/labels", "metadata.labels", &mut self.findings);
                self.namespaces.insert(name(&document), labels);
            }
            ("v1", "Secret") => self.secret(&document),
            ("v1", "ConfigMap") => {
                let values = document.value.get("data").and_then(Value::as_object);
                for (key, value) in values.into_iter().flatten() {
                    if let Some(value) = value.as_str() {
                        let key = (namespace(&document), name(&document), key.clone());
                        self.config_maps.insert(key, value.to_owned());
                    }
                }
                let values = document.value.get("binaryData").and_then(Value::as_object);
                for (key, value) in values.into_iter().flatten() {
                    if let Some(bytes) = decoded(value) {
                        let (namespace, name) = (namespace(&document), name(&document));
                        self.binaries.insert(("ConfigMap", namespace, name, key.clone()), bytes);
                    }
                }
            }
            _ if version.split('/').next() == Some(GROUP) => self.own(&version, &kind, document),
            _ => self.foreign(&version, &kind, &document),
        }
    }

    /// What needs a text and finds none says so.
    fn secret(&mut self, document: &Document) {
        let values = |field: &str| {
            document.value.get(field).and_then(Value::as_object).cloned().into_iter().flatten()
        };
        let key = |key: String| (namespace(document), name(document), key);
        for (k, value) in values("data") {
            match decoded(&value).map(String::from_utf8) {
                Some(Ok(text)) => {
                    self.secrets.insert(key(k), text.into());
                }
                Some(Err(odd)) => {
                    let (namespace, name, key) = key(k);
                    let bytes = odd.into_bytes();
                    self.binaries.insert(("Secret", namespace, name, key), bytes);
                }
                None => {}
            }
        }
        for (k, value) in values("stringData") {
            if let Some(text) = value.as_str() {
                self.secrets.insert(key(k), text.into());
            }
        }
    }

    /// An object of another API is ignored, unless that looks like a typo.
    fn foreign(&mut self, version: &str, kind: &str, document: &Document) {
        let ours = REGISTRY.find(kind).is_some();
        let group = version.split('/').next().unwrap_or(version);
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
        if !is_served(version) {
            let finding = Finding::error(
                "kind",
                format!("there is no apiVersion {version}"),
                document.value_at("/apiVersion"),
            );
            self.findings.push(finding.hint(format!("apiVersion: {}", api_version())));
            return;
        }
        let Some(entry) = REGISTRY.find(kind) else {
            let names: Vec<&str> = REGISTRY.all().map(|e| e.kind()).collect();
            let finding = Finding::error(
                "kind",
                format!("there is no kind {kind:?} in {version}"),
                document.value_at("/kind"),
            );
            self.findings.push(finding.hint(did_you_mean(kind, names)));
            return;
        };
        self.manifests.push(Manifest::read(entry, document, &mut self.findings));
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

/// Whether what can't be read is a template of Helm or the like.
fn is_template(m: &Malformed) -> bool {
    m.text.split_once("{{").is_some_and(|(_, rest)| rest.contains("}}"))
}

/// Templates without objects of this API are skipped; one with some must be rendered.
fn template(place: &Place, is_ours: bool) -> Finding {
    if is_ours {
        Finding::error("template", "this is a template, not YAML", place.clone())
            .hint("render it (for example with `helm template`), and name the result")
    } else {
        Finding::warning("template", "this is a template, not YAML; it was skipped", place.clone())
            .hint("if it holds objects of this API, render it (for example with `helm template`), and name the result")
    }
}

/// Bytes that are written as base64.
fn decoded(value: &Value) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(value.as_str()?.trim()).ok()
}
