//! The commands of the tutorial and of the pages on tasks are run as they stand there, one page
//! after the other, against one API server, with the operator that the chart installs. A command
//! that is not run is named here, with the reason.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    apiserver::tool,
    chart::lifecycle::Pod,
    cli::{Desk, Ran},
    world::{World, own_cluster},
};

/// A page and what it takes for granted.
struct Page {
    path: &'static str,
    /// Shell commands that are run before the first block that begins like this.
    given: &'static [(&'static str, &'static str)],
    /// Lines that are not run, by how they begin, and why.
    elsewhere: &'static [(&'static str, &'static str)],
}

const TERRAFORM: &str = "terraform is no part of the tests; its states are, in cli/terraform.rs";
const IMAGE: &str = "images are built by the workflow of a release";
const POD: &str = "there is no kubelet, and so no container";

const PAGES: &[Page] = &[
    Page {
        path: "docs/tasks/install.md",
        given: &[],
        elsewhere: &[("kubectl port-forward", POD), ("docker build", IMAGE)],
    },
    Page {
        path: "docs/tutorial.md",
        given: &[
            ("", "cp PAT_FILE pat; touch \"$HOME/for-real\""),
            ("git add", "git init --quiet --bare \"$HOME/acme/identity.git\""),
        ],
        elsewhere: &[
            ("k3d", "a cluster needs a container engine"),
            ("helm repo", "ZITADEL's own chart, of the network"),
            ("helm install zitadel", "ZITADEL's own chart, of the network"),
        ],
    },
    Page {
        path: "docs/tasks/connect.md",
        given: &[
            ("kubectl create secret", "kubectl delete secret kastellan --namespace identity"),
            ("kubectl get instance", "ready identity; rm \"$HOME/for-real\""),
        ],
        elsewhere: &[],
    },
    Page {
        path: "docs/tasks/gitops.md",
        given: &[
            ("kubectl get zitadel", "have_tenant acme Gitops"),
            ("kubectl apply --server-side", "kubectl create namespace argocd"),
            (
                "kubectl apply --filename zitadel/",
                "mkdir zitadel; tenant acme Gitops > zitadel/acme.yaml",
            ),
        ],
        elsewhere: &[],
    },
    Page { path: "docs/tasks/adopt.md", given: &[], elsewhere: &[("terraform", TERRAFORM)] },
    Page {
        path: "docs/tasks/command-line.md",
        given: &[
            (
                "",
                "export ZITADEL_ISSUER=https://auth.example.com ZITADEL_TOKEN=...
                 mkdir --parents zitadel/production zitadel/templates
                 echo '{apiVersion: v2, name: zitadel, version: 1.0.0}' > zitadel/Chart.yaml
                 tenant team-a Team | tee zitadel/production/acme.yaml > zitadel/templates/acme.yaml
                 echo 'resources: [acme.yaml]' > zitadel/production/kustomization.yaml",
            ),
            ("kastellan plan -f zitadel/\n", "rm -r zitadel/templates zitadel/Chart.yaml"),
            (
                "kastellan diff",
                "tenant team-a Team > staging.yaml
                 cp staging.yaml production.yaml
                 mkdir --parents secrets/kastellan
                 echo \"$ZITADEL_TOKEN\" > secrets/kastellan/pat
                 kastellan export --dir exported",
            ),
            ("kubectl kastellan", "have_tenant team-a Team"),
        ],
        elsewhere: &[],
    },
    Page {
        path: "docs/tasks/secrets.md",
        given: &[
            (
                "",
                "export ZITADEL_ISSUER=https://auth.example.com ZITADEL_TOKEN=...
                 kubectl config set-context --current --namespace team-a
                 account deployer | kubectl apply --filename -
                 ready team-a",
            ),
            (
                "kastellan apply",
                "mkdir tenant; organization Cli > tenant/a.yaml; account importer > tenant/b.yaml",
            ),
            ("kastellan apply -f tenant --secrets-to 'exec", "account exporter > tenant/b.yaml"),
        ],
        elsewhere: &[(
            "kastellan apply -f tenant --secrets-to 'exec:jq",
            "jq, vault and gh are no part of the tests",
        )],
    },
    Page {
        path: "docs/tasks/signing-keys.md",
        given: &[(
            "kubectl annotate",
            "object WebKeys signing '{algorithm: ECDSA-P256}' | kubectl apply --filename -",
        )],
        elsewhere: &[],
    },
    Page {
        path: "docs/tasks/tenancy.md",
        // Another key signs only after a while.
        given: &[("", "kubectl delete webkeys signing --namespace team-a")],
        elsewhere: &[],
    },
    Page {
        path: "docs/tasks/domains.md",
        given: &[(
            "kubectl get",
            "object OrganizationDomain acme.example '{organizationRef: {name: acme}}' | kubectl apply --filename -",
        )],
        elsewhere: &[],
    },
    Page {
        path: "docs/tasks/admission.md",
        given: &[
            ("", "kubectl delete zdomain acme.example --namespace team-a"),
            ("kubectl annotate", "kubectl create namespace team-acme"),
        ],
        elsewhere: &[
            ("namespace team-acme may not", "a message"),
            ("admission.instanceOwners", "a message"),
        ],
    },
    Page {
        path: "docs/tasks/from-terraform.md",
        given: &[(
            "",
            "kubectl create namespace tenant; application | kubectl apply --namespace team-a --filename -; ready team-a; state > state.json",
        )],
        elsewhere: &[("terraform", TERRAFORM)],
    },
    Page {
        path: "docs/tasks/delete.md",
        given: &[
            (
                "",
                "kubectl config set-context --current --namespace team-a
                 ready team-a",
            ),
            ("kubectl annotate", "have_tenant team-a Team"),
            (
                "kubectl patch project shop --type merge --patch '{\"metadata\"",
                "have_tenant team-a Team",
            ),
        ],
        elsewhere: &[],
    },
    Page { path: "docs/tasks/ci.md", given: &[], elsewhere: &[] },
];

