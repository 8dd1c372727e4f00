//! Many Instances in one operator, each with a ZITADEL of its own, one of which is of no use for a
//! while; then the same Instances shared by several operators.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kastellan::contract::{Fields, Remote, Secrets, Subject};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use zitadel_emulator::{Action, Emulator, Outage, Rule, Running};

use crate::{
    Arguments, Result,
    cluster::{Cluster, NAMESPACE},
    entities::{entity, organization},
    meter::{Figures, counted},
    operator::Operator,
    say,
    scenarios::{PATIENCE, client, latencies, rank},
    until,
    world::options,
};

/// How many operators share the Instances in the end.
const SHARDS: usize = 3;

/// The cluster, the ZITADELs, and the operators between them.
struct Many {
    cluster: Cluster,
    zitadels: Vec<Running>,
    operators: Vec<Operator>,
    objects: usize,
}

pub(crate) async fn run(arguments: &Arguments, objects: usize) -> Result<Vec<Figures>> {
    let mut many = Many::new(arguments, objects).await?;
    let log = arguments.out.join("operator.log");
    let binary = Operator::binary(arguments.operator.as_ref())?;
    let start = |many: &Many, more: &[&str], pod: &str| {
        Operator::start_as(&binary, &many.cluster.kubeconfig, &log, more, pod)
    };

    let mut all = Vec::new();
    let began = Instant::now();
    many.operators.push(start(&many, &["--no-lease"], "all")?);
    let ready = || many.cluster.projects().values().filter(|p| p.ready).count() == many.objects;
    until("all objects are Ready", PATIENCE, ready).await?;
    all.push(many.figures("instances: from nothing to Ready", began, 0.0));
    all.push(many.rest(arguments, "instances: rest").await?);
    for (what, trouble) in [
        ("all are well", None),
        ("one resets every connection", Some(Trouble::Down(Outage::Reset))),
        ("one never answers", Some(Trouble::Down(Outage::Hang))),
        ("one takes 5 s for an answer", Some(Trouble::Slow)),
        ("one answers HTML", Some(Trouble::Html)),
    ] {
        all.push(many.drift(arguments, what, trouble).await?);
    }

    many.operators.clear();
    many.label().await?;
    let began = Instant::now();
    for shard in 0..SHARDS {
        let selector = format!("--shard-selector=shard={shard}");
        let name = format!("shard-{shard}");
        let more =
            [selector.as_str(), "--lease-name", name.as_str(), "--lease-namespace", NAMESPACE];
        many.operators.push(start(&many, &more, &name)?);
    }
    until_each_has_looked(&many).await?;
    let figures = many.figures("instances: start of three shards", began, 0.0);
    all.push(figures.with("mebibytesOfEach", many.memories()));
    let rest = many.rest(arguments, "instances: rest of three shards").await?;
    all.push(rest.with("mebibytesOfEach", many.memories()));
    all.push(many.drift(arguments, "all are well, three shards", None).await?);
    Ok(all)
}

/// What is wrong with a ZITADEL.
#[derive(Clone, Copy)]
enum Trouble {
    Down(Outage),
    Slow,
    Html,
}

impl Trouble {
    fn begin(self, emulator: &Emulator) {
        let faults = emulator.faults();
        match self {
            Self::Down(outage) => faults.down(outage),
            Self::Slow => faults.latency(Duration::from_secs(5), Duration::from_secs(5)),
            Self::Html => {
                let body = json!("<html><body>It works!</body></html>");
                faults.add(Rule::new(Action::Answer { status: 200, body }));
            }
        }
    }
}

/// What is wrong no more.
fn end(emulator: &Emulator, arguments: &Arguments) {
    let faults = emulator.faults();
    faults.up();
    faults.clear();
    let options = options(arguments);
    faults.latency(options.delay_read, options.delay_write);
}

