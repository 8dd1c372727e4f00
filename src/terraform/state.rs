//! Terraform's formats: its state of version 4, and what `terraform show -json` prints. Pure.

use serde_json::{Map, Value};

/// What is in a state, as far as it is ZITADEL's.
#[derive(Debug, Default)]
pub struct State {
    /// Each instance of each resource.
    pub instances: Vec<Instance>,
}

/// One instance of a resource.
///
/// Its attributes hold secrets: it has no form for a log.
pub struct Instance {
    /// Its address, such as `module.a.zitadel_project.b["c"]`.
    pub address: String,
    /// Its type, such as `zitadel_project`.
    pub resource: String,
    /// Whether terraform manages it; false: it only looks at it.
    pub is_managed: bool,
    /// What terraform knows of it.
    pub attributes: Map<String, Value>,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)
    }
}

/// Why something is no state that can be read. None of it tells what is in the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It is no JSON.
    #[error("this is no JSON (line {line}, column {column})")]
    NotJson {
        /// Line of the error.
        line: usize,
        /// Column of the error.
        column: usize,
    },
    /// It is JSON, and something else.
    #[error("this is neither a state of terraform nor what `terraform show -json` prints")]
    NotAState,
    /// Another version of the format.
    #[error("this state has the format version {0}, and only version 4 can be read")]
    Version(String),
    /// `OpenTofu` has encrypted it.
    #[error("this state is encrypted by OpenTofu")]
    Encrypted,
    /// A plan.
    #[error("this is a plan, not a state")]
    Plan,
}

impl StateError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Encrypted => "`tofu state pull > state.json` writes it as it is",
            Self::Version(_) => {
                "terraform 0.12 and later write version 4: `terraform state pull > state.json`"
            }
            Self::Plan => "`terraform state pull > state.json` writes the state",
            Self::NotJson { .. } | Self::NotAState => {
                "`terraform state pull > state.json` writes one"
            }
        }
    }
}

/// What all types of the provider begin with.
const PREFIX: &str = "zitadel_";

impl State {
    /// Reads a state.
    pub fn read(text: &str) -> Result<Self, StateError> {
        // Errors of serde tell where, and never what.
        let not_json =
            |e: serde_json::Error| StateError::NotJson { line: e.line(), column: e.column() };
        let text = text.trim_start_matches('\u{feff}');
        let Value::Object(root) = serde_json::from_str(text).map_err(not_json)? else {
            return Err(StateError::NotAState);
        };
        let mut state = Self::default();
        if root.contains_key("encrypted_data") {
            return Err(StateError::Encrypted);
        }
        if root.contains_key("planned_values") || root.contains_key("resource_changes") {
            return Err(StateError::Plan);
        }
        if root.contains_key("format_version") {
            if let Some(module) = root.get("values").and_then(|values| values.get("root_module")) {
                state.shown(module);
            }
            return Ok(state);
        }
        match (root.get("version"), root.contains_key("terraform_version")) {
            (Some(version), _) if version.as_u64() == Some(4) => {
                for resource in list(root.get("resources")) {
                    state.resource(resource);
                }
                Ok(state)
            }
            (Some(version), true) => Err(StateError::Version(version.to_string())),
            _ => Err(StateError::NotAState),
        }
    }

    /// A resource of a state of version 4.
    fn resource(&mut self, resource: &Value) {
        let text = |field: &str| resource.get(field).and_then(Value::as_str);
        let (Some(of_type), Some(name)) = (text("type"), text("name")) else { return };
        let is_managed = text("mode") == Some("managed");
        let module = text("module").map_or_else(String::new, |module| format!("{module}."));
        let data = if is_managed { "" } else { "data." };
        for instance in list(resource.get("instances")) {
            let index = match instance.get("index_key") {
                Some(key) if !key.is_null() => format!("[{key}]"),
                _ => String::new(),
            };
            // What is left of something that was replaced.
            if instance.get("deposed").is_some_and(|deposed| !deposed.is_null()) {
                continue;
            }
            let address = format!("{module}{data}{of_type}.{name}{index}");
            self.add(of_type, is_managed, address, instance.get("attributes"));
        }
    }

