//! States as terraform writes them: the file itself, or what `terraform show -json` makes of it.

use serde::Deserialize;
use serde_json::{Map, Value};

/// The version of the format of states; it has been this one since terraform 0.12.
const VERSION: u64 = 4;
/// What the names of the provider's resources begin with.
const OURS: &str = "zitadel_";

/// A resource that terraform manages.
#[derive(Debug)]
pub(super) struct Instance {
    /// `module.tenant.zitadel_project.shop["eu"]`
    pub(super) address: String,
    /// `zitadel_project`
    pub(super) resource: String,
    /// `shop`
    pub(super) name: String,
    /// What the state knows of it.
    pub(super) attributes: Map<String, Value>,
}

#[derive(Deserialize)]
struct File {
    version: Option<u64>,
    resources: Option<Vec<Group>>,
    encrypted_data: Option<Value>,
    values: Option<Values>,
}

/// A resource of the file, which may have several instances.
#[derive(Deserialize)]
struct Group {
    module: Option<String>,
    mode: String,
    r#type: String,
    name: String,
    #[serde(default)]
    instances: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    index_key: Option<Value>,
    #[serde(default)]
    attributes: Map<String, Value>,
}

/// What `terraform show -json` prints.
#[derive(Deserialize)]
struct Values {
    root_module: Module,
}

#[derive(Deserialize)]
struct Module {
    #[serde(default)]
    resources: Vec<Shown>,
    #[serde(default)]
    child_modules: Vec<Module>,
}

#[derive(Deserialize)]
struct Shown {
    address: String,
    mode: String,
    r#type: String,
    name: String,
    #[serde(default)]
    values: Map<String, Value>,
}

/// All resources of the provider that terraform manages.
pub(super) fn read(text: &str) -> Result<Vec<Instance>, String> {
    // Its own words might repeat a secret.
    let file: File = serde_json::from_str(text).map_err(|e| {
        let (line, column) = (e.line(), e.column());
        format!("is no state of terraform: line {line}, column {column} is not as expected")
    })?;
    let mut all = match file {
        File { encrypted_data: Some(_), .. } => {
            return Err("is encrypted: read it by `tofu state pull`".into());
        }
        File { values: Some(values), .. } => shown(values.root_module),
        File { version: Some(VERSION), resources: Some(groups), .. } => {
            groups.into_iter().flat_map(instances).collect()
        }
        File { version: Some(version), .. } if version != VERSION => {
            return Err(format!(
                "has version {version} of the format: version {VERSION} can be read, which \
                 terraform has written since 0.12"
            ));
        }
        _ => {
            return Err("is no state of terraform: make one by `terraform state pull`".into());
        }
    };
    all.retain(|instance| instance.resource.starts_with(OURS));
    Ok(all)
}

fn instances(group: Group) -> Vec<Instance> {
    let Group { module, mode, r#type, name, instances } = group;
    if mode != "managed" {
        return Vec::new();
    }
    let path = module.map_or_else(String::new, |module| format!("{module}."));
    let one = |one: One| Instance {
        address: match &one.index_key {
            None => format!("{path}{type}.{name}"),
            Some(index) => format!("{path}{type}.{name}[{index}]"),
        },
        resource: r#type.clone(),
        name: match &one.index_key {
            Some(Value::String(index)) => format!("{name}-{index}"),
            Some(index) => format!("{name}-{index}"),
            None => name.clone(),
        },
        attributes: one.attributes,
    };
    instances.into_iter().map(one).collect()
}

fn shown(module: Module) -> Vec<Instance> {
    let mut all: Vec<Instance> = module
        .resources
        .into_iter()
        .filter(|resource| resource.mode == "managed")
        .map(|Shown { address, r#type, name, values, .. }| Instance {
            address,
            resource: r#type,
            name,
            attributes: values,
        })
        .collect();
    all.extend(module.child_modules.into_iter().flat_map(shown));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_state_is_refused_with_what_to_do() {
        for (text, says) in [
            ("", "no state of terraform"),
            ("{\"token\": \"s3cret\"", "line 1"),
            ("[]", "no state of terraform"),
            ("{}", "terraform state pull"),
            ("{\"version\": 3, \"modules\": []}", "version 3"),
            ("{\"serial\": 1, \"encrypted_data\": \"x\"}", "tofu state pull"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(says) && !error.contains("s3cret"), "{text}: {error}");
        }
    }

    #[test]
    fn addresses_are_terraforms_own() {
        let text = r#"{"version": 4, "resources": [
            {"mode": "managed", "type": "zitadel_project", "name": "p", "module": "module.m",
             "instances": [{"index_key": "eu", "attributes": {"id": "1"}}, {"index_key": 0}]},
            {"mode": "data", "type": "zitadel_org", "name": "o", "instances": [{}]},
            {"mode": "managed", "type": "null_resource", "name": "n", "instances": [{}]}]}"#;
        let all = read(text).unwrap();
        let addresses: Vec<&str> = all.iter().map(|i| &*i.address).collect();
        assert_eq!(
            addresses,
            ["module.m.zitadel_project.p[\"eu\"]", "module.m.zitadel_project.p[0]"]
        );
        let shown = r#"{"format_version": "1.0", "values": {"root_module": {"child_modules": [
            {"resources": [{"address": "module.m.zitadel_project.p[\"eu\"]", "mode": "managed",
             "type": "zitadel_project", "name": "p", "values": {"id": "1"}}]}]}}}"#;
        assert_eq!(read(shown).unwrap()[0].address, all[0].address);
    }
}
