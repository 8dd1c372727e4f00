//! `docs/coverage.md`: what terraform's provider and other operators have, and which kind it becomes.

mod others;

use std::collections::{BTreeMap, BTreeSet};

use kastellan::{kinds::REGISTRY, terraform};

use self::others::{OTHERS, Other};
use super::docs::{HEAD, line};

/// Which kinds become a kind of ours, by its name.
type Rows<'a> = BTreeMap<&'a str, Vec<&'a str>>;

const NOT_YET: &str = "not yet";
const OF_THE_SYSTEM: &str = "needs an account of the system, above all instances";
const ACTIONS_V1: &str = "ends with ZITADEL 5; later there are action targets and executions";
const KEY: &str = "a step that `WebKeys` takes by itself: declare its `algorithm`";

/// What has no kind, of the provider's version 3.3.0, and why.
const WITHOUT: &[(&str, &[&str])] = &[
    (
        NOT_YET,
        &[
            "project_v2",
            "action_target",
            "action_target_public_key",
            "action_execution_request",
            "action_execution_response",
            "action_execution_event",
            "action_execution_function",
            "instance_features",
            "instance_secret_generator",
            "instance_trusted_domain",
            "default_oidc_settings",
            "default_login_texts",
            "login_texts",
            "default_hosted_login_translation",
            "hosted_login_translation",
        ],
    ),
    (KEY, &["webkey"]),
    (OF_THE_SYSTEM, &["instance_custom_domain", "system_features"]),
    (ACTIONS_V1, &["action", "trigger_actions"]),
    (
        "of older versions of the provider: export the live instance instead",
        &["smtp_config", "org_jwt_idp", "org_oidc_idp"],
    ),
];

/// Terraform's resources that upjet's provider has no kind for, in the version that was read.
const NOT_BY_UPJET: &[&str] = &[
    "application_v2",
    "default_hosted_login_translation",
    "hosted_login_translation",
    "org_jwt_idp",
    "org_oidc_idp",
    "project_v2",
];

/// Terraform's resources by our kinds; an older name beside the newer one. One name that a state could
/// have was never in a version that was read.
fn terraform() -> Rows<'static> {
    let mut rows = Rows::new();
    let all = terraform::resource_types();
    for (name, kind) in all.filter(|(name, _)| *name != "zitadel_invite_user_message_text") {
        let name = name.trim_start_matches("zitadel_");
        let names = rows.entry(kind).or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    rows
}

fn of(other: &Other) -> Rows<'static> {
    let mut rows = Rows::new();
    for (kind, names) in other.kinds {
        let before = rows.insert(kind, names.to_vec());
        assert!(before.is_none(), "{}: {kind} twice", other.name);
    }
    rows
}

/// The page.
pub(super) fn page() -> String {
    let mut text = format!(
        "{HEAD}\n# Coverage\n\nWhat terraform's provider and other operators for ZITADEL have, and which kind it is here. What is read of \
         them is\nwhat their repositories had at the version that is named; what they have added since is not here.\n\n\
         | | Version | Its kinds | of these, without one here | Kinds here that it has nothing for |\n|---|---|--:|--:|---|\n"
    );
    let terraform = terraform();
    summary(&mut text, "[terraform's provider](#terraform)", "up to 3.3.0", &terraform, WITHOUT);
    for other in OTHERS {
        let name = format!("[{}](#{})", other.name, super::slug(other.name));
        summary(&mut text, &name, other.version, &of(other), other.without);
    }
    text += "\n## Terraform\n\nResources of `zitadel/zitadel`, without `zitadel_`. [Move from terraform](tasks/from-terraform.md) makes \
             manifests of its state.\n\n";
    tables(&mut text, "Resources", &terraform, WITHOUT);
    let names: BTreeSet<&str> = names(&terraform, WITHOUT);
    let missing: Vec<&str> = NOT_BY_UPJET.to_vec();
    assert!(missing.iter().all(|name| names.contains(name)), "upjet's provider: {missing:?}");
    line(
        &mut text,
        &format!(
            "\n## Crossplane, generated from terraform's provider\n\n\
             [crossplane-contrib/provider-upjet-zitadel](https://github.com/crossplane-contrib/provider-upjet-zitadel) has a kind for each of \
             {} of these resources (its\n`config/generated.lst` of commit b08a8a0), cluster-scoped and namespaced, by other names: `org_idp_google` \
             is `Google` of a group of its own. It has none\nfor {}. So the table above is its table too. Other \
             providers that are\ngenerated the same way are not listed.",
            names.len() - missing.len(),
            listed(&missing)
        ),
    );
    for other in OTHERS {
        line(&mut text, &format!("\n## {}\n\n{}\n", other.name, other.about));
        tables(&mut text, "Kinds", &of(other), other.without);
    }
    text
}

fn names<'a>(rows: &Rows<'a>, without: &[(&str, &[&'a str])]) -> BTreeSet<&'a str> {
    let lacking = without.iter().flat_map(|(_, names)| names.iter().copied());
    rows.values().flatten().copied().chain(lacking).collect()
}

/// A row of the first table.
fn summary(text: &mut String, name: &str, version: &str, rows: &Rows, without: &[(&str, &[&str])]) {
    let all = names(rows, without).len();
    let lacking: usize = without.iter().map(|(_, names)| names.len()).sum();
    let ours: Vec<&str> = REGISTRY
        .all()
        .filter(|entry| !entry.is_connection())
        .map(|entry| entry.kind)
        .filter(|kind| !rows.contains_key(kind))
        .collect();
    let ours = match ours.len() {
        0 => "none".to_owned(),
        1..9 => listed(&ours),
        many => format!("{many} of {}", REGISTRY.all().count() - 1),
    };
    line(text, &format!("| {name} | {version} | {all} | {lacking} | {ours} |"));
}

/// Two tables: by kind, and what has none.
fn tables(text: &mut String, what: &str, rows: &Rows, without: &[(&str, &[&str])]) {
    for kind in rows.keys() {
        assert!(REGISTRY.find(kind).is_some(), "there is no kind {kind}");
    }
    for name in without.iter().flat_map(|(_, names)| *names) {
        let kinds: Vec<_> = rows.iter().filter(|(_, names)| names.contains(name)).collect();
        assert!(kinds.is_empty(), "{name} has a kind: {kinds:?}");
    }
    line(text, &format!("| Kind | {what} |\n|---|---|"));
    for kind in REGISTRY.all().map(|entry| entry.kind) {
        if let Some(names) = rows.get(kind) {
            let link = format!("reference.md#{}", super::docs::anchor(kind));
            line(text, &format!("| [`{kind}`]({link}) | {} |", listed(names)));
        }
    }
    if without.is_empty() {
        return;
    }
    line(text, &format!("\n| No kind | {what} |\n|---|---|"));
    for (why, names) in without {
        line(text, &format!("| {why} | {} |", listed(names)));
    }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
