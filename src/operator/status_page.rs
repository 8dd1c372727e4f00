//! `/status`: a page for people. It has no script, and nothing in it comes from elsewhere: the
//! headers forbid that, whatever a text that is shown may hold. Pure.

use aws_lc_rs::digest;
use axum::http::{HeaderName, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::overview::{Change, Instance, Kind, NotReady, Overview, Rows};
use crate::contract::Key;

/// Seconds after which a browser loads it again.
const REFRESH: u32 = 15;

const STYLE: &str = "
:root { color-scheme: light dark; --text: light-dark(#1f2328, #e6edf3); --dim: light-dark(#59636e, #9198a1);
  --line: light-dark(#d1d9e0, #3d444d); --back: light-dark(#ffffff, #0d1117); --head: light-dark(#f6f8fa, #151b23);
  --good: light-dark(#1a7f37, #3fb950); --bad: light-dark(#c31f2b, #ff7b72); }
body { margin: 2rem auto; padding: 0 1.5rem; max-width: 90rem; color: var(--text); background: var(--back);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .dim { color: var(--dim); }
.table { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
thead th { border-top: 0; background: var(--head); font-weight: 600; white-space: nowrap; overflow-wrap: normal; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.short { white-space: nowrap; } .good { color: var(--good); } .bad { color: var(--bad); }
";

/// The headers of the page.
pub(super) fn headers() -> [(HeaderName, String); 5] {
    let style = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".into()),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store".into()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".into()),
        (header::REFERRER_POLICY, "no-referrer".into()),
    ]
}

/// The page.
pub(super) fn render(overview: &Overview) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content=(REFRESH);
                title { "Kastellan" }
                // It is a constant, and the policy has its digest.
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Kastellan" }
                p.dim {
                    "Version " (env!("CARGO_PKG_VERSION")) ", operator " (overview.operator) ": "
                    (overview.role) ". As of " (overview.at) "; loads again every " (REFRESH)
                    " seconds."
                }
                @for line in overview.health.lines() { p.bad { "The operator is not ready: " (line) } }
                (instances(&overview.instances))
                (kinds(&overview.kinds))
                (not_ready(&overview.not_ready))
                (changes("Differs now", "Nothing differs.", &overview.differing, false))
                (changes("Changed by others", "Nobody else changed anything.", &overview.changes, true))
            }
        }
    };
    page.into_string()
}

fn instances(rows: &Rows<Instance>) -> Markup {
    let head = [
        "Instance",
        "Ready",
        "Address",
        "Version",
        "Event feed",
        "Objects ready",
        "not ready",
        "Served by",
    ];
    let row = |row: &Instance| {
        html! {
            td { (row.key.namespace) "/" (row.key.name) }
            td.short { @if row.is_ready { span.good { "yes" } } @else { span.bad { "no" } } }
            td { (row.address) }
            td.short { (row.version) }
            td { (row.feed) }
            td.number { (row.ready) }
            td.number { (row.not_ready) }
            td { (row.served_by) }
        }
    };
    section("Instances", "There is no Instance.", &head, rows, row)
}

fn kinds(kinds: &[Kind]) -> Markup {
    let total = |of: fn(&Kind) -> usize| kinds.iter().map(of).sum::<usize>();
    html! {
        h2 { "Objects" }
        p.dim { (total(|k| k.ready)) " ready, " (total(|k| k.not_ready)) " not ready" }
        @if !kinds.is_empty() {
            div.table { table {
                thead { tr { th { "Kind" } th.number { "Ready" } th.number { "Not ready" } } }
                tbody {
                    @for kind in kinds {
                        tr {
                            td { (kind.name) }
                            td.number { (kind.ready) }
                            td.number.bad[kind.not_ready > 0] { (kind.not_ready) }
                        }
                    }
                }
            } }
        }
    }
}

fn not_ready(rows: &Rows<NotReady>) -> Markup {
    let row = |row: &NotReady| {
        html! {
            (name(&row.key))
            td.short.bad[row.is_stalled] { (row.reason) }
            td { (row.message) }
            td.short { (row.since) }
        }
    };
    let head = ["Kind", "Object", "Reason", "Message", "Since"];
    section("Not ready", "Everything is ready.", &head, rows, row)
}

fn changes(title: &str, nothing: &str, rows: &Rows<Change>, is_past: bool) -> Markup {
    let row = |row: &Change| {
        html! {
            (name(&row.key))
            td { (row.fields) }
            td { (row.by) }
            td.short { (row.at) }
            @if is_past { td.short { @if row.is_corrected { "yes" } @else { "no" } } }
        }
    };
    let head = ["Kind", "Object", "Fields", "Changed by", "Found at", "Reverted"];
    let head = head.get(..head.len() - usize::from(!is_past)).unwrap_or_default();
    section(title, nothing, head, rows, row)
}

fn name(key: &Key) -> Markup {
    html! {
        td.short { (key.kind) }
        td { (key.namespace) "/" (key.name) }
    }
}

/// A table with a title; of rows that are not shown, how many there are.
fn section<T>(
    title: &str,
    nothing: &str,
    head: &[&str],
    rows: &Rows<T>,
    row: impl Fn(&T) -> Markup,
) -> Markup {
    let more = rows.total - rows.shown.len();
    html! {
        h2 { (title) }
        @if rows.shown.is_empty() {
            p.dim { (nothing) }
        } @else {
            div.table { table {
                thead { tr { @for title in head { th { (title) } } } }
                tbody { @for shown in &rows.shown { tr { (row(shown)) } } }
            } }
            @if more > 0 { p.dim { "and " (more) " more" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::overview::ROWS;

    fn of_message(number: usize, message: &str) -> NotReady {
        NotReady {
            key: Key { kind: "Project", namespace: "shop".into(), name: format!("p-{number}") },
            is_stalled: false,
            reason: "Rejected".into(),
            message: message.into(),
            since: String::new(),
        }
    }

    #[test]
    fn ten_thousand_objects_make_a_page_of_two_hundred_rows() {
        let rows: Vec<NotReady> = (0..10_000).map(|i| of_message(i, "no")).collect();
        let page = render(&Overview { not_ready: rows.into(), ..Overview::default() });
        assert_eq!(page.matches("shop/p-").count(), ROWS);
        assert!(page.contains("and 9800 more"), "{page}");
    }

    #[test]
    fn what_is_shown_is_text_wherever_it_comes_from() {
        let attack = "</td><script>alert('1')</script><img src=x onerror=\"alert(1)\">&lt;";
        let change = || Change {
            key: Key { kind: "Project", namespace: attack.into(), name: attack.into() },
            fields: attack.into(),
            by: attack.into(),
            at: attack.into(),
            is_corrected: false,
        };
        let instance = Instance {
            key: change().key,
            is_ready: false,
            address: attack.into(),
            version: attack.into(),
            feed: attack.into(),
            ready: attack.into(),
            not_ready: attack.into(),
            served_by: attack.into(),
        };
        let mut row = of_message(1, attack);
        (row.reason, row.since) = (attack.into(), attack.into());
        let page = render(&Overview {
            operator: attack.into(),
            role: attack.into(),
            health: attack.into(),
            at: attack.into(),
            instances: vec![instance].into(),
            not_ready: vec![row].into(),
            differing: vec![change()].into(),
            changes: vec![change()].into(),
            ..Overview::default()
        });
        assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
        assert_eq!(page.matches("&lt;/td&gt;&lt;script&gt;").count(), 25, "{page}");
    }
}
