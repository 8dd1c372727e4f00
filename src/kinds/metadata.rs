//! What the metadata of organizations and of users have in common: values by key, by the management
//! API, which has values as base64. A write that changes nothing is never sent: ZITADEL would take
//! it for an event in some versions.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::TryStreamExt;
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::wire;
use crate::{
    contract::{Access, Place, RemoteSetting, SpecError, Written, crd::Rule},
    zitadel::{Error, Path, Result, page, path::Endpoint as _},
};

/// What stands before the base64 of a value that is no text.
const BINARY: &str = "base64:";
/// The most characters of a key.
const LONGEST_KEY: usize = 200;
/// The most bytes of a value.
const LONGEST_VALUE: usize = 500_000;

/// What a spec declares.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct Declared {
    /// Values by key. A key has 1 to 200 characters, and case counts. A value is text of at most
    /// 500,000 bytes; `""`: ZITADEL has no such key. What is no text is written as `base64:` and its
    /// base64, and so is text that begins with `base64:`. Nothing here is secret: values are in the
    /// status and in plans. A key that is not listed is not managed; one that is no longer listed
    /// stays in ZITADEL as it is. When this object is deleted, each key that is listed gets back the
    /// value that it had before, or goes where it had none.
    #[schemars(extend("maxProperties" = 1000))]
    #[schemars(extend("additionalProperties" = {"type": "string", "maxLength": 700_000}))]
    entries: BTreeMap<String, String>,
}

/// The fields that can be managed: the entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataState {
    /// Values by key, in the form of specs. What has none is not there.
    #[serde(default)]
    entries: BTreeMap<String, String>,
}

/// What specs have to obey.
pub(super) const RULES: &[Rule] = &[Rule {
    rule: "self.entries.all(key, key.size() >= 1 && key.size() <= 200)",
    message: "a key in entries has 1 to 200 characters",
}];

impl Declared {
    /// The state that is declared: each value in the one form that it has.
    pub(super) fn state(&self) -> std::result::Result<MetadataState, SpecError> {
        let entry = |(key, value): (&String, &String)| {
            let wrong =
                |what: &dyn fmt::Display| SpecError::new("entries", format!("{key:?}: {what}"));
            if key.is_empty() || key.chars().count() > LONGEST_KEY {
                return Err(wrong(&"a key has 1 to 200 characters"));
            }
            let bytes = bytes(value).map_err(|e| wrong(&e))?;
            if bytes.len() > LONGEST_VALUE {
                return Err(wrong(&"a value has at most 500,000 bytes"));
            }
            Ok((key.clone(), text(bytes)))
        };
        let entries = self.entries.iter().map(entry).collect::<std::result::Result<_, _>>()?;
        Ok(MetadataState { entries })
    }
}

/// What a value of a spec stands for.
fn bytes(value: &str) -> std::result::Result<Vec<u8>, base64::DecodeError> {
    match value.strip_prefix(BINARY) {
        None => Ok(value.as_bytes().to_vec()),
        Some(base64) => STANDARD.decode(base64),
    }
}

/// The value of a spec that stands for these.
fn text(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) if !text.starts_with(BINARY) => text,
        Ok(text) => format!("{BINARY}{}", STANDARD.encode(text)),
        Err(e) => format!("{BINARY}{}", STANDARD.encode(e.as_bytes())),
    }
}

/// Reads all entries. What has none has no entries: there is nothing that could be inherited.
pub(super) async fn read(access: &Access, search: Path) -> Result<RemoteSetting<MetadataState>> {
    #[derive(Deserialize)]
    struct Entry {
        key: String,
        #[serde(default)]
        value: String,
    }
    let endpoint = format!("POST {}", search.path());
    let found = page::search::<Entry>(&access.client, access.organization(), search, json!({}));
    let found: Vec<Entry> = found.try_collect().await?;
    let entry = |Entry { key, value }| match STANDARD.decode(value) {
        Ok(value) => Ok((key, text(value))),
        Err(_) => {
            let what = "a value that is no base64".into();
            Err(Error::Malformed { endpoint: endpoint.clone(), what })
        }
    };
    let entries = found.into_iter().map(entry).collect::<Result<_>>()?;
    // The dates of entries do not tell when one was removed.
    Ok(RemoteSetting { state: MetadataState { entries }, own: true, version: None })
}

