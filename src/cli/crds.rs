//! `kastellan crds`

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::output::{self, Exit, Result};
use crate::kinds::REGISTRY;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Write one file per kind into this folder instead of printing them.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// With --dir: change nothing; fail if a file differs from what would be written.
    #[arg(long, requires = "dir")]
    check: bool,
}

pub(super) fn run(args: &Args) -> Result {
    let Some(dir) = &args.dir else {
        for (_, text) in crd_files()? {
            output::data(&format!("---\n{text}"))?;
        }
        return Ok(Exit::Fine);
    };
    let failed = |path: &Path, e| output::fail(format!("{}: {e}", path.display()), None);
    if !args.check {
        fs::create_dir_all(dir).map_err(|e: io::Error| failed(dir, e))?;
    }
    let mut differ = Vec::new();
    for (name, text) in crd_files()? {
        let path = dir.join(name);
        if fs::read_to_string(&path).is_ok_and(|t| t == text) {
            continue;
        }
        if args.check {
            differ.push(path.display().to_string());
        } else {
            fs::write(&path, text).map_err(|e| failed(&path, e))?;
        }
    }
    if differ.is_empty() {
        return Ok(Exit::Fine);
    }
    Err(output::fail(
        format!("not what this version generates: {}", differ.join(", ")),
        Some("run `kastellan crds --dir` without --check"),
    ))
}

fn crd_files() -> output::Result<Vec<(String, String)>> {
    REGISTRY.crd_files().map_err(|e| output::fail(format!("a CRD can't be written: {e}"), None))
}