impl Many {
    /// Everything is declared, and nobody works.
    async fn new(arguments: &Arguments, objects: usize) -> Result<Self> {
        let count = arguments.instances;
        say(&format!("{objects} objects of {count} Instances: starting an API server"));
        let cluster = Cluster::start().await?;
        let mut zitadels = Vec::new();
        for n in 0..count {
            let zitadel = Emulator::start(options(arguments)).await?;
            let (name, secret) = (instance(n), format!("pat-{n:02}"));
            cluster.secret(&secret, "pat", &zitadel.emulator().pat()).await?;
            let spec = json!({
                "issuer": zitadel.url(),
                "credentials": {"personalAccessToken": {"secretRef": {"name": secret, "key": "pat"}}},
                "pollInterval": arguments.poll,
            });
            cluster.create("Instance", [(name.clone(), spec)]).await?;
            let spec = json!({"instanceRef": {"name": name}});
            cluster.create("Organization", [(name, spec)]).await?;
            zitadels.push(zitadel);
        }
        let project = |n: usize| {
            let organization = json!({"name": instance(n % count)});
            let spec = json!({"organizationRef": organization, "projectRoleCheck": true});
            (project(n), spec)
        };
        cluster.create("Project", (0..objects).map(project)).await?;
        cluster.follow()?;
        let is_seen = || cluster.projects().len() == objects;
        until("all projects are seen", PATIENCE, is_seen).await?;
        Ok(Self { cluster, zitadels, operators: Vec::new(), objects })
    }

    fn cpu(&self) -> f64 {
        self.operators.iter().map(Operator::cpu).sum()
    }

    fn memories(&self) -> Vec<f64> {
        self.operators.iter().map(|operator| operator.memory().0.round()).collect()
    }

    /// What happened since a moment, at which the operators had taken so much of the processor.
    fn figures(&self, scenario: &str, since: Instant, cpu: f64) -> Figures {
        let (mut calls, mut writes) = (BTreeMap::new(), 0);
        for zitadel in &self.zitadels {
            let (here, more) = counted(zitadel.emulator(), &[]);
            for (endpoint, n) in here {
                *calls.entry(endpoint).or_default() += n;
            }
            writes += more;
            zitadel.emulator().reset_calls();
        }
        let mut memory = (0.0, 0.0, 0.0);
        for operator in &self.operators {
            let (now, peak, own) = operator.memory();
            memory = (memory.0 + now, memory.1 + peak, memory.2 + own);
        }
        let figures = Figures {
            scenario: scenario.into(),
            n: self.objects,
            calls: Some(calls),
            writes: Some(writes),
            wall_seconds: since.elapsed().as_secs_f64(),
            cpu_seconds: self.cpu() - cpu,
            memory,
            ..Figures::default()
        };
        let total = figures.total().unwrap_or_default();
        say(&format!(
            "{scenario}: {:.1} s, {total} calls, {:.2} s of CPU, {:.1} MiB",
            figures.wall_seconds, figures.cpu_seconds, figures.memory.0
        ));
        figures
    }

    async fn rest(&self, arguments: &Arguments, scenario: &str) -> Result<Figures> {
        tokio::time::sleep(Duration::from_secs(15)).await;
        self.zitadels.iter().for_each(|zitadel| zitadel.emulator().reset_calls());
        let (began, cpu) = (Instant::now(), self.cpu());
        tokio::time::sleep(Duration::from_secs(arguments.rest_seconds)).await;
        Ok(self.figures(scenario, began, cpu))
    }

