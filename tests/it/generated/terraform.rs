//! What terraform's provider has, and which kind it becomes.

use std::{collections::BTreeMap, fmt::Write as _};

use kastellan::{kinds::REGISTRY, terraform};

/// What has no kind, of the provider's version 3.3.0, and why.
const WITHOUT: &[(&str, &[&str])] = &[
    (
        "not yet",
        &[
            "zitadel_project_v2",
            "zitadel_action_target",
            "zitadel_action_target_public_key",
            "zitadel_action_execution_request",
            "zitadel_action_execution_response",
            "zitadel_action_execution_event",
            "zitadel_action_execution_function",
            "zitadel_instance_features",
            "zitadel_instance_secret_generator",
            "zitadel_instance_trusted_domain",
            "zitadel_default_oidc_settings",
            "zitadel_default_login_texts",
            "zitadel_login_texts",
            "zitadel_default_hosted_login_translation",
            "zitadel_hosted_login_translation",
        ],
    ),
    ("a step that `WebKeys` takes by itself: declare its `algorithm`", &["zitadel_webkey"]),
    (
        "needs an account of the system, above all instances",
        &["zitadel_instance_custom_domain", "zitadel_system_features"],
    ),
    (
        "ends with ZITADEL 5; later there are action targets and executions",
        &["zitadel_action", "zitadel_trigger_actions"],
    ),
    (
        "of older versions of the provider: export the live instance instead",
        &["zitadel_smtp_config", "zitadel_org_jwt_idp", "zitadel_org_oidc_idp"],
    ),
];

/// Two tables: by kind, and what has none.
pub(super) fn tables() -> String {
    let mut of_kind: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, kind) in terraform::resource_types() {
        let names = of_kind.entry(kind).or_default();
        if !names.contains(&name) {
            names.push(name);
        }
        assert!(!WITHOUT.iter().any(|(_, names)| names.contains(&name)), "{name} has a kind");
    }
    let listed = |names: &[&str]| {
        let short = names.iter().map(|name| format!("`{}`", name.trim_start_matches("zitadel_")));
        short.collect::<Vec<_>>().join(", ")
    };
    let mut text = "| Kind | Resources |\n|---|---|\n".to_owned();
    for entry in REGISTRY.all() {
        if let Some(names) = of_kind.get(entry.kind()) {
            writeln!(text, "| `{}` | {} |", entry.kind(), listed(names)).unwrap();
        }
    }
    text += "\n| No kind | Resources |\n|---|---|\n";
    for (why, names) in WITHOUT {
        writeln!(text, "| {why} | {} |", listed(names)).unwrap();
    }
    text
}