/// What the blocks below have besides the programs.
const PRELUDE: &str = r#"
set -eo pipefail
# Exit code 2 says that there is something to do, or to see.
kastellan() { command kastellan "$@" || [[ $? == 2 && $1 == @(plan|diff|tree|why) ]]; }
# Once for real, by the tutorial: what chart/lifecycle.rs does with releases is not done here again. A deletion waits ten
# seconds for a successor otherwise.
helm() {
  local run=--dry-run=client
  [[ ! -e $HOME/for-real ]] || run=--set=operator.deletionPause=0s
  case $1 in
    install | upgrade) command helm "$@" "$run" >"$HOME/helm" ;;
    *) command helm "$@" ;;
  esac
}
kustomize() { kubectl kustomize "${@:2}"; }
object() { printf -- '---\napiVersion: zitadel.kastellan.dev/v1alpha1\nkind: %s\nmetadata: {name: %s}\nspec: %s\n' "$@"; }
organization() { object Organization acme "{name: $1}"; }
account() {
  object MachineUser "$1" "{organizationRef: {name: acme}, secret: {name: $1}}"
}
application() {
  object OidcApplication web '{projectRef: {name: shop}, redirectUris: ["https://shop.example.com"], authMethod: Basic, secret: {name: web}}'
}
# tenant NAMESPACE ORGANIZATION
tenant() {
  local credentials='personalAccessToken: {secretRef: {name: kastellan, key: pat}}'
  {
    object Instance default "{issuer: \"https://auth.example.com\", credentials: {$credentials}, pollInterval: 1s}"
    organization "$2"
    object Project shop '{organizationRef: {name: acme}, name: Shop}'
  } | sed "s/^metadata: {/&namespace: $1, /"
}
ready() { kubectl wait zitadel --all --namespace "$1" --for=condition=Ready --timeout=1m >/dev/null; }
# The same, in the cluster.
have_tenant() {
  {
    printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n---\n' "$1"
    printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: kastellan, namespace: %s}\nstringData: {pat: "%s"}\n' "$1" "$(cat "$HOME/PAT_FILE")"
    tenant "$1" "$2"
  } | kubectl apply --filename -
  ready "$1"
}
# A state of terraform with what is in team-a.
state() {
  local id secret
  id() { kubectl get "$1.zitadel.kastellan.dev" "$2" --namespace team-a --output 'jsonpath={.status.id}'; }
  secret() { kubectl get secret web --namespace team-a --output "jsonpath={.data.$1}" | base64 --decode; }
  resource() {
    printf '{"mode": "managed", "type": "zitadel_%s", "name": "%s", "provider": "provider[\\"registry.terraform.io/zitadel/zitadel\\"]", "instances": [{"schema_version": 0, "attributes": %s}]}' "$@"
  }
  printf '{"version": 4, "terraform_version": "1.9.8", "serial": 1, "lineage": "x", "outputs": {}, "resources": [%s, %s, %s]}' \
    "$(resource org acme "{\"id\": \"$(id organizations acme)\", \"name\": \"Team\"}")" \
    "$(resource project shop "{\"id\": \"$(id projects shop)\", \"org_id\": \"$(id organizations acme)\", \"name\": \"Shop\"}")" \
    "$(resource application_oidc web "{\"id\": \"$(id oidcapplications web)\", \"org_id\": \"$(id organizations acme)\", \"project_id\": \"$(id projects shop)\",
      \"name\": \"web\", \"redirect_uris\": [\"https://shop.example.com\"], \"auth_method_type\": \"OIDC_AUTH_METHOD_TYPE_BASIC\",
      \"client_id\": \"$(secret clientId)\", \"client_secret\": \"$(secret clientSecret)\"}")"
}
"#;