    /// A module as `terraform show -json` prints it.
    fn shown(&mut self, module: &Value) {
        for resource in list(module.get("resources")) {
            let text = |field: &str| resource.get(field).and_then(Value::as_str);
            let (Some(of_type), Some(address)) = (text("type"), text("address")) else { continue };
            if resource.get("deposed_key").is_some_and(|deposed| !deposed.is_null()) {
                continue;
            }
            let is_managed = text("mode") == Some("managed");
            self.add(of_type, is_managed, address.to_owned(), resource.get("values"));
        }
        for child in list(module.get("child_modules")) {
            self.shown(child);
        }
    }

    fn add(
        &mut self,
        of_type: &str,
        is_managed: bool,
        address: String,
        attributes: Option<&Value>,
    ) {
        if of_type.starts_with(PREFIX) {
            let attributes = attributes.and_then(Value::as_object).cloned().unwrap_or_default();
            let resource = of_type.to_owned();
            self.instances.push(Instance { address, resource, is_managed, attributes });
        }
    }
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn addresses(state: &Value) -> Vec<(String, bool)> {
        let state = State::read(&state.to_string()).unwrap();
        state.instances.into_iter().map(|i| (i.address, i.is_managed)).collect()
    }

    #[test]
    fn both_formats_are_read() {
        let one = json!({"attributes": {"id": "1"}});
        let keyed = json!({"index_key": "a", "attributes": {"id": "2"}});
        let counted = json!({"index_key": 0, "attributes": {"id": "3"}});
        let gone = json!({"deposed": "00000001", "attributes": {"id": "4"}});
        let state = json!({"version": 4, "terraform_version": "1.9.0", "resources": [
            {"mode": "managed", "type": "zitadel_org", "name": "a", "instances": [one, gone]},
            {"module": "module.m", "mode": "managed", "type": "zitadel_project", "name": "b",
             "instances": [keyed, counted]},
            {"mode": "data", "type": "zitadel_org", "name": "c", "instances": [one]},
            {"mode": "managed", "type": "random_id", "name": "d", "instances": [one]},
        ]});
        let expected = [
            ("zitadel_org.a", true),
            ("module.m.zitadel_project.b[\"a\"]", true),
            ("module.m.zitadel_project.b[0]", true),
            ("data.zitadel_org.c", false),
        ];
        let expected = expected.map(|(address, is_managed)| (address.to_owned(), is_managed));
        assert_eq!(addresses(&state), expected);
        let shown = |address: &str, mode: &str, of_type: &str| json!({"address": address, "mode": mode, "type": of_type, "values": {"id": "1"}});
        let state = json!({"format_version": "1.0", "values": {"root_module": {
            "resources": [shown("zitadel_org.a", "managed", "zitadel_org")],
            "child_modules": [{"resources": [
                shown("module.m.zitadel_project.b[\"a\"]", "managed", "zitadel_project"),
                shown("module.m.zitadel_project.b[0]", "managed", "zitadel_project"),
                shown("data.zitadel_org.c", "data", "zitadel_org"),
            ]}],
        }}});
        assert_eq!(addresses(&state), expected);
    }

    #[test]
    fn what_is_no_state_is_told_apart_and_not_repeated() {
        let secret = "s3cret";
        for (text, expected) in [
            (format!("{{\"a\": {secret}"), StateError::NotJson { line: 1, column: 7 }),
            (format!("[\"{secret}\"]"), StateError::NotAState),
            (format!("{{\"version\": 4.5, \"x\": \"{secret}\"}}"), StateError::NotAState),
            (
                "{\"version\": 3, \"terraform_version\": \"0.11.1\"}".into(),
                StateError::Version("3".into()),
            ),
            ("{\"serial\": 1, \"encrypted_data\": \"eA==\"}".into(), StateError::Encrypted),
            ("{\"format_version\": \"1.2\", \"planned_values\": {}}".into(), StateError::Plan),
        ] {
            let error = State::read(&text).unwrap_err();
            assert!(!error.to_string().contains(secret), "{error}");
            assert_eq!(error, expected);
        }
        assert!(addresses(&json!({"version": 4, "resources": []})).is_empty());
        assert!(addresses(&json!({"format_version": "1.0"})).is_empty());
    }
}
