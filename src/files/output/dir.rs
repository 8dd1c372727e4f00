//! Secrets that objects write, as files: `DIR/NAMESPACE/NAME/KEY`, the layout that `--secret-dir`
//! reads, and beside them what was written when.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

use super::{create, failed, put, why};
use crate::engine::{error::OutputError, host::OutputSecret};

/// The file that holds the annotations of a Secret. Its name is no key of one: a key can't hold
/// a blank.
const ANNOTATIONS: &str = ".kastellan annotations.json";

/// A Secret as it is; `None`: there is none.
pub(in crate::files) fn read(
    dir: &Path,
    namespace: &str,
    name: &str,
) -> Result<Option<OutputSecret>, OutputError> {
    let dir = place(dir, namespace, name)?;
    let files = match fs::read_dir(&dir) {
        Ok(files) => files,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(&dir, &e)),
    };
    let mut secret = OutputSecret { name: name.to_owned(), ..OutputSecret::default() };
    for file in files {
        let path = file.map_err(|e| failed(&dir, &e))?.path();
        let key = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // What is no text, or no file, was not written here.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if key == ANNOTATIONS {
            secret.annotations = serde_json::from_str(&text).unwrap_or_default();
        } else {
            secret.data.insert(key, SecretString::from(text));
        }
    }
    Ok(Some(secret))
}

/// Writes a Secret; only its owner can read it. What was written last is in place before it is said
/// to be.
pub(in crate::files) fn write(
    dir: &Path,
    namespace: &str,
    secret: &OutputSecret,
    dry_run: bool,
) -> Result<(), OutputError> {
    let dir = place(dir, namespace, &secret.name)?;
    let is_new = !dir.exists();
    create(&dir).map_err(|e| failed(&dir, &e))?;
    if dry_run {
        // What was made to find out is no Secret.
        let undone = if is_new { fs::remove_dir(&dir) } else { Ok(()) };
        return undone.map_err(|e| failed(&dir, &e));
    }
    let annotations: BTreeMap<_, _> = secret.annotations.iter().collect();
    let annotations =
        serde_json::to_string(&annotations).map_err(|e| OutputError::Failed(e.to_string()))?;
    if secret.is_own {
        remove_others(&dir, secret).map_err(|e| failed(&dir, &e))?;
    }
    for (key, value) in &secret.data {
        put(&dir, key, value.expose_secret()).map_err(|e| failed(&dir.join(key), &e))?;
    }
    put(&dir, ANNOTATIONS, &annotations).map_err(|e| failed(&dir, &e))
}

/// Adds values that are known from elsewhere to a Secret: it is theirs who read it next. Returns the
/// keys that hold something else: those stay, since what is there may be newer.
pub fn add(
    dir: &Path,
    namespace: &str,
    name: &str,
    values: &BTreeMap<String, SecretString>,
) -> Result<Vec<String>, String> {
    let added = || {
        let found = read(dir, namespace, name)?;
        let mut secret = found.unwrap_or_default();
        name.clone_into(&mut secret.name);
        let mut kept = Vec::new();
        let mut is_changed = false;
        for (key, value) in values {
            match secret.data.get(key) {
                None => {
                    secret.data.insert(key.clone(), value.clone());
                    is_changed = true;
                }
                Some(there) if there.expose_secret() == value.expose_secret() => {}
                Some(_) => kept.push(key.clone()),
            }
        }
        if is_changed {
            write(dir, namespace, &secret, false)?;
        }
        Ok(kept)
    };
    added().map_err(why)
}

/// The directory of a Secret. What a manifest says leads nowhere else.
fn place(dir: &Path, namespace: &str, name: &str) -> Result<PathBuf, OutputError> {
    for part in [namespace, name] {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        if part.starts_with('.') || part.is_empty() || !part.chars().all(is_plain) {
            return Err(OutputError::Failed(format!("{part:?} is no name of a directory")));
        }
    }
    Ok(dir.join(namespace).join(name))
}

/// The keys that it had and has no more.
fn remove_others(dir: &Path, secret: &OutputSecret) -> io::Result<()> {
    for file in fs::read_dir(dir)? {
        let file = file?;
        let key = file.file_name().to_string_lossy().into_owned();
        if key != ANNOTATIONS && !secret.data.contains_key(&key) && file.file_type()?.is_file() {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}
