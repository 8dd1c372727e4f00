//! Findings as people, programs and code scanners read them.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{
    Exit, data, say,
    style::{ERROR, FAINT, HINT, STRONG, WARNING, paint},
};
use crate::{
    files::{Folder, Place},
    validate::{Finding, Severity, finding::CHECKS},
};

/// Form of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Report {
    /// For people.
    Text,
    /// For programs: a JSON list.
    Json,
    /// For code scanners: SARIF 2.1.0.
    Sarif,
}

/// Prints findings on stdout, and on stderr how many there are.
pub(in crate::cli) fn findings(folder: &Folder, findings: &[Finding], report: Report) -> Exit {
    match report {
        Report::Text => findings.iter().for_each(|f| data(&format!("{}\n", text(f)))),
        Report::Json => print(&Value::Array(findings.iter().map(as_json).collect())),
        Report::Sarif => print(&sarif(findings)),
    }
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let number = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    say(format!(
        "{} in {}: {}, {}",
        number(folder.manifests.len(), "object"),
        number(folder.files, "file"),
        number(errors, "error"),
        number(warnings, "warning")
    ));
    if errors > 0 { Exit::Failed } else { Exit::Fine }
}

/// One finding, on stderr.
pub(in crate::cli) fn finding(finding: &Finding) {
    say(text(finding));
}

fn print(value: &Value) {
    data(&format!("{}\n", serde_json::to_string_pretty(value).unwrap_or_default()));
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// The finding, the line that is meant, and what to do.
fn text(f: &Finding) -> String {
    let style = if f.severity == Severity::Error { ERROR } else { WARNING };
    let Place { source, line, column, length } = &f.place;
    let width = line.to_string().len();
    let bar = |number: &str| paint(FAINT, format!("{number:>width$} |"));
    let mut lines = vec![
        format!(
            "{}: {}",
            paint(style, format!("{}[{}]", word(f.severity), f.check)),
            paint(STRONG, &f.message)
        ),
        format!("{} {}", paint(FAINT, format!("{:>width$}-->", "")), f.place),
    ];
    if let Some(shown) = source.text.lines().nth(line.saturating_sub(1)) {
        let marks = paint(style, "^".repeat(*length));
        lines.extend([
            bar(""),
            format!("{} {shown}", bar(&line.to_string())),
            format!("{} {}{marks}", bar(""), " ".repeat(column.saturating_sub(1))),
        ]);
    }
    lines.extend(f.hint.iter().map(|hint| format!("{}: {hint}", paint(HINT, "hint"))));
    lines.push(String::new());
    lines.join("\n")
}

fn as_json(f: &Finding) -> Value {
    json!({
        "severity": word(f.severity),
        "check": f.check,
        "message": f.message,
        "hint": f.hint,
        "file": f.place.source.path.to_string_lossy(),
        "line": f.place.line,
        "column": f.place.column,
        "endColumn": f.place.column + f.place.length,
    })
}

fn sarif(findings: &[Finding]) -> Value {
    let rules: Vec<Value> = CHECKS
        .iter()
        .map(|(id, about)| json!({"id": id, "shortDescription": {"text": about}}))
        .collect();
    let results: Vec<Value> = findings
        .iter()
        .map(|f| {
            let hint = f.hint.as_ref().map_or_else(String::new, |h| format!("\n{h}"));
            // A URI has / on every system.
            let uri = f.place.source.path.to_string_lossy().replace('\\', "/");
            let region = json!({"startLine": f.place.line, "startColumn": f.place.column, "endColumn": f.place.column + f.place.length});
            json!({
                "ruleId": f.check,
                "level": word(f.severity),
                "message": {"text": format!("{}{hint}", f.message)},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "kastellan",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            // Columns count characters, not UTF-16 units.
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}
