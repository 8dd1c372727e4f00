//! A plan as a comment for a pull request. What is in ZITADEL others have written: it stands in fences
//! that it can't end, where nobody is mentioned and nothing is markup.

use std::collections::BTreeMap;

use super::{
    hint,
    plan::{Summary, entries, headline, secret_note},
    style::plain,
};
use crate::{
    api::status::Drift,
    engine::unmanaged::Unmanaged,
    files::step::{Failure, Planned, Step},
    kinds::REGISTRY,
};

/// By this the comment of an earlier run is found.
const MARKER: &str = "<!-- kastellan plan -->";
/// GitHub takes 65536 characters; what comes around the objects has to fit too.
const MAX: usize = 60_000;
/// Of one line.
const MAX_LINE: usize = 1_000;

/// Where objects are: in the instance itself, or in an organization, by its id.
type Section = Option<String>;

/// The whole comment.
pub(super) fn markdown(
    planned: &[Planned],
    unmanaged: Option<&[Unmanaged]>,
    summary: &Summary,
) -> String {
    let mut sections: BTreeMap<Section, Vec<String>> = BTreeMap::new();
    let mut failed = Vec::new();
    for p in planned {
        match &p.step {
            Step::Fail(failure) if !failure.is_unconnected() => {
                failed.push(failure_block(p, failure));
            }
            _ => {
                if let Some(block) = block(p) {
                    sections.entry(section(p)).or_default().push(block);
                }
            }
        }
    }
    let names = organizations(planned);
    let is_single = sections.len() == 1;
    let mut out = format!("{MARKER}\n### Kastellan plan: {}\n", summary.text());
    let mut left = MAX;
    let mut hidden = 0;
    let mut add = |title: &str, blocks: &[String], is_open: bool| {
        let shown: Vec<&String> = blocks
            .iter()
            .take_while(|block| {
                let fits = left.checked_sub(block.chars().count() + 1);
                left = fits.unwrap_or(0);
                fits.is_some()
            })
            .collect();
        hidden += blocks.len() - shown.len();
        if !shown.is_empty() {
            out.push_str(&details(title, &shown, is_open));
        }
    };
    if !failed.is_empty() {
        add(&format!("{} failed", failed.len()), &failed, true);
    }
    let mut sections: Vec<(Section, Vec<String>)> = sections.into_iter().collect();
    sections.sort_by_cached_key(|(section, _)| {
        section.as_ref().map(|id| names.get(id).unwrap_or(id).clone())
    });
    for (section, blocks) in &sections {
        let what = match section {
            None => "The instance itself".to_owned(),
            Some(id) => {
                let name = names.get(id).unwrap_or(id);
                format!("Organization <code>{}</code>", html(name))
            }
        };
        let changes =
            if blocks.len() == 1 { "1 change" } else { &format!("{} changes", blocks.len()) };
        add(&format!("{what}: {changes}"), blocks, is_single);
    }
    if let Some(unmanaged) = unmanaged.filter(|unmanaged| !unmanaged.is_empty()) {
        let title = format!("{} declared nowhere, and not touched", unmanaged.len());
        let line = |u: &Unmanaged| line(&format!("  {} {}  # id {}", u.kind, u.name, u.id));
        add(&title, &unmanaged.iter().map(line).collect::<Vec<_>>(), false);
    }
    if hidden > 0 {
        let rest = format!("\n**{hidden} more are not shown**: this comment would be too long.\n");
        out.push_str(&rest);
    }
    out
}

/// Blocks of lines that are collapsed. Blank lines begin and end the markdown within the HTML.
fn details(title: &str, blocks: &[&String], is_open: bool) -> String {
    let text: String = blocks.iter().map(|block| block.as_str()).collect();
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    let open = if is_open { " open" } else { "" };
    format!(
        "\n<details{open}><summary>{title}</summary>\n\n{fence}diff\n{text}{fence}\n\n</details>\n"
    )
}

