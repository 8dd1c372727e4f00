//! The operator as a process of its own, and what the kernel says of it.

use std::{
    fs::{File, read_to_string},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::Result;

/// Clock ticks a second in `/proc`: 100 on every Linux that people run.
const TICKS: f64 = 100.0;

/// A running operator; dropped, it is killed.
pub(crate) struct Operator {
    child: Child,
    admin: u16,
}

impl Operator {
    pub(crate) fn start(binary: &Path, kubeconfig: &Path, log: &Path) -> Result<Self> {
        // It is killed and started again, and nobody else is there.
        Self::start_as(binary, kubeconfig, log, &["--no-lease"], "kastellan")
    }

    /// With further arguments, as the Pod with this name.
    pub(crate) fn start_as(
        binary: &Path,
        kubeconfig: &Path,
        log: &Path,
        more: &[&str],
        pod: &str,
    ) -> Result<Self> {
        let admin = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = File::options().create(true).append(true).open(log)?;
        let child = Command::new(binary)
            .args([
                "operator",
                "--allowed-address",
                "*",
                "--admin-address",
                &format!("127.0.0.1:{admin}"),
            ])
            .args(more)
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAME", pod)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|e| format!("{}: {e}", binary.display()))?;
        Ok(Self { child, admin })
    }

    /// The binary beside this one, or the one that was named.
    pub(crate) fn binary(named: Option<&PathBuf>) -> Result<PathBuf> {
        match named {
            Some(path) => Ok(path.clone()),
            None => Ok(std::env::current_exe()?.with_file_name("kastellan")),
        }
    }

    /// CPU seconds so far.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The name in parentheses may hold spaces; utime and stime are the 14th and 15th field,
        // counted with it.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks =
            fields.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok());
        ticks.sum::<f64>() / TICKS
    }

    /// Resident memory now and at its peak, and what is the process's own of that, without the
    /// pages of its binary; in MiB.
    pub(crate) fn memory(&self) -> (f64, f64, f64) {
        let status =
            read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name));
            line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default()
                / 1024.0
        };
        (field("VmRSS:"), field("VmHWM:"), field("RssAnon:"))
    }

    /// The peak is from now on.
    pub(crate) fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").ok();
    }

    /// A counter or gauge of `/metrics`, summed over the lines that begin so.
    pub(crate) async fn metric(&self, start: &str) -> f64 {
        let url = format!("http://127.0.0.1:{}/metrics", self.admin);
        let Ok(answer) = reqwest::get(url).await else { return 0.0 };
        let text = answer.text().await.unwrap_or_default();
        text.lines()
            .filter(|l| l.starts_with(start))
            .filter_map(|l| l.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
