//! The arguments that say what to work on: files, Secrets, a connection.

#![allow(clippy::doc_markdown, reason = "what is documented here is printed as help, to terminals")]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use serde_json::Value;

use super::{
    output::{self, Exit, Result},
    stop,
};
use crate::{
    engine::Engine,
    files::{
        Folder,
        environment::Environment,
        host::secret_file,
        input,
        session::{NoConnection, Session},
    },
    kinds::REGISTRY,
    validate::{self, Severity},
    zitadel::AddressPolicy,
};

/// How long an Instance may take to be connected.
pub(super) const CONNECT: Duration = Duration::from_secs(30);

/// Where an export writes Secrets.
pub(super) fn secrets_to_dir(text: &str) -> std::result::Result<PathBuf, String> {
    let dir = text.strip_prefix("dir:").filter(|dir| !dir.is_empty());
    dir.map(Into::into).ok_or_else(|| "write dir: and a directory, such as dir:secrets".into())
}

/// Which files.
#[derive(Clone, Args)]
pub(super) struct Files {
    /// File, folder with all below it (*.yaml, *.yml, *.json), or - for stdin; may be repeated. A
    /// folder with a kustomization is built, by `kustomize build` or `kubectl kustomize`. Objects of
    /// other APIs are ignored.
    #[arg(short, long = "file", value_name = "PATH", required = true)]
    pub(super) files: Vec<PathBuf>,
    /// Accept files without any object of this API. If omitted, that is an error: the path is
    /// probably wrong.
    #[arg(long)]
    pub(super) allow_empty: bool,
}

/// Which ZITADEL.
#[derive(Args, Default)]
#[command(next_help_heading = "Connection")]
pub(super) struct Connection {
    /// Where the Secrets are that objects name: DIR/NAME/KEY or DIR/NAMESPACE/NAME/KEY. If
    /// omitted, the environment variable KASTELLAN_SECRET_DIR.
    #[arg(long, value_name = "DIR")]
    secret_dir: Option<PathBuf>,
    /// External URL of the ZITADEL, in place of what an Instance says. If omitted, the environment
    /// variable ZITADEL_ISSUER. Log in with the environment variable ZITADEL_TOKEN (a personal
    /// access token) or with --key-file.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Where to connect, if not at the issuer. If omitted, the environment variable
    /// ZITADEL_ADDRESS.
    #[arg(long, value_name = "URL")]
    address: Option<String>,
    /// Key file of a service account, as ZITADEL makes it. If omitted, the environment variable
    /// ZITADEL_KEY_FILE.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// How long the whole command may take, such as 30s or 5m. If omitted, there is no limit; an
    /// Instance must answer within 30s either way.
    #[arg(long, value_name = "DURATION", value_parser = stop::limit)]
    pub(super) timeout: Option<Duration>,
}

/// Where the Secrets are: what the argument says, else the environment.
pub(super) fn secret_dir(argument: Option<&PathBuf>) -> Option<PathBuf> {
    argument.cloned().or_else(|| variable("KASTELLAN_SECRET_DIR").map(Into::into))
}

