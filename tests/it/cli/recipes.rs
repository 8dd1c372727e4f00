//! The recipes for CI do what they say: their commands run here as they are written, against an
//! emulated ZITADEL, with programs in the place of those that reach the network.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use serde_json::Value;

use super::{Desk, Ran};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tasks/ci.md");
const TENANT: &str = "kind: Organization\nmetadata: {name: acme}\nspec: {name: ACME}\n";

/// `curl`: a release, or a comment that is kept. `gh`: a comment.
const CURL: &str = r#"#!/bin/sh
for last; do :; done
case $last in
*.tar.gz)
  while [ "$1" != --output ]; do shift; done
  echo "$last" >> urls; cp "$RELEASE" "$2" ;;
*)
  echo "$last" >> urls; printf '%s\n' "$@" | grep -qx body@plan.md; cp plan.md comment.md ;;
esac
"#;
const GH: &str = "#!/bin/sh\necho \"gh $*\" >> urls\ncp plan.md comment.md\n";

/// The YAML of the recipes, in the order of the document.
fn recipes() -> Vec<Value> {
    let text = fs::read_to_string(DOCUMENT).unwrap();
    let blocks = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(|block| serde_saphyr::from_str(block).unwrap()).collect()
}

struct Runner {
    desk: Desk,
    variables: BTreeMap<String, String>,
}

impl Runner {
    async fn new(more: &[(&str, &str)]) -> Self {
        let desk = Desk::new().await;
        let at = |file: &str| desk.path().join(file).display().to_string();
        let program = |dir: &str, name: &str, text: &str| {
            let path = desk.path().join(dir).join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        program("programs", "curl", CURL);
        program("programs", "gh", GH);
        let kastellan = format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_kastellan"));
        program("release", "kastellan", &kastellan);
        sh(desk.path(), "tar --create --gzip --file release.tar.gz --directory release kastellan");
        let sum = sh(desk.path(), "sha256sum release.tar.gz");
        let (url, pat) = (desk.zitadel.url(), desk.emulator().pat());
        let here = [
            ("PATH", format!("{}:/usr/bin:/bin", at("programs"))),
            ("RELEASE", at("release.tar.gz")),
            ("SHA256", sum.split(' ').next().unwrap().to_owned()),
            ("ZITADEL_ISSUER", url),
            ("ZITADEL_PLAN_TOKEN", pat.clone()),
            ("ZITADEL_APPLY_TOKEN", pat),
        ];
        let here = here.into_iter().map(|(name, value)| (name.to_owned(), value));
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let variables = here.chain(more).collect();
        desk.write("zitadel/tenant.yaml", TENANT);
        Self { desk, variables }
    }

    /// Runs the commands of a step.
    async fn run(&self, script: &str, step: &BTreeMap<String, String>) -> Ran {
        let mut command = Command::new("bash");
        command.args(["-e", "-o", "pipefail", "-c", script]).current_dir(self.desk.path());
        command.env_clear().envs(&self.variables).envs(step);
        let path = fs::read_to_string(self.desk.path().join("path")).unwrap_or_default();
        let added = path.lines().next().map(|dir| format!("{dir}:{}", self.variables["PATH"]));
        command.envs(added.map(|path| ("PATH", path)));
        Desk::output(command, None).await
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.desk.path().join(name)).unwrap_or_default()
    }
}

fn sh(dir: &Path, script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{script}");
    String::from_utf8(output.stdout).unwrap()
}

/// The environment of a step. Whatever an expression names is known here.
fn environment(of: &Value, known: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let all = of.get("env").and_then(Value::as_object).into_iter().flatten();
    all.map(|(name, value)| {
        let value = value.as_str().unwrap();
        let expression = value.strip_prefix("${{ ").and_then(|rest| rest.strip_suffix(" }}"));
        let value = match expression {
            None => value.to_owned(),
            Some("github.token" | "github.event.pull_request.number") => "7".into(),
            Some(secret) => known[secret.strip_prefix("secrets.").unwrap()].clone(),
        };
        (name.clone(), value)
    })
    .collect()
}

