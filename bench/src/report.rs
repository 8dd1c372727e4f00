//! The results as JSON and as a table.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{Arguments, Result, meter::Figures};

/// Writes results.json and results.md.
pub(crate) fn write(arguments: &Arguments, results: &[Figures]) -> Result<()> {
    let a = arguments;
    let all = json!({
        "zitadel": a.url.as_ref().map_or("emulated", |_| "real"),
        "readMilliseconds": a.read_ms,
        "writeMilliseconds": a.write_ms,
        "pollInterval": a.poll,
        "lateCommitsMilliseconds": a.late_commits_ms,
        "results": results,
    });
    std::fs::write(a.out.join("results.json"), format!("{all:#}\n"))?;
    std::fs::write(a.out.join("results.md"), markdown(results))?;
    Ok(())
}

/// A line a scenario, then the calls by endpoint and what one scenario alone tells.
pub(crate) fn markdown(results: &[Figures]) -> String {
    let count = |n: Option<u64>| n.map_or_else(|| "not counted".into(), |n| n.to_string());
    let mut text = String::from(
        "| Scenario | Projects | ZITADEL: calls | writes | events | Kubernetes: status patches | finalizer patches | Events | Seconds | CPU seconds | MiB at the end | at the peak | without the binary |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for f in results {
        let (patches, all) = (f.requests("/status"), f.kubernetes.iter());
        let finalizers: u64 = all
            .filter(|(name, _)| name.starts_with("PATCH ") && !name.ends_with("/status"))
            .map(|(_, n)| n)
            .sum();
        // Writing to a String does not fail.
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {patches} | {finalizers} | {} | {:.1} | {:.2} | {:.1} | {:.1} | {:.1} |",
            f.scenario,
            f.n,
            count(f.total()),
            count(f.writes),
            count(f.events),
            f.requests("POST events"),
            f.wall_seconds,
            f.cpu_seconds,
            f.memory.0,
            f.memory.1,
            f.memory.2,
        )
        .ok();
    }
    for f in results {
        let calls = f.calls.iter().flatten().filter(|(_, n)| **n > 0);
        let calls: Vec<String> = calls.map(|(endpoint, n)| format!("{n} × `{endpoint}`")).collect();
        let more: Vec<String> = f
            .more
            .iter()
            .filter(|(_, v)| !v.is_array())
            .map(|(name, value)| format!("{name}: {}", short(value)))
            .collect();
        let kubernetes: Vec<String> =
            f.kubernetes.iter().map(|(name, n)| format!("{n} × {name}")).collect();
        write!(text, "\n**{}, {} projects.** ", f.scenario, f.n).ok();
        let parts = [more.join(", "), calls.join(", "), kubernetes.join(", ")];
        writeln!(
            text,
            "{}",
            parts
                .iter()
                .filter(|p| !p.is_empty())
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(". ")
        )
        .ok();
    }
    text
}

fn short(value: &Value) -> String {
    match value.as_f64() {
        Some(n) if value.is_f64() => format!("{n:.2}"),
        _ => value.to_string(),
    }
}
