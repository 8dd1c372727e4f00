//! The scenarios, one after the other in one world.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use kastellan::{
    contract::{Fields, Remote, Secrets, Subject},
    zitadel::{AddressPolicy, Client, Config, Credentials},
};
use kube::api::{DeleteParams, DynamicObject, ListParams};
use serde_json::{Value, json};
use zitadel_emulator::{Emulator, Outage};

use crate::{
    Arguments, Result, Scenario,
    entities::{entity, organization, projects},
    meter::{Figures, Meter, counted},
    say, until,
    world::World,
};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1800);
/// What an update of a project calls.
const PUT: &str = "PUT /management/v1/projects/{id}";

pub(crate) async fn run(
    world: &mut World,
    arguments: &Arguments,
    scenario: Scenario,
) -> Result<Vec<Figures>> {
    let done = match scenario {
        Scenario::Idle => vec![idle(world).await?],
        Scenario::Converge => vec![converge(world, arguments).await?],
        Scenario::Rest => vec![rest(world, arguments).await?],
        Scenario::Drift => drift(world, arguments).await?.into_iter().collect(),
        Scenario::Outage => outages(world, arguments).await?,
        Scenario::Restart => vec![restart(world).await?],
        Scenario::Change => change(world).await?,
        Scenario::Delete => vec![delete(world).await?],
        Scenario::Plan => plan(world).await?.into_iter().collect(),
        // In worlds of their own.
        Scenario::Feed | Scenario::Ghosts | Scenario::Instances => Vec::new(),
    };
    for figures in &done {
        let calls = figures.total().map_or_else(|| "?".to_owned(), |c| c.to_string());
        let (now, peak, own) = figures.memory;
        say(&format!(
            "{} of {}: {:.1} s, {calls} calls, {:.2} s of CPU, {now:.1} MiB (peak {peak:.1}, own {own:.1})",
            figures.scenario, figures.n, figures.wall_seconds, figures.cpu_seconds
        ));
    }
    Ok(done)
}

async fn idle(world: &mut World) -> Result<Figures> {
    let meter = Meter::start(world).await?.fresh();
    world.start()?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let figures = meter.stop(world, "idle", &[]).await?;
    world.operator = None;
    Ok(figures)
}

async fn converge(world: &mut World, arguments: &Arguments) -> Result<Figures> {
    declared(world, arguments).await?;
    let n = world.count();
    let meter = Meter::start(world).await?.fresh();
    world.start()?;
    until("all objects are Ready", PATIENCE, || world.ready() == n).await?;
    let figures = meter.stop(world, "converge", &[]).await?;
    #[allow(clippy::cast_precision_loss, reason = "thousands")]
    let creates = ((n + world.organizations) as f64) * (arguments.write_ms as f64) / 1000.0;
    let ratio = figures.wall_seconds / creates;
    Ok(figures.with("sumOfCreatesSeconds", creates).with("wallToCreates", ratio))
}

/// Declares everything, and waits until the API server shows it.
pub(crate) async fn declared(world: &World, arguments: &Arguments) -> Result<()> {
    world.declare(arguments).await?;
    until("all projects are seen", PATIENCE, || world.cluster.projects().len() == world.n).await
}

/// Ids of the projects that ZITADEL shows.
pub(crate) async fn shown(world: &World) -> Result<HashSet<String>> {
    let (url, token) = world.zitadel.access();
    let organizations: HashSet<String> =
        world.cluster.projects().values().map(|p| p.organization.clone()).collect();
    let mut shown = HashSet::new();
    for id in organizations {
        shown.extend(projects(&organization(client(&url, &token)?, &id)).await?);
    }
    Ok(shown)
}

async fn rest(world: &mut World, arguments: &Arguments) -> Result<Figures> {
    // What comes after the last status: Events, the feed's look at our own writes.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let meter = Meter::start(world).await?;
    tokio::time::sleep(Duration::from_secs(arguments.rest_seconds)).await;
    let figures = meter.stop(world, "rest", &[]).await?;
    #[allow(clippy::cast_precision_loss, reason = "dozens")]
    let minute = figures.total().map(|calls| calls as f64 * 60.0 / figures.wall_seconds);
    Ok(figures.with("callsAMinute", minute))
}

