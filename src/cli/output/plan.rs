//! A plan as people and as programs read it.

use anstyle::Style;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Exit, Result, data, failed, hint,
    markdown::markdown,
    say,
    style::{CHANGE, CREATE, FAINT, REMOVE, STRONG, WARNING, paint, plain},
};
use crate::{
    api::status::Drift,
    engine::{
        decide::{Action, Plan},
        inputs::{SecretChange, SendCause},
        unmanaged::Unmanaged,
    },
    files::step::{Cut, Planned, Step},
    kinds::REGISTRY,
};

/// Form of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// For people.
    Text,
    /// For programs: one JSON object.
    Json,
    /// For a comment on a pull request.
    Markdown,
}

/// How many there are of what.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    create: usize,
    change: usize,
    adopt: usize,
    unchanged: usize,
    observed: usize,
    suspended: usize,
    failed: usize,
    not_looked_at: usize,
}

impl Summary {
    fn of(planned: &[Planned]) -> Self {
        let mut s = Self::default();
        for p in planned {
            *match &p.step {
                Step::Do(plan) => match plan.effect() {
                    Action::Nothing if is_adopted(p, plan) => &mut s.adopt,
                    Action::Nothing => &mut s.unchanged,
                    Action::Create => &mut s.create,
                    Action::Update => &mut s.change,
                },
                Step::Observe(_) => &mut s.observed,
                Step::Suspended => &mut s.suspended,
                Step::Fail(f) if f.is_unconnected() => &mut s.not_looked_at,
                Step::Fail(_) => &mut s.failed,
            } += 1;
        }
        s
    }

    pub(super) fn text(&self) -> String {
        let parts = [
            (self.create, "to create"),
            (self.change, "to change"),
            (self.failed, "failed"),
            (self.not_looked_at, "not looked at"),
            (self.unchanged + self.adopt, "as declared"),
            (self.observed, "only observed"),
            (self.suspended, "suspended"),
        ];
        let said: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if said.is_empty() { "there are no objects in these files".into() } else { said.join(", ") }
    }
}

/// It exists already, was not created by us, and is as declared: nothing is written.
fn is_adopted(p: &Planned, plan: &Plan) -> bool {
    plan.adopts && p.object.status.provenance.is_none()
}

/// Prints a plan on stdout, and what is declared nowhere if that was asked for; failures go to
/// stderr, or into the JSON.
pub(in crate::cli) fn plan(
    planned: &[Planned],
    unmanaged: Option<&[Unmanaged]>,
    format: Format,
) -> Result {
    let summary = Summary::of(planned);
    match format {
        Format::Text => {
            data(&rendered(planned))?;
            for p in planned {
                if let Step::Fail(f) = &p.step
                    && !f.is_unconnected()
                {
                    say(failed(&p.object.key.to_string(), f));
                }
            }
            let unmanaged = unmanaged.map_or_else(String::new, not_declared);
            data(&format!("{unmanaged}{}: {}\n", paint(STRONG, "Plan"), summary.text()))?;
        }
        Format::Json => {
            let changes: Vec<Value> = planned.iter().map(as_json).collect();
            let mut all = json!({"formatVersion": 1, "objects": changes, "summary": summary});
            if let (Some(unmanaged), Some(all)) = (unmanaged, all.as_object_mut()) {
                all.insert("unmanaged".into(), json!(unmanaged));
            }
            data(&format!("{all:#}\n"))?;
        }
        Format::Markdown => data(&markdown(planned, unmanaged, &summary))?,
    }
    match summary {
        Summary { failed: 1.., .. } | Summary { not_looked_at: 1.., .. } => Err(Exit::Failed),
        Summary { create: 1.., .. } | Summary { change: 1.., .. } => Ok(Exit::Changes),
        _ => Ok(Exit::Fine),
    }
}

