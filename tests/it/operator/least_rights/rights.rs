//! Rights as RBAC and the audit log have them, and how the two compare. Pure.

use std::{collections::BTreeSet, fmt};

use serde_json::{Value, json};

/// Something that is granted or was asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Right {
    verb: String,
    group: String,
    /// With its subresource: `projects/status`.
    resource: String,
    /// `None`: in the whole cluster.
    namespace: Option<String>,
    /// `None`: any, or none in particular.
    name: Option<String>,
    /// Asked for, and refused.
    refused: bool,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, group, resource, namespace, name, .. } = self;
        write!(f, "{verb} {resource}.{group}")?;
        if let Some(name) = name {
            write!(f, " {name}")?;
        }
        match namespace {
            Some(namespace) => write!(f, " in {namespace}"),
            None => write!(f, " in the whole cluster"),
        }
    }
}

impl Right {
    /// Whether it is enough to do this.
    fn covers(&self, used: &Self) -> bool {
        let is_within =
            |granted: &Option<String>, used: &Option<String>| granted.is_none() || granted == used;
        (&self.verb, &self.group, &self.resource) == (&used.verb, &used.group, &used.resource)
            && is_within(&self.namespace, &used.namespace)
            && is_within(&self.name, &used.name)
    }
}

/// What these roles and bindings grant to the account of a release.
pub(super) fn granted(objects: &[Value], account: &str) -> BTreeSet<Right> {
    let find = |kind: &Value, name: &Value, namespace: &Value| {
        let is_it = |o: &&Value| {
            o["kind"] == *kind
                && o["metadata"]["name"] == *name
                && (kind == "ClusterRole" || o["metadata"]["namespace"] == *namespace)
        };
        objects.iter().find(is_it).unwrap_or_else(|| panic!("{kind} {name} is bound"))
    };
    let is_ours = |binding: &&Value| {
        let subjects = binding["subjects"].as_array();
        subjects.is_some_and(|all| {
            all.iter().any(|s| s["kind"] == "ServiceAccount" && s["name"] == account)
        })
    };
    let mut all = BTreeSet::new();
    for binding in objects.iter().filter(is_ours) {
        let namespace = &binding["metadata"]["namespace"];
        let role = &binding["roleRef"];
        for rule in find(&role["kind"], &role["name"], namespace)["rules"].as_array().unwrap() {
            all.extend(expanded(rule, namespace.as_str()));
        }
    }
    all
}

fn expanded(rule: &Value, namespace: Option<&str>) -> Vec<Right> {
    let list = |field: &str| rule[field].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let names = match list("resourceNames") {
        names if names.is_empty() => vec![None],
        names => names.iter().map(|name| Some(text(name))).collect(),
    };
    let mut rights = Vec::new();
    for group in list("apiGroups") {
        for resource in list("resources") {
            for verb in list("verbs") {
                rights.extend(names.iter().map(|name| Right {
                    verb: text(&verb),
                    group: text(&group),
                    resource: text(&resource),
                    namespace: namespace.map(Into::into),
                    name: name.clone(),
                    refused: false,
                }));
            }
        }
    }
    assert!(!rights.is_empty(), "{rule}");
    rights
}

/// What an account asked for.
pub(super) fn used(log: &str, account: &str) -> BTreeSet<Right> {
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_account =
        events.filter(|e| e["user"]["username"] == account && !e["objectRef"].is_null());
    of_account.flat_map(|event| asked(&event)).collect()
}

fn asked(event: &Value) -> Vec<Right> {
    let object = &event["objectRef"];
    let text = |field: &str| object[field].as_str().map(ToOwned::to_owned);
    let resource = [text("resource"), text("subresource")].into_iter().flatten();
    let code = &event["responseStatus"]["code"];
    let right = Right {
        verb: event["verb"].as_str().unwrap().into(),
        group: text("apiGroup").unwrap_or_default(),
        resource: resource.collect::<Vec<_>>().join("/"),
        namespace: text("namespace"),
        name: text("name"),
        refused: code == 403,
    };
    // What a patch by server-side apply creates needs the right to create it too.
    let created = right.verb == "patch" && code == 201;
    let create = created.then(|| Right { verb: "create".into(), ..right.clone() });
    [right].into_iter().chain(create).collect()
}

