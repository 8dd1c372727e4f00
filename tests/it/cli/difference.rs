//! What tells two instances apart.

use super::{Desk, snapshots::snapshot};

/// Everything by other ids than on the other side.
const STAGING: &str = "\
kind: Organization
metadata: {name: acme}
spec: {name: ACME, id: \"org-staging\"}
---
kind: Project
metadata: {name: shop}
spec: {organizationRef: {name: acme}, name: Shop, projectRoleCheck: true}
---
kind: ProjectRole
metadata: {name: buyer}
spec: {projectRef: {name: shop}, key: buyer, displayName: Buyer}
---
kind: Project
metadata: {name: trial}
spec: {organizationRef: {name: acme}, name: Trial}
---
kind: OidcApplication
metadata: {name: web}
spec:
  projectRef: {name: shop}
  name: Web
  applicationType: Web
  authMethod: None
  redirectUris: [https://b.staging.example, https://a.example]
---
kind: PrivacyPolicy
metadata: {name: acme}
spec: {organizationRef: {name: acme}, helpLink: https://help.staging.example}
---
kind: SecurityPolicy
metadata: {name: instance}
spec:
  embeddedIframe: {enabled: true, allowedOrigins: [https://a.example]}
";

fn production() -> String {
    STAGING
        .replace("org-staging", "org-production")
        .replace("b.staging.example, https://a.example", "a.example, https://b.example")
        .replace(", projectRoleCheck: true", ", hasProjectCheck: true")
        .replace("displayName: Buyer", "displayName: \"Who buys\\u001b[2J\"")
        .replace("trial", "campaign")
        .replace("Trial", "Campaign")
        .replace("help.staging.example", "help.example")
}

/// The manifest of an instance, in a desk, and its token.
pub(super) fn side(desk: &Desk, name: &str, of: &Desk) {
    let issuer = of.zitadel.url();
    desk.write(
        &format!("{name}.yaml"),
        &format!("kind: Instance\nmetadata: {{name: {name}}}\nspec:\n  issuer: {issuer}\n  credentials: {{personalAccessToken: {{secretRef: {{name: {name}, key: pat}}}}}}\n"),
    );
    desk.write(&format!("tokens/{name}/pat"), &of.emulator().pat());
}

async fn two() -> (Desk, Desk) {
    let (staging, production_) = (Desk::new().await, Desk::new().await);
    staging.write("tenant.yaml", STAGING);
    production_.write("tenant.yaml", &production());
    for desk in [&staging, &production_] {
        let ran = desk.run(&["apply", "-f", "tenant.yaml"]).await;
        assert_eq!(ran.code, 0, "{}", ran.text());
    }
    side(&staging, "staging", &staging);
    side(&staging, "production", &production_);
    (staging, production_)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_are_compared_by_name_and_by_field() {
    let (desk, other) = two().await;
    let writes = (desk.writes(), other.writes());
    let live = ["diff", "staging.yaml", "production.yaml", "--secret-dir", "tokens"];
    let ran = desk.run(&live).await;
    snapshot("diff", &ran);
    snapshot("diff-json", &desk.run(&[&live[..], &["-o", "json"]].concat()).await);
    snapshot("diff-kind", &desk.run(&[&live[..], &["--kind", "PrivacyPolicy"]].concat()).await);
    let same = ["diff", "staging.yaml", "staging.yaml", "--secret-dir", "tokens"];
    let same = desk.run(&same).await;
    assert_eq!(same.code, 0, "{}", same.text());
    assert_eq!((desk.writes(), other.writes()), writes, "nothing is written");

    // What was exported says the same, also into one namespace.
    assert_eq!(desk.run(&["export", "--dir", "staging", "--namespace", "team"]).await.code, 0);
    let exported = ["diff", "staging", "production.yaml", "--secret-dir", "tokens"];
    let exported = desk.run(&exported).await;
    let renamed = ran.stdout.replace("staging.yaml", "staging");
    assert_eq!((exported.code, exported.stdout), (2, renamed), "{}", exported.stderr);
    let offline = desk.run(&["diff", "staging", "staging"]).await;
    assert_eq!(offline.code, 0, "{}", offline.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_can_not_be_read_is_an_error() {
    let (desk, _) = two().await;
    let diff = ["diff", "staging.yaml", "production.yaml"];
    let ran = desk.run(&diff).await;
    assert_eq!(ran.code, 1, "the environment's token is not for both: {}", ran.text());
    assert!(ran.stderr.contains("waiting for Secret default/staging"), "{}", ran.stderr);
    desk.write("empty.yaml", "");
    snapshot("diff-nothing", &desk.run(&["diff", "tenant.yaml", "empty.yaml"]).await);
    snapshot("diff-stdin-twice", &desk.run(&["diff", "-", "-"]).await);
    snapshot("diff-one-side", &desk.run(&["diff", "staging.yaml"]).await);
}