fn not_declared(unmanaged: &[Unmanaged]) -> String {
    if unmanaged.is_empty() {
        return "Nothing else was seen in ZITADEL.\n\n".into();
    }
    let line = |u: &Unmanaged| {
        let home = u
            .organization_id
            .as_ref()
            .map_or_else(String::new, |o| format!(" of organization {o}"));
        format!(
            "    {} {}  {}\n",
            u.kind,
            paint(STRONG, &u.name),
            paint(FAINT, format!("id {}{home}", u.id))
        )
    };
    let lines: String = unmanaged.iter().map(line).collect();
    format!("Declared nowhere, and not touched:\n{lines}\n")
}

/// The changes of a plan; empty where there are none.
pub(in crate::cli) fn rendered(planned: &[Planned]) -> String {
    planned.iter().filter_map(one).collect()
}

/// What is said of an object that changes.
pub(super) struct Headline<'a> {
    pub(super) plan: &'a Plan,
    pub(super) sign: &'static str,
    style: Style,
    pub(super) verb: String,
    /// The Secret into which a secret is issued.
    pub(super) issues: Option<&'a str>,
    /// What it takes from others, in words.
    pub(super) cuts: Vec<String>,
}

/// `None`: nothing changes.
pub(super) fn headline(p: &Planned) -> Option<Headline<'_>> {
    let (plan, observed) = match &p.step {
        Step::Do(plan) => (plan, false),
        Step::Observe(plan) => (plan, true),
        Step::Suspended | Step::Fail(_) => return None,
    };
    let (sign, style, verb) = match plan.action {
        Action::Nothing => return None,
        Action::Create => ("+", CREATE, "create"),
        Action::Update if plan.have.as_ref().is_some_and(|h| !h.own) => {
            ("+", CREATE, "create, in place of what is inherited")
        }
        Action::Update if plan.by_another => ("~", CHANGE, "change, by another one in its place"),
        Action::Update => ("~", CHANGE, "change"),
    };
    let (sign, verb) = if observed {
        ("?", format!("only observed: would {verb}"))
    } else {
        (sign, verb.to_owned())
    };
    Some(Headline {
        plan,
        sign,
        style,
        verb,
        issues: issues(p, plan),
        cuts: cuts(p).map(cut).collect(),
    })
}

/// The name of the Secret into which a secret is issued for what is created.
fn issues<'a>(p: &'a Planned, plan: &Plan) -> Option<&'a str> {
    REGISTRY.find(p.object.key.kind)?.as_entity()?.issues?;
    let name = p.object.spec.pointer("/secret/name")?.as_str()?;
    (plan.effect() == Action::Create && matches!(p.step, Step::Do(_))).then_some(name)
}

/// What a change takes from others; of what nobody has there is nothing to say.
fn cuts(p: &Planned) -> impl Iterator<Item = &Cut> {
    p.cuts.iter().filter(|cut| cut.count != Some(0))
}

/// The same in words.
fn cut(cut: &Cut) -> String {
    let from = match cut.count {
        Some(1) => format!("1 {}", cut.from),
        Some(n) => format!("{n} {}s", cut.from),
        None => format!("an unknown number of {}s", cut.from),
    };
    format!("takes {} from {from}, declared or not", plain(&cut.what))
}

fn one(p: &Planned) -> Option<String> {
    let Headline { plan, sign, style, verb, issues, cuts } = headline(p)?;
    let id = plan.id().map(|id| format!(" {}", paint(FAINT, format!("id {id}"))));
    let id = id.as_deref().unwrap_or("");
    let head = format!(
        "{} {}{id}  {}\n",
        paint(style, sign),
        paint(STRONG, &p.object.key),
        paint(FAINT, format!("# {verb}"))
    );
    let fields = plan.changes.iter().map(|change| format!("    {}\n", field(change)));
    let secrets = plan.secrets.iter().map(|change| format!("    {}\n", secret(change)));
    let due = plan.due.iter().map(|due| format!("    {} {}\n", paint(CHANGE, "~"), due.what));
    let issues =
        issues.map(|name| format!("    {} secret {name} (issued on create)\n", paint(CREATE, "+")));
    let cuts = cuts.into_iter().map(|cut| format!("    {} {cut}\n", paint(WARNING, "!")));
    let end = ["\n".to_owned()];
    let more = due.chain(issues).chain(cuts).chain(end);
    Some([head].into_iter().chain(fields).chain(secrets).chain(more).collect())
}

