//! Secrets as manifests of Kubernetes, in a file: what else is in it stays.

use std::{fs, io, path::Path, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{create, failed, put, why};
use crate::{
    engine::{error::OutputError, host::OutputSecret},
    files::{
        document::Document,
        manifest::{name, namespace},
        place::Source,
    },
};

/// A Secret as a manifest.
pub(super) fn manifest(namespace: &str, secret: &OutputSecret) -> Value {
    let data = secret.data.iter().map(|(key, value)| (key.clone(), value.expose_secret().into()));
    let mut metadata = json!({"name": secret.name, "namespace": namespace});
    if let Some(metadata) = metadata.as_object_mut() {
        for (field, map) in [("labels", &secret.labels), ("annotations", &secret.annotations)] {
            if !map.is_empty() {
                metadata.insert(field.into(), json!(map));
            }
        }
    }
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": secret.kind.as_deref().unwrap_or("Opaque"),
        "stringData": data.collect::<serde_json::Map<String, Value>>(),
    })
}

/// A manifest as text.
pub(super) fn yaml(manifest: &Value) -> Result<String, OutputError> {
    let mut text =
        serde_saphyr::to_string(manifest).map_err(|e| OutputError::Failed(e.to_string()))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// A Secret as it is; `None`: there is none.
pub(super) fn read(
    file: &Path,
    of: &str,
    called: &str,
) -> Result<Option<OutputSecret>, OutputError> {
    let found = documents(file)?.into_iter().find(|document| is(document, of, called));
    Ok(found.map(|document| secret(&document.value, called)))
}

/// Writes a Secret in place of the one of its name. Keys of others stay where it is not the object's
/// alone.
pub(super) fn write(
    file: &Path,
    of: &str,
    secret: &OutputSecret,
    dry_run: bool,
) -> Result<(), OutputError> {
    let mut documents = documents(file)?;
    let dir = match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let Some(called) = file.file_name().map(|called| called.to_string_lossy()) else {
        return Err(OutputError::Failed(format!("{} is no file", file.display())));
    };
    create(dir).map_err(|e| failed(dir, &e))?;
    let mut written = secret.clone();
    let at = documents.iter().position(|document| is(document, of, &secret.name));
    if let Some(document) = at.map(|at| documents.remove(at))
        && !secret.is_own
    {
        let former = self::secret(&document.value, &secret.name);
        written.data = former.data.into_iter().chain(written.data).collect();
        written.labels = former.labels.into_iter().chain(written.labels).collect();
        written.annotations = former.annotations.into_iter().chain(written.annotations).collect();
    }
    if dry_run {
        return Ok(());
    }
    let mut texts: Vec<String> =
        documents.iter().map(|document| yaml(&document.value)).collect::<Result<_, _>>()?;
    texts.insert(at.unwrap_or(texts.len()), yaml(&manifest(of, &written))?);
    put(dir, &called, &texts.join("---\n")).map_err(|e| failed(file, &e))
}

/// Whether the file can be read, and what is in it is not encrypted: then its values are not what
/// was written, and to issue others for that would be wrong.
pub(super) fn check(file: &Path) -> Result<(), String> {
    let documents = documents(file).map_err(why)?;
    if documents.iter().any(|document| document.value.get("sops").is_some()) {
        return Err(format!("{} is encrypted by sops", file.display()));
    }
    Ok(())
}

/// All documents of the file; none where there is no file.
fn documents(file: &Path) -> Result<Vec<Document>, OutputError> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(file, &e)),
    };
    let (documents, malformed) = Document::all(&Arc::new(Source::file(file, text)));
    match malformed.first() {
        // Whatever it is, it is not overwritten.
        Some(malformed) => Err(OutputError::Failed(format!(
            "{}: {}; it stays as it is",
            malformed.place, malformed.message
        ))),
        None => Ok(documents),
    }
}

fn is(document: &Document, of: &str, called: &str) -> bool {
    let text = |field: &str| document.value.get(field).and_then(Value::as_str);
    text("kind") == Some("Secret")
        && text("apiVersion") == Some("v1")
        && name(document) == called
        && namespace(document) == of
}

fn secret(manifest: &Value, called: &str) -> OutputSecret {
    let map = |pointer: &str| {
        let map = manifest.pointer(pointer).and_then(Value::as_object).cloned();
        let entries = map.into_iter().flatten();
        entries.filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())))
    };
    let decoded = |text: String| String::from_utf8(BASE64_STANDARD.decode(text.trim()).ok()?).ok();
    let encoded = map("/data").filter_map(|(key, value)| Some((key, decoded(value)?)));
    let data = encoded.chain(map("/stringData"));
    OutputSecret {
        name: called.to_owned(),
        data: data.map(|(key, value)| (key, SecretString::from(value))).collect(),
        kind: manifest.get("type").and_then(Value::as_str).map(ToOwned::to_owned),
        labels: map("/metadata/labels").collect(),
        annotations: map("/metadata/annotations").collect(),
        ..OutputSecret::default()
    }
}
