//! Secrets that the command line writes.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;

use super::{Desk, Ran, snapshots::snapshot};

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
    assert!(
        plan.stdout.contains("    + secret bot-zitadel (issued on create)\n"),
        "{}",
        plan.stdout
    );
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

const WEB: &str = "\
kind: Organization
metadata: {name: acme}
spec: {name: ACME}
---
kind: Project
metadata: {name: shop}
spec: {organizationRef: {name: acme}}
---
kind: OidcApplication
metadata: {name: web}
spec:
  projectRef: {name: shop}
  applicationType: Web
  authMethod: Basic
  redirectUris: [https://shop.example.com]
  secret: {name: shop-oidc}
";

/// How often a secret was issued.
fn issued(desk: &Desk) -> usize {
    let events = desk.emulator().events();
    let is_issued = |t: &str| t.ends_with("oidc.secret.changed") || t == "user.machine.secret.set";
    events.iter().filter(|e| is_issued(e.event_type)).count()
}

fn said(ran: &Ran) -> String {
    format!("{}{}", ran.stdout, ran.stderr)
}

fn json_of(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_manifests_is_written_and_found_again() {
    let desk = Desk::new().await;
    desk.write("web.yaml", WEB);
    fs::write(
        desk.path().join("out.yaml"),
        "apiVersion: v1\nkind: Secret\nmetadata: {name: other}\nstringData: {a: b}\n",
    )
    .unwrap();
    let apply = ["apply", "-f", "web.yaml", "--secrets-to", "manifests:out.yaml"];
    let ran = desk.run(&apply).await;
    assert_eq!(ran.code, 0, "{}", ran.text());
    let file = desk.path().join("out.yaml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let read = || {
        let text = fs::read_to_string(&file).unwrap();
        let [other, ours] = &text.split("---\n").collect::<Vec<_>>()[..] else { panic!("{text}") };
        let manifest = |text: &str| serde_saphyr::from_str::<Value>(text).unwrap();
        assert_eq!(manifest(other)["stringData"]["a"], "b", "what else is there stays");
        manifest(ours)
    };
    let manifest = read();
    assert_eq!(manifest["metadata"]["name"], "shop-oidc");
    assert_eq!(manifest["metadata"]["namespace"], "default");
    let secret = manifest["stringData"]["clientSecret"].as_str().unwrap().to_owned();
    assert!(!said(&ran).contains(&secret));
    assert_eq!(desk.run(&apply).await.code, 0);
    assert_eq!((issued(&desk), read()), (1, manifest), "what is there is not issued again");

    let ran = desk.run(&[&apply[..], &["--reissue", "oidcapplication/web"]].concat()).await;
    assert_eq!(ran.code, 0, "{}", ran.text());
    let another = read()["stringData"]["clientSecret"].as_str().unwrap().to_owned();
    assert_eq!(issued(&desk), 2, "but where it is asked for");
    assert_ne!(another, secret);

    // Values that are encrypted are not those that were written.
    let encrypted = fs::read_to_string(&file).unwrap().replace(&another, "ENC[x]") + "sops: {}\n";
    for (text, why) in [(encrypted.as_str(), "encrypted by sops"), ("a: [", "not YAML")] {
        fs::write(&file, text).unwrap();
        let ran = desk.run(&apply).await;
        assert!(ran.code == 1 && ran.stderr.contains(why), "{}", ran.text());
        assert_eq!((issued(&desk), &*fs::read_to_string(&file).unwrap()), (2, text));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_printed_once() {
    for (form, start) in
        [("json:-", "{\"apiVersion\":\"v1\""), ("manifests:-", "---\napiVersion: v1\nkind: Secret")]
    {
        let desk = Desk::new().await;
        desk.write("web.yaml", WEB);
        let apply = ["apply", "-f", "web.yaml", "--secrets-to", form];
        let ran = desk.run(&apply).await;
        assert_eq!(ran.code, 0, "{}", ran.text());
        assert!(ran.stdout.starts_with(start), "{}", ran.stdout);
        let again = desk.run(&apply).await;
        assert_eq!((again.code, &*again.stdout, issued(&desk)), (0, "", 1));
        assert!(
            again.stderr.contains(
                "no secret was issued for what existed before: OidcApplication default/web"
            ),
            "{}",
            again.stderr
        );
        let ran =
            desk.run(&[&apply[..], &["--reissue", "OidcApplication/default/web"]].concat()).await;
        assert_eq!((ran.code, issued(&desk)), (0, 2), "{}", ran.text());
        if form == "json:-" {
            let [secret] = &json_of(&ran.stdout)[..] else { panic!("{}", ran.stdout) };
            assert_eq!(secret["stringData"]["clientSecret"].as_str().unwrap().len(), 64);
        }
        // Nobody would have what can't be printed.
        let mut command =
            desk.command(&[&apply[..], &["--reissue", "OidcApplication/web"]].concat());
        command.stdout(fs::File::options().write(true).open("/dev/full").unwrap());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("was not delivered")
                && said.contains("--reissue OidcApplication/default/web"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_gets_secrets_and_what_it_refuses_is_not_forgotten() {
    let desk = Desk::new().await;
    desk.write("web.yaml", WEB);
    let apply = async |command: &str, more: &[&str]| {
        let command = format!("exec:{command}");
        desk.run(&[&["apply", "-f", "web.yaml", "--secrets-to", &command], more].concat()).await
    };
    // It fails, and prints what it was given.
    let ran = apply("sed 's/.*stringData/stringData/' >&2; exit 4", &[]).await;
    assert_eq!(ran.code, 1);
    assert_eq!(issued(&desk), 1, "it is not tried again by itself");
    snapshot("apply-secret-not-delivered", &ran);
    let again = apply("cat > secret.json", &[]).await;
    assert_eq!((again.code, issued(&desk)), (0, 1), "{}", again.text());
    assert!(!desk.path().join("secret.json").exists());
    assert!(again.stderr.contains("--reissue KIND/NAME"), "{}", again.stderr);

    let keep = "cat > $KASTELLAN_SECRET_NAMESPACE-$KASTELLAN_SECRET_NAME.json; echo ${ZITADEL_TOKEN-none} > token";
    let ran = apply(keep, &["--reissue", "OidcApplication/web"]).await;
    assert_eq!((ran.code, issued(&desk)), (0, 2), "{}", ran.text());
    let text = fs::read_to_string(desk.path().join("default-shop-oidc.json")).unwrap();
    let [secret] = &json_of(&text)[..] else { panic!("{text}") };
    let value = secret["stringData"]["clientSecret"].as_str().unwrap();
    assert!(!said(&ran).contains(value));
    assert_eq!(fs::read_to_string(desk.path().join("token")).unwrap(), "none\n");

    for (reissue, why) in [
        ("OidcApplication/nobody", "there is no such object"),
        ("Project/shop", "writes no Secret"),
    ] {
        let ran = apply(keep, &["--reissue", reissue]).await;
        assert!(ran.code == 1 && ran.stderr.contains(why), "{}", ran.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_nothing_but_a_secret_is_left_out_where_it_would_not_be_found_again() {
    let desk = Desk::new().await;
    desk.write("all.yaml", &format!("{KEY}---\n{}", WEB.split_once("---\n").unwrap().1));
    let keys = || {
        let events = desk.emulator().events();
        events.iter().filter(|e| e.event_type.ends_with("machine.key.added")).count()
    };
    let ran = desk.run(&["apply", "-f", "all.yaml", "--secrets-to", "none"]).await;
    assert_eq!((ran.code, issued(&desk), keys()), (0, 0, 0), "{}", ran.text());
    assert!(ran.stderr.contains("warning: MachineKey default/bot is left out"), "{}", ran.stderr);
    let json = ["apply", "-f", "all.yaml", "--secrets-to", "json:-"];
    let ran = desk.run(&json).await;
    assert_eq!((ran.code, issued(&desk), keys()), (0, 0, 0), "{}", ran.text());
    assert!(
        ran.stderr.contains("--reissue MachineKey/default/bot makes another one"),
        "{}",
        ran.stderr
    );
    let ran = desk.run(&[&json[..], &["--reissue", "MachineKey/bot"]].concat()).await;
    assert_eq!((ran.code, issued(&desk), keys()), (0, 0, 1), "{}", ran.text());
    assert!(
        ran.stdout.contains("PRIVATE KEY") && !ran.stderr.contains("PRIVATE KEY"),
        "{}",
        ran.stderr
    );
    // What nobody has yet is issued where there is a place for it.
    let ran = desk.run(&["apply", "-f", "all.yaml", "--secrets-to", "dir:out"]).await;
    assert_eq!((ran.code, issued(&desk), keys()), (0, 1, 2), "{}", ran.text());

    for (to, why) in [("dir:", "nothing after the colon"), ("vault:x", "exec:COMMAND or none")] {
        let ran = desk.run(&["apply", "-f", "all.yaml", "--secrets-to", to]).await;
        assert!(ran.code == 1 && ran.stderr.contains(why), "{}", ran.stderr);
    }
}
