//! Where the Secrets go that objects write: into files that are read again, or to somewhere else, from
//! where nothing comes back.

pub mod dir;
mod exec;
mod manifests;

use std::{
    collections::HashSet,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Mutex, PoisonError},
};

use crate::{
    contract::Key,
    engine::{error::OutputError, host::OutputSecret},
};

/// Where Secrets go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretsTo {
    /// Into a directory: `DIR/NAMESPACE/NAME/KEY`.
    Dir(PathBuf),
    /// Into a file of manifests.
    Manifests(PathBuf),
    /// To stdout, as manifests.
    PrintedManifests,
    /// To stdout, as a JSON object on each line.
    PrintedJson,
    /// To a command, on its stdin.
    Exec(String),
    /// Nowhere: nothing is issued.
    Nowhere,
}

impl FromStr for SecretsTo {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "none" => Ok(Self::Nowhere),
            Some((_, "")) => Err("there is nothing after the colon"),
            Some(("dir", path)) => Ok(Self::Dir(path.into())),
            Some(("manifests", "-")) => Ok(Self::PrintedManifests),
            Some(("manifests", path)) => Ok(Self::Manifests(path.into())),
            Some(("json", "-")) => Ok(Self::PrintedJson),
            Some(("exec", command)) => Ok(Self::Exec(command.into())),
            _ => Err("write dir:DIR, manifests:FILE, manifests:-, json:-, exec:COMMAND or none"),
        }
    }
}

impl SecretsTo {
    /// Whether what was written is found there again.
    pub fn is_read(&self) -> bool {
        matches!(self, Self::Dir(_) | Self::Manifests(_))
    }
}

/// A place for Secrets, with what is known of them.
pub struct Outlet {
    to: SecretsTo,
    /// Prints to stdout; what can't be printed is an error.
    print: fn(&str) -> io::Result<()>,
    /// Namespaces and names of the Secrets for which another secret is asked: what is there does not
    /// count.
    reissued: Mutex<HashSet<(String, String)>>,
    /// Those for which something is to be issued: they are new.
    expected: Mutex<HashSet<(String, String)>>,
    /// Those that were written.
    written: Mutex<HashSet<(String, String)>>,
    /// One is written at a time.
    turn: Mutex<()>,
}

impl Outlet {
    /// `reissued`: the namespaces and names of the Secrets for which another secret is asked.
    pub fn new(
        to: SecretsTo,
        print: fn(&str) -> io::Result<()>,
        reissued: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let reissued = Mutex::new(reissued.into_iter().collect());
        let (expected, written) = (Mutex::default(), Mutex::default());
        Self { to, print, reissued, expected, written, turn: Mutex::default() }
    }

    /// Why what is there already can't be used, if that is so: told before anything is issued.
    pub fn check(&self) -> Result<(), String> {
        match &self.to {
            SecretsTo::Manifests(file) => manifests::check(file),
            _ => Ok(()),
        }
    }

    /// Whether something was issued for a Secret, be it delivered or not.
    pub fn has_issued(&self, namespace: &str, name: &str) -> bool {
        has(&self.written, namespace, name) || has(&self.expected, namespace, name)
    }

    pub(super) fn read(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<OutputSecret>, OutputError> {
        if has(&self.reissued, namespace, name) {
            return Ok(None);
        }
        match &self.to {
            SecretsTo::Dir(dir) => dir::read(dir, namespace, name),
            SecretsTo::Manifests(file) => {
                let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
                manifests::read(file, namespace, name)
            }
            _ => Ok(None),
        }
    }

    /// Whether something may be issued for what exists.
    pub(super) fn issues_into(&self, namespace: &str, name: &str) -> bool {
        self.to.is_read()
            || self.to != SecretsTo::Nowhere
                && (has(&self.reissued, namespace, name) || has(&self.expected, namespace, name))
    }

    pub(super) fn write(
        &self,
        key: &Key,
        secret: &OutputSecret,
        dry_run: bool,
    ) -> Result<(), OutputError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let namespace = &key.namespace;
        let at = (namespace.clone(), secret.name.clone());
        if dry_run {
            self.expected.lock().unwrap_or_else(PoisonError::into_inner).insert(at.clone());
        }
        let manifest = || manifests::manifest(namespace, secret);
        match &self.to {
            SecretsTo::Dir(dir) => dir::write(dir, namespace, secret, dry_run)?,
            SecretsTo::Manifests(file) => manifests::write(file, namespace, secret, dry_run)?,
            _ if dry_run => {}
            SecretsTo::PrintedManifests => {
                let text = manifests::yaml(&manifest())?;
                (self.print)(&format!("---\n{text}")).map_err(|e| lost(key, &e.to_string()))?;
            }
            SecretsTo::PrintedJson => {
                (self.print)(&format!("{}\n", manifest()))
                    .map_err(|e| lost(key, &e.to_string()))?;
            }
            SecretsTo::Exec(command) => {
                exec::deliver(command, namespace, secret, &manifest())
                    .map_err(|e| lost(key, &e))?;
            }
            SecretsTo::Nowhere => {}
        }
        if !dry_run {
            for asked in [&self.reissued, &self.expected] {
                asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&at);
            }
            self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(at);
        }
        Ok(())
    }
}

fn has(all: &Mutex<HashSet<(String, String)>>, namespace: &str, name: &str) -> bool {
    let all = all.lock().unwrap_or_else(PoisonError::into_inner);
    all.contains(&(namespace.to_owned(), name.to_owned()))
}

/// Nobody has what was issued, and the next run can't know that.
fn lost(key: &Key, why: &str) -> OutputError {
    let Key { kind, namespace, name } = key;
    OutputError::NotDelivered(format!(
        "{why}; once that is corrected, --reissue {kind}/{namespace}/{name} asks for another one"
    ))
}

fn create(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// A file is there as a whole, or as it was; only its owner can read it.
fn put(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let temporary = dir.join(format!(".{name}.new"));
    let mut file = options.open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(temporary, dir.join(name))
}

fn failed(path: &Path, e: &io::Error) -> OutputError {
    OutputError::Failed(format!("{}: {e}", path.display()))
}

/// Why something went wrong, in words.
fn why(e: OutputError) -> String {
    match e {
        OutputError::NowhereToWrite => "there is no place for Secrets".into(),
        OutputError::Forbidden(what)
        | OutputError::NotDelivered(what)
        | OutputError::Failed(what) => what,
    }
}
