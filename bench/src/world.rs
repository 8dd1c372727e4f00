//! An API server, a ZITADEL, and an operator between them.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use zitadel_emulator::{Emulator, Options, Running};

use crate::{
    Arguments, Result,
    cluster::Cluster,
    everything::{self, Objects},
    operator::Operator,
    say,
};

pub(crate) enum Zitadel {
    Emulated(Box<Running>),
    Real { url: String, token: String },
}

impl Zitadel {
    /// Where it is, and the token of its administrator.
    pub(crate) fn access(&self) -> (String, String) {
        match self {
            Self::Emulated(running) => (running.url(), running.emulator().pat()),
            Self::Real { url, token } => (url.clone(), token.clone()),
        }
    }

    pub(crate) fn emulator(&self) -> Option<&Emulator> {
        match self {
            Self::Emulated(running) => Some(running.emulator()),
            Self::Real { .. } => None,
        }
    }
}

/// What projects and organizations have.
enum Parts {
    None,
    Mixed,
    All,
}

pub(crate) struct World {
    pub(crate) n: usize,
    pub(crate) organizations: usize,
    parts: Parts,
    pub(crate) cluster: Cluster,
    pub(crate) zitadel: Zitadel,
    pub(crate) operator: Option<Operator>,
    pub(crate) binary: PathBuf,
    log: PathBuf,
}

impl World {
    pub(crate) async fn new(arguments: &Arguments, n: usize) -> Result<Self> {
        let binary = Operator::binary(arguments.operator.as_ref())?;
        let zitadel = match (&arguments.url, &arguments.token_file) {
            (Some(url), Some(file)) => Zitadel::Real {
                url: url.clone(),
                token: std::fs::read_to_string(file)?.trim().to_owned(),
            },
            _ => Zitadel::Emulated(Box::new(Emulator::start(options(arguments)).await?)),
        };
        if let Some(emulator) = zitadel.emulator() {
            emulator.faults().late_commits(Duration::from_millis(arguments.late_commits_ms));
        }
        say(&format!("{n} projects: starting an API server"));
        let cluster = Cluster::start().await?;
        Ok(Self {
            n,
            organizations: arguments.organizations,
            parts: match (arguments.all_kinds, arguments.mixed) {
                (true, _) => Parts::All,
                (_, true) => Parts::Mixed,
                _ => Parts::None,
            },
            cluster,
            zitadel,
            operator: None,
            binary,
            log: arguments.out.join("operator.log"),
        })
    }

    /// What is declared besides the Instance.
    pub(crate) fn objects(&self) -> Objects {
        let declared = |i: usize| -> (String, Value) {
            (
                project(i),
                json!({"organizationRef": {"name": organization(i % self.organizations)}, "projectRoleCheck": true}),
            )
        };
        let organizations = (0..self.organizations).map(|o| (organization(o), json!({}))).collect();
        let mut all: Objects =
            vec![("Organization", organizations), ("Project", (0..self.n).map(declared).collect())];
        all.extend(self.parts());
        all
    }

    /// What there is besides organizations and projects.
    fn parts(&self) -> Objects {
        match self.parts {
            Parts::None => Vec::new(),
            Parts::Mixed => PARTS
                .map(|(kind, count)| {
                    let of = |i: usize| {
                        (0..count).map(move |part| part_of(kind, i, part, i % self.organizations))
                    };
                    (kind, (0..self.n).flat_map(of).collect())
                })
                .into(),
            Parts::All => everything::objects(self.n, self.organizations),
        }
    }

    /// How many objects there are besides the organizations.
    pub(crate) fn count(&self) -> usize {
        self.n + self.parts().iter().map(|(_, objects)| objects.len()).sum::<usize>()
    }

    /// Declares everything.
    pub(crate) async fn declare(&self, arguments: &Arguments) -> Result<()> {
        let (url, token) = self.zitadel.access();
        self.cluster.secret("zitadel", "pat", &token).await?;
        let instance = json!({
            "issuer": url,
            "credentials": {"personalAccessToken": {"secretRef": {"name": "zitadel", "key": "pat"}}},
            "pollInterval": arguments.poll,
        });
        self.cluster.create("Instance", [("default".to_owned(), instance)]).await?;
        let (name, key, value) = everything::SECRET;
        self.cluster.secret(name, key, value).await?;
        for (kind, objects) in self.objects() {
            self.cluster.create(kind, objects).await?;
        }
        for kind in self.parts().iter().map(|(kind, _)| *kind).collect::<BTreeSet<_>>() {
            self.cluster.follow_others(kind)?;
        }
        self.cluster.follow()
    }

    pub(crate) fn start(&mut self) -> Result<&Operator> {
        let operator = Operator::start(&self.binary, &self.cluster.kubeconfig, &self.log)?;
        Ok(self.operator.insert(operator))
    }

    /// The operator that runs.
    pub(crate) fn running(&self) -> Result<&Operator> {
        self.operator
            .as_ref()
            .ok_or_else(|| "this scenario needs one before it: idle, converge, ...".into())
    }

    /// How many objects besides the organizations are Ready.
    pub(crate) fn ready(&self) -> usize {
        let projects = self.cluster.projects().values().filter(|p| p.ready).count();
        projects + self.cluster.others_ready()
    }
}

/// What a project of a mixed world has, and how many of each.
const PARTS: [(&str, usize); 5] = [
    ("ProjectRole", 5),
    ("OidcApplication", 2),
    ("ApiApplication", 1),
    ("MachineUser", 1),
    ("MachineKey", 1),
];

/// One of them: of project `i`, in this organization, the one with the number `part`.
fn part_of(kind: &str, i: usize, part: usize, home: usize) -> (String, Value) {
    let project = json!({"name": project(i)});
    let (name, account) = (format!("of-{i:05}-{part}"), format!("of-{i:05}-0"));
    let spec = match kind {
        "MachineUser" => json!({"organizationRef": {"name": organization(home)}}),
        "MachineKey" => {
            json!({"userRef": {"name": account}, "secret": {"name": format!("key-{i:05}")}})
        }
        "OidcApplication" => {
            json!({"projectRef": project, "authMethod": "None", "redirectUris": ["https://a.example"]})
        }
        "ApiApplication" => {
            json!({"projectRef": project, "name": "api", "authMethod": "PrivateKeyJwt"})
        }
        _ => json!({"projectRef": project, "key": format!("role-{part}")}),
    };
    (name, spec)
}

pub(crate) fn options(arguments: &Arguments) -> Options {
    Options {
        delay_read: Duration::from_millis(arguments.read_ms),
        delay_write: Duration::from_millis(arguments.write_ms),
        ..Options::default()
    }
}

pub(crate) fn organization(o: usize) -> String {
    format!("bench-{o}")
}

pub(crate) fn project(i: usize) -> String {
    format!("project-{i:05}")
}
