//! What tells two instances apart, as people and as programs read it.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{
    Exit, Result, data, plan,
    style::{CHANGE, CREATE, FAINT, REMOVE, STRONG, paint},
};
use crate::{
    api::status::Drift,
    export::difference::{Change, Comparison, Difference, What},
};

/// Form of differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Form {
    /// For people.
    Text,
    /// For programs: one JSON object.
    Json,
}

/// Prints differences on stdout. `omitted`: how much could not be read on either side.
pub(in crate::cli) fn differences(
    (from, to): (&str, &str),
    comparison: &Comparison,
    omitted: usize,
    form: Form,
) -> Result {
    let all = &comparison.differences;
    let count = |is: fn(&What) -> bool| all.iter().filter(|d| is(&d.what)).count();
    let only_from = count(|what| *what == What::OnlyFrom);
    let only_to = count(|what| *what == What::OnlyTo);
    let differ = all.len() - only_from - only_to;
    let same = comparison.same;
    data(&match form {
        Form::Text => {
            let objects: String = all.iter().map(|d| text(d, from, to)).collect();
            let parts = [
                (differ, "different".to_owned()),
                (only_from, format!("only in {from}")),
                (only_to, format!("only in {to}")),
                (same, "the same".to_owned()),
                (omitted, "not compared".to_owned()),
            ];
            let parts = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
            let summary = parts.collect::<Vec<_>>().join(", ");
            let summary =
                if summary.is_empty() { "there is nothing on either side" } else { &summary };
            format!("{objects}{}: {summary}\n", paint(STRONG, "Diff"))
        }
        Form::Json => {
            let objects: Vec<Value> = all.iter().map(as_json).collect();
            let summary = json!({"differ": differ, "onlyInFrom": only_from, "onlyInTo": only_to, "same": same, "notCompared": omitted});
            let all = json!({"formatVersion": 1, "from": from, "to": to, "objects": objects, "summary": summary});
            format!("{all:#}\n")
        }
    })?;
    match (omitted, all.len()) {
        (1.., _) => Err(Exit::Failed),
        (0, 1..) => Ok(Exit::Changes),
        (0, 0) => Ok(Exit::Fine),
    }
}

fn text(difference: &Difference, from: &str, to: &str) -> String {
    let Difference { kind, namespace, name, what } = difference;
    let namespace = namespace.as_ref().map_or_else(String::new, |n| format!("{n}/"));
    let (sign, style, said, fields) = match what {
        What::OnlyFrom => ("-", REMOVE, format!("only in {from}"), &[][..]),
        What::OnlyTo => ("+", CREATE, format!("only in {to}"), &[][..]),
        What::Fields(fields) => ("~", CHANGE, "differs".into(), &fields[..]),
    };
    let (sign, object) = (paint(style, sign), paint(STRONG, format!("{kind} {namespace}{name}")));
    let head = format!("{sign} {object}  {}\n", paint(FAINT, format!("# {said}")));
    let fields = fields.iter().map(|change| format!("    {}\n", field(change)));
    [head].into_iter().chain(fields).chain(["\n".to_owned()]).collect()
}

fn field(change: &Change) -> String {
    let Change { field, from, to } = change.clone();
    if to.is_null() {
        return format!("{} {field}: {}", paint(REMOVE, "-"), paint(REMOVE, from));
    }
    plan::field(&Drift { field, live: from, declared: to })
}

fn as_json(difference: &Difference) -> Value {
    let Difference { kind, namespace, name, what } = difference;
    let mut object = json!({"kind": kind, "name": name});
    let (what, fields) = match what {
        What::OnlyFrom => ("onlyInFrom", None),
        What::OnlyTo => ("onlyInTo", None),
        What::Fields(fields) => ("differs", Some(fields)),
    };
    let field = |c: &Change| json!({"field": c.field, "from": c.from, "to": c.to});
    let fields = fields.map(|fields| fields.iter().map(field).collect::<Vec<_>>());
    if let Some(object) = object.as_object_mut() {
        object.insert("difference".into(), what.into());
        object.extend(namespace.iter().map(|n| ("namespace".into(), n.as_str().into())));
        object.extend(fields.map(|fields| ("fields".into(), fields.into())));
    }
    object
}
