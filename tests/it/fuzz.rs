//! The fuzz targets on what is known to be of interest: recorded answers of a real ZITADEL, the
//! examples, what a fuzzer has found before, and mutations of these. The fuzzer itself is
//! `make fuzz`.

#[path = "../../fuzz/src/targets.rs"]
mod targets;

use std::{fs, path::Path, time::Instant};

use kastellan::kinds::REGISTRY;
use proptest::{
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestRunner},
};
use serde_json::Value;

type Seeds = Vec<Vec<u8>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(dir: &str, extension: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        fs::read_dir(root().join(dir)).into_iter().flatten().map(|f| f.unwrap().path()).collect();
    paths.sort();
    let wanted = paths.iter().filter(|p| p.extension().is_some_and(|e| e == extension));
    wanted.map(|path| fs::read(path).unwrap()).collect()
}

/// What a real ZITADEL answered, with its status and the path.
fn recorded() -> Vec<(u64, String, Value)> {
    let scenarios = files("emulator/recordings", "json").into_iter();
    let exchanges = scenarios.flat_map(|text| {
        let scenario: Value = serde_json::from_slice(&text).unwrap();
        scenario["exchanges"].as_array().cloned().unwrap_or_default()
    });
    let answer = |e: Value| {
        let path = e["request"]["path"].as_str().unwrap_or_default().to_owned();
        (e["response"]["status"].as_u64().unwrap_or(200), path, e["response"]["body"].clone())
    };
    exchanges.map(answer).collect()
}

fn documents() -> Vec<Value> {
    let dirs = ["examples", "examples/tenant", "examples/onboarding", "examples/instance"];
    dirs.into_iter().flat_map(crate::examples::documents).collect()
}

/// Inputs from which mutation starts.
fn seeds(target: &str) -> Seeds {
    let number = |n: usize| u8::try_from(n % 256).unwrap();
    let mut seeds: Seeds = match target {
        "manifests" => ["examples", "examples/tenant", "examples/onboarding", "examples/instance"]
            .into_iter()
            .flat_map(|dir| files(dir, "yaml"))
            .collect(),
        "objects" => documents()
            .iter()
            .filter_map(|document| {
                // What is of Kubernetes itself is beside the matter.
                let kind = REGISTRY.all().position(|e| e.kind() == document["kind"])?;
                Some([&[number(kind)], document["spec"].to_string().as_bytes()].concat())
            })
            .collect(),
        // One of each form that an answer has, to calls of all kinds in turn.
        "answers" => {
            let mut all = recorded();
            all.sort_by_key(|(status, path, body)| (*status, path.clone(), body.to_string().len()));
            all.dedup_by_key(|(status, path, _)| (*status, path.clone()));
            let some = all.into_iter().enumerate();
            some.map(|(n, (status, _, body))| {
                let place = [0x05, 0x10, 0x15, 0x21, 0x34, 0x35];
                let status = match status {
                    200..300 => 0,
                    400 => 3,
                    403 => 5,
                    404 => 6,
                    409 => 7,
                    _ => 10,
                };
                let head = [number(n), place[n % place.len()], status];
                [&head[..], body.to_string().as_bytes()].concat()
            })
            .collect()
        }
        "events" => {
            let answers: Vec<String> = recorded()
                .into_iter()
                .filter(|(_, path, body)| path.contains("/events/") && body["events"].is_array())
                .map(|(.., body)| body.to_string())
                .collect();
            let several = answers.windows(3).map(|some| some.join("\0"));
            several.map(|bodies| [&[0], bodies.as_bytes()].concat()).collect()
        }
        "keys" => {
            let emulator = zitadel_emulator::Emulator::new(zitadel_emulator::Options::default());
            let file = emulator.unwrap().key_file();
            let application =
                file.replace("serviceaccount", "application").replace("userId", "appId");
            vec![
                file.into(),
                application.into(),
                b"{\"keyId\":\"4\",\"key\":\"-----BEGIN\"}".into(),
            ]
        }
        "terraform" => vec![fs::read(root().join("tests/it/cli/terraform/state.json")).unwrap()],
        "templates" => vec![
            b"${id} $${id} ${secret:json}".into(),
            b"postgres://${id:url}:${secret:url}@db".into(),
            b"${secret}".into(),
        ],
        _ => panic!("{target} has no seeds"),
    };
    assert!(!seeds.is_empty(), "{target}");
    for entry in fs::read_dir(root().join("fuzz/found").join(target)).into_iter().flatten() {
        seeds.push(fs::read(entry.unwrap().path()).unwrap());
    }
    seeds
}