/// An environment variable, if it says anything.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Connection {
    /// Where the Secrets are.
    pub(super) fn secret_dir(&self) -> Option<PathBuf> {
        secret_dir(self.secret_dir.as_ref())
    }

    /// What arguments say, and where they say nothing, the environment. A token is never an
    /// argument: others can see those.
    pub(super) fn environment(&self, folder: &Folder) -> Result<Environment> {
        let (issuer, address) = (variable("ZITADEL_ISSUER"), variable("ZITADEL_ADDRESS"));
        // An address in the environment belongs to the issuer beside it.
        let is_another = self.issuer.is_some() && issuer.is_some() && issuer != self.issuer;
        let address = address.filter(|_| !is_another);
        let mut environment = Environment {
            issuer: url("issuer", ("--issuer", &self.issuer), ("ZITADEL_ISSUER", issuer))?,
            address: url("address", ("--address", &self.address), ("ZITADEL_ADDRESS", address))?,
            ..Environment::default()
        };
        if let Some(path) = &self.key_file {
            environment.key_file = Some(path.clone());
            return Ok(environment);
        }
        let (token, key_file) = (variable("ZITADEL_TOKEN"), variable("ZITADEL_KEY_FILE"));
        let name = match (&token, &key_file) {
            (Some(_), Some(_)) => {
                return Err(output::fail(
                    "the environment variables ZITADEL_TOKEN and ZITADEL_KEY_FILE are both set",
                    Some("unset one of the two, or use --key-file"),
                ));
            }
            (Some(_), None) => "ZITADEL_TOKEN",
            (None, Some(_)) => "ZITADEL_KEY_FILE",
            (None, None) => return Ok(environment),
        };
        let dir = self.secret_dir.as_deref();
        if let Some(instance) = dir.and_then(|dir| logged_in_by(folder, dir)) {
            output::warn(format!(
                "{name} is not used: --secret-dir has the credentials of {instance}"
            ));
            return Ok(environment);
        }
        environment.token = token.map(Into::into);
        environment.key_file = key_file.map(Into::into);
        Ok(environment)
    }

    /// A session that is connected; where only some of several Instances can't be used, the others
    /// are worked with.
    pub(super) async fn session(&self, folder: &Folder) -> Result<Session> {
        let environment = self.environment(folder)?;
        session(folder, self.secret_dir(), &environment, self.timeout).await
    }
}

/// A session of a folder, connected as it and the environment say.
pub(super) async fn session(
    folder: &Folder,
    secret_dir: Option<PathBuf>,
    environment: &Environment,
    timeout: Option<Duration>,
) -> Result<Session> {
    // Who types the address owns the token.
    let engine = Engine::new(&REGISTRY, AddressPolicy::any());
    let session = Session::new(folder, secret_dir, environment, engine);
    connected(session.map_err(|e| no_connection(&e))?, timeout).await
}

/// An Instance of these files whose credentials are in the folder of Secrets.
fn logged_in_by(folder: &Folder, dir: &Path) -> Option<String> {
    let instances = folder.manifests.iter().filter(|m| m.entry.is_connection());
    let has_credentials = |m: &&crate::files::Manifest| {
        let credentials = m.object.spec.get("credentials").and_then(Value::as_object);
        credentials.into_iter().flat_map(serde_json::Map::values).any(|c| {
            let text = |field: &str| c.pointer(field).and_then(Value::as_str);
            let (Some(name), Some(key)) = (text("/secretRef/name"), text("/secretRef/key")) else {
                return false;
            };
            matches!(secret_file(dir, &m.object.key.namespace, name, key), Ok(Some(_)))
        })
    };
    instances.into_iter().find(has_credentials).map(|m| m.object.key.to_string())
}

/// The argument, or where there is none, the variable; checked as the Instance's field of that name
/// is checked.
fn url(
    field: &str,
    argument: (&str, &Option<String>),
    variable: (&str, Option<String>),
) -> Result<Option<String>> {
    let (source, url) = match argument {
        (argument, Some(url)) => (argument, Some(url.clone())),
        _ => variable,
    };
    let problems = url.as_deref().map(|url| validate::field_of_connection(field, url));
    match problems.into_iter().flatten().next() {
        Some(problem) => Err(output::fail(format!("{source}: {problem}"), None)),
        None => Ok(url),
    }
}

/// Connects a session, and says for which Instances that does not work.
pub(super) async fn connected(session: Session, limit: Option<Duration>) -> Result<Session> {
    let names: Vec<String> = session
        .instances()
        .iter()
        .map(|i| {
            let issuer =
                i.spec.get("issuer").and_then(Value::as_str).unwrap_or("an unknown issuer");
            format!("{} ({issuer})", i.key)
        })
        .collect();
    let limit = limit.map_or(CONNECT, |limit| limit.min(CONNECT));
    let what = format!("connecting to {}", names.join(", "));
    let failed = output::waiting(&what, session.connect(limit)).await;
    for (key, failure) in &failed {
        output::failure(&key.to_string(), failure);
    }
    if failed.len() < session.instances().len() { Ok(session) } else { Err(Exit::Failed) }
}

