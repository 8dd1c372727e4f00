//! `kastellan crds`

use std::{fs, path::PathBuf};

use super::output::{self, Exit};
use crate::kinds;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Write a file a kind into this folder instead of printing them.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// With --dir: change nothing; fail if a file is not what would be written.
    #[arg(long, requires = "dir")]
    check: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    let Some(dir) = &args.dir else {
        for (_, text) in kinds::crd_files() {
            output::data(&format!("---\n{text}"));
        }
        return Exit::Fine;
    };
    if let Err(e) = fs::create_dir_all(dir) {
        return output::fail(format!("{}: {e}", dir.display()), None);
    }
    let mut differ = Vec::new();
    for (name, text) in kinds::crd_files() {
        let path = dir.join(name);
        if fs::read_to_string(&path).is_ok_and(|t| t == text) {
            continue;
        }
        if args.check {
            differ.push(path.display().to_string());
        } else if let Err(e) = fs::write(&path, text) {
            return output::fail(format!("{}: {e}", path.display()), None);
        }
    }
    if differ.is_empty() {
        return Exit::Fine;
    }
    output::fail(
        format!("not what this version generates: {}", differ.join(", ")),
        Some("run `kastellan crds --dir` without --check"),
    )
}
