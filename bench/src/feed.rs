//! Does the follower of the feed miss events? Eight writers at once, whose transactions are
//! committed up to five seconds late.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{TryStreamExt, future::try_join_all};
use kastellan::{
    engine::{Fields, kind::At},
    kinds,
    live::{Live, feed::ReportEditors},
};
use serde_json::json;
use zitadel_emulator::Emulator;

use crate::{Arguments, Result, meter::Figures, say, scenarios::client, world::options};

const WRITERS: usize = 8;
/// Transactions of one date: more than a page of the feed holds.
const ONE_DATE: u64 = 2_500;
const LATE: Duration = Duration::from_secs(5);

pub(crate) async fn run(arguments: &Arguments) -> Result<Figures> {
    let late = if arguments.late_commits_ms == 0 {
        LATE
    } else {
        Duration::from_millis(arguments.late_commits_ms)
    };
    let zitadel = Emulator::start(options(arguments)).await?;
    let (emulator, n) = (zitadel.emulator(), arguments.feed_events);
    let (us, them) = (
        client(&zitadel.url(), &emulator.pat())?,
        emulator.add_user("somebody", "Somebody", &["IAM_OWNER"]),
    );
    let organizations = kinds::find("Organization").ok_or("no Organization")?;
    let instance = At { client: us.clone(), organization: None };
    let organization = organizations
        .create(&instance, "feed", &Fields::of(&json!({"name": "feed"})))
        .await?
        .id
        .ok_or("an organization without an id")?;
    let live = Live::new(Duration::from_secs(86_400));
    live.start_feed(&us).await?;
    emulator.faults().late_commits(late);
    // Pages full of one and the same date, somewhere among the others.
    emulator.faults().one_date(ONE_DATE.min(n as u64 / 2));
    let (next, start) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let writers = (0..WRITERS).map(|_| {
        let (next, url, token, organization) =
            (next.clone(), zitadel.url(), them.pat.clone(), organization.clone());
        tokio::spawn(async move {
            let at = At { client: client(&url, &token)?, organization: Some(organization) };
            let project = kinds::find("Project").ok_or("no Project")?;
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= n {
                    return Result::Ok(());
                }
                project
                    .create(
                        &at,
                        &format!("id-{i}"),
                        &Fields::of(&json!({"name": format!("project-{i}")})),
                    )
                    .await?;
            }
        })
    });
    let writers = tokio::spawn(try_join_all(writers));
    let (mut seen, mut polls, mut lists) = (HashSet::new(), 0u64, 0u64);
    loop {
        // Every event has been committed by the time of the last poll.
        let last = writers.is_finished();
        tokio::time::sleep(if last { late } else { Duration::from_secs(1) }).await;
        let news = live.poll_feed(&us, ReportEditors::Name).await?;
        polls += 1;
        seen.extend(news.touched.into_iter().filter(|t| t.kind == "Project").map(|t| t.id));
        if news.anew {
            // The feed can't tell all, and says so: then everything is listed.
            lists += 1;
            let at = At { client: us.clone(), organization: Some(organization.clone()) };
            let project = kinds::find("Project").ok_or("no Project")?;
            seen.extend(
                project.list(&at).map_ok(|project| project.id).try_collect::<Vec<_>>().await?,
            );
        }
        if last {
            break;
        }
    }
    for written in writers.await?? {
        written?;
    }
    let missed = (0..n).filter(|i| !seen.contains(&format!("id-{i}"))).count();
    say(&format!("feed: {n} events by {WRITERS} writers, {missed} missed"));
    let figures = Figures {
        scenario: "feed".into(),
        n,
        wall_seconds: start.elapsed().as_secs_f64(),
        ..Figures::default()
    };
    Ok(figures
        .with("writers", WRITERS)
        .with("lateCommitsSeconds", late.as_secs_f64())
        .with("polls", polls)
        .with("lists", lists)
        .with("missed", missed))
}
