//! The parts of the documentation that follow from the registry: the reference of all kinds, and
//! the lists of reasons.

use std::fmt::Write;

use serde_json::{Map, Value};

use kastellan::{
    api::{self, status::Reason},
    contract::Entry,
    engine::events::EventReason,
    kinds::REGISTRY,
};

use super::permissions;

pub(super) const HEAD: &str = "<!-- Generated from the code by `make generate`; do not edit. -->\n";

/// `docs/reasons.md`: every reason that a condition or an Event can have.
pub(super) fn reasons() -> String {
    let mut text = format!(
        "{HEAD}\n# Reasons\n\nWhat `reason` says in the conditions of any kind. The list is closed; `message` beside it is for people and \
         may change.\n[Troubleshooting](troubleshooting.md) goes deeper where there is more to do.\n\n\
         | Reason | What it means, and what to do |\n|---|---|\n"
    );
    for reason in Reason::ALL {
        line(&mut text, &format!("| `{reason}` | {} |", cell(reason.about())));
    }
    text.push_str(
        "\n## Events\n\nEach is a change that was made, or a failure that began or ended; what goes on is none.\n\n\
         | Reason | Type | What happened |\n|---|---|---|\n",
    );
    for reason in EventReason::ALL {
        let kind = if reason.is_warning() { "Warning" } else { "Normal" };
        line(&mut text, &format!("| `{reason}` | {kind} | {} |", cell(reason.about())));
    }
    line(
        &mut text,
        "| that of the condition | Warning | A failure that needs a person (`Stalled`) has begun. |",
    );
    text
}

/// The table of kinds in the README.
pub(super) fn kinds() -> String {
    let mut text = "| Kind | |\n|---|---|\n".to_owned();
    for entry in REGISTRY.all() {
        let kind = entry.kind;
        let link = format!("docs/reference.md#{}", anchor(kind));
        line(&mut text, &format!("| [`{kind}`]({link}) | {} |", cell(entry.about)));
    }
    text
}

/// `docs/reference.md`: every kind with its fields, from the schemas of the CRDs.
pub(super) fn reference() -> String {
    let mut text = format!(
        "{HEAD}\n# Reference\n\nAll kinds are namespaced, in the API `{}` and the category `zitadel`: `kubectl get zitadel -A` lists \
         everything.\nThe same text is in `kubectl explain`. Fields in **bold** are required. A field that is omitted is not managed.\n\n\
         | Kind | Short names | Belongs to | |\n|---|---|---|---|\n",
        api::api_version()
    );
    for entry in REGISTRY.all() {
        let row = format!(
            "| [`{0}`](#{1}) | {2} | {3} | {4} |",
            entry.kind,
            anchor(entry.kind),
            short(entry),
            scope(entry),
            cell(entry.about)
        );
        line(&mut text, &row);
    }
    line(&mut text, "| | | | [Status of every kind](#status-of-every-kind) |");
    for entry in REGISTRY.all() {
        kind(&mut text, entry);
    }
    text.push_str(&statuses());
    text
}

fn kind(text: &mut String, entry: Entry) {
    let schema = schema(entry, "spec");
    let (short, scope) = (short(entry), scope(entry));
    let head = format!(
        "\n## {}\n\n{}\n\nResource `{}.{}`, short {short}. Belongs to: {scope}.",
        entry.kind,
        entry.about,
        entry.plural,
        api::GROUP
    );
    line(text, &head);
    line(text, &permissions::of_kind(entry));
    line(text, "\n| Field of `spec` | Type | |\n|---|---|---|");
    rows(text, &schema, "");
    let messages: Vec<&str> = schema
        .get("x-kubernetes-validations")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|rule| rule.get("message").and_then(Value::as_str))
        .collect();
    if !messages.is_empty() {
        line(text, "\nWhat breaks one of these rules is refused, with these words:\n");
    }
    for message in messages {
        line(text, &format!("- {}", message.replace('<', "\\<")));
    }
}

/// The status that all kinds have, and what an Instance has besides.
fn statuses() -> String {
    let mut text = "\n## Status of every kind\n\nWritten by Kastellan alone.\n\n| Field of `status` | Type | |\n|---|---|---|\n".to_owned();
    let status_of =
        |kind: &str| REGISTRY.find(kind).map(|e| schema(e, "status")).unwrap_or_default();
    let (common, mut instance) = (status_of("Organization"), status_of("Instance"));
    rows(&mut text, &common, "");
    if let Some(properties) = instance.get_mut("properties").and_then(Value::as_object_mut) {
        properties
            .retain(|field, _| common.pointer("/properties").and_then(|p| p.get(field)).is_none());
    }
    line(
        &mut text,
        "\nAn `Instance` has besides:\n\n| Field of `status` | Type | |\n|---|---|---|",
    );
    rows(&mut text, &instance, "");
    text
}