/// The blocks of a page: what is fenced as `sh`, and what is indented, but for manifests.
fn blocks(page: &str) -> Vec<String> {
    let (mut blocks, mut fence, mut is_open, mut after_blank) =
        (Vec::<String>::new(), None, false, true);
    for line in page.lines() {
        let text = line.trim_start();
        let depth = line.len() - text.len();
        if let Some(language) = text.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language.to_owned()) };
            is_open = false;
        } else if fence.is_some()
            || depth >= 4 && (is_open || after_blank)
            || is_open && text.is_empty()
        {
            if fence.as_deref().is_none_or(|language| language == "sh") {
                if !is_open {
                    blocks.push(String::new());
                }
                is_open = true;
                let indent = if fence.is_some() { 0 } else { 4 };
                let block = blocks.last_mut().unwrap();
                *block = format!("{block}{}\n", line.get(indent..).unwrap_or_default());
            }
        } else {
            is_open = false;
        }
        after_blank = text.is_empty();
    }
    let dedented = blocks.iter().map(|block| {
        let depth = block.len() - block.trim_start().len();
        let lines = block.lines().map(|line| line.get(depth..).unwrap_or_default());
        format!("{}\n", lines.collect::<Vec<_>>().join("\n").trim_end())
    });
    let is_manifest =
        |block: &str| block.split_whitespace().next().unwrap_or_default().ends_with(':');
    dedented.filter(|block| !is_manifest(block)).collect()
}

/// Where the commands run.
struct Shell {
    home: TempDir,
    issuer: String,
    pat: String,
}

