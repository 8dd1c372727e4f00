//! Findings as people, programs and code scanners read them.

use std::path::{Component, Path, PathBuf};

use clap::ValueEnum;
use reqwest::Url;
use serde_json::{Value, json};

use super::{
    Exit, Result, data, say,
    style::{ERROR, FAINT, HINT, STRONG, WARNING, paint},
};
use crate::{
    files::finding::{CHECKS, Finding, Severity},
    files::{Folder, Place, place::Origin},
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
pub(in crate::cli) fn findings(folder: &Folder, findings: &[Finding], report: Report) -> Result {
    data(&match report {
        Report::Text => findings.iter().flat_map(|f| [text(f), "\n".to_owned()]).collect(),
        Report::Json => format!("{:#}\n", Value::Array(findings.iter().map(as_json).collect())),
        Report::Sarif => {
            let root = std::env::current_dir().ok();
            format!("{:#}\n", sarif(findings, root.as_deref()))
        }
    })?;
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
    if errors > 0 { Err(Exit::Failed) } else { Ok(Exit::Fine) }
}

/// One finding, on stderr.
pub(in crate::cli) fn finding(finding: &Finding) {
    say(text(finding));
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// The finding, its line of the file, and what to do.
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
        "file": f.place.source.name(),
        "line": f.place.line,
        "column": f.place.column,
        "endColumn": f.place.column + f.place.length,
    })
}

/// Where a file is, relative to the folder that the command runs in; scanners put their own root in
/// its place. A file elsewhere has its whole URI.
fn location(path: &Path, root: Option<&Path>) -> Value {
    let whole = root.map_or_else(|| path.to_owned(), |root| root.join(path));
    let mut plain = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    // A URI has its own rules for characters, and / on every system.
    let uri = |path: &Path| Url::from_file_path(path).map(String::from).ok();
    let inside = root.and_then(|root| plain.strip_prefix(root).ok());
    let rooted = inside.and_then(|inside| uri(&Path::new("/").join(inside)));
    match rooted.as_deref().and_then(|uri| uri.strip_prefix("file:///")) {
        Some(relative) => json!({"uri": relative, "uriBaseId": "%SRCROOT%"}),
        None => json!({"uri": uri(&plain).unwrap_or_else(|| path.to_string_lossy().into())}),
    }
}

fn sarif(findings: &[Finding], root: Option<&Path>) -> Value {
    let rules: Vec<Value> = CHECKS
        .iter()
        .map(|(id, about)| json!({"id": id, "shortDescription": {"text": about}}))
        .collect();
    let results: Vec<Value> = findings
        .iter()
        .map(|f| {
            let hint = f.hint.as_ref().map_or_else(String::new, |h| format!("\n{h}"));
            let Place { source, line, column, length } = &f.place;
            let mut physical = match source.origin {
                Origin::Stdin => json!({"artifactLocation": {"uri": "stdin"}}),
                _ => json!({"artifactLocation": location(&source.path, root)}),
            };
            // Lines of what kustomize built are in no file.
            if source.origin != Origin::Kustomization {
                let region =
                    json!({"startLine": line, "startColumn": column, "endColumn": column + length});
                physical.as_object_mut().map(|p| p.insert("region".into(), region));
            }
            json!({
                "ruleId": f.check,
                "level": word(f.severity),
                "message": {"text": format!("{}{hint}", f.message)},
                "locations": [{"physicalLocation": physical}],
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_located_relative_to_the_root() {
        let at = |path: &str| location(Path::new(path), Some(Path::new("/srv/repo")));
        let inside = |uri: &str| json!({"uri": uri, "uriBaseId": "%SRCROOT%"});
        assert_eq!(at("a.yaml"), inside("a.yaml"));
        assert_eq!(at("./tenant/../tenant/a b.yaml"), inside("tenant/a%20b.yaml"));
        assert_eq!(at("/srv/repo/tenant/a.yaml"), inside("tenant/a.yaml"));
        assert_eq!(at("../repo/a.yaml"), inside("a.yaml"));
        assert_eq!(at("../other/a.yaml"), json!({"uri": "file:///srv/other/a.yaml"}));
    }
}
