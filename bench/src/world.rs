//! An API server, a ZITADEL, and an operator between them.

use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};
use zitadel_emulator::{Emulator, Options, Running};

use crate::{Arguments, Result, cluster::Cluster, operator::Operator, say};

/// Organizations of every world.
pub(crate) const ORGANIZATIONS: usize = 10;

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

pub(crate) struct World {
    pub(crate) n: usize,
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
            cluster,
            zitadel,
            operator: None,
            binary,
            log: arguments.out.join("operator.log"),
        })
    }

    /// What is declared besides the Instance.
    pub(crate) fn objects(&self) -> [(&'static str, Vec<(String, Value)>); 2] {
        let project = |i: usize| -> (String, Value) {
            (
                format!("project-{i:05}"),
                json!({"organizationRef": {"name": organization(i % ORGANIZATIONS)}, "projectRoleCheck": true}),
            )
        };
        let organizations = (0..ORGANIZATIONS).map(|o| (organization(o), json!({}))).collect();
        [("Organization", organizations), ("Project", (0..self.n).map(project).collect())]
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
        for (kind, objects) in self.objects() {
            self.cluster.create(kind, objects).await?;
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

    /// How many projects are Ready.
    pub(crate) fn ready(&self) -> usize {
        self.cluster.projects().values().filter(|p| p.ready).count()
    }
}

pub(crate) fn options(arguments: &Arguments) -> Options {
    Options {
        delay_read: Duration::from_millis(arguments.read_ms),
        delay_write: Duration::from_millis(arguments.write_ms),
        ..Options::default()
    }
}

fn organization(o: usize) -> String {
    format!("bench-{o}")
}