impl Shell {
    fn new(kubeconfig: &str, world: &World) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let programs = home.path().join("programs");
        fs::create_dir(&programs).unwrap();
        let link =
            |name: &str, to: &Path| std::os::unix::fs::symlink(to, programs.join(name)).unwrap();
        link("kubectl", &fs::canonicalize(tool("KASTELLAN_TESTENV", "testenv")?).unwrap());
        link("helm", &fs::canonicalize(tool("KASTELLAN_HELM", "helm")?).unwrap());
        for name in ["kastellan", "kubectl-kastellan"] {
            link(name, Path::new(env!("CARGO_BIN_EXE_kastellan")));
        }
        fs::write(home.path().join("config"), kubeconfig).unwrap();
        fs::write(home.path().join("PAT_FILE"), world.emulator().pat()).unwrap();
        fs::write(home.path().join("prelude"), PRELUDE).unwrap();
        for name in ["charts", "crds", "docs", "examples"] {
            std::os::unix::fs::symlink(root.join(name), home.path().join(name)).unwrap();
        }
        Some(Self { home, issuer: world.issuer(), pat: world.emulator().pat() })
    }

    /// Begins with a page: in a folder of its own, and without what the former one exported.
    fn begin(&self, number: usize) {
        let folder = self.home.path().join(number.to_string());
        fs::create_dir(&folder).unwrap();
        for name in ["charts", "crds", "docs", "examples", "PAT_FILE"] {
            std::os::unix::fs::symlink(self.home.path().join(name), folder.join(name)).unwrap();
        }
        fs::write(self.home.path().join("exported"), "").unwrap();
        fs::write(self.home.path().join("at"), folder.display().to_string()).unwrap();
    }

    /// Runs a block where the one before it ended.
    async fn run(&self, page: &str, block: &str) -> Ran {
        let hosts = [
            ("https://auth.example.com", &*self.issuer),
            ("http://localhost:8080", &self.issuer),
            ("http://zitadel.default.svc:8080", &self.issuer),
            ("auth.example.com", "localhost"),
            // Nobody waits for the end of the last of it.
            ("xargs kubectl delete", "xargs kubectl delete --wait=false"),
            ("ZITADEL_TOKEN=...", &format!("ZITADEL_TOKEN={}", self.pat)),
        ];
        let replaced = |text: &str| {
            hosts.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
        };
        let script = format!(
            "shopt -s extglob\n. \"$HOME/exported\"\n{}\ncd \"$(cat \"$HOME/at\")\"\n{}\nexport -p > \"$HOME/exported\"\npwd > \"$HOME/at\"",
            replaced(PRELUDE),
            replaced(block)
        );
        let home = self.home.path().display().to_string();
        let mut command = Command::new("bash");
        command.args(["-c", &script]).env_clear().envs([
            ("PATH", &*format!("{home}/programs:/usr/bin:/bin")),
            ("HOME", &home),
            ("KUBECONFIG", &format!("{home}/config")),
            ("SOURCE", env!("CARGO_MANIFEST_DIR")),
            ("GIT_CONFIG_COUNT", "3"),
            ("GIT_CONFIG_KEY_0", &format!("url.{home}/.insteadOf")),
            ("GIT_CONFIG_VALUE_0", "https://git.example.com/"),
            ("GIT_CONFIG_KEY_1", "user.name"),
            ("GIT_CONFIG_VALUE_1", "Minnie"),
            ("GIT_CONFIG_KEY_2", "user.email"),
            ("GIT_CONFIG_VALUE_2", "minnie@example.com"),
        ]);
        let ran = Desk::output(command, None).await;
        assert_eq!(ran.code, 0, "{page}: {block}{}", ran.text());
        ran
    }
}

/// What a person does in ZITADEL's console between two blocks of the tutorial.
async fn somebody_changes_the_project(world: &World) {
    let organization = world.ready("Organization", "acme").await["id"].clone();
    let id = world.ready("Project", "shop").await["id"].as_str().unwrap().to_owned();
    let fields = json!({"projectRoleAssertion": false});
    world.tamper("Project", organization.as_str(), &id, fields).await;
    world
        .until("Project", "shop", "drift", |o| o["status"]["lastDrift"]["corrected"] == true)
        .await;
    world.ready("Project", "shop").await;
}

