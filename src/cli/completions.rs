//! `kastellan completions` and `kastellan man`: from the same definitions as the command line
//! itself.

use std::{fs, path::PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;

use super::{
    Cli,
    output::{self, Exit, Result},
};

#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  This bash:        source <(kastellan completions bash)
  Every zsh:        kastellan completions zsh > \"${fpath[1]}/_kastellan\"
  Every fish:       kastellan completions fish > ~/.config/fish/completions/kastellan.fish")]
pub(super) struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(clap::Args)]
pub(super) struct ManArgs {
    /// Write a page for each command into this folder instead of printing the first.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kastellan", &mut script);
    output::data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Fine)
}

pub(super) fn man(args: &ManArgs) -> Result {
    let command = Cli::command();
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).map_err(|e| output::fail(e, None))?;
        output::data(&String::from_utf8_lossy(&page))?;
        return Ok(Exit::Fine);
    };
    match fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir)) {
        Ok(()) => Ok(Exit::Fine),
        Err(e) => Err(output::fail(format!("{}: {e}", dir.display()), None)),
    }
}
