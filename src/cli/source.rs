//! The arguments that say what to work on: files, Secrets, a connection.

#![allow(clippy::doc_markdown, reason = "what is documented here is printed as help, to terminals")]

use std::path::PathBuf;

use clap::Args;

use super::output::{self, Exit};
use crate::{
    engine::reconcile::Engine,
    files::{
        Folder,
        environment::Environment,
        session::{NoConnection, Session},
    },
    validate::{self, Severity},
    zitadel::AddressPolicy,
};

/// Which files.
#[derive(Args)]
pub(super) struct Files {
    /// File, or folder with all below it (*.yaml, *.yml, *.json); may be repeated. Objects of other
    /// APIs are left alone.
    #[arg(short, long = "file", value_name = "PATH", required = true)]
    pub(super) files: Vec<PathBuf>,
}

/// Which ZITADEL.
#[derive(Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct Connection {
    /// Where the Secrets are that an Instance names: DIR/NAME/KEY or DIR/NAMESPACE/NAME/KEY.
    #[arg(long, env = "KASTELLAN_SECRET_DIR", value_name = "DIR")]
    pub(super) secret_dir: Option<PathBuf>,
    /// External URL of the ZITADEL, in place of what an Instance says. Log in with the environment
    /// variable ZITADEL_TOKEN (a personal access token) or with --key-file.
    #[arg(long, env = "ZITADEL_ISSUER", value_name = "URL")]
    pub(super) issuer: Option<String>,
    /// Where to connect, if that is another place than the issuer.
    #[arg(long, env = "ZITADEL_ADDRESS", value_name = "URL")]
    pub(super) address: Option<String>,
    /// Key file of a service account, as ZITADEL makes it.
    #[arg(long, env = "ZITADEL_KEY_FILE", value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
}

impl Connection {
    /// What arguments and environment say. A token is never an argument: others can see those.
    pub(super) fn environment(&self) -> Environment {
        let set = |value: &Option<String>| value.clone().filter(|v| !v.is_empty());
        Environment {
            issuer: set(&self.issuer),
            address: set(&self.address),
            token: std::env::var("ZITADEL_TOKEN").ok().filter(|t| !t.is_empty()).map(Into::into),
            key_file: self.key_file.clone(),
        }
    }

    /// A session that is connected; where only some of several Instances can't be used, the others
    /// are worked with.
    pub(super) async fn session(&self, folder: &Folder) -> Result<Session, Exit> {
        // Who types the address owns the token.
        let engine = Engine::new(AddressPolicy::any());
        let session = Session::new(folder, self.secret_dir.clone(), &self.environment(), engine)
            .map_err(|e| no_connection(&e))?;
        connected(session).await
    }
}

/// Connects a session, and says of which Instances that does not work.
pub(super) async fn connected(session: Session) -> Result<Session, Exit> {
    let failed = session.connect().await;
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

impl Files {
    /// Reads them; nothing is wrong with what is given back.
    pub(super) fn read(&self) -> Result<Folder, Exit> {
        let folder = self.read_all()?;
        let findings = validate::check(&folder, false);
        let (errors, _): (Vec<_>, Vec<_>) =
            findings.iter().partition(|f| f.severity == Severity::Error);
        if errors.is_empty() {
            return Ok(folder);
        }
        for finding in &errors {
            output::finding(finding);
        }
        let what = if errors.len() == 1 {
            "1 error".to_owned()
        } else {
            format!("{} errors", errors.len())
        };
        Err(output::fail(format!("{what} in these files; nothing was asked of ZITADEL"), None))
    }

    /// Reads them, whatever is wrong.
    pub(super) fn read_all(&self) -> Result<Folder, Exit> {
        Folder::read(&self.files).map_err(|(path, e)| {
            output::fail(format!("{}: {e}", path.display()), Some("-f takes a file or a folder"))
        })
    }
}