pub(super) fn no_connection(e: &NoConnection) -> Exit {
    output::fail(
        e,
        Some(match e {
            NoConnection::Nowhere | NoConnection::NoCredentials => {
                "set ZITADEL_ISSUER, and ZITADEL_TOKEN or ZITADEL_KEY_FILE; or add an Instance, with its Secret in --secret-dir"
            }
            NoConnection::Ambiguous(_) => {
                "unset the ZITADEL_ variables and use --secret-dir, or name fewer files"
            }
        }),
    )
}

/// Files without errors.
pub(super) async fn folder(files: &Files) -> Result<Folder> {
    let files = files.clone();
    aside(move || files.read()).await
}

/// Work that only reads, all within `--timeout`.
pub(super) async fn read_within<T>(
    timeout: Option<Duration>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    stop::within(timeout, work).await?
}

fn read_now(paths: &[PathBuf]) -> Result<Folder> {
    input::read(paths).map(Folder::of).map_err(|e| output::fail(&e, Some(e.hint())))
}

/// Reads manifests, whatever is wrong with them.
pub(super) async fn read(paths: Vec<PathBuf>) -> Result<Folder> {
    aside(move || read_now(&paths)).await
}

/// Reads elsewhere: stdin and kustomize take their time, and meanwhile signals and the end of
/// `--timeout` are heeded.
pub(super) async fn aside<T: Send + 'static>(
    read: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let read = tokio::task::spawn_blocking(read).await;
    read.map_err(|e| output::fail(format!("the files could not be read: {e}"), None))?
}

/// Says what is wrong with files, if anything is. What was skipped is not worked with: whoever expects
/// that should know.
pub(super) fn refuse_errors(folder: &Folder) -> Result<()> {
    let findings = validate::check(folder, false);
    let errors: Vec<_> = findings.iter().filter(|f| f.severity == Severity::Error).collect();
    let skipped = folder.findings.iter().filter(|f| f.severity == Severity::Warning);
    for finding in skipped.chain(errors.iter().copied()) {
        output::finding(finding);
    }
    let what = match errors.len() {
        0 => return Ok(()),
        1 => "1 error".to_owned(),
        n => format!("{n} errors"),
    };
    let message = format!("{what} in these files; ZITADEL was not asked for anything");
    Err(output::fail(message, None))
}

impl Files {
    /// Whether stdin is among them.
    pub(super) fn has_stdin(&self) -> bool {
        self.files.iter().any(|path| path.as_os_str() == input::STDIN)
    }

    /// Reads them; there is no error in what is returned.
    pub(super) fn read(&self) -> Result<Folder> {
        let folder = self.read_all()?;
        refuse_errors(&folder)?;
        self.check_empty(&folder)?;
        Ok(folder)
    }

    /// Reads them, whatever is wrong.
    pub(super) fn read_all(&self) -> Result<Folder> {
        read_now(&self.files)
    }

    /// Files without an object are an error, unless they are expected.
    pub(super) fn check_empty(&self, folder: &Folder) -> Result<()> {
        if self.allow_empty || !folder.manifests.is_empty() {
            return Ok(());
        }
        let shown = |path: &PathBuf| match path.as_os_str() {
            path if path == input::STDIN => "stdin".to_owned(),
            path => path.display().to_string(),
        };
        let paths: Vec<String> = self.files.iter().map(shown).collect();
        let files = if folder.files == 1 { "1 file" } else { &format!("{} files", folder.files) };
        Err(output::fail(
            format!("0 objects of this API in {} ({files})", paths.join(", ")),
            Some("check the path, or accept this with --allow-empty"),
        ))
    }
}