/// A secret that is to be sent: that, and why.
fn secret(change: &SecretChange) -> String {
    let (sign, why) = secret_note(change);
    let style = if sign == "+" { CREATE } else { CHANGE };
    format!("{} {}: (sensitive{why})", paint(style, sign), change.field)
}

/// The sign of a secret that is to be sent, and why it is.
pub(super) fn secret_note(change: &SecretChange) -> (&'static str, &'static str) {
    match &change.cause {
        SendCause::New => ("+", ""),
        SendCause::Changed => ("~", ", changed"),
        SendCause::Drift(_) => ("~", ", set by somebody else"),
    }
}

/// The entries that a list has no more, and those that are new; `None` where that does not say what
/// differs: it is no list, or has the same entries in another order, or another number of times.
pub(super) fn entries(drift: &Drift) -> Option<(Vec<&Value>, Vec<&Value>)> {
    let (Value::Array(live), Value::Array(declared)) = (&drift.live, &drift.declared) else {
        return None;
    };
    let gone: Vec<&Value> = live.iter().filter(|v| !declared.contains(v)).collect();
    let new: Vec<&Value> = declared.iter().filter(|v| !live.contains(v)).collect();
    (!gone.is_empty() || !new.is_empty()).then_some((gone, new))
}

/// A field as it is and as it will be.
pub(super) fn field(drift: &Drift) -> String {
    let Drift { field, live, declared } = drift;
    if live.is_null() {
        return format!("{} {field}: {}", paint(CREATE, "+"), paint(CREATE, declared));
    }
    let difference = match entries(drift) {
        Some((gone, new)) => {
            let gone = gone.into_iter().map(|v| paint(REMOVE, format!("- {v}")));
            let new = new.into_iter().map(|v| paint(CREATE, format!("+ {v}")));
            let entries: Vec<String> = gone.chain(new).collect();
            format!("\n        {}", entries.join("\n        "))
        }
        None => format!(" {} -> {}", paint(REMOVE, live), paint(CREATE, declared)),
    };
    format!("{} {field}:{difference}", paint(CHANGE, "~"))
}

fn as_json(p: &Planned) -> Value {
    let key = &p.object.key;
    let mut object = json!({"kind": key.kind, "namespace": key.namespace, "name": key.name});
    let more = match &p.step {
        Step::Do(plan) | Step::Observe(plan) => {
            let action = match (&p.step, plan.effect()) {
                (Step::Observe(_), _) => "observe",
                (_, Action::Nothing) if is_adopted(p, plan) => "adopt",
                (_, Action::Nothing) => "none",
                (_, Action::Create) => "create",
                (_, Action::Update) => "change",
            };
            let organization = p.place.as_ref().and_then(|place| place.organization.as_ref());
            let secrets: Vec<&str> = plan.secrets.iter().map(|secret| secret.field).collect();
            let secrets = Some(secrets).filter(|secrets| !secrets.is_empty());
            let by_another = plan.by_another.then_some(true);
            let taken = cuts(p).map(|c| json!({"what": c.what, "from": c.from, "count": c.count}));
            let taken: Vec<Value> = taken.collect();
            let due = plan.due.as_ref().map(|due| &due.what);
            json!({"action": action, "id": plan.id(), "organizationId": organization, "fields": plan.changes, "secrets": secrets, "issuesInto": issues(p, plan), "byAnother": by_another, "due": due, "cuts": Some(taken).filter(|taken| !taken.is_empty())})
        }
        Step::Suspended => json!({"action": "suspended"}),
        Step::Fail(f) => {
            let action = if f.is_unconnected() { "notLookedAt" } else { "failed" };
            json!({"action": action, "reason": f.reason.to_string(), "message": f.message, "hint": hint(f), "fields": f.drift})
        }
    };
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more.into_iter().filter(|(_, v)| !v.is_null()));
    }
    object
}
