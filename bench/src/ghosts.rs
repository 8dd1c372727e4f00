//! What becomes of projects that the read side of ZITADEL loses for good?

use std::time::Duration;

use crate::{
    Arguments, Result,
    meter::{Figures, Meter},
    say,
    scenarios::{PATIENCE, declared, shown},
    until,
    world::World,
};

/// One event in so many never reaches the read side, where there are that many.
const LOST: usize = 700;
/// Then nothing is written any more: longer than any pause between retries.
const REST: Duration = Duration::from_secs(150);

pub(crate) async fn run(arguments: &Arguments, n: usize) -> Result<Figures> {
    let mut world = World::new(arguments, n).await?;
    let emulator = world.zitadel.emulator().ok_or("only with the emulated ZITADEL")?.clone();
    let one_in = one_in(n);
    emulator.faults().lose_every(one_in);
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
    let lost = (emulator.event_count() - before) as u64 / one_in;
    if lost == 0 {
        say(&format!("ghosts of {n}: no event was lost, so that nothing was measured"));
    }
    Ok(figures
        .with("oneLostIn", one_in)
        .with("lostEvents", lost)
        .with("healed", healed)
        .with("reported", reported)
        .with("readyAndNotShown", ready.iter().filter(|id| !shown.contains(*id)).count())
        .with("writesAfterwards", rest.writes))
}

/// Of how many events one is lost. Each project is one at least: of a few projects too some must be
/// lost, or nothing is measured.
fn one_in(projects: usize) -> u64 {
    if projects < LOST { (projects / 4).max(2) as u64 } else { LOST as u64 }
}
