//! `kastellan export --from-terraform`

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{Args, selection, write};
use crate::{
    cli::output::{self, Result},
    export::{Export, Exported},
    files::{Folder, manifest::NAMESPACE, output::dir::add},
    kinds::REGISTRY,
    terraform::{self, Converted, state::State},
    validate::{self, Finding, Severity},
};

pub(super) fn run(args: &Args, path: &Path) -> Result {
    let selection = selection(args)?;
    let state = read(path)?;
    let mut converted =
        terraform::convert(&REGISTRY, &state, &selection, args.secrets_to.is_some())
            .map_err(|e| output::fail(e, None))?;
    tell(&converted);
    write_secrets(args, &converted)?;
    let export = std::mem::take(&mut converted.export);
    let wrong = findings(&export);
    let exit = write(args, &export, "in this state")?;
    if wrong.is_empty() {
        return Ok(exit);
    }
    wrong.iter().for_each(output::finding);
    Err(output::fail(
        "not everything that this state says can be declared",
        Some("correct these manifests, and run `kastellan validate` on them"),
    ))
}

/// What `kastellan validate` would say: ZITADEL, or an older one, takes more than this API does.
fn findings(export: &Export) -> Vec<Finding> {
    let file =
        |object: &Exported| (PathBuf::from(&object.path), Ok(object.yaml.clone().into_bytes()));
    let folder = Folder::of(export.objects.iter().map(file));
    let findings = validate::check(&folder, false);
    findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect()
}

fn read(path: &Path) -> Result<State> {
    let mut text = String::new();
    let (name, read) = if path == Path::new("-") {
        ("stdin".to_owned(), io::stdin().lock().read_to_string(&mut text).map(drop))
    } else {
        let read = fs::read_to_string(path).map(|read| text = read);
        (path.display().to_string(), read)
    };
    read.map_err(|e| output::fail(format!("{name}: {e}"), None))?;
    let state =
        State::read(&text).map_err(|e| output::fail(format!("{name}: {e}"), Some(e.hint())))?;
    if state.instances.iter().any(|instance| instance.is_managed) {
        return Ok(state);
    }
    Err(output::fail(
        format!("{name}: no resource of the provider zitadel/zitadel is in this state"),
        Some("each workspace has a state of its own: `terraform workspace list`"),
    ))
}

/// Everything that the manifests do not say.
fn tell(converted: &Converted) {
    for missing in &converted.export.missing {
        output::warn(format!("omitted: {missing}"));
    }
    for (of_type, attributes) in converted.lacking.iter().filter(|(_, all)| !all.is_empty()) {
        let attributes: Vec<&str> = attributes.iter().map(String::as_str).collect();
        let attributes = attributes.join(", ");
        output::warn(format!("omitted: of {of_type}, what has no field here: {attributes}"));
    }
    for (field, id) in &converted.foreign {
        output::warn(format!(
            "{field} {id} is not managed by this state: an object that names it needs the instanceScope of the Instance"
        ));
    }
    let left = converted.secrets_left;
    if left > 0 {
        let secrets = if left == 1 { "1 secret was" } else { &format!("{left} secrets were") };
        output::warn(format!("{secrets} left out; --secrets-to dir:DIR writes what the state has"));
    }
    let addresses = &converted.without_kind;
    if !addresses.is_empty() {
        let count = match addresses.len() {
            1 => "1 resource has".to_owned(),
            n => format!("{n} resources have"),
        };
        output::warn(format!("omitted: {count} no kind here:"));
        for address in addresses {
            output::say(format!("  {address}"));
        }
    }
}

fn write_secrets(args: &Args, converted: &Converted) -> Result<()> {
    let Some(dir) = &args.secrets_to else { return Ok(()) };
    let namespace = args.namespace.as_deref().unwrap_or(NAMESPACE);
    for secret in &converted.secrets {
        let kept = add(dir, namespace, &secret.name, &secret.data)
            .map_err(|e| output::fail(format!("Secret {}: {e}", secret.name), None))?;
        for key in kept {
            output::warn(format!(
                "Secret {namespace}/{}: {key} holds another value than the state, and stays as it is",
                secret.name
            ));
        }
    }
    let written = converted.secrets.len();
    output::say(format!(
        "{written} Secret{} written to {}",
        if written == 1 { "" } else { "s" },
        dir.display()
    ));
    Ok(())
}
