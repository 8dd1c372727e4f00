//! What a start learns from the events of the past, in place of a list for each place.

use kastellan::{
    contract::{Fields, Key, Subject},
    live::{Absence, Observation},
};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::json;

use crate::{
    inprocess::{Lab, key},
    laws::cases,
    remote::{Access, Place, entry},
};

/// So many projects are asked for one by one, and then the log.
const FEW: usize = 10;
/// More projects than that.
const PROJECTS: usize = 16;

fn searches(lab: &Lab) -> usize {
    lab.emulator.calls().iter().filter(|call| call.path.ends_with("/roles/_search")).count()
}

fn role(name: &str, group: &str) -> Fields {
    json!({"displayName": name, "group": group}).into()
}

/// Projects, each with two roles, all Ready; and the places that the roles are in.
async fn declared() -> (Lab, Vec<Key>, Vec<Place>) {
    let lab = Lab::new().await;
    lab.declare("ns", "Organization", "home", json!({}));
    let mut projects = Vec::new();
    let mut roles = Vec::new();
    for n in 0..PROJECTS {
        let project = format!("p{n}");
        let spec = json!({"organizationRef": {"name": "home"}});
        projects.push(lab.declare("ns", "Project", &project, spec));
        for role in ["admin", "guest"] {
            let spec = json!({
                "projectRef": {"name": project}, "key": role, "displayName": role, "group": "staff",
            });
            roles.push(lab.declare("ns", "ProjectRole", &format!("{project}-{role}"), spec));
        }
    }
    lab.settle().await;
    assert!(roles.iter().all(|role| lab.reason(role).0 == "InSync"));
    let place = |project: &Key| {
        let status = lab.status(project);
        let home = Place { organization: status.organization_id, parents: Vec::new() };
        home.below(status.id.unwrap())
    };
    let places = projects.iter().map(place).collect();
    (lab, roles, places)
}

#[tokio::test]
async fn a_start_lists_a_few_places_and_learns_the_rest() {
    let (mut lab, roles, _) = declared().await;
    lab.restart();
    lab.emulator.reset_calls();
    let before = lab.events();
    lab.settle().await;
    assert!(roles.iter().all(|role| lab.reason(role).0 == "InSync"));
    assert_eq!(searches(&lab), FEW);
    assert_eq!(lab.events(), before);
}

#[tokio::test]
async fn what_others_did_meanwhile_is_corrected_all_the_same() {
    let (mut lab, roles, places) = declared().await;
    let (roles_of, minnie) = (entry("ProjectRole"), lab.minnie(None));
    let at = |n: usize| minnie.at(places[n].clone());
    for n in 0..PROJECTS {
        let there = at(n);
        let have = roles_of.read(&there, "admin").await.unwrap().unwrap();
        match n % 4 {
            0 => roles_of.write(&there, &have, &role("admin", "")).await.unwrap(),
            1 => roles_of.delete(&there, "admin").await.unwrap(),
            2 => {
                roles_of.delete(&there, "admin").await.unwrap();
                roles_of.create(&there, "admin", &role("Theirs", "theirs")).await.unwrap();
            }
            _ => drop(roles_of.create(&there, "theirs", &role("Theirs", "")).await.unwrap()),
        }
    }
    lab.restart();
    lab.settle().await;
    for role in &roles {
        assert_eq!(lab.reason(role).0, "InSync", "{role:?}: {:?}", lab.reason(role));
    }
    for n in 0..PROJECTS {
        let admin = roles_of.read(&at(n), "admin").await.unwrap().unwrap();
        assert_eq!(
            admin.state,
            json!({"key": "admin", "displayName": "admin", "group": "staff"}).into()
        );
        let theirs = roles_of.read(&at(n), "theirs").await.unwrap();
        assert_eq!(theirs.is_some(), n % 4 == 3, "what is not declared stays");
    }
}

