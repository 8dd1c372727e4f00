//! The command line as its users meet it: the compiled program, files, and an emulated ZITADEL
//! behind a socket.

mod cluster;
mod connection;
mod difference;
mod files;
mod inputs;
mod instance;
mod laws;
#[cfg(not(feature = "otel"))]
mod log;
mod output;
mod recipes;
mod secrets;
mod snapshots;
mod stop;
mod terraform;
mod watch;

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kastellan::zitadel::{AddressPolicy, Client, Config, Credentials};
use tempfile::TempDir;
use zitadel_emulator::{Emulator, Options, Running};

/// A folder and a ZITADEL.
pub(crate) struct Desk {
    dir: TempDir,
    zitadel: Running,
}

/// What a command came to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// All of it, for a snapshot.
    pub(crate) fn text(&self) -> String {
        format!("exit code: {}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            zitadel: Emulator::start(Options::default()).await.unwrap(),
        }
    }

    pub(crate) fn emulator(&self) -> &Emulator {
        self.zitadel.emulator()
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file; `.yaml` manifests need no apiVersion.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = text.replace("kind: ", "apiVersion: zitadel.kastellan.dev/v1alpha1\nkind: ");
        fs::write(path, text).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kastellan"));
        command
            .args(args)
            .current_dir(self.path())
            .env_clear()
            .env("COLUMNS", "100")
            .stdin(Stdio::null());
        command
            .env("ZITADEL_ISSUER", self.zitadel.url())
            .env("ZITADEL_TOKEN", self.emulator().pat());
        command
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[]).await
    }

    /// With other environment variables; an empty one is unset.
    pub(crate) async fn run_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Ran {
        let mut command = self.command(args);
        for (name, value) in environment {
            if value.is_empty() {
                command.env_remove(name)
            } else {
                command.env(name, value)
            };
        }
        Self::output(command, None).await
    }

    /// What a command comes to that has this on its stdin; `None`: what it has already.
    pub(crate) async fn output(mut command: Command, stdin: Option<&str>) -> Ran {
        let stdin = stdin.map(ToOwned::to_owned);
        if stdin.is_some() {
            command.stdin(Stdio::piped());
        }
        let run = move || {
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            if let Some((mut pipe, text)) = child.stdin.take().zip(stdin) {
                pipe.write_all(text.as_bytes()).unwrap();
            }
            child.wait_with_output().unwrap()
        };
        // The emulator answers from this process meanwhile.
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran {
            code: output.status.code().unwrap(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Starts a command that goes on; what it says on stderr is in a file.
    pub(crate) fn start(&self, args: &[&str]) -> Started<'_> {
        self.start_command(self.command(args))
    }

    /// The same with a command that was changed.
    pub(crate) fn start_command(&self, mut command: Command) -> Started<'_> {
        let errors = fs::File::create(self.path().join("stderr")).unwrap();
        let child = command.stdout(Stdio::null()).stderr(errors).spawn().unwrap();
        Started { desk: self, child }
    }

    /// Somebody else's hands.
    pub(crate) fn client(&self, token: &str) -> Client {
        let config = Config::new(
            self.zitadel.url().parse().unwrap(),
            Credentials::token(&token.into()).unwrap(),
        );
        Client::new(Config { addresses: AddressPolicy::any(), ..config }).unwrap()
    }

    /// Calls that change things, so far.
    pub(crate) fn writes(&self) -> usize {
        self.emulator().calls().iter().filter(|c| c.writes).count()
    }
}

/// A command that goes on; it ends with the test.
pub(crate) struct Started<'a> {
    desk: &'a Desk,
    child: Child,
}

impl Started<'_> {
    /// What it said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.desk.path().join("stderr")).unwrap()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for its end; its exit code.
    pub(crate) async fn end(&mut self) -> i32 {
        let mut code = None;
        until("its end", async || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        })
        .await;
        code.unwrap().code().expect("it ended by itself")
    }
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Waits for a condition, and says what for where it never comes.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