/// Runs a job of GitHub. `if: always()` is a step that runs after a failed one too.
async fn github(runner: &Runner, recipe: &Value, job: &str) -> Ran {
    let mut said = Ran { code: 0, stdout: String::new(), stderr: String::new() };
    for step in recipe["jobs"][job]["steps"].as_array().unwrap() {
        let Some(script) = step.get("run") else { continue };
        if said.code != 0 && step.get("if").is_none() {
            continue;
        }
        let ran = runner.run(script.as_str().unwrap(), &environment(step, &runner.variables)).await;
        said.code = if said.code == 0 { ran.code } else { said.code };
        said.stdout += &ran.stdout;
        said.stderr += &ran.stderr;
    }
    said
}

/// Runs a job of GitLab: one shell.
async fn gitlab(runner: &Runner, recipe: &Value, job: &str) -> Ran {
    let before = recipe["default"]["before_script"].as_array().unwrap();
    let lines = before.iter().chain(recipe[job]["script"].as_array().unwrap());
    let script: Vec<&str> = lines.map(|line| line.as_str().unwrap()).collect();
    runner.run(&script.join("\n"), &BTreeMap::new()).await
}

/// Both do the same with the same changes.
async fn all_jobs(runner: Runner, recipe: &Value, job: impl AsyncFn(&Runner, &Value, &str) -> Ran) {
    let ran = job(&runner, recipe, "validate").await;
    assert_eq!(ran.code, 0, "{}", ran.text());
    let ran = job(&runner, recipe, "plan").await;
    assert_eq!(ran.code, 0, "changes are no failure: {}", ran.text());
    let comment = runner.file("comment.md");
    assert!(comment.contains("### Kastellan plan: 1 to create"), "{comment}");
    assert!(comment.contains("+ Organization default/acme"), "{comment}");
    assert_eq!(job(&runner, recipe, "drift").await.code, 2);
    let ran = job(&runner, recipe, "apply").await;
    assert_eq!(ran.code, 0, "{}", ran.text());
    assert_eq!(job(&runner, recipe, "drift").await.code, 0);

    // What is wrong fails, and is said where it is looked for.
    runner.desk.write(
        "zitadel/other.yaml",
        "kind: Project\nmetadata: {name: a}\nspec: {organizationRef: {name: b}}\n",
    );
    assert_eq!(job(&runner, recipe, "validate").await.code, 1, "a reference that leads nowhere");
    let ran = job(&runner, recipe, "plan").await;
    assert_eq!(ran.code, 1, "{}", ran.text());
    let comment = runner.file("comment.md");
    assert!(comment.contains("- Project default/a: "), "{comment}");
    let ran = job(&runner, recipe, "apply").await;
    assert_eq!(ran.code, 1);

    // Another release than the one that was checked is not run.
    let mut variables = runner.variables.clone();
    variables.insert("SHA256".into(), "0".repeat(64));
    let runner = Runner { desk: runner.desk, variables };
    fs::remove_file(runner.desk.path().join("path")).ok();
    let ran = job(&runner, recipe, "validate").await;
    assert!(ran.code != 0 && ran.text().contains("did NOT match"), "{}", ran.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recipe_for_github_actions_works() {
    let [recipe, _] = &recipes()[..] else { panic!("two recipes") };
    let version = recipe["env"]["VERSION"].as_str().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let runner = Runner::new(&[
        ("VERSION", version),
        ("GITHUB_PATH", "path"),
        ("GITHUB_STEP_SUMMARY", "summary.md"),
        ("GITHUB_REPOSITORY", "acme/identity"),
        ("RUNNER_TEMP", temporary.path().to_str().unwrap()),
    ])
    .await;
    all_jobs(runner, recipe, github).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recipe_for_gitlab_works() {
    let [_, recipe] = &recipes()[..] else { panic!("two recipes") };
    let version = recipe["variables"]["VERSION"].as_str().unwrap();
    let runner = Runner::new(&[
        ("VERSION", version),
        ("CI_API_V4_URL", "https://gitlab.example.com/api/v4"),
        ("CI_PROJECT_ID", "1"),
        ("CI_MERGE_REQUEST_IID", "7"),
        ("GITLAB_COMMENT_TOKEN", "token"),
    ])
    .await;
    all_jobs(runner, recipe, gitlab).await;
}
