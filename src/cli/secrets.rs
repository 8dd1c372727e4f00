//! Which secrets an apply issues, and where they go.

#![allow(clippy::doc_markdown, reason = "what is documented here is printed as help, to terminals")]

use std::{collections::BTreeSet, sync::Arc};

use clap::Args;
use serde_json::Value;

use super::output::{self, Result};
use crate::files::{
    Folder, Manifest,
    output::{Outlet, SecretsTo},
};

/// What becomes of what ZITADEL issues.
#[derive(Args)]
pub(super) struct Secrets {
    /// Where the Secrets go that objects declare with spec.secret. Needed only where an object
    /// declares one:
    ///
    /// dir:DIR writes DIR/NAMESPACE/NAME/KEY, readable by you alone, as --secret-dir reads them.
    /// manifests:FILE writes them into a file of Secret manifests, in place of those of the same
    /// name. What is in either is not issued again.
    ///
    /// manifests:- and json:- print them, one after the other, as YAML or as a JSON object on each
    /// line. exec:COMMAND runs a command by the shell for each, with the Secret as JSON on its stdin,
    /// and KASTELLAN_SECRET_NAMESPACE and KASTELLAN_SECRET_NAME in its environment. Nothing comes
    /// back from there: only for what is created a secret is issued, and for what --reissue names.
    /// Keys and tokens are left out but for those.
    ///
    /// none: nothing is issued, and keys and tokens are left out.
    #[arg(long, value_name = "WHERE")]
    secrets_to: Option<SecretsTo>,
    /// Issue another secret for this object, whatever there is: OidcApplication/web, or
    /// OidcApplication/team/web with its namespace. It ends the former secret of an application or a
    /// MachineUser at once; the former key or token stays valid until its end. May be repeated.
    #[arg(long, value_name = "KIND/NAME", requires = "secrets_to", conflicts_with = "watch")]
    reissue: Vec<String>,
}

impl Secrets {
    /// Prepares a folder: what nobody would keep is not issued. A secret without a place is an error,
    /// before anything is written.
    pub(super) fn prepare(&self, folder: &mut Folder) -> Result<()> {
        let asked = self.asked(folder)?;
        let Some(to) = &self.secrets_to else {
            return match folder.manifests.iter().find(|m| secret_name(m).is_some()) {
                Some(manifest) => Err(output::fail(
                    format!(
                        "{} writes a Secret, and there is no place for it",
                        manifest.object.key
                    ),
                    Some(
                        "say where: --secrets-to dir:DIR, or manifests:FILE, exec:COMMAND and so on; --secrets-to none issues nothing",
                    ),
                )),
                None => Ok(()),
            };
        };
        for manifest in
            folder.manifests.iter_mut().filter(|m| asked.contains(&m.object.key.to_string()))
        {
            // Who asks for it has decided.
            let mut object = (*manifest.object).clone();
            if let Some(secret) = object.spec.pointer_mut("/secret").and_then(Value::as_object_mut)
            {
                secret.insert("onMissing".into(), "Reissue".into());
            }
            manifest.object = Arc::new(object);
        }
        if to.is_read() {
            return Ok(());
        }
        folder.manifests.retain(|manifest| {
            let key = &manifest.object.key;
            let is_key = manifest.entry.is_key();
            let is_left_out = is_key && !asked.contains(&key.to_string());
            if is_left_out && *to == SecretsTo::Nowhere {
                output::warn(format!("{key} is left out: it is nothing but a secret"));
            } else if is_left_out {
                output::warn(format!(
                    "{key} is left out: whether it was made before, its Secret would tell, which can't be read here; --reissue {}/{}/{} makes another one",
                    key.kind, key.namespace, key.name
                ));
            }
            !is_left_out
        });
        Ok(())
    }

    /// Where the Secrets of a folder go that was prepared.
    pub(super) fn outlet(&self, folder: &Folder) -> Result<Option<Arc<Outlet>>> {
        let asked = self.asked(folder)?;
        let Some(to) = self.secrets_to.clone() else { return Ok(None) };
        let asked = folder.manifests.iter().filter(|m| asked.contains(&m.object.key.to_string()));
        let secrets = asked.filter_map(|m| Some((m.object.key.namespace.clone(), secret_name(m)?)));
        let outlet = Outlet::new(to, output::secret, secrets);
        outlet.check().map_err(|e| {
            output::fail(e, Some("what was issued is found by what this file holds: decrypt or correct it first, or name another one"))
        })?;
        Ok(Some(Arc::new(outlet)))
    }

    /// Says for how many objects nothing was issued because they existed before.
    pub(super) fn tell(&self, folder: &Folder, outlet: &Outlet) {
        if self.secrets_to.as_ref().is_none_or(|to| to.is_read() || *to == SecretsTo::Nowhere) {
            return;
        }
        let is_missed = |m: &&Manifest| {
            secret_name(m).is_some_and(|name| !outlet.has_issued(&m.object.key.namespace, &name))
        };
        let missed: Vec<String> =
            folder.manifests.iter().filter(is_missed).map(|m| m.object.key.to_string()).collect();
        if !missed.is_empty() {
            output::say(format!(
                "no secret was issued for what existed before: {}; --reissue KIND/NAME issues one",
                missed.join(", ")
            ));
        }
    }

    /// The objects that `--reissue` names.
    fn asked(&self, folder: &Folder) -> Result<BTreeSet<String>> {
        let mut asked = BTreeSet::new();
        for text in &self.reissue {
            let parts: Vec<&str> = text.split('/').collect();
            let is_meant = |m: &&Manifest| {
                let key = &m.object.key;
                match parts[..] {
                    [kind, name] => key.kind.eq_ignore_ascii_case(kind) && key.name == name,
                    [kind, namespace, name] => {
                        key.kind.eq_ignore_ascii_case(kind)
                            && key.namespace == namespace
                            && key.name == name
                    }
                    _ => false,
                }
            };
            let found: Vec<&Manifest> = folder.manifests.iter().filter(is_meant).collect();
            let (problem, hint) = match found[..] {
                [one] if secret_name(one).is_some() => {
                    asked.insert(one.object.key.to_string());
                    continue;
                }
                [one] => (
                    format!("{} writes no Secret", one.object.key),
                    "name an object that declares spec.secret",
                ),
                [] => (
                    format!("--reissue {text}: there is no such object in these files"),
                    "write KIND/NAME or KIND/NAMESPACE/NAME",
                ),
                _ => (
                    format!("--reissue {text} means several objects"),
                    "name its namespace too: KIND/NAMESPACE/NAME",
                ),
            };
            return Err(output::fail(problem, Some(hint)));
        }
        Ok(asked)
    }
}

/// The name of the Secret that an object writes.
fn secret_name(manifest: &Manifest) -> Option<String> {
    manifest.entry.as_entity()?.issues?;
    let secret = manifest.object.spec.get("secret").filter(|secret| !secret.is_null())?;
    Some(secret.get("name").and_then(Value::as_str).unwrap_or_default().to_owned())
}
