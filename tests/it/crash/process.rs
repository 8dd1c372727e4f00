//! The operator as a process of its own.

use std::{
    fs::File,
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use crate::{
    apiserver,
    world::{World, free_address},
};

pub(super) struct Process {
    child: Child,
    command: Box<dyn Fn(SocketAddr) -> Command + Send>,
    /// Where it serves its metrics.
    admin: SocketAddr,
    pub(super) kills: u64,
    /// Kubeconfig and log.
    folder: tempfile::TempDir,
}

impl Process {
    /// An operator of these namespaces.
    pub(super) fn start(world: &World, namespaces: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("config");
        let content = serde_json::to_string(&apiserver::shared().kubeconfig).unwrap();
        std::fs::write(&kubeconfig, content).unwrap();
        let log = folder.path().join("log");
        let (namespaces, lease) = (namespaces.join(","), world.namespace.clone());
        let command = move |admin: SocketAddr| {
            let log = File::options().create(true).append(true).open(&log).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_kastellan"));
            command
                .args(["operator", "--allowed-address", "127.0.0.1,localhost"])
                .args(["--watch-namespace", &namespaces, "--deletion-pause", "1s"])
                .args(["--admin-address", &admin.to_string()])
                .env("KUBECONFIG", &kubeconfig)
                // It is the same one again, and waits for no Lease.
                .env("POD_NAME", "it")
                .env("POD_NAMESPACE", &lease)
                .stdout(Stdio::null())
                .stderr(log);
            command
        };
        let admin = free_address();
        let child = command(admin).spawn().unwrap();
        Self { child, command: Box::new(command), admin, kills: 0, folder }
    }

    pub(super) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Its resident memory, in KiB.
    pub(super) fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// How many files and connections it has open.
    pub(super) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// As the kernel ends a process, without a moment to think; then the next one starts.
    pub(super) fn kill_and_start(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.kills += 1;
        // What the former one held is not free at once.
        self.admin = free_address();
        self.child = (self.command)(self.admin).spawn().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(20000);
            eprintln!("the operator's last lines:\n{}", lines[last..].join("\n"));
        }
    }
}
