//! Secrets that the command line writes.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::Desk;

const BOT: &str = "\
kind: Organization
metadata: {name: acme}
spec: {name: ACME}
---
kind: MachineUser
metadata: {name: bot, namespace: team}
spec:
  organizationRef: {name: acme, namespace: default}
  secret: {name: bot-zitadel}
";

fn read(dir: &Path, key: &str) -> String {
    fs::read_to_string(dir.join("team/bot-zitadel").join(key)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_has_a_place_or_nothing_is_written() {
    let desk = Desk::new().await;
    desk.write(
        "bot.yaml",
        &BOT.replace("{name: ACME}", "{name: ACME, allowedNamespaces: {from: All}}").replace(
            "kind: Organization\nmetadata: {name: acme}",
            "kind: Organization\nmetadata: {name: acme, namespace: default}",
        ),
    );
    let plan = desk.run(&["plan", "-f", "bot.yaml"]).await;
    assert_eq!(plan.code, 2, "{}", plan.stderr);
    let before = desk.writes();
    let refused = desk.run(&["apply", "-f", "bot.yaml"]).await;
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    assert!(refused.stderr.contains("--secrets-to dir:DIR"), "{}", refused.stderr);
    assert_eq!(desk.writes(), before, "it stops before anything is written");

    let apply = ["apply", "-f", "bot.yaml", "--secrets-to", "dir:out"];
    let ran = desk.run(&apply).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let out = desk.path().join("out");
    assert_eq!(read(&out, "clientId"), "bot");
    let secret = read(&out, "clientSecret");
    assert_eq!(secret.len(), 64);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(&secret));
    let mode = fs::metadata(out.join("team/bot-zitadel/clientSecret")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);

    // What is there is not issued again.
    let writes = desk.writes();
    assert_eq!(desk.run(&apply).await.code, 0);
    assert_eq!((desk.writes(), read(&out, "clientSecret")), (writes, secret.clone()));

    // What is not what was written is.
    fs::remove_file(out.join("team/bot-zitadel/clientSecret")).unwrap();
    let ran = desk.run(&apply).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_ne!(read(&out, "clientSecret"), secret);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_manifest_says_leads_to_no_other_directory() {
    let desk = Desk::new().await;
    let text = BOT.replace("{name: bot, namespace: team}", "{name: bot, namespace: ../../team}");
    desk.write("bot.yaml", &text.replace("namespace: default", "namespace: ../../team"));
    let ran = desk.run(&["apply", "-f", "bot.yaml", "--secrets-to", "dir:a/b/out"]).await;
    assert_ne!(ran.code, 0);
    assert!(!desk.path().join("team").exists());
    assert!(!desk.path().join("a/b/team").exists() && !desk.path().join("a/team").exists());
}

const KEY: &str = "\
kind: Organization
metadata: {name: acme}
spec: {name: ACME}
---
kind: MachineUser
metadata: {name: bot}
spec: {organizationRef: {name: acme}}
---
kind: MachineKey
metadata: {name: bot}
spec: {userRef: {name: bot}, secret: {name: bot-zitadel}}
---
kind: PersonalAccessToken
metadata: {name: bot}
spec: {userRef: {name: bot}, secret: {name: bot-token}}
";

/// The command line remembers nothing: the files tell which key it has made.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_once_and_found_again_by_its_file() {
    let desk = Desk::new().await;
    desk.write("bot.yaml", KEY);
    let apply = ["apply", "-f", "bot.yaml", "--secrets-to", "dir:out"];
    let ran = desk.run(&apply).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let file = desk.path().join("out/default/bot-zitadel/key.json");
    let key = fs::read_to_string(&file).unwrap();
    assert!(key.contains("BEGIN RSA PRIVATE KEY"));
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("PRIVATE KEY"));

    let writes = desk.writes();
    let again = desk.run(&apply).await;
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(
        (desk.writes(), fs::read_to_string(&file).unwrap()),
        (writes, key),
        "{}",
        again.stdout
    );
    let plan = desk.run(&["plan", "-f", "bot.yaml", "--secret-dir", "out"]).await;
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);

    // Where the file is gone there is another one.
    fs::remove_dir_all(desk.path().join("out")).unwrap();
    let plan = desk.run(&["plan", "-f", "bot.yaml", "--secret-dir", "out"]).await;
    assert_eq!(plan.code, 2, "{}", plan.stdout);
    assert_eq!(desk.run(&apply).await.code, 0);
    assert!(file.exists());
}

const MAIL: &str = "\
kind: EmailProvider
metadata: {name: mail, namespace: team}
spec:
  state: Active
  smtp:
    host: smtp.example.com:587
    senderAddress: noreply@example.com
    senderName: Example
    user: mailer
    authentication: Plain
    passwordSecretRef: {name: smtp, key: password}
";

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_sent_to_what_is_created_and_to_the_rest_when_asked() {
    let desk = Desk::new().await;
    desk.write("mail.yaml", MAIL);
    let files = ["-f", "mail.yaml", "--secret-dir", "secrets"];
    let run = async |verb: &str, more: &[&str]| {
        let ran = desk.run(&[&[verb], &files[..], more].concat()).await;
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains("hunter"), "{said}");
        (ran.code, said)
    };
    let (code, said) = run("plan", &[]).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("waiting for Secret team/smtp") && said.contains("--secret-dir"),
        "{said}"
    );

    fs::create_dir_all(desk.path().join("secrets/team/smtp")).unwrap();
    desk.write("secrets/team/smtp/password", "hunter-1");
    let (code, said) = run("plan", &[]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("+ smtp.password: (sensitive)"), "{said}");
    let (code, said) = run("apply", &[]).await;
    assert_eq!(code, 0, "{said}");
    let id = || {
        let events = desk.emulator().events();
        let mut added = events.iter().filter(|e| e.event_type == "instance.smtp.config.added");
        let payload = added.next_back().unwrap().payload.as_ref().unwrap();
        payload["id"].as_str().unwrap().to_owned()
    };
    assert!(desk.emulator().has_secret(&id(), "hunter-1"));

    // Nobody can read whether it has another one.
    desk.write("secrets/team/smtp/password", "hunter-2");
    let writes = desk.writes();
    for verb in ["plan", "apply"] {
        let (code, said) = run(verb, &[]).await;
        assert_eq!(code, 0, "{said}");
    }
    assert_eq!(desk.writes(), writes);

    let (code, said) = run("plan", &["--send-secrets"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("~ smtp.password: (sensitive, changed)"), "{said}");
    assert!(said.contains("by another one in its place"), "{said}");
    let (code, said) = run("apply", &["--send-secrets"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(desk.emulator().has_secret(&id(), "hunter-2"));
}
