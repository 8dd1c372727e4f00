//! `kastellan apply`

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    output::{self, Exit, Result, Tally},
    secrets::Secrets,
    source::{self, CONNECT, Connection, Files},
    stop,
};
use crate::{
    files::{Folder, apply::unless_stopped, input, output::Outlet, session::Session},
    validate::{self, Severity},
};

/// How often the files are looked at. They are read: that finds every change, on every file system.
const LOOK: Duration = Duration::from_secs(1);
/// How often folders that kustomize builds are looked at: what they are made of, it alone knows.
const LOOK_AT_BUILT: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  Make ZITADEL as the folder says; its token is in secrets/kastellan/pat:
    kastellan apply -f tenant --secret-dir secrets

  The same, and keep it so: whatever changes in the folder or in ZITADEL is corrected within seconds. Ctrl-C or SIGTERM ends it:
    kastellan apply -f tenant --watch

  What ZITADEL issues goes into files that are encrypted afterwards, or to a command:
    kastellan apply -f tenant --secrets-to manifests:secrets.yaml && sops encrypt secrets.yaml > secrets.enc.yaml
    kastellan apply -f tenant --secrets-to 'exec:jq .stringData | vault kv put secret/$KASTELLAN_SECRET_NAME -'

Order: Instances, then Organizations, then what is in them. What fails does not stop the rest; run it again, as often as you \
like: what is done already is found done. Of several Instances, those that can't be reached are named, and the others are \
worked with. Ctrl-C lets what is under way come to its end, and says what was not done.

An object that is gone from the folder stays in ZITADEL as it is. What was created is recognised by kind, namespace and \
metadata.name: rename spec.name at will, but before changing one of those write the id into spec.id.

Exit codes: 0 everything is as declared (with --watch: it was asked to end), 1 something is not.";

#[derive(clap::Args)]
#[command(
    after_long_help = EXAMPLES,
    override_usage = "kastellan apply [OPTIONS] --file <PATH>"
)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    /// Keep applying: as files change, and as somebody changes ZITADEL. Not together with --timeout.
    #[arg(short, long, conflicts_with = "timeout")]
    watch: bool,
    #[command(flatten)]
    secrets: Secrets,
    /// Send the secrets that objects name (`passwordSecretRef` and the like) to what exists too. If
    /// omitted, they are sent to what is created, and with --watch when they change: nobody can read
    /// whether the others have them.
    #[arg(long)]
    send_secrets: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Files without errors, and a connection; what would be lost is refused before that.
async fn begin(args: &Args) -> Result<(Folder, Session, Option<Arc<Outlet>>)> {
    let files = args.files.clone();
    let mut folder = source::aside(move || files.read()).await?;
    args.secrets.prepare(&mut folder)?;
    let outlet = args.secrets.outlet(&folder)?;
    let mut session = args.connection.session(&folder).await?;
    if let Some(outlet) = &outlet {
        session.write_secrets_to(outlet.clone());
    }
    if args.send_secrets {
        session.send_secrets();
    }
    Ok((folder, session, outlet))
}

pub(super) async fn run(args: Args) -> Result {
    if args.watch && args.files.has_stdin() {
        return Err(output::fail(
            "stdin is read once: it can't be watched",
            Some("name files or folders, or leave --watch out"),
        ));
    }
    if args.watch {
        output::add_time();
    }
    let mut stop = stop::on_request(args.connection.timeout);
    let begun = unless_stopped(&mut stop, begin(&args)).await;
    let Some(begun) = begun else {
        return Err(output::fail("stopped before anything was applied", None));
    };
    let (folder, session, outlet) = begun?;
    let exit = Box::pin(once(&session, &stop, true)).await;
    if let Some(outlet) = &outlet {
        args.secrets.tell(&folder, outlet);
    }
    if !args.watch {
        return if exit == Exit::Fine { Ok(exit) } else { Err(exit) };
    }
    for blind in session.without_feed() {
        output::warn(format!(
            "{blind}; what others change is only found every {:?}",
            session.resync_interval()
        ));
    }
    output::say("watching the files and ZITADEL; Ctrl-C ends it");
    Box::pin(Watch { args: &args, folder, session, stop, trouble: None }.keep()).await;
    output::say("stopped watching; everything stays in ZITADEL as it is");
    Ok(Exit::Fine)
}

async fn once(session: &Session, stop: &watch::Receiver<bool>, summary: bool) -> Exit {
    let mut tally = Tally::new(session.count());
    let shows = tally.shows_progress();
    let apply = session.apply(stop.clone(), |done| tally.take(&done));
    if shows {
        apply.await;
    } else {
        Box::pin(output::waiting("applying", apply)).await;
    }
    let exit = tally.end(summary);
    if session.unconnected() == 0 { exit } else { Exit::Failed }
}

