//! A whole instance in Git, from `examples/instance`: made of nothing, at rest afterwards, and the
//! same wherever it is made.

use std::fs;

use kastellan::kinds::REGISTRY;

use super::{Desk, difference::side, laws::files};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/instance");

/// What is not in Git.
const SECRETS: [(&str, &str, &str); 5] = [
    ("smtp", "password", "pa55word-of-smtp"),
    ("google", "client-secret", "s3cret-of-google"),
    ("keycloak", "client-secret", "s3cret-of-keycloak"),
    ("directory", "password", "pa55word-of-directory"),
    ("break-glass", "password", "Pa55word-of-nobody!"),
];

async fn made() -> Desk {
    let desk = Desk::new().await;
    for (name, key, value) in SECRETS {
        let secret = desk.path().join("secrets/default").join(name);
        fs::create_dir_all(&secret).unwrap();
        fs::write(secret.join(key), value).unwrap();
    }
    let files = ["-f", EXAMPLE, "--secret-dir", "secrets"];
    let ran = desk.run(&[&["apply"][..], &files].concat()).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let writes = desk.writes();
    let plan = desk.run(&[&["plan"][..], &files].concat()).await;
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
    let again = desk.run(&[&["apply"][..], &files].concat()).await;
    assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
    assert_eq!(desk.writes(), writes, "nothing is left to do: {}", again.stdout);
    desk
}

/// People only where their kind is named.
fn kinds() -> Vec<&'static str> {
    let kinds = REGISTRY.all().filter(|entry| !entry.is_connection());
    kinds.flat_map(|entry| ["--kind", entry.kind()]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_instance_is_made_of_nothing_and_the_same_everywhere() {
    let (staging, production) = (made().await, made().await);
    side(&staging, "staging", &staging);
    side(&staging, "production", &production);
    let diff = ["diff", "staging.yaml", "production.yaml", "--secret-dir", "tokens"];
    let ran = staging.run(&[&diff[..], &kinds()].concat()).await;
    assert_eq!(ran.code, 0, "{}", ran.text());
    assert!(
        ran.stdout.starts_with("Diff: ") && ran.stdout.ends_with(" the same\n"),
        "{}",
        ran.stdout
    );

    let ran = staging.run(&[&["export", "--dir", "out"], &kinds()[..]].concat()).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let one = files(&staging.path().join("out"));
    for kind in ["HumanUser", "LabelPolicy", "IdentityProvider", "EmailProvider", "MessageText"] {
        let is_there = one.values().any(|text| text.contains(&format!("kind: {kind}\n")));
        assert!(is_there, "{kind} is exported");
    }
    for (_, _, value) in SECRETS {
        assert!(one.values().all(|text| !text.contains(value)), "no secret is exported");
    }

    // What was exported is so already where it came from, and needs its secrets elsewhere.
    let plan = staging.run(&["plan", "-f", "out"]).await;
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
}
