//! What each command says: when all is well, when there is nothing to do, when something is wrong.

use std::{fs, net::TcpListener};

use super::{Desk, Ran};

const TENANT: &str = "\
kind: Organization
metadata: {name: acme}
spec: {name: ACME}
---
kind: PrivacyPolicy
metadata: {name: acme}
spec:
  organizationRef: {name: acme}
  helpLink: https://help.acme.example
---
kind: Project
metadata: {name: shop}
spec:
  organizationRef: {name: acme}
  name: Shop
  projectRoleCheck: true
---
kind: SecurityPolicy
metadata: {name: instance}
spec:
  embeddedIframe: {enabled: true, allowedOrigins: [https://a.example, https://b.example]}
";

/// The same wherever and whenever it runs.
pub(super) fn snapshot(name: &str, ran: &Ran) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"localhost:\d+", "localhost:PORT");
    settings.add_filter(r"\b\d{18}\b", "ZITADELS-ID");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, ran.text()));
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_shows_what_would_change_and_then_nothing() {
    let desk = Desk::new().await;
    desk.write("tenant.yaml", TENANT);
    snapshot("plan-changes", &desk.run(&["plan", "-f", "tenant.yaml"]).await);
    snapshot("plan-changes-json", &desk.run(&["plan", "-f", "tenant.yaml", "-o", "json"]).await);
    snapshot("apply", &desk.run(&["apply", "-f", "tenant.yaml"]).await);
    snapshot("apply-again", &desk.run(&["apply", "-f", "tenant.yaml"]).await);
    snapshot("plan-nothing", &desk.run(&["plan", "-f", "tenant.yaml"]).await);
    desk.write(
        "tenant.yaml",
        &TENANT.replace("name: Shop", "name: Webshop").replace("https://a.example, ", ""),
    );
    snapshot("plan-a-rename", &desk.run(&["plan", "-f", "tenant.yaml"]).await);
}

/// What others wrote in ZITADEL stands in the comment as a text.
#[tokio::test(flavor = "multi_thread")]
async fn plan_makes_a_comment_that_says_what_it_shows() {
    let desk = Desk::new().await;
    let role = "---\nkind: ProjectRole\nmetadata: {name: buyer}\nspec: {projectRef: {name: shop}, key: buyer, displayName: Buyer, adoptionPolicy: Always}\n";
    let tenant = format!("{TENANT}{role}");
    desk.write("tenant.yaml", &tenant);
    let ran = desk.run(&["apply", "-f", "tenant.yaml"]).await;
    assert_eq!(ran.code, 0, "{}", ran.text());
    let other = "kind: Organization\nmetadata: {name: other}\nspec: {name: Other}\n---\nkind: Project\nmetadata: {name: waiting}\nspec: {organizationRef: {name: nobody}}\n";
    desk.write("other.yaml", other);
    let evil = "</details>\\n\\n````\\n@everyone | `x` ![](https://evil.example)\u{202e}";
    let by_hand = tenant.replace("displayName: Buyer", &format!("displayName: \"{evil}\""));
    desk.write("by-hand.yaml", &by_hand);
    let ran = desk.run(&["apply", "-f", "by-hand.yaml"]).await;
    assert_eq!(ran.code, 0, "{}", ran.text());
    desk.write(
        "tenant.yaml",
        &tenant.replace("https://a.example, ", "").replace("projectRoleCheck", "hasProjectCheck"),
    );
    let plan = ["plan", "-f", "tenant.yaml", "-o", "markdown"];
    snapshot("plan-markdown", &desk.run(&plan).await);
    let all = [&plan[..], &["-f", "other.yaml", "--unmanaged"]].concat();
    snapshot("plan-markdown-failures", &desk.run(&all).await);
    desk.write("tenant.yaml", &by_hand);
    snapshot("plan-markdown-nothing", &desk.run(&plan).await);

    // As long as a comment may be.
    let many = |n: usize| {
        format!(
            "---\nkind: Project\nmetadata: {{name: shop-{n}}}\nspec: {{organizationRef: {{name: acme}}, name: \"{}\"}}\n",
            "x".repeat(190) + &n.to_string()
        )
    };
    let many: String = (0..500).map(many).collect();
    desk.write("tenant.yaml", &format!("{TENANT}{many}"));
    let ran = desk.run(&plan).await;
    assert!(ran.stdout.chars().count() < 65_536, "{}", ran.stdout.len());
    assert!(ran.stdout.contains(" more are not shown**"), "{}", ran.stdout.len());
}

