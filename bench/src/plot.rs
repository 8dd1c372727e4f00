//! Drawings of results: a bar for each number of projects, and how soon foreign changes are
//! corrected.

use std::{fmt::Write as _, path::Path};

use serde::Deserialize;
use serde_json::Value;

use crate::{Result, meter::Figures, say};

#[derive(Deserialize)]
struct Results {
    results: Vec<Figures>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 60.0;
const BOTTOM: f64 = 270.0;
const TOP: f64 = 50.0;
const RIGHT: f64 = 620.0;

/// Draws what the results hold.
pub(crate) fn draw(results: &Path, out: &Path) -> Result<()> {
    let Results { results } = serde_json::from_str(&std::fs::read_to_string(results)?)?;
    std::fs::create_dir_all(out)?;
    let of = |scenario: &str| {
        results.iter().filter(|f| f.scenario == scenario).cloned().collect::<Vec<_>>()
    };
    let bars =
        |figures: &[Figures], value: &dyn Fn(&Figures) -> Option<f64>| -> Vec<(String, f64)> {
            figures.iter().filter_map(|f| Some((format!("{} projects", f.n), value(f)?))).collect()
        };
    let more = |name: &'static str| move |f: &Figures| f.more.get(name).and_then(Value::as_f64);
    let drawings = [
        ("rest", "Calls of ZITADEL a minute, at rest", bars(&of("rest"), &more("callsAMinute"))),
        ("memory", "Resident memory at rest, MiB", bars(&of("rest"), &|f| Some(f.memory.0))),
        (
            "converge",
            "From nothing to Ready, seconds",
            bars(&of("converge"), &|f| Some(f.wall_seconds)),
        ),
        #[allow(clippy::cast_precision_loss, reason = "thousands")]
        (
            "restart",
            "Calls of ZITADEL at a restart",
            bars(&of("restart"), &|f| f.total().map(|c| c as f64)),
        ),
    ];
    for (name, title, bars) in drawings.into_iter().filter(|(_, _, bars)| !bars.is_empty()) {
        save(out, name, &bar_chart(title, &bars))?;
    }
    for f in of("drift") {
        let latencies: Vec<f64> = f
            .more
            .get("latencies")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_f64)
            .collect();
        if !latencies.is_empty() {
            let title = format!("Foreign changes corrected after, seconds; {} projects", f.n);
            save(out, &format!("drift-{}", f.n), &curve(&title, &latencies))?;
        }
    }
    Ok(())
}

fn save(out: &Path, name: &str, body: &str) -> Result<()> {
    let file = out.join(format!("{name}.svg"));
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#444\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n{body}</svg>\n"
    );
    std::fs::write(&file, svg)?;
    say(&format!("{}", file.display()));
    Ok(())
}

fn title(text: &str) -> String {
    format!("<text x=\"{LEFT}\" y=\"28\" font-size=\"16\" fill=\"#222\">{text}</text>\n")
}

fn line(x1: f64, y1: f64, x2: f64, y2: f64) -> String {
    format!("<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ccc\"/>\n")
}

fn label(x: f64, y: f64, text: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{text}</text>\n")
}

#[allow(clippy::cast_precision_loss, reason = "a handful")]
fn bar_chart(text: &str, bars: &[(String, f64)]) -> String {
    let most = bars.iter().map(|(_, v)| *v).fold(f64::MIN_POSITIVE, f64::max);
    let step = (RIGHT - LEFT) / bars.len() as f64;
    let mut svg = title(text) + &line(LEFT, BOTTOM, RIGHT, BOTTOM);
    for (i, (name, value)) in bars.iter().enumerate() {
        let (height, middle) =
            ((BOTTOM - TOP - 20.0) * value / most, LEFT + step * (i as f64 + 0.5));
        let (x, y, width) = (middle - step * 0.3, BOTTOM - height, step * 0.6);
        // Writing to a String does not fail.
        writeln!(svg, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"#2f6f9f\"/>").ok();
        svg += &label(middle, y - 6.0, &format!("{value:.1}"));
        svg += &label(middle, BOTTOM + 20.0, name);
    }
    svg
}

/// How many of all (upwards) are corrected after so many seconds (to the right).
#[allow(clippy::cast_precision_loss, reason = "hundreds")]
fn curve(text: &str, latencies: &[f64]) -> String {
    let most = latencies.iter().copied().fold(1.0, f64::max).ceil();
    let x = |seconds: f64| LEFT + (RIGHT - LEFT) * seconds / most;
    let y = |share: f64| BOTTOM - (BOTTOM - TOP) * share;
    let mut svg = title(text);
    for quarter in 0..=4 {
        let share = f64::from(quarter) / 4.0;
        svg += &line(LEFT, y(share), RIGHT, y(share));
        svg += &label(LEFT - 25.0, y(share) + 4.0, &format!("{:.0} %", share * 100.0));
    }
    let mut second = 0.0;
    while second <= most {
        svg += &label(x(second), BOTTOM + 20.0, &format!("{second:.0}"));
        second += 1.0;
    }
    let mut points = format!("{:.1},{:.1}", x(0.0), y(0.0));
    for (i, seconds) in latencies.iter().enumerate() {
        let (before, after) =
            (i as f64 / latencies.len() as f64, (i + 1) as f64 / latencies.len() as f64);
        write!(points, " {:.1},{:.1} {:.1},{:.1}", x(*seconds), y(before), x(*seconds), y(after))
            .ok();
    }
    writeln!(
        svg,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"#2f6f9f\" stroke-width=\"2\"/>"
    )
    .ok();
    svg
}
