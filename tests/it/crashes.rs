//! The operator dies between any two calls, for every kind: nothing is made twice, nothing is left.

use std::time::Duration;

use kastellan::{
    api::status::Provenance,
    contract::{Access, Fields, Key, Remote},
};

use serde_json::json;

use crate::{
    contract::merged,
    inprocess::{Crash, DEAD, Lab, key},
    line::{Reach, Strike},
    samples::{Object, Placed, placed},
};

/// What a kind needs, settled, and an object of it that nobody has looked at.
struct Bench {
    lab: Lab,
    it: Key,
    spec: serde_json::Value,
    /// Where it will be.
    at: Access,
}

async fn declare(p: Placed) -> Bench {
    let lab = Lab::new().await;
    for Object { kind, name, spec } in p.surroundings() {
        lab.declare("ns", kind, name, spec);
    }
    lab.settle().await;
    // Each field with a value that ZITADEL does not set by itself: as many calls as it can take.
    let fields = p.managed().into_iter().map(|(path, schema)| {
        let [value, _] = p.values(&path, &schema);
        (path, value)
    });
    let fields: serde_json::Value = Fields::from_map(fields.collect()).to().unwrap();
    let mut spec = merged(p.scope(), &fields);
    spec["deletionPolicy"] = "Delete".into();
    let it = lab.declare("ns", p.entry.kind(), "it", spec.clone());
    let id = |kind: &str, name: &str| lab.status(&key(kind, "ns", name)).id.unwrap();
    let (place, _) = p.located(id);
    let at = Access::anonymous(lab.client.clone(), place);
    Bench { lab, it, spec, at }
}

fn entities() -> impl Iterator<Item = Placed> {
    placed().into_iter().filter(|p| p.is_entity())
}

/// It goes on, until what was created would show.
async fn recover(lab: &Lab) {
    lab.settle().await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    lab.settle().await;
}

/// How many things of the kind were ever made.
fn made(lab: &Lab, p: Placed) -> usize {
    let creates = p.entry.events.iter().flat_map(|filter| filter.creates);
    creates.map(|event| lab.count(event)).sum()
}

/// When it dies that has just created something, and does not know of it yet.
async fn creation(p: Placed) -> Crash {
    for after in 0..100 {
        let Bench { mut lab, it, .. } = declare(p).await;
        let (before, crash) = (made(&lab, p), Crash { after, sent: true });
        lab.crash(&it, crash).await;
        if made(&lab, p) > before {
            return crash;
        }
    }
    panic!("{p:?} is not created")
}

/// All of the kind. Where one takes something from another, and gives it back, that is a change of
/// the other too.
async fn list(p: Placed, at: &Access) -> Vec<Remote> {
    let mut all = p.entry.list(at).await;
    if p.entry.as_entity().is_some_and(|entity| entity.only_one.is_some()) {
        for remote in &mut all {
            remote.version = None;
        }
    }
    all
}

#[tokio::test(start_paused = true)]
async fn between_any_two_calls_of_a_creation() {
    for p in entities() {
        for sent in [false, true] {
            for after in 0.. {
                let Bench { mut lab, it, .. } = declare(p).await;
                let before = made(&lab, p);
                if !lab.crash(&it, Crash { after, sent }).await {
                    assert!(after > 1, "{p:?}: it takes some calls");
                    break;
                }
                recover(&lab).await;
                let told = format!("{p:?} after {after} calls, sent: {sent}");
                assert!(lab.status(&it).is_ready(), "{told}: {:?}", lab.reason(&it));
                assert_eq!(lab.status(&it).provenance, Some(Provenance::Created), "{told}");
                assert_eq!(made(&lab, p), before + 1, "{told}");
            }
        }
    }
}

/// What has no id before it exists is known by its name, even if that is another one by then.
#[tokio::test(start_paused = true)]
async fn between_any_two_calls_of_a_creation_and_renamed_afterwards() {
    for p in entities().filter(|p| p.has_server_id()) {
        let Some(name) = p.natural_key() else { continue };
        for after in 0.. {
            let Bench { mut lab, it, mut spec, .. } = declare(p).await;
            let before = made(&lab, p);
            if !lab.crash(&it, Crash { after, sent: true }).await {
                break;
            }
            spec[name] = "Renamed".into();
            lab.declare("ns", p.entry.kind(), "it", spec);
            recover(&lab).await;
            let told = format!("{p:?} after {after} calls");
            assert!(lab.status(&it).is_ready(), "{told}: {:?}", lab.reason(&it));
            assert_eq!(made(&lab, p), before + 1, "{told}");
        }
    }
}