/// Sets what differs, then removes what is to be empty.
pub(super) async fn write(
    access: &Access,
    bulk: &Path,
    have: &RemoteSetting<MetadataState>,
    want: &MetadataState,
) -> Result<Written> {
    let have = &have.state.entries;
    let differs =
        |(key, value): &(&String, &String)| have.get(*key).map_or("", String::as_str) != *value;
    let changes = want.entries.iter().filter(differs);
    let (removed, set): (Vec<_>, Vec<_>) = changes.partition(|(_, value)| value.is_empty());
    let mut written = Written::default();
    for (key, _) in set.iter().filter(|(key, _)| !have.contains_key(*key)) {
        // ZITADEL remembers the metadata that an organization or a user of the same id had, and
        // takes a value that it remembers for no change, although it does not show it.
        match remove(access, bulk, &[key]).await {
            Ok(answer) => written = answer.after(written),
            Err(e) if e.says_gone() => {}
            Err(e) => return Err(e),
        }
    }
    if !set.is_empty() {
        let entry = |(key, value): &(&String, &String)| {
            let value = bytes(value).map_err(|_| Error::Malformed {
                endpoint: format!("POST {}", bulk.path()),
                what: "a value that is no base64".into(),
            })?;
            Ok(json!({"key": key, "value": STANDARD.encode(value)}))
        };
        let entries = set.iter().map(entry).collect::<Result<Vec<_>>>()?;
        let body = json!({"metadata": entries});
        written = wire::write(access, Method::POST, bulk, &body).await?.after(written);
    }
    if !removed.is_empty() {
        let keys: Vec<&String> = removed.into_iter().map(|(key, _)| key).collect();
        written = remove(access, bulk, &keys).await?.after(written);
    }
    Ok(written)
}

/// Removes all of these, or none where one is not there.
async fn remove(access: &Access, bulk: &Path, keys: &[&String]) -> Result<Written> {
    wire::write(access, Method::DELETE, bulk, &json!({"keys": keys})).await
}

/// The place of what has any.
pub(super) async fn places(access: &Access, search: Path) -> Result<Vec<Place>> {
    let any = !read(access, search).await?.state.entries.is_empty();
    Ok(any.then(|| access.place.clone()).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(value: &str) -> std::result::Result<String, String> {
        let declared = Declared { entries: [("key".to_owned(), value.to_owned())].into() };
        let state = declared.state().map_err(|e| e.to_string())?;
        Ok(state.entries.into_values().next().unwrap())
    }

    #[test]
    fn each_value_has_one_form() {
        for (value, form) in [
            ("", ""),
            ("red", "red"),
            ("größe", "größe"),
            ("base64:AP8Q", "base64:AP8Q"),
            // It is text.
            ("base64:cmVk", "red"),
            // It is text that begins so.
            ("base64:YmFzZTY0OnJlZA==", "base64:YmFzZTY0OnJlZA=="),
        ] {
            assert_eq!(declared(value).unwrap(), form, "{value}");
            assert_eq!(text(bytes(form).unwrap()), form, "{value}");
        }
        assert_eq!(bytes("base64:YmFzZTY0OnJlZA==").unwrap(), b"base64:red");
    }

    #[test]
    fn what_zitadel_would_refuse_is_refused() {
        assert!(declared("base64:red!").unwrap_err().contains(r#"spec.entries: "key""#));
        assert!(declared(&"x".repeat(LONGEST_VALUE)).is_ok());
        assert!(declared(&"x".repeat(LONGEST_VALUE + 1)).unwrap_err().contains("500,000"));
        for key in [String::new(), "k".repeat(LONGEST_KEY + 1)] {
            let declared = Declared { entries: [(key, "x".to_owned())].into() };
            assert!(declared.state().unwrap_err().to_string().contains("1 to 200"));
        }
    }
}
