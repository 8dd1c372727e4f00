//! What becomes of things that the read side of ZITADEL loses for good?

use std::time::Duration;

use crate::{
    Arguments, Result,
    meter::{Figures, Meter},
    scenarios::{PATIENCE, declared, shown},
    until,
    world::World,
};

/// One event in so many never reaches the read side.
const LOST: u64 = 700;
/// Then nothing is written any more: longer than any pause between tries.
const REST: Duration = Duration::from_secs(150);

pub(crate) async fn run(arguments: &Arguments, n: usize) -> Result<Figures> {
    let mut world = World::new(arguments, n).await?;
    let emulator = world.zitadel.emulator().ok_or("only with the emulated ZITADEL")?.clone();
    emulator.faults().lose_every(LOST);
    let before = emulator.event_count();
    declared(&world, arguments).await?;
    let meter = Meter::start(&world).await?.fresh();
    world.start()?;
    let done = || world.cluster.projects().values().filter(|p| p.ready || p.lost).count() == n;
    until("all projects are Ready or said to be lost", PATIENCE, done).await?;
    let figures = meter.stop(&world, "ghosts", &[]).await?;
    let meter = Meter::start(&world).await?;
    tokio::time::sleep(REST).await;
    let rest = meter.stop(&world, "rest", &[]).await?;
    let reported = world.cluster.projects().values().filter(|p| p.lost).count();
    let healed =
        emulator.events().iter().skip(before).filter(|e| e.event_type == "project.removed").count();
    let ready: Vec<String> =
        world.cluster.projects().values().filter(|p| p.ready).map(|p| p.id.clone()).collect();
    let shown = shown(&world).await?;
    Ok(figures
        .with("lostEvents", (emulator.event_count() - before) as u64 / LOST)
        .with("healed", healed)
        .with("reported", reported)
        .with("readyAndNotShown", ready.iter().filter(|id| !shown.contains(*id)).count())
        .with("writesAfterwards", rest.writes))
}
