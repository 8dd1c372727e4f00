//! `kastellan apply`

use std::time::{Duration, Instant};

use super::{
    output::{self, Applied, Exit},
    source::{self, Connection, Files},
};
use crate::{
    files::{Folder, session::Session},
    validate::{self, Severity},
};

/// How often the files are looked at. They are read: that finds every change, on every file system.
const LOOK: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  Make ZITADEL as the folder says; its token is in secrets/kastellan/pat:
    kastellan apply -f tenant --secret-dir secrets

  The same, and keep it so: whatever changes in the folder or in ZITADEL is set right within seconds. Ctrl-C ends it:
    kastellan apply -f tenant --watch

Order: Instances, then Organizations, then what is in them. What fails does not stop the rest; run it again, as often as you \
like: what is done is found done. Of several Instances, those that can't be reached are named, and the others are worked with.

An object that is gone from the folder stays in ZITADEL as it is. What was made is known again by kind, namespace and \
metadata.name: rename spec.name at will, but before changing one of those write the id into spec.id.

Exit codes: 0 everything is as declared, 1 something is not.";

#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    /// Keep doing it: as files change, and as somebody changes ZITADEL.
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(args: Args) -> Exit {
    let folder = match args.files.read() {
        Ok(folder) => folder,
        Err(exit) => return exit,
    };
    let session = match args.connection.session(&folder).await {
        Ok(session) => session,
        Err(exit) => return exit,
    };
    let exit = once(&session, true).await;
    if !args.watch {
        return exit;
    }
    for blind in session.without_feed() {
        output::warn(format!(
            "{blind}; what others change is only found every {:?}",
            session.resync_interval()
        ));
    }
    output::say("watching the files and ZITADEL; Ctrl-C ends it");
    tokio::select! {
        () = keep(&args, folder, session) => Exit::Failed,
        _ = tokio::signal::ctrl_c() => Exit::Fine,
    }
}

async fn once(session: &Session, summary: bool) -> Exit {
    let mut applied = Applied::new(session.count());
    session.apply(|done| applied.take(&done)).await;
    let exit = applied.end(summary);
    if session.unconnected() == 0 { exit } else { Exit::Failed }
}

/// Applies again whenever there is a reason to.
async fn keep(args: &Args, mut folder: Folder, mut session: Session) {
    let (mut polled, mut compared) = (Instant::now(), Instant::now());
    let mut trouble: Option<String> = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let mut reason = compared.elapsed() >= session.resync_interval();
        if let Some(changed) = changed(args, &folder) {
            folder = changed;
            session = match session.renewed(
                &folder,
                args.connection.secret_dir.clone(),
                &args.connection.environment(),
            ) {
                Ok(session) => session,
                Err(e) => {
                    source::no_connection(&e);
                    return;
                }
            };
            for (key, failure) in session.connect().await {
                output::failure(&key.to_string(), &failure);
            }
            reason = true;
        }
        if polled.elapsed() >= session.poll_interval() {
            polled = Instant::now();
            let missing = session.unconnected();
            if missing > 0 {
                session.connect().await;
                reason |= session.unconnected() < missing;
            }
            match session.is_touched().await {
                Ok(touched) => {
                    reason |= touched || trouble.take().is_some();
                }
                // Said once, not every few seconds.
                Err(e) if trouble.as_ref() != Some(&e) => {
                    output::say(&e);
                    trouble = Some(e);
                }
                Err(_) => {}
            }
        }
        if reason && trouble.is_none() {
            compared = Instant::now();
            once(&session, false).await;
        }
    }
}

/// The files, if they changed and nothing is wrong with them.
fn changed(args: &Args, former: &Folder) -> Option<Folder> {
    let folder =
        Folder::read(&args.files.files).ok().filter(|f| f.fingerprint != former.fingerprint)?;
    let findings = validate::check(&folder, false);
    let errors: Vec<_> = findings.iter().filter(|f| f.severity == Severity::Error).collect();
    if errors.is_empty() {
        return Some(folder);
    }
    for finding in errors {
        output::finding(finding);
    }
    output::say("the files are wrong; what they said before stays in force");
    // So that the same mistake is told once.
    Some(Folder { fingerprint: folder.fingerprint, ..former.clone() })
}