/// Somebody else: one of several, so that who did it can be told wrongly.
struct Somebody {
    name: String,
    client: Client,
}

fn somebodies(emulator: &Emulator, url: &str) -> Result<Vec<Somebody>> {
    (1..=5)
        .map(|i| {
            let name = format!("Somebody {i}");
            let user = emulator.add_user(&format!("somebody-{i}"), &name, &["IAM_OWNER"]);
            Ok(Somebody { name, client: client(url, &user.pat)? })
        })
        .collect()
}

/// A client of ZITADEL.
pub(crate) fn client(url: &str, token: &str) -> Result<Client> {
    let mut config = Config::new(url.parse()?, Credentials::token(&token.to_owned().into())?);
    config.addresses = AddressPolicy::any();
    Ok(Client::new(config)?)
}

async fn drift(world: &mut World, arguments: &Arguments) -> Result<Option<Figures>> {
    let crate::world::Zitadel::Emulated(zitadel) = &world.zitadel else {
        say("drift: not at a real ZITADEL, whose events only its own feed tells");
        return Ok(None);
    };
    let (emulator, kind) = (zitadel.emulator(), entity("Project")?);
    let somebodies = somebodies(emulator, &zitadel.url())?;
    let mut random = Random(7);
    let mut names: Vec<String> = world.cluster.projects().keys().cloned().collect();
    names.sort();
    let changes = arguments.changes.min(names.len());
    // Different projects, at moments that are evenly spread by chance.
    let mut moments: Vec<f64> =
        (0..changes).map(|_| random.fraction() * f64::from(arguments.drift_seconds)).collect();
    moments.sort_by(f64::total_cmp);
    let meter = Meter::start(world).await?;
    let (start, before) = (Instant::now(), emulator.event_count());
    let mut changed = BTreeMap::new();
    for moment in moments {
        let name = names.swap_remove(random.below(names.len()));
        let project = world.cluster.projects().get(&name).cloned().unwrap_or_default();
        let who = somebodies.get(random.below(somebodies.len())).ok_or("nobody")?;
        tokio::time::sleep(Duration::from_secs_f64(moment).saturating_sub(start.elapsed())).await;
        let at = organization(who.client.clone(), &project.organization);
        let state = Fields::from(json!({"name": name, "projectRoleCheck": true}));
        let want = Fields::from(json!({"name": name, "projectRoleCheck": false}));
        let have = Remote {
            reported: Fields::default(),
            subject: Subject::from(project.id.as_str()),
            place: at.place.clone(),
            state,
            own: true,
            version: None,
        };
        kind.update(&at, &have, &want, &Secrets::default()).await?;
        changed.insert(name, (project.id, who.name.clone()));
    }
    let done = || {
        let projects = world.cluster.projects();
        changed.keys().all(|name| projects.get(name).is_some_and(|p| p.ready && p.by.is_some()))
    };
    until("every change is corrected", Duration::from_secs(60), done)
        .await
        .err()
        .map(|e| say(&e.to_string()))
        .unwrap_or_default();
    let figures = meter.stop(world, "drift", &[(PUT, changes as u64)]).await?;
    let latencies = latencies(emulator, before, &changed);
    let projects = world.cluster.projects();
    let named = changed
        .iter()
        .filter(|(name, (_, who))| projects.get(*name).and_then(|p| p.by.as_ref()) == Some(who))
        .count();
    let quantile = |q: f64| latencies.get(rank(latencies.len(), q)).copied();
    Ok(Some(
        figures
            .with("changes", changes)
            .with("corrected", latencies.len())
            .with("namedRightly", named)
            .with("p50Seconds", quantile(0.5))
            .with("p99Seconds", quantile(0.99))
            .with("maxSeconds", quantile(1.0))
            .with("latencies", latencies.clone()),
    ))
}

