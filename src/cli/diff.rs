//! `kastellan diff`

#![allow(clippy::doc_markdown, reason = "what is documented here is printed as help, to terminals")]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    export::{kinds, live},
    output::{self, Form, Result},
    source, stop,
};
use crate::{
    export::{
        Selection,
        difference::{Declared, compare},
    },
    files::{Folder, environment::Environment, input::STDIN},
};

const EXAMPLES: &str = "\
Examples:
  Two live instances; each file holds an Instance, their tokens are in secrets/staging/pat and secrets/production/pat:
    kastellan diff staging.yaml production.yaml --secret-dir secrets

  What was exported last week, and what is there now:
    kastellan diff exported/ production.yaml --secret-dir secrets

  Two exports, each made with the credentials of its own environment:
    ZITADEL_ISSUER=https://staging.example.com ZITADEL_TOKEN=... kastellan export --dir staging
    ZITADEL_ISSUER=https://auth.example.com ZITADEL_TOKEN=... kastellan export --dir production
    kastellan diff staging production

A side with an Instance is that instance, read live as `kastellan export` reads it; whatever else is in its files is not looked at. \
A side without one is what its manifests declare. Objects are told by kind and name, as an export names them, references by \
the name of what is referred to. Ids are not compared, nor are secrets, keys, tokens, logos, icons and fonts. What an entity does not \
say is what ZITADEL sets by itself.

The environment variables ZITADEL_ISSUER, ZITADEL_TOKEN and the like are not used: they mean one ZITADEL.

Exit codes: 0 nothing differs, 2 something does, 1 something is wrong, or could not be read.
Nothing is written.";

#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// One side: a file or folder with an Instance, or with manifests; - for stdin.
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// The other side. What it has and FROM has not is shown as added.
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Only this kind; may be repeated. A person (HumanUser) is compared only where that kind is
    /// named.
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Form of the differences on stdout.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value = "text")]
    output: Form,
    /// Where the Secrets are that Instances name: DIR/NAME/KEY or DIR/NAMESPACE/NAME/KEY. If
    /// omitted, the environment variable KASTELLAN_SECRET_DIR.
    #[arg(long, value_name = "DIR")]
    secret_dir: Option<PathBuf>,
    /// How long the whole command may take, such as 30s or 5m. If omitted, there is no limit; an
    /// Instance must answer within 30s either way.
    #[arg(long, value_name = "DURATION", value_parser = stop::limit)]
    timeout: Option<Duration>,
}

pub(super) async fn run(args: Args) -> Result {
    source::read_within(args.timeout, Box::pin(compared(&args))).await
}

async fn compared(args: &Args) -> Result {
    let selection = Selection { kinds: kinds(&args.kind)?, ..Selection::default() };
    if [&args.from, &args.to].iter().all(|path| path.as_os_str() == STDIN) {
        return Err(output::fail(
            "both sides are stdin, which can be read only once",
            Some("name a file or folder for one of them"),
        ));
    }
    // What is wrong with the files of either is said before anything is asked for.
    let from = source::read(vec![args.from.clone()]).await?;
    let to = source::read(vec![args.to.clone()]).await?;
    let (from, left_out) = side(args, &args.from, from, &selection).await?;
    let (to, too) = side(args, &args.to, to, &selection).await?;
    let omitted = left_out + too;
    let names = (&args.from.display().to_string()[..], &args.to.display().to_string()[..]);
    output::differences(names, &compare(&from, &to, &selection), omitted, args.output)
}

/// What is on a side, and how much of it could not be read.
async fn side(
    args: &Args,
    path: &Path,
    mut folder: Folder,
    selection: &Selection,
) -> Result<(Vec<Declared>, usize)> {
    let mut omitted = 0;
    if folder.manifests.iter().any(|m| m.entry.is_connection()) {
        folder.manifests.retain(|m| m.entry.is_connection());
        let secret_dir = source::secret_dir(args.secret_dir.as_ref());
        let environment = Environment::default();
        let session = source::session(&folder, secret_dir, &environment, args.timeout).await?;
        let export = live(&session, selection).await?;
        for missing in &export.missing {
            output::warn(format!("not compared: {}: {missing}", path.display()));
        }
        omitted = export.missing.len();
        let files = export.objects.into_iter();
        folder = Folder::of(files.map(|o| (PathBuf::from(o.path), Ok(o.yaml.into_bytes()))));
    } else {
        source::refuse_errors(&folder)?;
        if folder.manifests.is_empty() {
            return Err(output::fail(
                format!(
                    "there is neither an Instance nor anything else of this API in {}",
                    path.display()
                ),
                Some(
                    "a side is a file or folder with an Instance, or with manifests, as `kastellan export --dir` writes them",
                ),
            ));
        }
    }
    let declared = folder.manifests.iter().map(|m| Declared {
        entry: m.entry,
        namespace: m.object.key.namespace.clone(),
        name: m.object.key.name.clone(),
        spec: m.object.spec.clone(),
    });
    Ok((declared.collect(), omitted))
}
