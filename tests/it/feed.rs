//! How changes are found: by the feed, whatever clocks, commits and backups do to it; by lists
//! where there is no feed; and after an outage.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use kastellan::{
    contract::{Fields, Key, Subject},
    live::Touched,
    zitadel::Credentials,
};
use serde_json::{Value, json};
use zitadel_emulator::{Action, Outage, Rule};

use crate::{
    inprocess::Lab,
    modes::change,
    remote::{Access, Place, entry},
    world::{World, condition},
};

const EVENTS: &str = "/admin/v1/events/_search";

/// An organization, and somebody else's hands in it.
async fn home(lab: &Lab) -> Access {
    let home = lab.declare("ns", "Organization", "home", json!({}));
    lab.settle().await;
    lab.minnie(lab.status(&home).id.as_deref())
}

/// A project of that organization.
fn project(lab: &Lab, name: &str, role_check: bool) -> Key {
    lab.declare(
        "ns",
        "Project",
        name,
        json!({"organizationRef": {"name": "home"}, "projectRoleCheck": role_check}),
    )
}

/// That a project was touched.
fn touched(place: &Place, id: String) -> Touched {
    Touched { kind: "Project", place: place.clone(), subject: Some(Subject::Entity(id)) }
}

/// Somebody else makes projects, named and numbered so.
async fn make(at: &Access, name: &str, count: usize) -> BTreeSet<Touched> {
    let mut made = BTreeSet::new();
    for n in 0..count {
        let id = format!("{name}-{n}");
        entry("Project").create(at, &id, &Fields::from(json!({"name": id}))).await.unwrap();
        made.insert(touched(&at.place, id));
    }
    made
}

/// The dates of the last events.
fn dates(lab: &Lab, count: usize) -> BTreeSet<jiff::Timestamp> {
    lab.emulator.events().iter().rev().take(count).map(|e| e.creation_date).collect()
}