#[test]
fn seeds_and_what_was_found_before_are_read_without_a_panic() {
    let into = std::env::var_os("KASTELLAN_FUZZ_CORPUS");
    for (name, target) in targets::ALL {
        for (n, seed) in seeds(name).iter().enumerate() {
            if let Some(dir) = &into {
                let dir = Path::new(dir).join(name);
                fs::create_dir_all(&dir).unwrap();
                fs::write(dir.join(format!("seed-{n}")), seed).unwrap();
            }
            target(seed);
        }
    }
}

/// What happens to an input: bytes change, go, come twice or come from another seed; words and
/// numbers that are often too much take the place of others.
#[derive(Debug, Clone)]
enum Mutation {
    Set(Index, u8),
    Remove(Index, Index),
    Repeat(Index, Index),
    Insert(Index, &'static str),
    Splice(Index, Index),
}

const WORDS: [&str; 24] = [
    "null",
    "[]",
    "{}",
    "\"\"",
    "-1",
    "0",
    "18446744073709551616",
    "1e999",
    "true",
    "\0",
    "\u{feff}",
    "\"1970-01-01T00:00:00Z\"",
    "\"9999-12-31T23:59:59.999999999Z\"",
    "\"-262144-01-01T00:00:00Z\"",
    "${",
    "$${",
    "}",
    "---\n",
    "&a ",
    "*a",
    "!!binary ",
    "\u{10ffff}",
    "\"../x\"",
    "[[[[[[[[[[[[[[[[",
];

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Mutation::Remove(a, b)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Mutation::Repeat(a, b)),
        (any::<Index>(), select(&WORDS[..])).prop_map(|(at, word)| Mutation::Insert(at, word)),
        (any::<Index>(), any::<Index>()).prop_map(|(at, other)| Mutation::Splice(at, other)),
    ]
}

impl Mutation {
    fn apply(&self, data: &mut Vec<u8>, seeds: &Seeds) {
        let at = |index: &Index| index.index(data.len().max(1)).min(data.len());
        // Not so much that nothing is left, or that everything is long.
        let range = |a: &Index, b: &Index| {
            let start = at(a);
            start..(start + b.index(64)).min(data.len())
        };
        match self {
            Self::Set(index, byte) => {
                let at = at(index);
                if let Some(there) = data.get_mut(at) {
                    *there = *byte;
                }
            }
            Self::Remove(a, b) => drop(data.drain(range(a, b))),
            Self::Repeat(a, b) => {
                let part = data[range(a, b)].to_vec();
                let start = at(a);
                data.splice(start..start, part);
            }
            Self::Insert(index, word) => {
                let at = at(index);
                data.splice(at..at, word.bytes());
            }
            Self::Splice(index, other) => {
                let other = other.get(seeds);
                let at = at(index);
                data.truncate(at);
                data.extend(other.get(at..).unwrap_or_default());
            }
        }
    }
}

#[test]
fn mutated_seeds_are_read_without_a_panic() {
    let seconds = std::env::var("KASTELLAN_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    for (name, target) in targets::ALL {
        let seeds = seeds(name);
        let start = Instant::now();
        let mut executions = mutate(name, target, &seeds);
        while seconds.is_some_and(|seconds| start.elapsed().as_secs() < seconds) {
            executions += mutate(name, target, &seeds);
        }
        eprintln!("{name}: {executions} executions in {} s", start.elapsed().as_secs());
    }
}

/// Tries some; where one is wrong, says the least that is. Returns how many.
fn mutate(name: &str, target: fn(&[u8]), seeds: &Seeds) -> u32 {
    let cases = 100;
    let input = (any::<Index>(), prop::collection::vec(mutation(), 1..6));
    let config = Config { failure_persistence: None, ..Config::with_cases(cases) };
    let judge = |(seed, mutations): (Index, Vec<Mutation>)| {
        let mut data = seed.get(seeds).clone();
        for mutation in &mutations {
            mutation.apply(&mut data, seeds);
        }
        // Shown where it fails, so that it can be kept in `fuzz/found`.
        let outcome = std::panic::catch_unwind(|| target(&data));
        prop_assert!(outcome.is_ok(), "{:?}", String::from_utf8_lossy(&data));
        Ok(())
    };
    TestRunner::new(config).run(&input, judge).unwrap_or_else(|e| panic!("{name}: {e}"));
    cases
}