/// Where the two are not the same. With watched namespaces (`narrow`), what is granted in the whole
/// cluster has to be needed there.
pub(super) fn mistakes(
    granted: &BTreeSet<Right>,
    used: &BTreeSet<Right>,
    narrow: bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for right in granted {
        let mut uses = used.iter().filter(|u| right.covers(u)).peekable();
        if uses.peek().is_none() {
            found.push(format!("granted and not used: {right}"));
        } else if narrow && right.namespace.is_none() && uses.all(|u| u.namespace.is_some()) {
            found.push(format!("granted in more namespaces than it is used in: {right}"));
        }
    }
    let is_missing = |u: &&Right| u.refused || !granted.iter().any(|g| g.covers(u));
    found.extend(used.iter().filter(is_missing).map(|u| format!("used and not granted: {u}")));
    found
}

/// Rights that are the same, and what each difference is called.
#[test]
fn each_right_too_many_or_too_few_is_found() {
    let bound = |kind: &str, namespace: Value, role: &str| {
        json!({
            "kind": kind, "metadata": {"name": "b", "namespace": namespace},
            "roleRef": {"kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": "r"}],
        })
    };
    let role = |name: &str, rules: Value| json!({"kind": "ClusterRole", "metadata": {"name": name}, "rules": rules});
    let kinds = json!([{"apiGroups": ["g"], "resources": ["a", "a/status"], "verbs": ["patch"]}]);
    let cluster = json!([{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]}]);
    let chart = [
        role("kinds", kinds),
        role("cluster", cluster),
        role("people", json!([{"apiGroups": ["g"], "resources": ["a"], "verbs": ["delete"]}])),
        bound("RoleBinding", json!("n"), "kinds"),
        bound("ClusterRoleBinding", Value::Null, "cluster"),
    ];
    let event = |verb: &str, object: Value, code: u16| {
        json!({"user": {"username": "r"}, "verb": verb, "objectRef": object, "responseStatus": {"code": code}}).to_string()
    };
    let log = |events: &[String]| used(&events.join("\n"), "r");
    let status = json!({"apiGroup": "g", "resource": "a", "subresource": "status", "namespace": "n", "name": "x"});
    let same = [
        event(
            "patch",
            json!({"apiGroup": "g", "resource": "a", "namespace": "n", "name": "x"}),
            200,
        ),
        event("patch", status.clone(), 200),
        event("list", json!({"resource": "namespaces"}), 200),
        json!({"user": {"username": "other"}, "verb": "delete", "objectRef": {"resource": "a"}})
            .to_string(),
        json!({"user": {"username": "r"}, "verb": "get", "requestURI": "/version"}).to_string(),
    ];
    let granted = |chart: &[Value]| granted(chart, "r");
    let none: Vec<String> = Vec::new();
    assert_eq!(mistakes(&granted(&chart), &log(&same), true), none);

    let mut more = chart.clone();
    more[0]["rules"][0]["verbs"] = json!(["patch", "delete"]);
    let needless = mistakes(&granted(&more), &log(&same), true);
    assert_eq!(
        needless,
        ["a", "a/status"].map(|r| format!("granted and not used: delete {r}.g in n"))
    );
    let mut wider = chart.clone();
    wider[3] = bound("ClusterRoleBinding", Value::Null, "kinds");
    assert_eq!(mistakes(&granted(&wider), &log(&same), false), none);
    let wide = mistakes(&granted(&wider), &log(&same), true);
    assert!(wide[0].starts_with("granted in more namespaces than it is used in: patch a.g"));
    let elsewhere = json!({"apiGroup": "g", "resource": "a", "namespace": "m", "name": "x"});
    for (event, says) in [
        (event("patch", elsewhere, 200), "used and not granted: patch a.g x in m"),
        (event("patch", status.clone(), 403), "used and not granted: patch a/status.g x in n"),
        (event("patch", status, 201), "used and not granted: create a/status.g x in n"),
    ] {
        let all: Vec<String> = same.iter().cloned().chain([event]).collect();
        assert_eq!(mistakes(&granted(&chart), &log(&all), true), [says]);
    }
}
