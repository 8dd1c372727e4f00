//! `kastellan plan`

use super::{
    output::{self, Exit, Format, Result},
    source::{self, Connection, Files},
};

const EXAMPLES: &str = "\
Examples:
  What would change in the ZITADEL that an Instance in the folder names; its token is in secrets/kastellan/pat:
    kastellan plan -f tenant --secret-dir secrets

  The same folder against another ZITADEL:
    ZITADEL_ISSUER=https://auth.example.com ZITADEL_TOKEN=... kastellan plan -f tenant

  What an overlay of kustomize would change; or what any other program prints, from stdin:
    kastellan plan -f overlays/production
    helm template tenant | kastellan plan -f -

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
}

pub(super) async fn run(args: Args) -> Result {
    source::read_within(args.connection.timeout, Box::pin(planned(&args))).await
}

async fn planned(args: &Args) -> Result {
    let (_, mut session) = source::begin(&args.files, &args.connection).await?;
    if args.send_secrets {
        session.send_secrets();
    }
    let planned = output::waiting("planning", session.plan()).await;
    let unmanaged = args.unmanaged.then(|| session.unmanaged());
    let exit = output::plan(&planned, unmanaged.as_deref(), args.output)?;
    if session.unconnected() == 0 { Ok(exit) } else { Err(Exit::Failed) }
}