    /// Somebody else changes projects of all Instances but the first, which is in trouble meanwhile.
    async fn drift(
        &self,
        arguments: &Arguments,
        what: &str,
        trouble: Option<Trouble>,
    ) -> Result<Figures> {
        let first = self.zitadels.first().ok_or("no Instance")?.emulator();
        if let Some(trouble) = trouble {
            trouble.begin(first);
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        let others = self.zitadels.iter().enumerate().skip(1).collect::<Vec<_>>();
        let mut before = Vec::new();
        for (_, zitadel) in &others {
            zitadel.emulator().reset_calls();
            before.push(zitadel.emulator().event_count());
        }
        let (began, cpu) = (Instant::now(), self.cpu());
        let mut changed: BTreeMap<usize, BTreeMap<String, (String, String)>> = BTreeMap::new();
        let pause = Duration::from_secs(arguments.drift_seconds.into())
            / u32::try_from(arguments.changes.max(1))?;
        for change in 0..arguments.changes {
            tokio::time::sleep(pause).await;
            let (n, zitadel) = others.get(change % others.len()).ok_or("only one Instance")?;
            let name = project(n + self.zitadels.len() * (change / others.len()));
            let Some(seen) = self.cluster.projects().get(&name).cloned() else { continue };
            let by = zitadel.emulator().add_user(
                &format!("by-{what}-{change}"),
                "Somebody",
                &["IAM_OWNER"],
            );
            let at = organization(client(&zitadel.url(), &by.pat)?, &seen.organization);
            let state = |is_checked: bool| {
                Fields::from(json!({"name": name, "projectRoleCheck": is_checked}))
            };
            let have = Remote {
                reported: Fields::default(),
                subject: Subject::from(seen.id.as_str()),
                place: at.place.clone(),
                state: state(true),
                own: true,
                version: None,
            };
            entity("Project")?.update(&at, &have, &state(false), &Secrets::default()).await?;
            changed.entry(*n).or_default().insert(name, (seen.id, String::new()));
        }
        let found = || {
            let mut found = Vec::new();
            for ((n, zitadel), before) in others.iter().zip(&before) {
                if let Some(changed) = changed.get(n) {
                    found.extend(latencies(zitadel.emulator(), *before, changed));
                }
            }
            found.sort_by(f64::total_cmp);
            found
        };
        let all: usize = changed.values().map(BTreeMap::len).sum();
        until("every change is corrected", Duration::from_secs(60), || found().len() == all)
            .await
            .err()
            .map(|e| say(&e.to_string()))
            .unwrap_or_default();
        let found = found();
        let quantile = |q: f64| found.get(rank(found.len(), q)).copied();
        let figures = self.figures(&format!("instances: drift, {what}"), began, cpu);
        let figures = figures
            .with("changes", all)
            .with("corrected", found.len())
            .with("p50Seconds", quantile(0.5))
            .with("p99Seconds", quantile(0.99));
        say(&format!(
            "  half within {:?} s, 99 of 100 within {:?} s",
            quantile(0.5),
            quantile(0.99)
        ));
        if trouble.is_some() {
            end(first, arguments);
            tokio::time::sleep(Duration::from_secs(15)).await;
        }
        Ok(figures)
    }

    /// Says of each Instance whose it is.
    async fn label(&self) -> Result<()> {
        let api = self.cluster.api("Instance")?;
        for n in 0..self.zitadels.len() {
            let labels = json!({"metadata": {"labels": {"shard": (n % SHARDS).to_string()}}});
            api.patch(&instance(n), &PatchParams::default(), &Patch::Merge(labels)).await?;
        }
        self.zitadels.iter().for_each(|zitadel| zitadel.emulator().reset_calls());
        Ok(())
    }
}

/// Each operator has looked at its share.
async fn until_each_has_looked(many: &Many) -> Result<()> {
    let (began, mut last) = (Instant::now(), (Value::Null, Instant::now()));
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut reconciles = Vec::new();
        for operator in &many.operators {
            reconciles.push(operator.metric("kastellan_reconciles_total").await);
        }
        let all: f64 = reconciles.iter().sum();
        let now = json!(reconciles);
        if now != last.0 {
            last = (now, Instant::now());
        }
        #[allow(clippy::cast_precision_loss, reason = "thousands")]
        let is_all = all >= many.objects as f64;
        if is_all && last.1.elapsed() > Duration::from_secs(4) {
            say(&format!("reconciles of each: {}", last.0));
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err("the shards do not come to rest".into());
        }
    }
}

fn instance(n: usize) -> String {
    format!("instance-{n:02}")
}

fn project(n: usize) -> String {
    format!("project-{n:05}")
}
