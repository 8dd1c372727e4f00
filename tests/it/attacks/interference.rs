//! Whatever a namespace does that was given nothing, what others have is as if it had done nothing.

use kastellan::api::status::Status;
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::{shared, with};
use crate::inprocess::{Lab, key};

/// What somebody does to an object.
#[derive(Debug, Clone)]
enum Step {
    /// Declares it, or changes its spec.
    Declare(&'static str, &'static str, Value),
    Delete(&'static str, &'static str),
    /// Takes it away with its finalizer.
    Lose(&'static str, &'static str),
    /// Another process.
    Restart,
}

const NAMES: [&str; 2] = ["home", "shop"];
const KINDS: [&str; 5] = ["Organization", "Project", "ProjectRole", "MachineUser", "PrivacyPolicy"];

/// Fields that any object can have.
fn common() -> impl Strategy<Value = Value> {
    let choice = |field: &'static str, values: Vec<Value>| {
        prop::option::of(select(values)).prop_map(move |value| match value {
            Some(value) => json!({field: value}),
            None => json!({}),
        })
    };
    (
        choice("adoptionPolicy", ["Never", "IfIdentical", "Always"].map(|v| json!(v)).to_vec()),
        choice("deletionPolicy", ["Delete", "Retain"].map(|v| json!(v)).to_vec()),
        choice("mode", vec![json!("Observe")]),
        choice("suspend", vec![json!(true)]),
    )
        .prop_map(|(a, b, c, d)| with(with(a, b), with(c, d)))
}

/// A spec of a kind. `others`: also with references to what is in the namespace `ns`, and its ids.
fn spec(kind: &'static str, others: bool) -> BoxedStrategy<Value> {
    let own = match kind {
        "Organization" => select(NAMES.to_vec()).prop_map(|name| json!({"name": name})).boxed(),
        "Project" => (select(NAMES.to_vec()), any::<bool>())
            .prop_map(|(name, check)| json!({"name": name, "projectRoleCheck": check}))
            .boxed(),
        "ProjectRole" => {
            any::<bool>().prop_map(|g| json!({"group": if g { "a" } else { "b" }})).boxed()
        }
        "MachineUser" => select(NAMES.to_vec()).prop_map(|name| json!({"userName": name})).boxed(),
        _ => any::<bool>().prop_map(|n| json!({"tosLink": format!("https://{n}.example")})).boxed(),
    };
    let named = |namespace: Option<&str>| {
        let name = if kind == "ProjectRole" { "shop" } else { "home" };
        let reference = match namespace {
            Some(namespace) => json!({"name": name, "namespace": namespace}),
            None => json!({"name": name}),
        };
        match kind {
            "Organization" => json!({}),
            "ProjectRole" => json!({"projectRef": reference}),
            _ => json!({"organizationRef": reference}),
        }
    };
    let mut places = vec![named(None)];
    if others {
        let id_field = if kind == "ProjectRole" { "projectId" } else { "organizationId" };
        let is_root = kind == "Organization";
        places.push(if is_root { shared(json!({})) } else { named(Some("ns")) });
        // Ids of others: what `Lab` gives is known to everybody.
        places.push(if is_root {
            json!({"id": "uid-organization-1"})
        } else {
            shared(json!({id_field: "uid-organization-1"}))
        });
    }
    let ids = match (others, kind) {
        (true, "Project" | "MachineUser") => {
            vec![json!({}), json!({"id": "uid-project-2"}), json!({"id": "uid-machineuser-4"})]
        }
        _ => vec![json!({})],
    };
    (own, select(places), select(ids), common())
        .prop_map(move |(own, place, ids, common)| {
            // A setting has no adoption policy, and what has a key for an id neither.
            let mut common = common;
            if kind == "PrivacyPolicy" {
                common.as_object_mut().unwrap().remove("adoptionPolicy");
            }
            with(with(own, place), with(ids, common))
        })
        .boxed()
}