/// What somebody does.
#[derive(Debug, Clone)]
enum Step {
    Write {
        project: usize,
        key: &'static str,
        name: &'static str,
        group: &'static str,
    },
    Delete {
        project: usize,
        key: &'static str,
    },
    DeleteProject {
        project: usize,
    },
    /// Deletes an organization, and creates it again under the same id.
    Rebirth {
        organization: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let project = || 0..PROJECTS;
    let key = || prop::sample::select(vec!["a", "b", "c/d"]);
    let text = || prop::sample::select(vec!["", "x", "y"]);
    prop_oneof![
        12 => (project(), key(), text(), text())
            .prop_map(|(project, key, name, group)| Step::Write { project, key, name, group }),
        4 => (project(), key()).prop_map(|(project, key)| Step::Delete { project, key }),
        1 => project().prop_map(|project| Step::DeleteProject { project }),
        1 => (0..2_usize).prop_map(|organization| Step::Rebirth { organization }),
    ]
}

/// Two organizations, each with one half of the projects.
fn organization(project: usize) -> String {
    format!("o{}", project % 2)
}

fn inside(project: usize) -> Place {
    Place::organization(organization(project)).below(format!("p{project}"))
}

async fn take(lab: &Access, step: &Step) {
    let roles = entry("ProjectRole");
    match step {
        Step::Write { project, key, name, group } => {
            let at = lab.at(inside(*project));
            let want = role(name, group);
            // A project may be gone, or be there again and show nothing of what it had.
            let _ = match roles.read(&at, key).await.unwrap() {
                Some(have) => roles.write(&at, &have, &want).await,
                None => roles.create(&at, key, &want).await.map(drop),
            };
        }
        Step::Delete { project, key } => drop(roles.delete(&lab.at(inside(*project)), key).await),
        Step::DeleteProject { project } => {
            let home = Place::organization(organization(*project));
            drop(entry("Project").delete(&lab.at(home), &format!("p{project}")).await);
        }
        Step::Rebirth { organization } => {
            let organizations = entry("Organization");
            let (at, id) = (lab.at(Place::instance()), format!("o{organization}"));
            organizations.delete(&at, &id).await.unwrap();
            let name = json!({"name": id}).into();
            organizations.create(&at, &id, &name).await.unwrap();
        }
    }
}

async fn learnt_is_read(steps: Vec<Step>) {
    let lab = Lab::bare();
    let minnie = lab.minnie(None);
    for n in 0..2 {
        let name = json!({"name": format!("o{n}")}).into();
        let at = minnie.at(Place::instance());
        entry("Organization").create(&at, &format!("o{n}"), &name).await.unwrap();
    }
    for project in 0..PROJECTS {
        let at = minnie.at(Place::organization(organization(project)));
        let (id, name) = (format!("p{project}"), json!({"name": format!("p{project}")}).into());
        entry("Project").create(&at, &id, &name).await.unwrap();
        entry("ProjectRole")
            .create(&minnie.at(inside(project)), "a", &role("x", ""))
            .await
            .unwrap();
    }
    for step in &steps {
        take(&minnie, step).await;
    }
    lab.apply("Instance", "default", Lab::instance_spec()).await;
    let connection = lab.engine.connections.get(&key("Instance", "ns", "default")).unwrap();
    let roles = entry("ProjectRole");
    lab.emulator.reset_calls();
    for project in 0..PROJECTS {
        for key in ["a", "b", "c/d"] {
            let (subject, place) = (Subject::from(key), inside(project));
            let seen = connection.observe(*roles, &place, &subject, Absence::AsListed).await;
            let Ok(Observation::Current(seen)) = seen else { panic!("{steps:?}: {seen:?}") };
            let read = roles.read(&minnie.at(place), key).await.unwrap();
            assert_eq!(seen.map(|remote| *remote), read, "{steps:?}: {key} of {project}");
        }
    }
}

#[test]
fn what_is_learnt_is_what_is_read() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let histories = prop::collection::vec(step(), 0..60);
    let law = |steps| {
        runtime.block_on(learnt_is_read(steps));
        Ok(())
    };
    TestRunner::new(cases()).run(&histories, law).unwrap();
}
