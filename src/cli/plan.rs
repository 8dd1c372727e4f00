//! `kastellan plan`

use super::{
    cluster::{Cluster, Place},
    output::{self, Exit, Format, Result},
    source::{self, Connection, Files},
};
use crate::files::Folder;

const EXAMPLES: &str = "\
Examples:
  What would change in the ZITADEL that an Instance in the folder names; its token is in secrets/kastellan/pat:
    kastellan plan -f tenant --secret-dir secrets

  The same folder against another ZITADEL:
    ZITADEL_ISSUER=https://auth.example.com ZITADEL_TOKEN=... kastellan plan -f tenant

  What an overlay of kustomize would change; or what any other program prints, from stdin:
    kastellan plan -f overlays/production
    helm template tenant | kastellan plan -f -

  What merging a change would have the operator do, which knows what it has created:
    kastellan plan -f tenant --cluster --namespace tenant

  In CI, fail if Git and ZITADEL differ:
    kastellan plan -f tenant || exit 1

  A comment for a pull request, with a section for each organization:
    kastellan plan -f tenant -o markdown > plan.md

Exit codes: 0 nothing to do, 2 there are changes, 1 something is wrong.
Nothing is written, neither to ZITADEL nor to disk.";

#[derive(clap::Args)]
#[command(
    after_long_help = EXAMPLES,
    override_usage = "kastellan plan [OPTIONS] --file <PATH>"
)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    /// Form of the plan on stdout.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value = "text")]
    output: Format,
    /// Also name what is in ZITADEL and declared nowhere, in the lists that the plan reads anyway:
    /// projects of the organizations in which these files declare one, and organizations, if these
    /// files declare one or name one by its id.
    #[arg(long)]
    unmanaged: bool,
    /// Plan to send the secrets that objects name (`passwordSecretRef` and the like) to what exists
    /// too. If omitted, they are sent to what is created: nobody can read whether the others have
    /// them.
    #[arg(long)]
    send_secrets: bool,
    #[command(flatten)]
    connection: Connection,
    /// Plan what the operator would do: which thing in ZITADEL is whose is in the statuses of the
    /// cluster's objects of the same names. Without it, what the operator has created is what
    /// somebody else has created: a change of it is refused, and a new name is another thing.
    #[arg(long, help_heading = "Cluster")]
    cluster: bool,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn run(args: Args) -> Result {
    source::read_within(args.connection.timeout, Box::pin(planned(&args))).await
}

async fn planned(args: &Args) -> Result {
    let mut folder = source::folder(&args.files).await?;
    if args.cluster {
        bind(&mut folder, &Cluster::read(&args.place).await?);
    } else if args.place.is_given() {
        let hint = "add --cluster, which reads the statuses there";
        return Err(output::fail("--namespace and --context say where in a cluster", Some(hint)));
    }
    let mut session = args.connection.session(&folder).await?;
    if args.send_secrets {
        session.send_secrets();
    }
    let planned = output::waiting("planning", session.plan()).await;
    let unmanaged = args.unmanaged.then(|| session.unmanaged());
    let exit = output::plan(&planned, unmanaged.as_deref(), args.output)?;
    if session.unconnected() == 0 { Ok(exit) } else { Err(Exit::Failed) }
}

/// Has each object know what the object of its name in the cluster is bound to. One without a
/// namespace is in the namespace that is meant where none is named.
fn bind(folder: &mut Folder, cluster: &Cluster) {
    for manifest in &mut folder.manifests {
        let mut key = manifest.object.key.clone();
        let namespace = manifest.document.value.pointer("/metadata/namespace");
        if namespace.is_none_or(serde_json::Value::is_null) {
            key.namespace.clone_from(&cluster.namespace);
        }
        if let Some(live) = cluster.objects.get(&key) {
            manifest.bind(live);
        }
    }
}
