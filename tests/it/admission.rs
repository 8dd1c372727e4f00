//! The chart's admission rules, by a real API server: what they let pass, what they refuse and with
//! which words. Each test has a release of its own that counts in the test's namespaces alone.

mod keys;
mod operator;
mod owners;
mod redirects;

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    chart::{install, render, template},
    world::{self, eventually, namespace, resource},
};

/// A namespace in which a release's admission rules count.
struct Ruled {
    client: Client,
    namespace: String,
}

impl Ruled {
    /// With `values` below `admission`. Returns when a rule is seen to count.
    async fn new(name: &str, admission: Value) -> Self {
        let client = world::cluster().await;
        let namespace = namespace(&client, name).await;
        let ruled = Self { client, namespace };
        ruled.set(&[&ruled.namespace], admission).await;
        ruled
    }

    /// Installs or changes the rules, for these namespaces. They are what the release's objects say
    /// last, so that a canary tells when the API server has taken over what is there now.
    async fn set(&self, namespaces: &[&str], admission: Value) {
        let rules = rules(&self.namespace, namespaces, &admission);
        install(&self.client, &rules).await;
        let canary = canary(&self.namespace, &rules);
        install(&self.client, &canary).await;
        let generation = canary[0]["metadata"]["annotations"]["canary"].as_str().unwrap();
        let ask = async || {
            let labels = json!({"labels": {"canary": generation}});
            self.try_metadata(&self.namespace, "Project", "canary", labels, project(), true).await
        };
        let says = |r: &Result<(), String>| r.as_ref().is_err_and(|e| e.contains(generation));
        eventually("the rules count", ask, says).await.unwrap_err();
    }

    /// Declares an object; or why it is refused.
    async fn apply(&self, kind: &str, name: &str, spec: Value) -> Result<(), String> {
        self.try_metadata(&self.namespace, kind, name, json!({}), spec, false).await
    }

    async fn try_metadata(
        &self,
        namespace: &str,
        kind: &str,
        name: &str,
        mut metadata: Value,
        spec: Value,
        dry_run: bool,
    ) -> Result<(), String> {
        metadata["name"] = name.into();
        let body = json!({
            "apiVersion": kastellan::api::api_version(),
            "kind": kind,
            "metadata": metadata,
            "spec": spec,
        });
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource(kind));
        let params = PatchParams { dry_run, ..PatchParams::apply("git").force() };
        match api.patch(name, &params, &Patch::Apply(body)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) => Err(status.message.clone()),
            Err(e) => panic!("{e}"),
        }
    }

    /// Merges something into an object.
    async fn merge(&self, kind: &str, name: &str, patch: Value) -> Result<(), String> {
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource(kind));
        match api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) => Err(status.message.clone()),
            Err(e) => panic!("{e}"),
        }
    }

    /// Sets labels or annotations of a namespace.
    async fn mark(&self, namespace: &str, metadata: Value) {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let patch = Patch::Merge(json!({"metadata": metadata}));
        api.patch(namespace, &PatchParams::default(), &patch).await.unwrap();
    }
}

/// What the chart makes of these values in a release that looks after these namespaces.
fn rules(release: &str, namespaces: &[&str], admission: &Value) -> Vec<Value> {
    let mut values = json!({"operator.watchNamespaces": namespaces});
    for (key, value) in admission.as_object().unwrap() {
        values[format!("admission.{key}")] = value.clone();
    }
    render(release, &values, &["admission.yaml"])
}

/// A rule that refuses one label. Policies and bindings are taken over together: when it counts, so
/// do those that were written before it.
fn canary(release: &str, rules: &[Value]) -> [Value; 2] {
    use std::hash::{BuildHasher, RandomState};
    let generation = format!("canary-{:x}", RandomState::new().hash_one(rules.len()));
    let name = format!("{release}-canary");
    let api = "admissionregistration.k8s.io/v1";
    let annotations = json!({"canary": generation});
    let rule = json!({
        "apiGroups": [kastellan::api::GROUP], "apiVersions": ["*"],
        "operations": ["CREATE"], "resources": ["projects"],
    });
    [
        json!({
            "apiVersion": api, "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name, "annotations": annotations},
            "spec": {
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [{
                    "expression": format!("!has(object.metadata.labels) || !('canary' in object.metadata.labels) || object.metadata.labels['canary'] != '{generation}'"),
                    "message": generation,
                }],
            },
        }),
        json!({
            "apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        }),
    ]
}

fn project() -> Value {
    json!({"organizationRef": {"name": "acme"}})
}

/// Every rule, with values that let pass what the tests do not ask about.
fn all_rules() -> Value {
    json!({
        "instanceOwners": {"enabled": true, "namespaceLabels": {"kastellan-test": "owner"}},
        "confirmOrganizationDeletion": {"enabled": true},
        "redirectHosts": {"enabled": true, "hosts": ["*"]},
        "forbidDevMode": {"enabled": true},
        "keyLifetime": {"enabled": true, "maxDays": 90},
    })
}

#[test]
fn a_rule_is_there_where_its_value_says_so() {
    let names = |admission: &Value| -> Vec<String> {
        let found = rules("r", &[], admission).into_iter().map(|o| {
            format!("{} {}", o["kind"].as_str().unwrap(), o["metadata"]["name"].as_str().unwrap())
        });
        found.collect()
    };
    let rendered = template("r", &json!({}), &[]);
    let text = String::from_utf8(rendered.stdout).unwrap();
    assert!(text.contains("kind: Deployment") && !text.contains("kind: ValidatingAdmission"));
    for (key, value) in all_rules().as_object().unwrap() {
        let found = names(&json!({key: value}));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("ValidatingAdmissionPolicy r-kastellan-"), "{found:?}");
        let name = found[0].split(' ').next_back().unwrap();
        assert_eq!(found[1], format!("ValidatingAdmissionPolicyBinding {name}"));
    }
    assert_eq!(names(&all_rules()).len(), 10);
}

#[test]
fn what_would_lock_everybody_out_or_cannot_work_is_said_when_it_is_installed() {
    let owners = json!({"admission.instanceOwners.enabled": true});
    let rules = json!({"admission.forbidDevMode.enabled": true});
    for (values, options, says) in [
        (&owners, vec![], "nobody could declare settings of the instance"),
        (&rules, vec!["--kube-version=1.29.9"], "needs Kubernetes 1.30"),
        (&json!({"admission.keyLifetime.maxDays": 0}), vec![], "minimum"),
        (&json!({"admission.redirectHosts.hosts": ["app.example.com/path"]}), vec![], "pattern"),
        (&json!({"admission.validationActions": []}), vec![], "minItems"),
        (&json!({"admission.forbidDevMode.on": true}), vec![], "not allowed"),
    ] {
        let output = template("r", values, &options);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(says), "{values}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_server_finds_nothing_wrong_with_the_rules() {
    let ruled = Ruled::new("checked", all_rules()).await;
    for policy in rules(&ruled.namespace, &[], &all_rules()) {
        if policy["kind"] != "ValidatingAdmissionPolicy" {
            continue;
        }
        let name = policy["metadata"]["name"].as_str().unwrap();
        let api: Api<k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy> =
            Api::all(ruled.client.clone());
        let read = async || api.get(name).await.unwrap();
        let checked = eventually("checked", read, |policy| {
            let status = policy.status.as_ref();
            status.is_some_and(|s| s.observed_generation == policy.metadata.generation)
        })
        .await;
        let checking = checked.status.unwrap().type_checking.unwrap_or_default();
        assert_eq!(checking.expression_warnings, None, "{name}");
    }
}
