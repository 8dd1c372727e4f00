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

use futures::future::try_join_all;
use kastellan::{
    contract::{Access, Fields, Place, Secrets},
    kinds::REGISTRY,
    live::{Connection, Informer, Parts, ReportEditors},
    zitadel::{
        Client,
        identity::{fetch_account, fetch_instance},
    },
};
use serde_json::json;
use zitadel_emulator::Emulator;

use crate::{
    Arguments, Result,
    entities::{entity, organization, projects},
    meter::Figures,
    say,
    scenarios::client,
    world::options,
};

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
    let instance = Access::anonymous(us.clone(), Place::instance());
    let id = entity("Organization")?
        .create(&instance, "feed", &Fields::from(json!({"name": "feed"})), &Secrets::default())
        .await?
        .id
        .ok_or("an organization without an id")?;
    let connection = follower(us.clone()).await?;
    emulator.faults().late_commits(late);
    // Pages full of one and the same date, somewhere among the others.
    emulator.faults().one_date(ONE_DATE.min(n as u64 / 2));
    let (next, start) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let writers = (0..WRITERS).map(|_| {
        let (next, url, token, id) = (next.clone(), zitadel.url(), them.pat.clone(), id.clone());
        tokio::spawn(async move {
            let at = organization(client(&url, &token)?, &id);
            let project = entity("Project")?;
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= n {
                    return Result::Ok(());
                }
                project
                    .create(
                        &at,
                        &format!("id-{i}"),
                        &Fields::from(json!({"name": format!("project-{i}")})),
                        &Secrets::default(),
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
        let changes = connection.poll_feed().await?;
        polls += 1;
        let touched = changes.touched.into_iter().filter(|t| t.kind == "Project");
        seen.extend(touched.filter_map(|t| t.subject?.id().map(ToOwned::to_owned)));
        if changes.restarted {
            // The feed can't tell all, and says so: then everything is listed.
            lists += 1;
            seen.extend(projects(&organization(us.clone(), &id)).await?);
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

/// A connection that follows the feed, and nothing else.
async fn follower(client: Client) -> Result<Connection> {
    let informer =
        Arc::new(Informer::new(&REGISTRY, Duration::from_secs(86_400), ReportEditors::Name));
    informer.start(&client).await;
    let instance = fetch_instance(&client).await?;
    Ok(Connection::new(Parts {
        instance_id: instance.id,
        version: None,
        account: fetch_account(&client).await?,
        informer,
        fingerprint: 0,
        spec: REGISTRY.connection().read(&json!({
            "issuer": "http://localhost",
            "credentials": {"personalAccessToken": {"secretRef": {"name": "s", "key": "k"}}},
        }))?,
        client,
    }))
}