/// The place of a quantile in a sorted list: the nearest rank.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "hundreds"
)]
pub(crate) fn rank(len: usize, q: f64) -> usize {
    ((len as f64 * q).ceil() as usize).saturating_sub(1)
}

/// Seconds from each foreign event to our next one of the same aggregate, by the dates in ZITADEL's
/// log; sorted.
pub(crate) fn latencies(
    emulator: &Emulator,
    before: usize,
    changed: &BTreeMap<String, (String, String)>,
) -> Vec<f64> {
    let (admin, ids) =
        (emulator.admin_id(), changed.values().map(|(id, _)| id.as_str()).collect::<HashSet<_>>());
    let (mut open, mut found) = (BTreeMap::new(), Vec::new());
    for event in
        emulator.events().into_iter().skip(before).filter(|e| ids.contains(e.aggregate_id.as_str()))
    {
        if event.editor.user_id != admin {
            open.insert(event.aggregate_id, event.creation_date);
        } else if let Some(date) = open.remove(&event.aggregate_id) {
            found.push(event.creation_date.duration_since(date).as_secs_f64());
        }
    }
    found.sort_by(f64::total_cmp);
    found
}

/// The command line, on what the operator has made. The operator ends here: its calls would be
/// counted too.
async fn plan(world: &mut World) -> Result<Option<Figures>> {
    world.operator = None;
    let folder = tempfile::tempdir()?;
    for (kind, objects) in world.objects() {
        let document = |(name, spec): (String, Value)| {
            let version = kastellan::api::api_version();
            format!(
                "---\n{}\n",
                json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec})
            )
        };
        std::fs::write(
            folder.path().join(format!("{kind}.yaml")),
            objects.into_iter().map(document).collect::<String>(),
        )?;
    }
    let crate::world::Zitadel::Emulated(zitadel) = &world.zitadel else {
        say("plan: not at a real ZITADEL, which does not count the calls of a command");
        return Ok(None);
    };
    zitadel.emulator().reset_calls();
    let (url, token) = world.zitadel.access();
    let start = Instant::now();
    let mut command = std::process::Command::new(&world.binary);
    command
        .args(["plan", "--file"])
        .arg(folder.path())
        .env("ZITADEL_ISSUER", url)
        .env("ZITADEL_TOKEN", token);
    let done = tokio::task::spawn_blocking(move || command.output()).await??;
    let wall_seconds = start.elapsed().as_secs_f64();
    if !done.status.success() {
        return Err(
            format!("plan: {}: {}", done.status, String::from_utf8_lossy(&done.stderr)).into()
        );
    }
    let (calls, writes) = counted(zitadel.emulator(), &[]);
    let figures = Figures {
        scenario: "plan".into(),
        n: world.n,
        wall_seconds,
        calls: Some(calls),
        writes: Some(writes),
        ..Figures::default()
    };
    Ok(Some(figures))
}

async fn restart(world: &mut World) -> Result<Figures> {
    world.operator = None;
    let meter = Meter::start(world).await?.fresh();
    world.start()?;
    let (mut last, mut quiet, mut wall) = ((0.0, 0), Instant::now(), 0.0);
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let calls = world
            .zitadel
            .emulator()
            .map_or(0, |e| e.calls().iter().filter(|c| !c.path.contains("/events/")).count());
        let now = (world.running()?.metric("kastellan_reconciles_total").await, calls);
        if now != last {
            (last, quiet, wall) = (now, Instant::now(), meter.elapsed());
        }
        // Every object was looked at, and nothing happens any more.
        #[allow(clippy::cast_precision_loss, reason = "thousands")]
        if last.0 >= world.count() as f64 && quiet.elapsed() > Duration::from_secs(4) {
            break;
        }
        if quiet.elapsed() > Duration::from_secs(120) {
            return Err("the operator does not come back".into());
        }
    }
    let figures = meter.stop(world, "restart", &[]).await?;
    Ok(Figures { wall_seconds: wall, ..figures })
}