/// What the tutorial says that one sees.
fn is_seen(block: &str, ran: &Ran) {
    let seen: &[&str] = if block.starts_with("kastellan plan") {
        &["4 to create"]
    } else if block.starts_with("kubectl events") {
        &["Drift", "minnie.mouse", "project.changed"]
    } else if block.starts_with("kubectl delete") {
        &["organization/acme"]
    } else {
        &[]
    };
    for part in seen {
        assert!(ran.text().contains(part), "the tutorial: {block}no {part}: {}", ran.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_tutorial_and_of_the_tasks_runs() {
    let Some((client, server)) = own_cluster().await else {
        eprintln!("not tested: the given cluster has the CRDs already");
        return;
    };
    let mut world = World::on(client.clone(), "documented").await;
    world.namespace = "identity".into();
    let kubeconfig = serde_json::to_string(&server.kubeconfig).unwrap();
    let Some(shell) = Shell::new(&kubeconfig, &world) else {
        eprintln!("not tested: kubectl is part of the program of tests/testenv");
        return;
    };
    let mut pod = None;
    for (number, page) in PAGES.iter().enumerate() {
        shell.begin(number);
        let text =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page.path)).unwrap();
        let (mut given, mut elsewhere) = (page.given.to_vec(), page.elsewhere.to_vec());
        let mut passed_over = Vec::new();
        for block in blocks(&text) {
            let begins = |key: &str| block.starts_with(key);
            while let Some(i) = given.iter().position(|(key, _)| begins(key)) {
                shell.run(page.path, given.remove(i).1).await;
            }
            let is_elsewhere = |line: &str| {
                elsewhere.iter().find(|(key, _)| line.starts_with(key)).map(|(key, _)| *key)
            };
            passed_over.extend(block.lines().filter_map(is_elsewhere));
            let mut goes_on = false;
            let lines = block.lines().filter(|line| {
                let is_here = !goes_on && is_elsewhere(line).is_none();
                goes_on = !is_here && line.ends_with('\\');
                is_here
            });
            let here = format!("{}\n", lines.collect::<Vec<_>>().join("\n"));
            if page.path == "docs/tutorial.md" && begins("kubectl events") {
                somebody_changes_the_project(&world).await;
            }
            let ran = shell.run(page.path, &here).await;
            if page.path == "docs/tutorial.md" {
                is_seen(&block, &ran);
                if here.starts_with("helm install kastellan") {
                    let started = Pod::start(&client, &server.kubeconfig, "1").await;
                    started.leads().await;
                    pod = Some(started);
                }
            }
        }
        elsewhere.retain(|(key, _)| !passed_over.contains(key));
        assert!(given.is_empty() && elsewhere.is_empty(), "{}: {given:?} {elsewhere:?}", page.path);
    }
    drop(pod);
}

#[test]
fn no_page_on_a_task_is_passed_over() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tasks");
    for entry in fs::read_dir(folder).unwrap() {
        let path = format!("docs/tasks/{}", entry.unwrap().file_name().to_str().unwrap());
        assert!(PAGES.iter().any(|page| page.path == path), "the commands of {path} are not run");
    }
}

/// The tutorial's Kustomization is, but for where it looks, the one that Flux itself is tested with.
#[test]
fn the_tutorials_kustomization_is_that_of_the_page_on_gitops() {
    let specs = ["docs/tutorial.md", "docs/tasks/gitops.md"].map(|page| {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
        let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let documents = blocks
            .filter(|block| block.contains("\nkind: Kustomization"))
            .flat_map(|block| serde_saphyr::from_multiple::<Value>(block).unwrap());
        let found = documents.into_iter().find(|d| d["kind"] == "Kustomization");
        let mut spec = found.unwrap()["spec"].take();
        for field in ["path", "dependsOn"] {
            spec.as_object_mut().unwrap().remove(field);
        }
        spec["sourceRef"].as_object_mut().unwrap().remove("name");
        spec
    });
    assert_eq!(specs[0], specs[1]);
}
