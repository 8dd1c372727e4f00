//! `kastellan why`

use serde_json::Value;

use super::{
    cluster::{Cluster, Place, key, reason, trouble},
    output::{self, Exit, Result},
};
use crate::{
    api::status::{Drift, LastDrift},
    contract::{Key, Object},
    engine::consent::named,
    kinds::REGISTRY,
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The object: KIND/NAME, such as Project/shop.
    #[arg(value_name = "KIND/NAME")]
    object: String,
    #[command(flatten)]
    place: Place,
}

/// Exit code 2: it is not as declared.
pub(super) async fn run(args: Args) -> Result {
    let cluster = Cluster::read(&args.place).await?;
    let key = key(&cluster, &args.object)?;
    let Some(object) = cluster.objects.get(&key) else { return Ok(Exit::Failed) };
    output::data(&explained(&cluster, object))?;
    Ok(if trouble(object).is_none() { Exit::Fine } else { Exit::Changes })
}

/// All that is known of an object, for people.
fn explained(cluster: &Cluster, object: &Object) -> String {
    let state = trouble(object).unwrap_or_else(|| "Ready: it is as declared".into());
    let mut text = section(&cluster.name(&object.key), [state]);
    let causes = causes(cluster, object);
    let about = |(cause, because): &(Key, String)| {
        section(&format!("\nThe cause is {}", cluster.name(cause)), [because.clone()])
    };
    text.extend(causes.last().map(about));
    let at_fault = causes.last().and_then(|(cause, _)| cluster.objects.get(cause));
    let advice = reason(at_fault.unwrap_or(object)).map(|reason| reason.about().to_owned());
    text += &section("\nWhat to do", advice);
    let needs = named(&REGISTRY, object).into_iter().map(|need| {
        let state = state_of(cluster, &need).unwrap_or_else(|| "Ready".into());
        format!("{}  {state}", cluster.name(&need))
    });
    text += &section("\nIt needs", needs);
    let status = &object.status;
    text += &section("\nIt differs: in ZITADEL → as declared", status.drift.iter().map(differs));
    let changed = status.last_drift.iter().map(changed);
    text += &section("\nWhat somebody else changed last", changed);
    text + &section("\nIn ZITADEL", [whereabouts(object)])
}

/// A title with lines below it; without any, nothing.
fn section(title: &str, lines: impl IntoIterator<Item = String>) -> String {
    let lines: Vec<String> = lines.into_iter().map(|line| output::plain(&line)).collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("{title}\n  {}\n", lines.join("\n  "))
}

/// What it waits for, from what it refers to down to what is at the bottom of it.
fn causes(cluster: &Cluster, object: &Object) -> Vec<(Key, String)> {
    let mut causes: Vec<(Key, String)> = Vec::new();
    let mut at = Some(object);
    while let Some(object) = at.filter(|object| trouble(object).is_some()) {
        let troubled = named(&REGISTRY, object).into_iter().find_map(|need| {
            let is_new = causes.iter().all(|(cause, _)| *cause != need);
            state_of(cluster, &need).filter(|_| is_new).map(|state| (need, state))
        });
        at = troubled.as_ref().and_then(|(cause, _)| cluster.objects.get(cause));
        causes.extend(troubled);
    }
    causes
}

/// How something is to which others refer; `None`: as declared.
fn state_of(cluster: &Cluster, key: &Key) -> Option<String> {
    match cluster.objects.get(key) {
        Some(object) => trouble(object),
        None => Some("does not exist, or not where you may look".into()),
    }
}

fn differs(Drift { field, declared, live }: &Drift) -> String {
    let shown = |value: &Value| match value {
        Value::Null => "nothing".to_owned(),
        value => value.to_string(),
    };
    format!("{field}: {} → {}", shown(live), shown(declared))
}

fn changed(LastDrift { at, fields, by, corrected }: &LastDrift) -> String {
    let by = by.as_deref().unwrap_or("somebody who is not known");
    let end = if *corrected { "reverted" } else { "not reverted" };
    let what = if fields.is_empty() { "it was deleted".into() } else { fields.join(", ") };
    format!("{what}, by {by}, found at {at}, {end}")
}

fn whereabouts(object: &Object) -> String {
    let status = &object.status;
    let Some(id) = &status.id else { return "nothing that it is bound to".into() };
    let organization = status.organization_id.as_ref().filter(|organization| *organization != id);
    let organization = organization.map(|id| format!(", in the organization {id}"));
    let instance = status.instance_id.as_ref().filter(|instance| *instance != id);
    let instance = instance.map(|id| format!(", of the instance {id}"));
    format!("{id}{}{}", organization.unwrap_or_default(), instance.unwrap_or_default())
}
