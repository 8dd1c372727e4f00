//! What the command line is given as files: files, folders, stdin, and folders that kustomize builds.
//! Reads files and stdin, and runs kustomize; nothing else.

use std::{
    fs,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    place::Origin,
    process::{self, Limits, ProcessError},
};

/// The path that stands for stdin.
pub const STDIN: &str = "-";
/// The names that make a folder one of kustomize's.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// The programs that build such a folder: the first that is there.
const BUILDERS: [(&str, &str); 2] = [("kustomize", "build"), ("kubectl", "kustomize")];
/// What building one folder may take.
const LIMITS: Limits = Limits { time: Duration::from_mins(2), output: 64 * 1024 * 1024 };

/// The text of manifests, and where it is from.
#[derive(Debug)]
pub struct Input {
    /// How it was got.
    pub origin: Origin,
    /// The file; of what kustomize built, its kustomization.
    pub path: PathBuf,
    /// The text.
    pub bytes: io::Result<Vec<u8>>,
}

impl From<(PathBuf, io::Result<Vec<u8>>)> for Input {
    fn from((path, bytes): (PathBuf, io::Result<Vec<u8>>)) -> Self {
        Self { origin: Origin::File, path, bytes }
    }
}

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// There is no such path, or a folder can't be listed.
    #[error("{} can't be read: {source}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nobody writes into stdin.
    #[error("-f - reads manifests from stdin, and stdin is a terminal")]
    Terminal,
    /// It can be read once.
    #[error("-f - is given twice, and stdin can be read only once")]
    Twice,
    /// Neither kustomize nor kubectl.
    #[error("{} has to be built by kustomize, and neither kustomize nor kubectl is in PATH", .0.display())]
    NoBuilder(PathBuf),
    /// It can't be built.
    #[error("{program} failed in {}: {source}", folder.display())]
    Build {
        /// The program, with its subcommand.
        program: String,
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: ProcessError,
    },
}

impl InputError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Path { .. } => "-f takes a file, a folder, or - for stdin",
            Self::Terminal => "write manifests into it, as in `kustomize build tenant | … -f -`",
            Self::Twice => "join what is to be read: `cat a.yaml b.yaml | … -f -`",
            Self::NoBuilder(_) => {
                "install kustomize (https://kubectl.docs.kubernetes.io/installation/kustomize) or kubectl, or build it elsewhere and name the result"
            }
            Self::Build { .. } => {
                "run that command in that folder, and correct what it says; for bases elsewhere it needs them within reach"
            }
        }
    }
}

/// Reads files, stdin, and folders with all below them: `*.yaml`, `*.yml`, `*.json`; what is hidden is
/// omitted. A folder with a kustomization is built, wherever it is.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Input>, InputError> {
    let mut inputs = Vec::new();
    let mut has_stdin = false;
    for path in paths {
        if path.as_os_str() == STDIN {
            if std::mem::replace(&mut has_stdin, true) {
                return Err(InputError::Twice);
            }
            inputs.push(stdin()?);
            continue;
        }
        let failed = |source| InputError::Path { path: path.clone(), source };
        let mut found = Vec::new();
        if fs::metadata(path).map_err(failed)?.is_dir() {
            collect(path, true, &mut found).map_err(failed)?;
        } else {
            found.push(path.clone());
        }
        for path in found {
            inputs.push(if is_kustomization(&path) { build(path)? } else { file(path) });
        }
    }
    Ok(inputs)
}

/// Files of folders as they are, kustomizations too.
pub(super) fn read_plain(dir: &Path) -> io::Result<Vec<Input>> {
    let mut found = Vec::new();
    collect(dir, false, &mut found)?;
    Ok(found.into_iter().map(file).collect())
}

fn file(path: PathBuf) -> Input {
    let bytes = fs::read(&path);
    Input::from((path, bytes))
}

fn stdin() -> Result<Input, InputError> {
    let mut stdin = io::stdin().lock();
    if stdin.is_terminal() {
        return Err(InputError::Terminal);
    }
    let mut bytes = Vec::new();
    let read = stdin.read_to_end(&mut bytes).map(|_| bytes);
    Ok(Input { origin: Origin::Stdin, path: STDIN.into(), bytes: read })
}

fn is_kustomization(path: &Path) -> bool {
    KUSTOMIZATIONS.iter().any(|name| path.file_name().is_some_and(|file| file == *name))
}

/// The files of a folder; of one that kustomize builds, its kustomization alone, if `builds`.
fn collect(dir: &Path, builds: bool, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let kustomization = KUSTOMIZATIONS.map(|name| dir.join(name)).into_iter().find(|p| p.is_file());
    if let Some(kustomization) = kustomization.filter(|_| builds) {
        files.push(kustomization);
        return Ok(());
    }
    let mut entries: Vec<fs::DirEntry> = fs::read_dir(dir)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // A link to a folder may lead in a circle.
        if entry.file_type()?.is_dir() {
            collect(&path, builds, files)?;
        } else if path.is_file()
            && path.extension().is_some_and(|e| matches!(e.to_str(), Some("yaml" | "yml" | "json")))
        {
            files.push(path);
        }
    }
    Ok(())
}

/// What kustomize makes of a folder.
fn build(kustomization: PathBuf) -> Result<Input, InputError> {
    let folder = match kustomization.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    for (program, subcommand) in BUILDERS {
        let mut command = Command::new(program);
        match process::run(command.args([subcommand, "."]).current_dir(folder), None, LIMITS) {
            Ok(bytes) => {
                let origin = Origin::Kustomization;
                return Ok(Input { origin, path: kustomization, bytes: Ok(bytes) });
            }
            Err(e) if e.is_missing() => {}
            Err(source) => {
                let (program, folder) = (format!("{program} {subcommand}"), folder.to_owned());
                return Err(InputError::Build { program, folder, source });
            }
        }
    }
    Err(InputError::NoBuilder(folder.to_owned()))
}
