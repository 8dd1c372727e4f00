//! A real Kubernetes API server. Which one, the environment says:
//!
//! * `KASTELLAN_TEST_KUBECONFIG`: a cluster for tests, which is used as it is;
//! * `KUBEBUILDER_ASSETS`: a directory with `etcd` and `kube-apiserver`, which are started;
//! * `KASTELLAN_TESTENV`: the program of `tests/testenv`;
//! * nothing: the one that `make tools` (or `make test`) has built into `.cache/bin`.
//!
//! Never somebody's own cluster: a plain `KUBECONFIG` is not looked at.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use kube::config::Kubeconfig;
use serde_json::json;

/// An API server. What was started ends when this process ends, however it does: it holds their
/// standard input.
pub(crate) struct Server {
    pub(crate) kubeconfig: Kubeconfig,
    children: Vec<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.stdin.take());
            child.wait().ok();
        }
    }
}

/// The one that all tests share.
pub(crate) fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| match env::var("KASTELLAN_TEST_KUBECONFIG") {
        Ok(path) => Server {
            kubeconfig: Kubeconfig::read_from(path)
                .expect("KASTELLAN_TEST_KUBECONFIG is a kubeconfig"),
            children: Vec::new(),
        },
        Err(_) => own().expect("no API server is built yet: run `make tools` once, or `make test`"),
    })
}

/// A program that a variable names, or that was built into `.cache/bin`.
pub(crate) fn tool(variable: &str, name: &str) -> Option<PathBuf> {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/bin").join(name);
    env::var_os(variable).map(PathBuf::from).or_else(|| Some(built()).filter(|path| path.exists()))
}

/// One that nobody else uses; `None` where only a given cluster is to be used.
pub(crate) fn own() -> Option<Server> {
    own_with(&[])
}

/// The same, with further flags of kube-apiserver, in which there is no space.
fn own_with(flags: &[String]) -> Option<Server> {
    match (
        env::var("KASTELLAN_TEST_KUBECONFIG"),
        env::var("KUBEBUILDER_ASSETS"),
        tool("KASTELLAN_TESTENV", "testenv"),
    ) {
        (Ok(_), ..) => None,
        (_, Ok(assets), _) => Some(from_assets(Path::new(&assets), flags)),
        (_, _, Some(program)) => Some(from_testenv(&program, flags)),
        _ => None,
    }
}

/// One that nobody else uses and that writes down what service accounts ask of it, one JSON object
/// a line (`audit.k8s.io/v1`), and that file.
pub(crate) fn audited() -> Option<(Server, PathBuf)> {
    let dir = tempfile::tempdir().unwrap().keep();
    let (policy, log) = (dir.join("policy.yaml"), dir.join("audit.log"));
    let rules = json!([
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ]);
    // A request is written down when it is answered.
    let head = json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules});
    fs::write(&policy, head.to_string()).unwrap();
    let flags = [
        format!("--audit-policy-file={}", policy.display()),
        format!("--audit-log-path={}", log.display()),
    ];
    Some((own_with(&flags)?, log))
}

fn from_testenv(program: &Path, flags: &[String]) -> Server {
    let mut command = Command::new(program);
    let mut child = command
        .args(["-kcm", "-until-eof", "-apiserver-args", &flags.join(" ")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the API server of the tests starts");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.next().expect("the API server says that it is ready").unwrap();
    let path = ready
        .split("KUBECONFIG=")
        .nth(1)
        .and_then(|r| r.split(' ').next())
        .expect("ready … KUBECONFIG=…");
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    // The rest of its talk goes nowhere, but its pipe stays open.
    std::thread::spawn(move || lines.for_each(drop));
    Server { kubeconfig, children: vec![child] }
}

/// As controller-runtime's envtest does it. There is no controller manager among the assets:
/// namespaces stay `Terminating`.
fn from_assets(assets: &Path, flags: &[String]) -> Server {
    let dir = tempfile::tempdir().unwrap().keep();
    let file = |name: &str, text: &str| {
        let path = dir.join(name).display().to_string();
        fs::write(&path, text).unwrap();
        path
    };
    let (client_port, peer_port, port) = (free_port(), free_port(), free_port());
    let token =
        format!("{:x}", std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0));
    let tokens = file("tokens.csv", &format!("{token},admin,admin,system:masters\n"));
    // Any RSA key signs service account tokens; the emulator has one.
    let key_file =
        zitadel_emulator::Emulator::new(zitadel_emulator::Options::default()).unwrap().key_file();
    let key_file: serde_json::Value = serde_json::from_str(&key_file).unwrap();
    let key = file("sa.key", key_file["key"].as_str().unwrap());
    let client_url = format!("http://127.0.0.1:{client_port}");
    let server = format!("https://127.0.0.1:{port}");
    let run = |name: &str, args: Vec<String>| {
        let log = fs::File::create(dir.join(format!("{name}.log"))).unwrap();
        // Ends when its standard input does.
        let script = "\"$0\" \"$@\" & cat; kill -9 $!; wait";
        let mut command = Command::new("sh");
        let command = command
            .args(["-c", script])
            .arg(assets.join(name))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log);
        command.spawn().unwrap_or_else(|e| panic!("{name} of KUBEBUILDER_ASSETS: {e}"))
    };
    let etcd = run(
        "etcd",
        vec![
            format!("--data-dir={}", dir.join("etcd").display()),
            format!("--listen-client-urls={client_url}"),
            format!("--advertise-client-urls={client_url}"),
            format!("--listen-peer-urls=http://127.0.0.1:{peer_port}"),
            "--unsafe-no-fsync".into(),
        ],
    );
    let api = run(
        "kube-apiserver",
        [
            format!("--etcd-servers={client_url}"),
            "--bind-address=127.0.0.1".into(),
            format!("--secure-port={port}"),
            format!("--cert-dir={}", dir.display()),
            format!("--token-auth-file={tokens}"),
            "--authorization-mode=RBAC".into(),
            "--disable-admission-plugins=ServiceAccount".into(),
            format!("--service-account-issuer={server}"),
            format!("--service-account-key-file={key}"),
            format!("--service-account-signing-key-file={key}"),
            "--service-cluster-ip-range=10.0.0.0/24".into(),
            "--endpoint-reconciler-type=none".into(),
        ]
        .into_iter()
        .chain(flags.iter().cloned())
        .collect(),
    );
    let start = Instant::now();
    // It makes its own certificate, which nobody vouches for: that it is written is the first sign
    // of life.
    while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err()
        || !dir.join("apiserver.crt").exists()
    {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "kube-apiserver does not listen, see {}",
            dir.display()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "admin"}}],
        "clusters": [{"name": "it", "cluster": {"server": server, "insecure-skip-tls-verify": true}}],
        "users": [{"name": "admin", "user": {"token": token}}],
    });
    Server { kubeconfig: serde_json::from_value(kubeconfig).unwrap(), children: vec![api, etcd] }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