async fn change(world: &mut World) -> Result<Vec<Figures>> {
    let mut all = Vec::new();
    for (scenario, count, field) in
        [("change one", 1, "projectRoleAssertion"), ("change all", world.n, "hasProjectCheck")]
    {
        let change = Change::of(world, count).await?;
        let meter = Meter::start(world).await?;
        let names = change.make(world, field, true).await?;
        until("what was changed is Ready", PATIENCE, || is_ready(world, &names)).await?;
        all.push(meter.stop(world, scenario, &[]).await?);
    }
    Ok(all)
}

/// A change of the specs of some projects.
struct Change(Vec<DynamicObject>);

impl Change {
    async fn of(world: &World, count: usize) -> Result<Self> {
        let mut objects = world.cluster.api("Project")?.list(&ListParams::default()).await?.items;
        objects.truncate(count);
        Ok(Self(objects))
    }

    /// Returns which projects have which generation afterwards.
    async fn make(self, world: &World, field: &str, value: bool) -> Result<Vec<(String, i64)>> {
        let name = |o: &DynamicObject| {
            Some((o.metadata.name.clone()?, o.metadata.generation.unwrap_or_default() + 1))
        };
        let names = self.0.iter().filter_map(name).collect();
        world.cluster.change(self.0, field, &Value::Bool(value)).await?;
        Ok(names)
    }
}

fn is_ready(world: &World, names: &[(String, i64)]) -> bool {
    let projects = world.cluster.projects();
    names.iter().all(|(name, generation)| {
        projects.get(name).is_some_and(|p| p.ready && p.generation == *generation)
    })
}

async fn outages(world: &mut World, arguments: &Arguments) -> Result<Vec<Figures>> {
    let Some(emulator) = world.zitadel.emulator().cloned() else {
        say("outage: not at a real ZITADEL");
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for (scenario, outage, field, value) in [
        ("outage: reset", Outage::Reset, "projectRoleAssertion", true),
        ("outage: 503", Outage::Unavailable, "projectRoleAssertion", false),
        ("outage: hanging", Outage::Hang, "projectRoleAssertion", true),
    ] {
        let change = Change::of(world, (world.n / 10).max(1)).await?;
        let meter = Meter::start(world).await?;
        emulator.faults().down(outage);
        let names = change.make(world, field, value).await?;
        tokio::time::sleep(Duration::from_secs(arguments.outage_seconds)).await;
        let figures = meter.stop(world, scenario, &[]).await?;
        let still_ready = world.ready();
        emulator.faults().up();
        let start = Instant::now();
        until("what was changed is Ready", PATIENCE, || is_ready(world, &names)).await?;
        #[allow(clippy::cast_precision_loss, reason = "dozens")]
        let minute = figures.total().map(|calls| calls as f64 * 60.0 / figures.wall_seconds);
        all.push(
            figures
                .with("callsAMinute", minute)
                .with("changed", names.len())
                .with("readyMeanwhile", still_ready)
                .with("secondsUntilRight", start.elapsed().as_secs_f64()),
        );
    }
    // As other scenarios expect it.
    let change = Change::of(world, (world.n / 10).max(1)).await?;
    let names = change.make(world, "projectRoleAssertion", false).await?;
    until("what was changed is Ready", PATIENCE, || is_ready(world, &names)).await?;
    Ok(all)
}

async fn delete(world: &mut World) -> Result<Figures> {
    let api = world.cluster.api("Project")?;
    let meter = Meter::start(world).await?;
    api.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    until("all projects are gone", PATIENCE, || world.cluster.projects().is_empty()).await?;
    meter.stop(world, "delete", &[]).await
}

/// The same numbers in every run (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or_default() % n.max(1)
    }

    #[allow(clippy::cast_precision_loss, reason = "53 bits")]
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
