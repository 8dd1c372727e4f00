//! What the command line makes of files that are not simply right.

use std::fs;

use serde_json::Value;

use super::{Desk, snapshots::snapshot};

const TENANT: &str = "kind: Organization\nmetadata: {name: acme}\nspec: {name: ACME}\n";
const HELM: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: {{ include \"shop.name\" . }}
  labels:
    {{- include \"shop.labels\" . | nindent 4 }}
";

#[tokio::test(flavor = "multi_thread")]
async fn files_without_an_object_are_an_error_unless_they_are_expected() {
    let desk = Desk::new().await;
    fs::create_dir(desk.path().join("empty")).unwrap();
    fs::create_dir(desk.path().join("foreign")).unwrap();
    fs::write(desk.path().join("foreign/a.yaml"), "apiVersion: v1\nkind: Service\n").unwrap();
    for (folder, files) in [("empty", "0 files"), ("foreign", "1 file")] {
        for command in ["plan", "apply", "validate"] {
            let ran = desk.run(&[command, "-f", folder]).await;
            assert_eq!(ran.code, 1, "{command} {folder}");
            let said = format!("0 objects of this API in {folder} ({files})");
            assert!(ran.stderr.contains(&said), "{command} {folder}: {}", ran.stderr);
            let ran = desk.run(&[command, "-f", folder, "--allow-empty"]).await;
            assert_eq!(ran.code, 0, "{command} {folder}: {}", ran.stderr);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yaml_error_hides_nothing_else_of_its_file() {
    let desk = Desk::new().await;
    let text = format!(
        "{TENANT}---\nkind: Project\nmetadata: {{name: a}}\nspec: {{organizationRef: {{name: acme}}}}\nspec: {{}}\n---\nkind: Project\nmetadata: {{name: b\n---\nkind: Organization\nmetadata: {{name: c}}\nspec: {{nmae: C}}\n"
    );
    desk.write("a.yaml", &text);
    snapshot("validate-yaml-errors", &desk.run(&["validate", "-f", "a.yaml"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_of_others_are_skipped_and_ours_are_refused() {
    let desk = Desk::new().await;
    desk.write("all/tenant.yaml", TENANT);
    fs::create_dir(desk.path().join("all/templates")).unwrap();
    fs::write(desk.path().join("all/templates/service.yaml"), HELM).unwrap();
    let ran = desk.run(&["validate", "-f", "all"]).await;
    snapshot("validate-a-template-of-others", &ran);
    let ran = desk.run(&["plan", "-f", "all"]).await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("it was skipped"), "{}", ran.stderr);
    let ours = TENANT.replace("name: acme", "name: {{ .Values.name }}");
    desk.write(
        "all/templates/ours.yaml",
        &format!("{{{{- if .Values.on }}}}\n{ours}{{{{- end }}}}\n"),
    );
    let ran = desk.run(&["validate", "-f", "all"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("error[template]"), "{}", ran.stdout);
    assert!(ran.stdout.contains("`helm template`"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("syntax"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn sarif_names_files_relative_to_where_it_runs() {
    let desk = Desk::new().await;
    desk.write("tenant/a b.yaml", &TENANT.replace("name: ACME", "nmae: ACME"));
    let absolute = fs::canonicalize(desk.path()).unwrap().join("tenant");
    for folder in ["tenant", "./tenant", absolute.to_str().unwrap()] {
        let ran = desk.run(&["validate", "-f", folder, "-o", "sarif"]).await;
        let sarif: Value = serde_json::from_str(&ran.stdout).unwrap();
        let location = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(location["artifactLocation"]["uri"], "tenant/a%20b.yaml", "{folder}");
        assert_eq!(location["artifactLocation"]["uriBaseId"], "%SRCROOT%", "{folder}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_in_zitadel_is_checked_whichever_way_it_is_declared() {
    let desk = Desk::new().await;
    let long = "a".repeat(230);
    let object = |kind: &str, name: &str, spec: &str| {
        format!("kind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
    };
    let in_one = "organizationId: \"1\"";
    for (text, said) in [
        (object("Organization", &long, ""), "metadata.name has 230 characters"),
        (object("Project", &long, in_one), "metadata.name has 230 characters"),
        (object("Organization", "a", "name: \"   \""), "spec.name is blank"),
        (object("Project", "a", &format!("{in_one}, name: \"\\t\"")), "spec.name is blank"),
    ] {
        desk.write("a.yaml", &text);
        let ran = desk.run(&["validate", "-f", "a.yaml"]).await;
        assert_eq!(ran.code, 1, "{text}");
        assert!(ran.stdout.contains(said), "{}", ran.stdout);
    }
    desk.write("a.yaml", &object("Organization", &long, "name: ACME"));
    let ran = desk.run(&["validate", "-f", "a.yaml"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consents_of_instances_are_checked_offline() {
    let desk = Desk::new().await;
    let instance = |consents: &str| {
        format!(
            "kind: Instance\nmetadata: {{name: main, namespace: zitadel}}\nspec:\n  issuer: https://auth.example.com\n  credentials: {{personalAccessToken: {{secretRef: {{name: kastellan, key: pat}}}}}}\n{consents}---\n"
        )
    };
    let metadata = "metadata: {name: a, namespace: team}";
    let main = "instanceRef: {name: main, namespace: zitadel}";
    let organization = format!("kind: Organization\n{metadata}\nspec: {{{main}}}\n");
    let restrictions =
        format!("kind: Restrictions\n{metadata}\nspec: {{{main}, allowedLanguages: [en]}}\n");
    let project = format!("kind: Project\n{metadata}\nspec: {{{main}, organizationId: \"1\"}}\n");
    let labelled = "  allowedNamespaces: {from: Selector, selector: {matchLabels: {a: b}}}\n";
    let namespace =
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: team, labels: {a: c}}\n---\n";
    let organizations = "  allowedNamespaces: {from: All}\n";
    let all = "  instanceScope: {from: All}\n";
    for (consents, before, object, code, said) in [
        ("", "", &organization, 1, "does not let the namespace team declare organizations"),
        (organizations, "", &organization, 0, "0 errors, 0 warnings"),
        (
            organizations,
            "",
            &restrictions,
            1,
            "does not let the namespace team act on the instance",
        ),
        (all, "", &restrictions, 0, "0 errors, 0 warnings"),
        (organizations, "", &project, 1, "or name an id in it"),
        (all, "", &project, 0, "0 errors, 0 warnings"),
        (labelled, "", &organization, 0, "the Namespace team is not in these files"),
        (labelled, namespace, &organization, 1, "its spec.allowedNamespaces would have to"),
    ] {
        // The Namespace is of another API.
        let text = format!("{}{object}", instance(consents));
        desk.write("a.yaml", &text);
        fs::write(desk.path().join("b.yaml"), before).unwrap();
        let ran = desk.run(&["validate", "-f", "a.yaml", "-f", "b.yaml"]).await;
        let text = ran.text();
        assert_eq!(ran.code, code, "{consents}{object}{text}");
        assert!(text.contains(said), "{consents}{object}{text}");
    }
}