/// How many backticks follow each other at most.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

fn section(p: &Planned) -> Section {
    if is_organization(p) {
        return id(p);
    }
    p.place.as_ref().and_then(|place| place.organization.clone())
}

fn is_organization(p: &Planned) -> bool {
    REGISTRY.root().is_some_and(|root| root.kind() == p.object.key.kind)
}

fn id(p: &Planned) -> Option<String> {
    let (Step::Do(plan) | Step::Observe(plan)) = &p.step else { return None };
    plan.id().map(ToOwned::to_owned)
}

/// The names of the organizations that are declared, by their ids.
fn organizations(planned: &[Planned]) -> BTreeMap<String, String> {
    let all = planned.iter().filter(|p| is_organization(p));
    let name = |p: &Planned| format!("{}/{}", p.object.key.namespace, p.object.key.name);
    all.filter_map(|p| Some((id(p)?, name(p)))).collect()
}

/// An object that changes.
fn block(p: &Planned) -> Option<String> {
    let shown = headline(p)?;
    // The colour of a change in a fence of this kind.
    let sign = if shown.sign == "~" { "!" } else { shown.sign };
    let mut lines = vec![line(&format!("{sign} {}  # {}", p.object.key, shown.verb))];
    for change in &shown.plan.changes {
        lines.extend(field(change));
    }
    for change in &shown.plan.secrets {
        let (sign, why) = secret_note(change);
        let sign = if sign == "~" { "!" } else { sign };
        lines.push(line(&format!("{sign}     {}: (sensitive{why})", change.field)));
    }
    lines.extend(shown.plan.due.iter().map(|due| line(&format!("!     {}", due.what))));
    lines.extend(shown.issues.map(|name| line(&format!("+     secret {name} (issued on create)"))));
    lines.extend(shown.cuts.iter().map(|cut| line(&format!("-     {cut}"))));
    Some(lines.concat())
}

fn field(drift: &Drift) -> Vec<String> {
    let Drift { field, declared, live } = drift;
    if live.is_null() {
        return vec![line(&format!("+     {field}: {declared}"))];
    }
    match entries(drift) {
        Some((gone, new)) => {
            let gone = gone.into_iter().map(|v| line(&format!("-         {v}")));
            let new = new.into_iter().map(|v| line(&format!("+         {v}")));
            [line(&format!("!     {field}:"))].into_iter().chain(gone).chain(new).collect()
        }
        None => vec![line(&format!("!     {field}: {live} -> {declared}"))],
    }
}

fn failure_block(p: &Planned, failure: &Failure) -> String {
    let head = line(&format!("- {}: {}: {}", p.object.key, failure.reason, failure.message));
    let fields = failure.drift.iter().flat_map(field);
    let hint = line(&format!("# hint: {}", hint(failure)));
    [head].into_iter().chain(fields).chain([hint]).collect()
}

/// One line, whatever is in it, of bounded length.
fn line(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_LINE).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{}\n", plain(&shown))
}

/// Text in HTML.
fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_line_and_shows_what_it_says() {
        assert_eq!(line("a\nb\r\u{1b}[2J\u{202e}c"), "a\\u{a}b\\u{d}\\u{1b}[2J\\u{202e}c\n");
        let long = line(&"é".repeat(2_000));
        assert_eq!(long.chars().count(), MAX_LINE + 2);
    }

    #[test]
    fn nothing_ends_the_fence_that_it_stands_in() {
        for text in ["", "`", "```", "a\n`````diff\n`", "</details>"] {
            let out = details("title", &[&format!("{text}\n")], false);
            let fence = out.lines().find(|line| line.ends_with("`diff")).unwrap_or_default();
            let fence = fence.trim_end_matches("diff");
            assert!(fence.len() >= 3 && !text.contains(fence), "{out}");
            assert!(out.ends_with(&format!("\n{fence}\n\n</details>\n")), "{out}");
        }
    }
}
