//! What the account has to be permitted: the roles that the documentation names are enough, and each
//! permission that a kind names is needed. Whatever is missing, the object says so, nothing is
//! written and nothing is taken for deleted.

mod trial;

use kastellan::zitadel::{
    Code,
    roles::{FOR_FEED, Level, TO_CONNECT, is_read},
};

use self::trial::{Step, Trial};
use crate::{
    inprocess::{Lab, key},
    samples::{Placed, placed},
};

/// A role of the instance that is given other permissions; the account has no other one.
const ROLE: &str = "IAM_OWNER_VIEWER";

/// All that a kind needs, and one with which the account can connect.
fn exact(p: Placed) -> Vec<&'static str> {
    let ([other, usual], mut needed) = (TO_CONNECT, p.permissions().needed.to_vec());
    needed.push(if needed.contains(&usual) { other } else { usual });
    needed
}

#[tokio::test(start_paused = true)]
async fn the_roles_that_are_documented_are_enough() {
    let mut tried = 0;
    for p in placed() {
        let roles = p.permissions().roles();
        assert!(!roles.is_empty(), "{p:?}: some role is enough");
        for role in roles {
            let trial = Trial::new(p, role.level, role.name).await;
            for step in trial.steps() {
                trial.run(step).await.unwrap_or_else(|e| panic!("{p:?} as {role:?}: {e:?}"));
            }
            tried += 1;
        }
    }
    assert!(tried >= placed().len(), "{tried}");
}

#[tokio::test(start_paused = true)]
async fn the_permissions_that_a_kind_names_are_needed_and_enough() {
    for p in placed() {
        for without in p.permissions().needed.iter().copied() {
            let trial = Trial::new(p, Level::Instance, ROLE).await;
            let set = |all: &[&str]| trial.lab.emulator.set_permissions(ROLE, all);
            let all = exact(p);
            let less: Vec<&str> = all.iter().copied().filter(|one| *one != without).collect();
            let mut failed = Vec::new();
            for step in trial.steps() {
                set(&less);
                match trial.refused(step).await {
                    None => {}
                    Some(refusal) => {
                        refusal.assert_explained(without);
                        // What is created and then deactivated is so by two calls.
                        let begins = step == Step::Create && !is_read(without);
                        assert!(begins || !refusal.has_written, "{p:?} {step:?}: {refusal:?}");
                        failed.push(step);
                        set(&all);
                        trial.finish(step, &refusal).await;
                    }
                }
                set(&all);
            }
            assert!(!failed.is_empty(), "{p:?}: {without} is not needed");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_its_role_nothing_is_written_or_taken_for_deleted() {
    for p in placed() {
        let role = *p.permissions().roles().last().unwrap();
        let trial = Trial::new(p, role.level, role.name).await;
        for step in trial.steps() {
            trial.take_role().await;
            let refusal = trial.refused(step).await;
            let refusal = refusal.unwrap_or_else(|| panic!("{p:?}: {step:?} without any role"));
            assert_eq!(refusal.reason, "Forbidden", "{p:?} {step:?}: {refusal:?}");
            assert!(!refusal.has_written, "{p:?} {step:?}: {refusal:?}");
            trial.give_role().await;
            trial.finish(step, &refusal).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn to_connect_takes_one_permission_and_the_feed_another() {
    let mut lab = Lab::new().await;
    let account = lab.emulator.add_user("keeper", "Keeper", &[ROLE]);
    for (permitted, connects) in [(TO_CONNECT[0], true), (TO_CONNECT[1], true), ("org.read", false)]
    {
        lab.emulator.set_permissions(ROLE, &[permitted]);
        lab.restart();
        let outcome = lab.act_as(&account.pat).await;
        assert_eq!(outcome.status.is_ready(), connects, "{permitted}: {outcome:?}");
        if !connects {
            let (reason, message) = lab.reason(&key("Instance", "ns", "default"));
            assert_eq!(reason, "Forbidden");
            assert!(TO_CONNECT.iter().all(|one| message.contains(one)), "{message}");
            continue;
        }
        let refused = lab.poll().await.unwrap_err();
        assert_eq!(refused.code(), Some(Code::PermissionDenied));
        lab.emulator.set_permissions(ROLE, &[permitted, FOR_FEED]);
        lab.poll().await.unwrap();
    }
}

/// What may not be read is no proof that the organization is gone, and what was in it with it.
#[tokio::test(start_paused = true)]
async fn an_organization_that_may_not_be_read_is_not_taken_for_gone() {
    let p = placed().into_iter().find(|p| p.entry.kind() == "Project").unwrap();
    let trial = Trial::new(p, Level::Instance, ROLE).await;
    let all = exact(p);
    trial.lab.emulator.set_permissions(ROLE, &all);
    trial.run(Step::Create).await.unwrap();
    let less: Vec<&str> =
        all.iter().copied().filter(|one| !["org.read", "project.delete"].contains(one)).collect();
    trial.lab.emulator.set_permissions(ROLE, &less);
    let refusal = trial.refused(Step::Delete).await.expect("it is not released");
    refusal.assert_explained("project.delete");
    assert!(refusal.message.contains("deletionPolicy: Retain"), "{refusal:?}");
    trial.lab.emulator.set_permissions(ROLE, &all);
    trial.finish(Step::Delete, &refusal).await;
}

/// ZITADEL answers 404 to who has no role in an organization.
#[tokio::test(start_paused = true)]
async fn who_lost_the_role_in_one_organization_deletes_nothing_there() {
    let p = placed().into_iter().find(|p| p.entry.kind() == "Project").unwrap();
    let mut trial = Trial::new(p, Level::Organization, "ORG_OWNER").await;
    trial.run(Step::Create).await.unwrap();
    trial.be_elsewhere().await;
    let refusal = trial.refused(Step::Delete).await.expect("it is not released");
    refusal.assert_explained("project.delete");
    trial.give_role().await;
    trial.finish(Step::Delete, &refusal).await;
    assert_eq!(trial.lab.count("project.removed"), 1);
}

/// By their login name users are found only by who may read them.
#[tokio::test(start_paused = true)]
async fn a_login_name_is_found_with_the_permission_that_is_documented() {
    for p in placed() {
        let by = p.entry.references.iter().find_map(|r| Some((r.field, r.by_name?)));
        let Some((field, by)) = by else { continue };
        let mut trial = Trial::new(p, Level::Instance, ROLE).await;
        trial.name(field, by.field);
        trial.lab.emulator.set_permissions(ROLE, &exact(p));
        trial.look_at_new().await;
        let (reason, message) = trial.reason();
        assert_eq!(reason, "WaitingForReference", "{message}");
        assert!(message.contains("nothing that the account may see"), "{message}");
        let more = [&exact(p)[..], &[by.permission]].concat();
        trial.lab.emulator.set_permissions(ROLE, &more);
        trial.look_at_new().await;
        assert_eq!(trial.reason().0, "InSync", "{p:?}: {:?}", trial.reason());
    }
}