fn step(others: bool) -> impl Strategy<Value = Step> {
    let target = (select(KINDS.to_vec()), select(NAMES.to_vec()));
    let declare = target.clone().prop_flat_map(move |(kind, name)| {
        spec(kind, others).prop_map(move |spec| Step::Declare(kind, name, spec))
    });
    // What a restart changes is nobody's doing: in both runs it is in the same place.
    let restarts = u32::from(!others);
    prop_oneof![
        6 => declare,
        2 => target.clone().prop_map(|(kind, name)| Step::Delete(kind, name)),
        1 => target.prop_map(|(kind, name)| Step::Lose(kind, name)),
        restarts => Just(Step::Restart),
    ]
}

/// What can be seen of the namespace `ns`: what happened in ZITADEL, and what its objects say.
#[derive(Debug, PartialEq)]
struct Seen {
    events: Vec<(&'static str, String, Value)>,
    statuses: Vec<(String, Status)>,
}

/// Takes the steps of both namespaces in turn; those of `evil` only if it `acts`.
async fn run(steps: &[(Step, Step)], acts: bool) -> Result<Seen, TestCaseError> {
    let mut lab = Lab::new().await;
    lab.put_up_fake();
    let home = json!({"organizationRef": {"name": "home"}});
    lab.declare("ns", "Organization", "home", json!({}));
    lab.declare("ns", "Project", "shop", home.clone());
    lab.settle().await;
    if acts {
        lab.declare("evil", "Instance", "default", Lab::fake_spec());
    }
    lab.settle().await;
    for (age, (ours, theirs)) in (0..).zip(steps) {
        take(&mut lab, "ns", ours, 1_000 + age);
        if acts {
            // Theirs are older.
            take(&mut lab, "evil", theirs, 100 + age);
        }
        lab.poll().await.ok();
        lab.settle().await;
    }
    for sent in lab.sent_to_fake() {
        prop_assert!(!sent.contains(&lab.emulator.pat()), "a token left for another address");
    }
    let events = lab.emulator.events().into_iter();
    let statuses = lab.objects().into_iter().filter(|o| o.key.namespace == "ns");
    let statuses = statuses.filter(|o| o.key.kind != "Instance");
    let mut statuses: Vec<_> =
        statuses.map(|o| (o.key.to_string(), timeless(o.status.clone()))).collect();
    statuses.sort_by(|(a, _), (b, _)| a.cmp(b));
    // What ZITADEL itself created has random ids.
    let declared = events.filter(|e| e.aggregate_id.contains('-'));
    let events =
        declared.map(|e| (e.event_type, e.aggregate_id, serde_json::to_value(e.payload).unwrap()));
    Ok(Seen { events: events.collect(), statuses })
}

/// Without what the clock says, and the id of the instance, which is random.
fn timeless(mut status: Status) -> Status {
    status.instance_id = None;
    status.last_drift = None;
    for condition in &mut status.conditions {
        condition.last_transition_time = String::new();
    }
    status
}

fn take(lab: &mut Lab, namespace: &str, step: &Step, age: i64) {
    match step {
        Step::Declare(kind, name, spec) => {
            lab.declare_at(age, namespace, kind, name, spec.clone());
        }
        Step::Delete(kind, name) => {
            let key = key(kind, namespace, name);
            if lab.object(&key).is_some() {
                lab.delete(&key);
            }
        }
        Step::Lose(kind, name) => {
            let key = key(kind, namespace, name);
            if lab.object(&key).is_some() {
                lab.lose(&key);
            }
        }
        Step::Restart => lab.restart(),
    }
}

proptest! {
    #![proptest_config(crate::laws::cases())]

    #[test]
    fn who_was_given_nothing_changes_nothing(steps in prop::collection::vec((step(false), step(true)), 1..10)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (without, with) = (run(&steps, false).await?, run(&steps, true).await?);
            prop_assert_eq!(without, with);
            Ok(())
        })?;
    }
}