/// What has the same id again is created once, even if it got another name before it could be seen.
#[tokio::test(start_paused = true)]
async fn between_any_two_calls_of_a_creation_and_renamed_before_it_shows() {
    for p in entities().filter(|p| p.has_chosen_id()) {
        let Some(name) = p.natural_key() else { continue };
        for after in 0.. {
            let Bench { mut lab, it, mut spec, .. } = declare(p).await;
            let before = made(&lab, p);
            let lag = Duration::from_secs(2);
            lab.emulator.faults().lag(DEAD + lag);
            if !lab.crash(&it, Crash { after, sent: true }).await {
                break;
            }
            lab.emulator.faults().lag(lag);
            spec[name] = "Renamed".into();
            lab.declare("ns", p.entry.kind(), "it", spec);
            recover(&lab).await;
            let told = format!("{p:?} after {after} calls");
            assert!(lab.status(&it).is_ready(), "{told}: {:?}", lab.reason(&it));
            assert_eq!(made(&lab, p), before + 1, "{told}");
        }
    }
}

/// Nor is it left behind where its object goes before it could be seen.
#[tokio::test(start_paused = true)]
async fn between_any_two_calls_of_a_creation_and_deleted_before_it_shows() {
    for p in entities().filter(|p| p.has_chosen_id()) {
        for after in 0.. {
            let Bench { mut lab, it, at, .. } = declare(p).await;
            let before = list(p, &at).await;
            let lag = Duration::from_secs(2);
            lab.emulator.faults().lag(DEAD + lag);
            if !lab.crash(&it, Crash { after, sent: true }).await {
                break;
            }
            lab.emulator.faults().lag(lag);
            lab.delete(&it);
            recover(&lab).await;
            // What was deleted shows as long.
            tokio::time::sleep(lag).await;
            let told = format!("{p:?} after {after} calls");
            assert!(lab.object(&it).is_none(), "{told}: {:?}", lab.reason(&it));
            assert_eq!(list(p, &at).await, before, "{told}");
        }
    }
}

/// An id that is taken in one organization can be taken in another too.
#[tokio::test(start_paused = true)]
async fn an_account_whose_object_moves_before_it_shows_is_not_made_twice() {
    for after in 0.. {
        let mut lab = Lab::new().await;
        for organization in ["one", "two"] {
            lab.declare("ns", "Organization", organization, json!({}));
        }
        lab.settle().await;
        let lag = Duration::from_secs(2);
        lab.emulator.faults().lag(DEAD + lag);
        let spec = |organization| json!({"organizationRef": {"name": organization}, "name": "bot"});
        let it = lab.declare("ns", "MachineUser", "it", spec("one"));
        if !lab.crash(&it, Crash { after, sent: true }).await {
            assert!(after > 1, "it takes some calls");
            break;
        }
        lab.emulator.faults().lag(lag);
        let was_made = lab.count("user.machine.added") > 1;
        lab.declare("ns", "MachineUser", "it", spec("two"));
        recover(&lab).await;
        let reason = if was_made { "InvalidSpec" } else { "InSync" };
        assert_eq!(lab.reason(&it).0, reason, "after {after} calls: {:?}", lab.reason(&it));
        assert_eq!(lab.count("user.machine.added"), 2, "after {after} calls");
    }
}

/// Even if it dies again while it is renamed, and gets its former name back.
#[tokio::test(start_paused = true)]
async fn between_any_two_calls_of_a_renaming_of_what_was_just_created() {
    let is_first = |p: &Placed| p.form.is_none() || p.form.as_ref() == p.entry.forms.first();
    for p in entities().filter(|p| p.has_server_id() && is_first(p)) {
        let Some(name) = p.natural_key() else { continue };
        let creation = creation(p).await;
        for after in 0.. {
            let Bench { mut lab, it, spec, .. } = declare(p).await;
            let before = made(&lab, p);
            lab.crash(&it, creation).await;
            assert_eq!(made(&lab, p), before + 1, "{p:?}");
            let mut renamed = spec.clone();
            renamed[name] = "Renamed".into();
            lab.declare("ns", p.entry.kind(), "it", renamed);
            lab.look(&key("Instance", "ns", "default")).await;
            let died = lab.crash(&it, Crash { after, sent: true }).await;
            lab.declare("ns", p.entry.kind(), "it", spec);
            recover(&lab).await;
            let told = format!("{p:?} after {after} calls");
            assert!(lab.status(&it).is_ready(), "{told}: {:?}", lab.reason(&it));
            assert_eq!(made(&lab, p), before + 1, "{told}");
            if !died {
                break;
            }
        }
    }
}

