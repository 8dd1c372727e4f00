//! The connection that comes from arguments and environment variables, for folders without an
//! `Instance` or in place of what it says.

use std::{fs, path::PathBuf};

use secrecy::SecretString;
use serde_json::{Value, json};

use crate::engine::error::Missing;

/// The Secret that stands for the environment; no Secret of Kubernetes can have this name.
pub(super) const SECRET: &str = "$environment";
const TOKEN: &str = "ZITADEL_TOKEN";
const KEY_FILE: &str = "ZITADEL_KEY_FILE";

/// Where ZITADEL is and how to log in, as far as arguments and environment variables say.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// The external URL of the instance.
    pub issuer: Option<String>,
    /// Where to connect, if not at the issuer.
    pub address: Option<String>,
    /// A personal access token.
    pub token: Option<SecretString>,
    /// A service account's key file; not used together with a token.
    pub key_file: Option<PathBuf>,
}

impl Environment {
    /// Whether it says anything.
    pub fn is_set(&self) -> bool {
        self.issuer.is_some() || self.address.is_some() || self.has_credentials()
    }

    pub(super) fn has_credentials(&self) -> bool {
        self.token.is_some() || self.key_file.is_some()
    }

    /// The spec of an `Instance`, with what is set here in place of what it says itself.
    pub fn overlay(&self, spec: &Value) -> Value {
        let Some(mut spec) = spec.as_object().cloned() else { return spec.clone() };
        if let Some(issuer) = &self.issuer {
            spec.insert("issuer".into(), issuer.clone().into());
            // The address belonged to the other issuer.
            spec.remove("address");
        }
        if let Some(address) = &self.address {
            spec.insert("address".into(), address.clone().into());
        }
        let from = |key: &str| json!({"secretRef": {"name": SECRET, "key": key}});
        if self.token.is_some() {
            spec.insert("credentials".into(), json!({"personalAccessToken": from(TOKEN)}));
        } else if self.key_file.is_some() {
            spec.insert("credentials".into(), json!({"privateKey": from(KEY_FILE)}));
        }
        Value::Object(spec)
    }

    pub(super) fn secret(&self, key: &str) -> Result<SecretString, Missing> {
        match (key, &self.token, &self.key_file) {
            (TOKEN, Some(token), _) => Ok(token.clone()),
            (KEY_FILE, _, Some(path)) => fs::read_to_string(path)
                .map(Into::into)
                .map_err(|e| Missing::Unreadable(format!("{}: {e}", path.display()))),
            _ => Err(Missing::Key),
        }
    }
}