async fn role_check(at: &Access, id: &str) -> Option<Value> {
    entry("Project").read(at, id).await.unwrap()?.state.get("projectRoleCheck").cloned()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The paths of lists of things that were asked for.
fn lists(calls: &[zitadel_emulator::Call]) -> Vec<String> {
    let is_list = |path: &str| {
        path.ends_with("/_search") && path != EVENTS && !path.contains("/memberships/")
            || path.contains("/List")
    };
    calls.iter().filter(|c| is_list(&c.path)).map(|c| c.path.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn after_a_restore_everything_is_listed_again_and_made_as_declared() {
    let lab = Lab::new().await;
    let at = home(&lab).await;
    let changed = project(&lab, "changed", false);
    lab.settle().await;
    lab.poll().await.unwrap();
    let backup = lab.emulator.faults().back_up();
    project(&lab, "changed", true);
    let lost = project(&lab, "lost", true);
    lab.settle().await;
    for _ in 0..3 {
        let news = lab.poll().await.unwrap();
        assert!(!news.restarted && news.touched.is_empty(), "own writes are no news: {news:?}");
    }
    lab.emulator.faults().restore(&backup);
    assert!(lab.poll().await.unwrap().restarted);
    lab.emulator.reset_calls();
    lab.settle().await;
    assert_eq!(
        lists(&lab.emulator.calls()).len(),
        2,
        "organizations and projects: {:?}",
        lists(&lab.emulator.calls())
    );
    for key in [&changed, &lost] {
        assert!(lab.status(key).is_ready(), "{key}: {:?}", lab.reason(key));
        assert_eq!(role_check(&at, &lab.status(key).id.unwrap()).await, Some(json!(true)), "{key}");
    }
    // ZITADEL's own, and one each.
    assert_eq!(
        (lab.count("project.added"), lab.count("project.changed"), lab.count("org.added")),
        (3, 1, 2)
    );
    for _ in 0..3 {
        assert!(!lab.poll().await.unwrap().restarted);
    }
}

/// After a restore the numbers of events begin again where they were at the backup.
#[tokio::test(start_paused = true)]
async fn a_restore_shows_even_if_an_event_has_the_number_of_a_former_one() {
    let lab = Lab::new().await;
    let at = home(&lab).await;
    let shop = project(&lab, "shop", true);
    lab.settle().await;
    let id = lab.status(&shop).id.unwrap();
    lab.poll().await.unwrap();
    let backup = lab.emulator.faults().back_up();
    change("Project", &at, &id, json!({"hasProjectCheck": true})).await;
    assert_eq!(lab.poll().await.unwrap().touched.len(), 1);
    lab.emulator.faults().restore(&backup);
    change("Project", &at, &id, json!({"projectRoleCheck": false})).await;
    assert!(lab.poll().await.unwrap().restarted);
    lab.settle().await;
    assert_eq!(role_check(&at, &id).await, Some(json!(true)));
}

#[tokio::test(start_paused = true)]
async fn pages_of_few_dates_hide_no_event() {
    let lab = Lab::new().await;
    let at = home(&lab).await;
    lab.poll().await.unwrap();
    let mut made = BTreeSet::new();
    for n in 0..3 {
        lab.emulator.faults().one_date(833);
        made.extend(make(&at, &format!("date-{n}"), 833).await);
    }
    assert_eq!(dates(&lab, 2499).len(), 3);
    let news = lab.poll().await.unwrap();
    assert!(news.touched == made && !news.restarted, "{} of 2499", news.touched.len());
}

/// ZITADEL gives a thousand events at most, and has no other cursor than the date.
#[tokio::test(start_paused = true)]
async fn what_a_date_of_too_many_events_hides_is_found_by_lists() {
    let lab = Lab::new().await;
    let at = home(&lab).await;
    let shop = project(&lab, "shop", true);
    lab.settle().await;
    lab.poll().await.unwrap();
    let id = lab.status(&shop).id.unwrap();
    lab.emulator.faults().one_date(2500);
    make(&at, "many", 2499).await;
    change("Project", &at, &id, json!({"projectRoleCheck": false})).await;
    assert_eq!(dates(&lab, 2500).len(), 1);
    assert!(lab.poll().await.unwrap().restarted);
    lab.settle().await;
    assert_eq!(role_check(&at, &id).await, Some(json!(true)));
    for n in 0..3 {
        let later = make(&at, &format!("later-{n}"), 1).await;
        let news = lab.poll().await.unwrap();
        assert!(news.touched == later && !news.restarted, "it goes on: {news:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_told_before_a_page_failed_is_told_again() {
    let lab = Lab::new().await;
    let at = home(&lab).await;
    lab.poll().await.unwrap();
    let made = make(&at, "many", 1500).await;
    lab.emulator.faults().add(Rule::new(Action::Unavailable).path(EVENTS).skip(1));
    lab.poll().await.unwrap_err();
    lab.emulator.faults().clear();
    let news = lab.poll().await.unwrap();
    assert!(news.touched == made && !news.restarted, "{} of 1500", news.touched.len());
}

/// Reads lag behind the feed; also behind the start of a process, which takes events of before for
/// known.
#[tokio::test(start_paused = true)]
async fn what_shows_later_than_its_event_is_found_all_the_same() {
    for starts in [false, true] {
        let mut lab = Lab::new().await;
        let at = home(&lab).await;
        let shop = project(&lab, "shop", true);
        lab.settle().await;
        lab.poll().await.unwrap();
        let id = lab.status(&shop).id.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
        lab.emulator.faults().lag(Duration::from_secs(3));
        change("Project", &at, &id, json!({"projectRoleCheck": false})).await;
        if starts {
            lab.restart();
        }
        lab.settle().await;
        let news = lab.poll().await.unwrap();
        assert_eq!(news.touched.is_empty(), starts);
        lab.settle().await;
        assert!(lab.status(&shop).last_drift.is_none(), "it does not show yet");
        tokio::time::sleep(Duration::from_secs(5)).await;
        let news = lab.poll().await.unwrap();
        assert!(news.again.contains(&touched(&at.place, id.clone())), "{news:?}");
        lab.settle().await;
        assert!(lab.status(&shop).last_drift.is_some_and(|drift| drift.corrected));
        assert_eq!(role_check(&at, &id).await, Some(json!(true)));
        // Once is enough.
        tokio::time::sleep(Duration::from_secs(20)).await;
        lab.poll().await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(lab.poll().await.unwrap().again.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_event_of_the_date_of_an_own_write_is_foreign() {
    let lab = Lab::new().await;
    let at = home(&lab).await;
    let (ours, theirs) = (project(&lab, "ours", false), project(&lab, "theirs", true));
    lab.settle().await;
    lab.poll().await.unwrap();
    let (our_id, their_id) = (lab.status(&ours).id.unwrap(), lab.status(&theirs).id.unwrap());
    lab.emulator.faults().one_date(2);
    project(&lab, "ours", true);
    lab.settle().await;
    change("Project", &at, &their_id, json!({"projectRoleCheck": false})).await;
    let last: Vec<_> = lab
        .emulator
        .events()
        .into_iter()
        .rev()
        .take(2)
        .map(|e| (e.creation_date, e.aggregate_id))
        .collect();
    assert!(last[0].0 == last[1].0 && last[0].1 == their_id && last[1].1 == our_id, "{last:?}");
    let seen = lab.poll().await.unwrap().touched;
    assert_eq!(seen, [touched(&at.place, their_id.clone())].into());
    lab.settle().await;
    assert_eq!(role_check(&at, &their_id).await, Some(json!(true)));
    assert_eq!(lab.status(&theirs).last_drift.and_then(|d| d.by).as_deref(), Some("minnie.mouse"));
    assert!(lab.status(&ours).last_drift.is_none());
}

#[tokio::test(start_paused = true)]
async fn events_that_show_late_are_all_seen() {
    let lab = Lab::new().await;
    let at = home(&lab).await;
    lab.poll().await.unwrap();
    lab.emulator.faults().late_commits(Duration::from_secs(5));
    let (mut made, mut seen, mut polls) = (BTreeSet::new(), BTreeSet::new(), 0);
    for round in 0..60 {
        if round < 40 {
            made.extend(make(&at, &format!("round-{round}"), 5).await);
        }
        let news = lab.poll().await.unwrap();
        assert!(!news.restarted);
        polls += usize::from(!news.touched.is_empty());
        assert!(news.touched.is_disjoint(&seen), "each is told once");
        seen.extend(news.touched);
        tokio::time::advance(Duration::from_millis(300)).await;
    }
    assert!(polls > 20, "they came bit by bit: {polls}");
    assert_eq!(seen, made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_recreates_what_a_restore_has_taken() {
    let world = World::new("restore").await;
    world.apply("Organization", "acme", json!({})).await;
    let home = world.ready("Organization", "acme").await["id"].as_str().unwrap().to_owned();
    let backup = world.emulator().faults().back_up();
    world.apply("Project", "p", json!({"organizationRef": {"name": "acme"}})).await;
    world.ready("Project", "p").await;
    // Until the feed has told of it.
    world.emulator().reset_calls();
    until("the feed is asked", || {
        world.emulator().calls().iter().filter(|c| c.path == EVENTS && c.status == 200).count() >= 2
    })
    .await;
    world.emulator().faults().restore(&backup);
    let is_again = |o: &Value| {
        o["status"]["lastDrift"]["corrected"] == true && condition(o, "Ready")["status"] == "True"
    };
    let status = world.until("Project", "p", "recreated", is_again).await["status"].clone();
    assert!(
        world.live("Project", Some(home.as_str()), status["id"].as_str().unwrap()).await.is_some()
    );
    assert_eq!((world.count("project.added"), world.count("org.added")), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_feed_changes_are_found_by_lists_and_nothing_is_written_without_need() {
    let mut world = World::bare("polling").await;
    world.emulator().faults().add(Rule::new(Action::Status { status: 403 }).path(EVENTS));
    world.start();
    world.secret("kastellan", "pat", &world.emulator().pat()).await;
    let mut spec = world.instance_spec();
    spec["resyncInterval"] = "10s".into();
    world.apply("Instance", "default", spec).await;
    world.apply("Organization", "acme", json!({})).await;
    let declared = json!({"organizationRef": {"name": "acme"}, "projectRoleCheck": true});
    for name in ["p", "q"] {
        world.apply("Project", name, declared.clone()).await;
    }
    world.apply("SecurityPolicy", "it", json!({"enableImpersonation": true})).await;
    let home = world.ready("Organization", "acme").await["id"].as_str().unwrap().to_owned();
    let p = world.ready("Project", "p").await["id"].as_str().unwrap().to_owned();
    world.ready("Project", "q").await;
    world.ready("SecurityPolicy", "it").await;
    let instance = world
        .until("Instance", "default", "polling", |o| o["status"]["feed"]["mode"] == "Polling")
        .await;
    assert!(
        instance["status"]["feed"]["reason"].as_str().is_some_and(|r| r.contains("403")),
        "{}",
        instance["status"]["feed"]
    );
    let events = world.events();
    for (kind, organization, id, fields) in [
        ("Project", Some(&*home), &*p, json!({"projectRoleCheck": false})),
        ("SecurityPolicy", None, "", json!({"enableImpersonation": false})),
    ] {
        world.tamper(kind, organization, id, fields).await;
    }
    for (kind, name) in [("Project", "p"), ("SecurityPolicy", "it")] {
        let o = world.until(kind, name, "reverted", |o| {
            o["status"]["lastDrift"]["corrected"] == true
                && condition(o, "Ready")["status"] == "True"
        });
        assert_eq!(o.await["status"]["lastDrift"]["by"], Value::Null, "nobody can tell");
    }
    // Until everything was looked at once more.
    world.emulator().reset_calls();
    until("it is listed again", || {
        lists(&world.emulator().calls()).iter().any(|path| path.contains("projects"))
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.events(), events + 4, "two changes, each reverted once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_zitadel_is_back_what_failed_is_tried_at_once_and_listed_once() {
    let world = World::new("back").await;
    world.apply("Organization", "acme", json!({})).await;
    world.apply("Project", "p", json!({"organizationRef": {"name": "acme"}})).await;
    world.ready("Project", "p").await;
    world.emulator().faults().down(Outage::Unavailable);
    let start = Instant::now();
    world.reason("Instance", "default", "Unreachable").await;
    assert!(start.elapsed() < Duration::from_secs(30), "it is said soon: {:?}", start.elapsed());
    // Failures so often that the next try would be most of a minute away.
    let names = ["q", "r", "s"];
    for generation in 0..9 {
        for name in names {
            world.apply("Project", name, json!({"organizationRef": {"name": "acme"}, "hasProjectCheck": generation % 2 == 0})).await;
        }
        for name in names {
            world.reason("Project", name, "Unreachable").await;
        }
    }
    world.emulator().reset_calls();
    world.emulator().faults().up();
    let start = Instant::now();
    for name in names {
        world.ready("Project", name).await;
    }
    assert!(start.elapsed() < Duration::from_secs(30), "it goes on at once: {:?}", start.elapsed());
    world.ready("Instance", "default").await;
    let lists = lists(&world.emulator().calls());
    // Of projects once more, to see together what was created.
    for (what, most) in [("projects", 2), ("rganization", 1)] {
        assert!(lists.iter().filter(|path| path.contains(what)).count() <= most, "{lists:?}");
    }
    assert_eq!(world.count("project.added"), 1 + names.len());
}

/// A read that comes between a change and the next poll does not hide who made it, and the poll
/// still tells of it.
#[tokio::test(start_paused = true)]
async fn what_is_read_before_its_event_is_told_with_a_name() {
    let lab = Lab::new().await;
    let at = home(&lab).await;
    let shop = project(&lab, "shop", true);
    lab.settle().await;
    lab.poll().await.unwrap();
    let id = lab.status(&shop).id.unwrap();

    change("Project", &at, &id, json!({"projectRoleCheck": false})).await;
    lab.engine.connections.all()[0].1.invalidate_all();
    lab.settle().await;
    assert_eq!(role_check(&at, &id).await, Some(json!(true)));
    let drift = lab.status(&shop).last_drift.unwrap();
    assert_eq!(drift.by.as_deref(), Some("minnie.mouse"));
    assert_eq!(lab.poll().await.unwrap().touched, BTreeSet::from([touched(&at.place, id)]));
    assert!(lab.poll().await.unwrap().touched.is_empty());
}

/// The next change by somebody else is theirs.
#[tokio::test(start_paused = true)]
async fn the_event_of_a_call_that_is_not_answered_yet_is_nobody_elses() {
    let lab = Lab::new().await;
    let at = home(&lab).await;
    let shop = project(&lab, "shop", false);
    lab.settle().await;
    lab.poll().await.unwrap();
    let delay = Action::DelayAnswer { milliseconds: 500 };
    lab.emulator.faults().add(Rule::new(delay).method("PUT").times(1));
    project(&lab, "shop", true);
    let poll = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        lab.poll().await.unwrap()
    };
    let (outcome, changes) = tokio::join!(lab.look(&shop), poll);
    assert!(outcome.status.is_ready() && !changes.touched.is_empty(), "{changes:?}");

    let id = lab.status(&shop).id.unwrap();
    change("Project", &at, &id, json!({"projectRoleCheck": false})).await;
    lab.engine.connections.all()[0].1.invalidate_all();
    let drift = lab.look(&shop).await.status.last_drift.unwrap();
    assert_eq!(drift.by.as_deref(), Some("minnie.mouse"));
}

/// Whoever changed something, and changed it back, is not who changes it next.
#[tokio::test(start_paused = true)]
async fn who_was_the_last_but_one_is_not_named() {
    let lab = Lab::new().await;
    let at = home(&lab).await;
    let shop = project(&lab, "shop", true);
    lab.settle().await;
    let id = lab.status(&shop).id.unwrap();
    let donald = lab.emulator.add_user("donald.duck", "donald.duck", &["IAM_OWNER"]).pat;
    let donald =
        Access { client: lab.client_as(Credentials::token(&donald.into()).unwrap()), ..at.clone() };
    for value in [false, true] {
        change("Project", &donald, &id, json!({"projectRoleCheck": value})).await;
    }
    lab.follow().await;
    assert!(lab.status(&shop).last_drift.is_none());
    change("Project", &at, &id, json!({"projectRoleCheck": false})).await;
    lab.engine.connections.all()[0].1.invalidate_all();
    let drift = lab.look(&shop).await.status.last_drift.unwrap();
    assert_eq!(drift.by.as_deref(), Some("minnie.mouse"));
}