/// Also of one that died while it was created.
#[tokio::test(start_paused = true)]
async fn between_any_two_calls_of_a_deletion() {
    for p in entities() {
        for created in [false, true] {
            for sent in [false, true] {
                for after in 0.. {
                    let Bench { mut lab, it, at, .. } = declare(p).await;
                    let before = list(p, &at).await;
                    let crash = Crash { after, sent };
                    if created {
                        lab.settle().await;
                        lab.delete(&it);
                    }
                    if !lab.crash(&it, crash).await {
                        break;
                    }
                    if !created {
                        lab.delete(&it);
                        // Whether something was created can't be seen at first.
                        lab.line().strike(Reach::Reads, Strike::Error(500, 13));
                        lab.look(&key("Instance", "ns", "default")).await;
                        lab.look(&it).await;
                        lab.line().heal();
                    }
                    recover(&lab).await;
                    let told = format!("{p:?}, created: {created}, after {after}, sent: {sent}");
                    assert!(lab.object(&it).is_none(), "{told}: {:?}", lab.reason(&it));
                    assert_eq!(list(p, &at).await, before, "{told}");
                }
            }
        }
    }
}

/// Died while something is created that takes the place of what somebody deleted: until it is there,
/// nobody is told that all is well.
#[tokio::test(start_paused = true)]
async fn between_any_two_calls_of_a_recreation() {
    for p in entities().filter(|p| p.has_server_id()) {
        for after in 0.. {
            let Bench { mut lab, it, at, .. } = declare(p).await;
            lab.settle().await;
            lab.poll().await.unwrap();
            let id = lab.status(&it).id.unwrap();
            p.entry.delete(&Access { client: lab.minnie(None).client, ..at }, &id).await.unwrap();
            lab.engine.connections.all()[0].1.invalidate_all();
            let died = lab.crash(&it, Crash { after, sent: true }).await;
            let status = lab.status(&it);
            let told = format!("{p:?} after {after} calls");
            assert!(!status.is_ready() || status.id.is_some(), "{told}: {status:?}");
            if !died {
                break;
            }
            recover(&lab).await;
            assert!(lab.status(&it).is_ready(), "{told}: {:?}", lab.reason(&it));
        }
    }
}

/// Nor is what took the place of another one left behind, whatever becomes of its object.
#[tokio::test(start_paused = true)]
async fn between_any_two_calls_of_a_recreation_and_deleted_or_moved_afterwards() {
    for p in entities().filter(|p| p.has_server_id() || p.has_chosen_id()) {
        for moved in [false, true] {
            for after in 0.. {
                let Bench { mut lab, it, spec, at } = declare(p).await;
                let before = list(p, &at).await;
                lab.settle().await;
                let id = lab.status(&it).id.unwrap();
                let minnie = Access { client: lab.minnie(None).client, ..at.clone() };
                p.entry.delete(&minnie, &id).await.unwrap();
                lab.restart();
                lab.look(&key("Instance", "ns", "default")).await;
                let died = lab.crash(&it, Crash { after, sent: true }).await;
                let successor =
                    moved.then(|| lab.declare("ns", p.entry.kind(), "other", spec.clone()));
                lab.delete(&it);
                recover(&lab).await;
                let told = format!("{p:?} after {after} calls, moved: {moved}");
                assert!(lab.object(&it).is_none(), "{told}: {:?}", lab.reason(&it));
                if let Some(successor) = successor {
                    let reason = lab.reason(&successor);
                    assert!(lab.status(&successor).is_ready(), "{told}: {reason:?}");
                    assert_eq!(list(p, &at).await.len(), before.len() + 1, "{told}");
                } else {
                    assert_eq!(list(p, &at).await, before, "{told}");
                }
                if !died {
                    break;
                }
            }
        }
    }
}
