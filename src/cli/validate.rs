//! `kastellan validate`

use super::{
    output::{self, Report, Result},
    source::Files,
};
use crate::validate;

const EXAMPLES: &str = "\
Examples:
  Everything that is wrong with a folder, with file, line and column:
    kastellan validate -f tenant

  For code scanning, run at the root of the repository:
    kastellan validate -f tenant -o sarif > kastellan.sarif

Neither ZITADEL nor a cluster is asked. Schemas and rules are those of the CRDs. Rules about changes (a field that can't be \
changed once it is there) can't be judged from files alone.

Exit codes: 0 nothing is wrong, 1 something is.";

#[derive(clap::Args)]
#[command(
    after_long_help = EXAMPLES,
    override_usage = "kastellan validate [OPTIONS] --file <PATH>"
)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    /// References to objects that are not in these files are errors, not warnings.
    #[arg(long)]
    strict: bool,
    /// Form of the findings on stdout.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value = "text")]
    output: Report,
}

pub(super) fn run(args: &Args) -> Result {
    let folder = args.files.read_all()?;
    let exit = output::findings(&folder, &validate::check(&folder, args.strict), args.output)?;
    args.files.check_empty(&folder)?;
    Ok(exit)
}