/// `part` of the schema in a kind's CRD.
fn schema(entry: Entry, part: &str) -> Value {
    let crd = serde_json::to_value(entry.crd()).unwrap_or_default();
    crd.pointer(&format!("/spec/versions/0/schema/openAPIV3Schema/properties/{part}"))
        .cloned()
        .unwrap_or_default()
}

/// A row a property, those of objects and of the objects in lists below their own.
fn rows(text: &mut String, schema: &Value, path: &str) {
    let none = Map::new();
    let required = |field: &str| {
        schema
            .get("required")
            .and_then(Value::as_array)
            .is_some_and(|all| all.iter().any(|r| r == field))
    };
    for (field, property) in schema.get("properties").and_then(Value::as_object).unwrap_or(&none) {
        let name = format!("`{path}{field}`");
        let name = if required(field) { format!("**{name}**") } else { name };
        let about = property.get("description").and_then(Value::as_str).unwrap_or_default();
        let value =
            [of_type(property)].into_iter().chain(limits(property)).collect::<Vec<_>>().join("; ");
        line(text, &format!("| {name} | {} | {} |", cell(&value), cell(about)));
        rows(text, property, &format!("{path}{field}."));
        if let Some(items) = property.get("items") {
            rows(text, items, &format!("{path}{field}[]."));
        }
    }
}

/// What a value is.
fn of_type(schema: &Value) -> String {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values
            .iter()
            .filter_map(Value::as_str)
            .map(|v| format!("`{v}`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => {
            let of = schema.get("items").map(of_type).unwrap_or_default();
            let kind = if schema.get("x-kubernetes-list-type").is_some_and(|t| t == "set") {
                "set"
            } else {
                "list"
            };
            format!("{kind} of {of}")
        }
        Some("object") => schema.get("additionalProperties").map_or_else(
            || "object".to_owned(),
            |value| format!("map of string to {}", of_type(value)),
        ),
        Some(name) => name.to_owned(),
        None => "any value".to_owned(),
    }
}

/// What a value may be.
fn limits(schema: &Value) -> Vec<String> {
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    let mut all = Vec::new();
    for (least, most, unit) in [
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
        ("minProperties", "maxProperties", " entries"),
        ("minimum", "maximum", ""),
    ] {
        match (number(least), number(most)) {
            (Some(least), Some(most)) => all.push(format!("{least} to {most}{unit}")),
            (Some(least), None) => all.push(format!("at least {least}{unit}")),
            (None, Some(most)) => all.push(format!("at most {most}{unit}")),
            (None, None) => {}
        }
    }
    all.extend(schema.get("pattern").and_then(Value::as_str).map(|pattern| format!("`{pattern}`")));
    // Of a list, what its items may be.
    all.extend(
        schema
            .get("items")
            .filter(|i| i.get("properties").is_none())
            .map(limits)
            .into_iter()
            .flatten()
            .map(|l| format!("each {l}")),
    );
    all
}

fn short(entry: Entry) -> String {
    format!("`{}`", entry.short)
}

/// What it can be in, as its references tell.
fn scope(entry: Entry) -> String {
    if entry.is_connection() {
        return "nothing; all others belong to it".to_owned();
    }
    let is_optional = entry.parents().all(|parent| !parent.required);
    let instance = is_optional.then(|| "the instance".to_owned());
    let parents = entry.parents().flat_map(|parent| parent.kinds).map(|kind| with_article(kind));
    let places = instance.into_iter().chain(parents).collect::<Vec<_>>();
    places.join(", or ")
}

/// `an organization`, `a project`
fn with_article(kind: &str) -> String {
    let article = if kind.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
    format!("{article} {}", kind.to_lowercase())
}

/// Text in a table: one line, and no bar ends it.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The anchor that a heading has.
pub(super) fn anchor(heading: &str) -> String {
    heading.to_lowercase()
}

pub(super) fn line(text: &mut String, line: &str) {
    // Writing to a String does not fail.
    writeln!(text, "{line}").ok();
}