/// `--watch`, after the first time.
struct Watch<'a> {
    args: &'a Args,
    folder: Folder,
    session: Session,
    stop: watch::Receiver<bool>,
    /// What keeps it from following, as it was said last.
    trouble: Option<String>,
}

impl Watch<'_> {
    /// Applies again whenever there is a reason to, until it is asked to end.
    async fn keep(&mut self) {
        let (mut polled, mut compared) = (Instant::now(), Instant::now());
        let mut files_trouble: Option<String> = None;
        let mut stop = self.stop.clone();
        let mut looked = Instant::now();
        while unless_stopped(&mut stop, tokio::time::sleep(LOOK)).await.is_some() {
            let mut is_due = compared.elapsed() >= self.session.resync_interval();
            if !self.folder.is_built || looked.elapsed() >= LOOK_AT_BUILT {
                looked = Instant::now();
                match self.changed().await {
                    Ok(None) => {
                        if files_trouble.take().is_some() {
                            output::say("the files are right again");
                        }
                    }
                    Ok(Some(folder)) => {
                        files_trouble = None;
                        is_due |= self.renew(folder).await;
                    }
                    // Said once, not each second.
                    Err(e) if files_trouble.as_ref() != Some(&e) => {
                        output::warn(format!("{e}; what they said before stays in force"));
                        files_trouble = Some(e);
                    }
                    Err(_) => {}
                }
            }
            if polled.elapsed() >= self.session.poll_interval() {
                polled = Instant::now();
                match unless_stopped(&mut stop, self.poll()).await {
                    Some(changed) => is_due |= changed,
                    None => return,
                }
            }
            if is_due && self.trouble.is_none() {
                compared = Instant::now();
                Box::pin(once(&self.session, &self.stop, false)).await;
            }
        }
    }

    /// The files, if they changed and nothing is wrong with them. `Err`: why what they say now can't
    /// be used.
    async fn changed(&mut self) -> std::result::Result<Option<Folder>, String> {
        let files = &self.args.files;
        let paths = files.files.clone();
        let read = tokio::task::spawn_blocking(move || input::read(&paths)).await;
        let inputs = read.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        let folder = Folder::of(inputs);
        if folder.fingerprint == self.folder.fingerprint {
            return Ok(None);
        }
        if folder.manifests.is_empty() && folder.findings.is_empty() && !files.allow_empty {
            return Err("there are 0 objects in the files now".into());
        }
        let findings = validate::check(&folder, false);
        let errors: Vec<_> = findings.iter().filter(|f| f.severity == Severity::Error).collect();
        if errors.is_empty() {
            return Ok(Some(folder));
        }
        for finding in errors {
            output::finding(finding);
        }
        output::warn("the files are wrong; what they said before stays in force");
        // So that the same mistake is reported once.
        self.folder.fingerprint = folder.fingerprint;
        Ok(None)
    }

    /// Goes on with other files. Returns whether there is a reason to apply.
    async fn renew(&mut self, mut folder: Folder) -> bool {
        let connection = &self.args.connection;
        self.folder.fingerprint = folder.fingerprint;
        let Ok(environment) = connection.environment(&folder) else { return false };
        if self.args.secrets.prepare(&mut folder).is_err() {
            return false;
        }
        match self.session.renew(&folder, connection.secret_dir(), &environment) {
            Ok(renewed) => {
                for key in renewed.gone {
                    output::say(format!(
                        "{key} is not in the files any more; in ZITADEL it stays as it is"
                    ));
                }
                for key in renewed.kept {
                    output::warn(format!(
                        "{key} is not in the files any more, and is still needed; what it said before stays in force"
                    ));
                }
            }
            Err(e) => {
                output::warn(format!("{e}; what the files said before stays in force"));
                return false;
            }
        }
        self.folder = folder;
        let mut stop = self.stop.clone();
        let failed = unless_stopped(&mut stop, self.session.connect(CONNECT)).await;
        for (key, failure) in failed.into_iter().flatten() {
            output::failure(&key.to_string(), &failure);
        }
        true
    }

    /// Whether ZITADEL says that there is a reason to apply.
    async fn poll(&mut self) -> bool {
        let missing = self.session.unconnected();
        if missing > 0 {
            self.session.connect(CONNECT).await;
        }
        let is_reached = self.session.unconnected() < missing;
        match self.session.is_touched().await {
            Ok(touched) => is_reached || touched || self.trouble.take().is_some(),
            Err(e) => {
                // Said once, not every few seconds.
                if self.trouble.as_ref() != Some(&e) {
                    output::say(&e);
                    self.trouble = Some(e);
                }
                is_reached
            }
        }
    }
}
