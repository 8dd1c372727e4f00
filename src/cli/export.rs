//! `kastellan export`

#![allow(clippy::doc_markdown, reason = "what is documented here is printed as help, to terminals")]

mod terraform;

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    output::{self, Exit, Result},
    source::{self, Connection},
};
use crate::{
    export::{self, Export, Selection},
    files::{Folder, finding::did_you_mean, session::Session},
    kinds::REGISTRY,
};

const EXAMPLES: &str = "\
Examples:
  A whole instance, one file per resource, ready to commit:
    ZITADEL_ISSUER=https://auth.example.com ZITADEL_TOKEN=... kastellan export --dir tenant

  The projects of one organization, to stdout:
    kastellan export -f instance.yaml --secret-dir secrets --organization ACME --kind Project

  What terraform's provider zitadel/zitadel manages, with the client secrets that only its state knows:
    terraform state pull > state.json
    kastellan export --from-terraform state.json --dir tenant --secrets-to dir:secrets

`kastellan plan` on what is written has nothing to do. Applied to an empty instance it creates the same objects under the same \
ids. Of entities, what ZITADEL sets by itself is omitted (false, empty, Active); settings are written whole, an \
organization's only where it has its own.

The default organization is in every instance, each time under another id: it is written without id and found by its name. \
ZITADEL's own project in it is omitted. Secrets are never written, nor an Instance: how to log in is yours to say. Keys and tokens are omitted too, as nobody can read them again: declare new ones. \
So are logos, icons and fonts: a ConfigMap has to hold them.

--from-terraform reads a state (format version 4, or what `terraform show -json` prints) and asks no ZITADEL. What is in the \
same state is referred to by name, anything else by id. Resources that have no kind are named on stderr with their addresses, \
attributes that have no field with their names; the exit code is 0 all the same. It is 1 where a value is not what this API takes. Secrets go to --secrets-to alone: \
`kastellan apply` finds them there, has ZITADEL prove them and issues no new ones. Then `terraform state rm`, never `destroy`.

Files that exist are overwritten; those whose object is no longer in ZITADEL are named, and not deleted.";

#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// File or folder with the Instance to read from, or - for stdin; not needed with
    /// ZITADEL_ISSUER.
    #[arg(short, long = "file", value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Make manifests of this state of terraform in place of a live instance; `-` reads stdin.
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    from_terraform: Option<PathBuf>,
    /// With --from-terraform: where the secrets that the state holds are written. `dir:DIR` writes
    /// DIR/NAMESPACE/NAME/KEY, readable by you alone, as `kastellan apply --secrets-to` does. What
    /// is there already stays. If omitted, they are left out, and so are keys and tokens.
    #[arg(
        long,
        value_name = "dir:DIR",
        value_parser = source::secrets_to_dir,
        requires = "from_terraform"
    )]
    secrets_to: Option<PathBuf>,
    /// Write one file per resource into this folder. If omitted, everything goes to stdout.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Only this kind; may be repeated. A person (HumanUser) is exported from a live instance only where
    /// that kind is named.
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Only this organization, by id or name, and what is in it; may be repeated.
    #[arg(long, value_name = "ID|NAME")]
    organization: Vec<String>,
    /// Write this namespace into the manifests. If omitted, none: they go where they are applied.
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(args: Args) -> Result {
    if let Some(path) = &args.from_terraform {
        return terraform::run(&args, path);
    }
    source::read_within(args.connection.timeout, Box::pin(exported(&args))).await
}

/// What is asked for.
fn selection(args: &Args) -> Result<Selection> {
    let (organizations, namespace) = (args.organization.clone(), args.namespace.clone());
    Ok(Selection { kinds: kinds(&args.kind)?, organizations, namespace })
}

/// The kinds that are asked for, by their right names.
pub(super) fn kinds(asked: &[String]) -> Result<Vec<String>> {
    let names: Vec<&str> =
        REGISTRY.all().filter(|e| !e.is_connection()).map(|e| e.kind()).collect();
    let mut kinds = Vec::new();
    for asked in asked {
        let Some(kind) = names.iter().find(|k| k.eq_ignore_ascii_case(asked)) else {
            return Err(output::fail(
                format!("there is no kind {asked} to export"),
                Some(&did_you_mean(asked, names.iter().copied())),
            ));
        };
        kinds.push((*kind).to_owned());
    }
    Ok(kinds)
}

async fn exported(args: &Args) -> Result {
    let selection = selection(args)?;
    let mut folder = source::read(args.files.clone()).await?;
    folder.manifests.retain(|m| m.entry.is_connection());
    let session = args.connection.session(&folder).await?;
    let export = live(&session, &selection).await?;
    for missing in &export.missing {
        output::warn(format!("omitted: {missing}"));
    }
    write(args, &export, "in ZITADEL")
}

/// What is in the one instance of a session.
pub(super) async fn live(session: &Session, selection: &Selection) -> Result<Export> {
    if session.unconnected() > 0 {
        return Err(Exit::Failed);
    }
    let connections = session.engine().connections.all();
    let [(_, connection)] = &connections[..] else {
        return Err(output::fail(
            format!("these files have {} Instances", connections.len()),
            Some("name the file of the one to export"),
        ));
    };
    output::waiting("reading", export::export(&REGISTRY, connection, selection))
        .await
        .map_err(|e| output::fail(e, None))
}

/// Writes manifests to where they are to go. `place`: where everything was looked for.
fn write(args: &Args, export: &Export, place: &str) -> Result {
    let Some(dir) = &args.dir else {
        let documents: Vec<&str> = export.objects.iter().map(|o| o.yaml.as_str()).collect();
        output::data(&documents.join("---\n"))?;
        return Ok(Exit::Fine);
    };
    for object in &export.objects {
        let path = dir.join(&object.path);
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, &object.yaml));
        written.map_err(|e| output::fail(format!("{}: {e}", path.display()), None))?;
    }
    if args.kind.is_empty() && args.organization.is_empty() {
        name_leftovers(dir, export, place);
    }
    output::say(format!("{} objects written to {}", export.objects.len(), dir.display()));
    Ok(Exit::Fine)
}

/// A file of an earlier export whose object is gone would recreate it.
fn name_leftovers(dir: &Path, export: &Export, place: &str) {
    let Ok(folder) = Folder::read(dir) else { return };
    for manifest in folder.manifests.iter().filter(|m| !m.entry.is_connection()) {
        let path = &manifest.document.value_at("").source.path;
        if !export.objects.iter().any(|o| dir.join(&o.path) == **path) {
            output::warn(format!(
                "{}: {} is not {place} any more; delete the file if that is meant",
                path.display(),
                manifest.object.key
            ));
        }
    }
}