/// A project lent to another organization, which has given its roles to two accounts.
const LENT: &str = "\
kind: Organization
metadata: {name: acme}
spec: {name: ACME}
---
kind: Organization
metadata: {name: partner}
spec: {name: Partner}
---
kind: Project
metadata: {name: shop}
spec: {organizationRef: {name: acme}, name: Shop}
---
kind: ProjectRole
metadata: {name: buyer}
spec: {projectRef: {name: shop}, key: buyer}
---
kind: ProjectRole
metadata: {name: seller}
spec: {projectRef: {name: shop}, key: seller}
---
kind: ProjectGrant
metadata: {name: shop}
spec:
  projectRef: {name: shop}
  grantedOrganizationRef: {name: partner}
  roleKeys: [buyer, seller]
  adoptionPolicy: Always
";

#[tokio::test(flavor = "multi_thread")]
async fn plan_counts_what_a_change_takes_from_others() {
    let desk = Desk::new().await;
    let account = |name: &str, roles: &str| {
        format!(
            "---\nkind: MachineUser\nmetadata: {{name: {name}}}\nspec: {{organizationRef: {{name: partner}}}}\n---\nkind: UserGrant\nmetadata: {{name: {name}}}\nspec: {{organizationRef: {{name: partner}}, userRef: {{name: {name}}}, projectRef: {{name: shop}}, projectGrantRef: {{name: shop}}, roleKeys: [{roles}]}}\n"
        )
    };
    desk.write(
        "all.yaml",
        &format!("{LENT}{}{}", account("one", "buyer, seller"), account("two", "seller")),
    );
    let ran = desk.run(&["apply", "-f", "all.yaml"]).await;
    assert_eq!(ran.code, 0, "{}", ran.text());
    // The user grants are declared elsewhere, or nowhere.
    let less = LENT.replace("[buyer, seller]", "[]");
    desk.write("lent.yaml", &less);
    let plan = ["plan", "-f", "lent.yaml"];
    snapshot("plan-cuts", &desk.run(&plan).await);
    snapshot("plan-cuts-json", &desk.run(&[&plan[..], &["-o", "json"]].concat()).await);
    snapshot("plan-cuts-markdown", &desk.run(&[&plan[..], &["-o", "markdown"]].concat()).await);
    let cut = |desk: &Desk| {
        let events = desk.emulator().events();
        events.iter().filter(|e| e.event_type.starts_with("user.grant.cascade.")).count()
    };
    assert_eq!(cut(&desk), 0);
    let ran = desk.run(&["apply", "-f", "lent.yaml"]).await;
    assert_eq!(ran.code, 0, "{}", ran.text());
    assert!(cut(&desk) > 0, "ZITADEL does as the plan says");
    // What nobody has any more is taken from nobody.
    let ran = desk.run(&plan).await;
    assert_eq!(ran.code, 0, "{}", ran.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_names_what_is_declared_nowhere_if_asked() {
    let desk = Desk::new().await;
    desk.write("tenant.yaml", TENANT);
    assert_eq!(desk.run(&["apply", "-f", "tenant.yaml"]).await.code, 0);
    let acme = desk
        .emulator()
        .events()
        .into_iter()
        .rfind(|e| e.event_type == "org.added")
        .unwrap()
        .aggregate_id;
    let (client, body) =
        (desk.client(&desk.emulator().pat()), serde_json::json!({"name": "By hand"}));
    client
        .write::<serde_json::Value>(
            reqwest::Method::POST,
            Some(&acme),
            "/management/v1/projects",
            &body,
        )
        .await
        .unwrap();
    // What is listed for settings of the instance alone: nothing.
    desk.write("settings.yaml", TENANT.rsplit("---\n").next().unwrap());
    for (name, file) in
        [("plan-unmanaged", "tenant.yaml"), ("plan-unmanaged-nothing", "settings.yaml")]
    {
        let plan = ["plan", "-f", file, "--unmanaged"];
        snapshot(name, &desk.run(&plan).await);
        snapshot(&format!("{name}-json"), &desk.run(&[&plan[..], &["-o", "json"]].concat()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn export_writes_what_is_there() {
    let desk = Desk::new().await;
    desk.write("tenant.yaml", TENANT);
    assert_eq!(desk.run(&["apply", "-f", "tenant.yaml"]).await.code, 0);
    // Some kinds: the others look alike.
    let kinds = ["Organization", "Project", "PrivacyPolicy", "Restrictions"];
    let kinds = kinds.map(|kind| ["--kind", kind]).concat();
    snapshot("export", &desk.run(&[&["export"], &kinds[..]].concat()).await);
    snapshot(
        "export-projects",
        &desk
            .run(&["export", "--kind", "project", "--organization", "acme", "--namespace", "team"])
            .await,
    );
    snapshot("export-unknown-kind", &desk.run(&["export", "--kind", "Projekt"]).await);
    snapshot(
        "export-unknown-organization",
        &desk.run(&["export", "--organization", "nobody"]).await,
    );
    let to_a_folder = [&["export", "--dir", "out"], &kinds[..]].concat();
    assert_eq!(desk.run(&to_a_folder).await.code, 0);
    fs::write(
        desk.path().join("out/organizations/acme/projects/gone.yaml"),
        fs::read(desk.path().join("out/organizations/acme/projects/shop.yaml")).unwrap(),
    )
    .unwrap();
    snapshot("export-to-a-folder", &desk.run(&to_a_folder).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn validate_finds_everything_at_once() {
    let desk = Desk::new().await;
    desk.write("good.yaml", TENANT);
    snapshot("validate", &desk.run(&["validate", "-f", "good.yaml"]).await);
    fs::create_dir(desk.path().join("bad")).unwrap();
    fs::write(desk.path().join("bad/broken.yaml"), "a: [1\nb: 2\n").unwrap();
    desk.write("bad/foreign.yaml", "apiVersion: v1\n");
    desk.write(
        "bad/a.yaml",
        "\
kind: Project
metadata: {name: Shop_1}
spec:
  organizationRef:
    name: acmee
  instanceRef: {name: main}
  projectRoleChek: true
  hasProjectCheck: \"yes\"
  privateLabelingSetting: enforced
  name: \"\"
---
kind: Organisation
metadata: {name: acme}
---
kind: Organization
metadata: {name: acme}
sepc: {}
---
kind: Instance
metadata: {name: default}
spec:
  issuer: https://auth.example.com/path
  maxConcurrency: 100
  credentials: {}
---
kind: Restrictions
metadata: {name: one}
spec: {allowedLanguages: [en, no, en]}
---
kind: Restrictions
metadata: {name: two}
spec: {allowedLanguages: [en]}
---
kind: Restrictions
metadata: {name: two}
spec: {allowedLanguages: [de]}
",
    );
    let text = desk.run(&["validate", "-f", "bad"]).await;
    snapshot("validate-findings", &text);
    let count = text.stdout.matches("\n -->").count() + text.stdout.matches("\n  -->").count();
    snapshot("validate-findings-json", &desk.run(&["validate", "-f", "bad", "-o", "json"]).await);
    let sarif = desk.run(&["validate", "-f", "bad", "-o", "sarif"]).await;
    let sarif: serde_json::Value = serde_json::from_str(&sarif.stdout).unwrap();
    assert_eq!(
        sarif["runs"][0]["results"].as_array().unwrap().len(),
        count,
        "every form tells the same"
    );
    snapshot("plan-bad-files", &desk.run(&["plan", "-f", "bad/broken.yaml"]).await);
    assert!(
        desk.emulator().calls().is_empty(),
        "validate is offline, and nothing is planned of bad files"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_elsewhere_is_a_warning_and_an_error_if_strict() {
    let desk = Desk::new().await;
    desk.write(
        "a.yaml",
        "kind: Project\nmetadata: {name: shop}\nspec:\n  organizationRef: {name: acme}\n",
    );
    snapshot("validate-warning", &desk.run(&["validate", "-f", "a.yaml"]).await);
    assert_eq!(desk.run(&["validate", "-f", "a.yaml", "--strict"]).await.code, 1);
    snapshot("apply-without-its-organization", &desk.run(&["apply", "-f", "a.yaml"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_connection_it_says_how_to_get_one() {
    let desk = Desk::new().await;
    desk.write("tenant.yaml", TENANT);
    let plan = ["plan", "-f", "tenant.yaml"];
    snapshot(
        "plan-no-connection",
        &desk.run_with(&plan, &[("ZITADEL_ISSUER", ""), ("ZITADEL_TOKEN", "")]).await,
    );
    snapshot("plan-no-credentials", &desk.run_with(&plan, &[("ZITADEL_TOKEN", "")]).await);
    snapshot("plan-wrong-token", &desk.run_with(&plan, &[("ZITADEL_TOKEN", "wrong")]).await);
    let closed = format!(
        "http://localhost:{}",
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    );
    snapshot("plan-unreachable", &desk.run_with(&plan, &[("ZITADEL_ISSUER", &closed)]).await);
    snapshot("plan-no-such-path", &desk.run(&["plan", "-f", "nowhere"]).await);
    snapshot("plan-no-file", &desk.run(&["plan"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_in_the_folder_takes_its_secret_from_the_secret_dir() {
    let desk = Desk::new().await;
    let url = desk.zitadel.url();
    desk.write(
        "tenant/instance.yaml",
        &format!("kind: Instance\nmetadata: {{name: default}}\nspec:\n  issuer: {url}\n  credentials: {{personalAccessToken: {{secretRef: {{name: kastellan, key: pat}}}}}}\n"),
    );
    desk.write("tenant/tenant.yaml", TENANT);
    let none = [("ZITADEL_ISSUER", ""), ("ZITADEL_TOKEN", "")];
    snapshot("plan-no-secret", &desk.run_with(&["plan", "-f", "tenant"], &none).await);
    desk.write("secrets/kastellan/pat", &desk.emulator().pat());
    assert_eq!(
        desk.run_with(&["plan", "-f", "tenant", "--secret-dir", "secrets"], &none).await.code,
        2
    );
    desk.write("secrets/default/kastellan/pat", &desk.emulator().pat());
    fs::remove_dir_all(desk.path().join("secrets/kastellan")).unwrap();
    assert_eq!(
        desk.run_with(&["plan", "-f", "tenant", "--secret-dir", "secrets"], &none).await.code,
        2
    );
    assert_eq!(
        desk.run_with(&["plan", "-f", "tenant"], &[("ZITADEL_ISSUER", "")]).await.code,
        2,
        "the environment's token does as well"
    );
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: kastellan}}\nstringData: {{pat: {}}}\n",
        desk.emulator().pat()
    );
    fs::write(desk.path().join("tenant/secret.yaml"), secret).unwrap();
    assert_eq!(
        desk.run_with(&["plan", "-f", "tenant"], &none).await.code,
        2,
        "and so does a Secret among the files"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_instances_those_that_can_be_reached_are_worked_with() {
    let desk = Desk::new().await;
    let closed = format!(
        "http://localhost:{}",
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    );
    let tenant = |namespace: &str, issuer: &str| {
        let metadata = format!("metadata: {{name: default, namespace: {namespace}}}");
        let credentials = "{personalAccessToken: {secretRef: {name: kastellan, key: pat}}}";
        let instance = format!(
            "kind: Instance\n{metadata}\nspec:\n  issuer: {issuer}\n  credentials: {credentials}\n"
        );
        format!(
            "{instance}---\nkind: Restrictions\n{metadata}\nspec: {{allowedLanguages: [en]}}\n---\nkind: PrivacyPolicy\n{metadata}\nspec: {{tosLink: https://a.example}}\n"
        )
    };
    desk.write("there.yaml", &tenant("there", &desk.zitadel.url()));
    desk.write("gone.yaml", &tenant("gone", &closed));
    desk.write("secrets/kastellan/pat", &desk.emulator().pat());
    for (name, args) in
        [("plan", &["plan"][..]), ("plan-json", &["plan", "-o", "json"]), ("apply", &["apply"])]
    {
        let args =
            [args, &["-f", "there.yaml", "-f", "gone.yaml", "--secret-dir", "secrets"]].concat();
        let ran = desk.run_with(&args, &[("ZITADEL_ISSUER", ""), ("ZITADEL_TOKEN", "")]).await;
        snapshot(&format!("{name}-one-of-two-unreachable"), &ran);
    }
    assert_eq!(desk.writes(), 2, "the others are worked with");
    let export = ["export", "-f", "there.yaml", "-f", "gone.yaml", "--secret-dir", "secrets"];
    assert_eq!(
        desk.run_with(&export, &[("ZITADEL_ISSUER", ""), ("ZITADEL_TOKEN", "")]).await.code,
        1,
        "which of the two is not guessed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn durations_are_checked_offline() {
    let desk = Desk::new().await;
    let instance = |name: &str, poll: &str, resync: &str| {
        let credentials =
            "credentials: {personalAccessToken: {secretRef: {name: kastellan, key: pat}}}";
        format!(
            "kind: Instance\nmetadata: {{name: {name}}}\nspec:\n  issuer: https://auth.example.com\n  {credentials}\n  pollInterval: {poll}\n  resyncInterval: {resync}\n"
        )
    };
    let all = [
        instance("right", "1s", "1m30s"),
        instance("short", "999ms", "9s"),
        instance("wrong", "often", "10"),
        instance("zero", "0s", "1h"),
    ];
    desk.write("a.yaml", &all.join("---\n"));
    snapshot("validate-durations", &desk.run(&["validate", "-f", "a.yaml"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_what_differs_and_does_not_stop_the_rest() {
    let desk = Desk::new().await;
    let body = serde_json::json!({"name": "Shop", "projectRoleCheck": false});
    let organization: serde_json::Value =
        desk.client(&desk.emulator().pat()).get(None, "/admin/v1/orgs/default").await.unwrap();
    let id = organization["org"]["id"].as_str().unwrap();
    let made: serde_json::Value = desk
        .client(&desk.emulator().pat())
        .write(reqwest::Method::POST, Some(id), "/management/v1/projects", &body)
        .await
        .unwrap();
    assert!(made["id"].is_string());
    let project = |name: &str| {
        format!(
            "kind: Project\nmetadata: {{name: {name}}}\nspec:\n  organizationId: \"{id}\"\n  projectRoleCheck: true\n"
        )
    };
    desk.write("a.yaml", &format!("{}---\n{}", project("shop"), project("zoo")));
    snapshot("plan-refused-adoption", &desk.run(&["plan", "-f", "a.yaml"]).await);
    snapshot("apply-refused-adoption", &desk.run(&["apply", "-f", "a.yaml"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help_teaches() {
    let desk = Desk::new().await;
    for verb in ["plan", "apply", "export", "diff", "validate", "tree", "why", "events", "operator"]
    {
        snapshot(&format!("help-{verb}"), &desk.run(&[verb, "--help"]).await);
    }
    snapshot("help", &desk.run(&["--help"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_and_manual_pages_know_every_command() {
    let desk = Desk::new().await;
    for shell in ["bash", "zsh", "fish"] {
        let script = desk.run(&["completions", shell]).await;
        assert_eq!(script.code, 0);
        assert!(
            ["plan", "apply", "export", "diff", "validate", "crds", "operator"]
                .iter()
                .all(|verb| script.stdout.contains(verb)),
            "{shell}"
        );
    }
    assert!(desk.run(&["man"]).await.stdout.starts_with(".ie"), "roff");
    assert_eq!(desk.run(&["man", "--dir", "man"]).await.code, 0);
    assert!(desk.path().join("man/kastellan-plan.1").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_of_logs_that_there_is_not_is_refused() {
    let desk = Desk::new().await;
    snapshot("log-level", &desk.run(&["--log-level", "loud", "crds"]).await);
}
