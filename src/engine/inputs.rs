//! The secrets that an object gives to ZITADEL: their values, read when they are needed, and which of
//! them are to be sent. Nobody can read them back, so that what was sent counts: by the version of
//! the Secret in the status, and in memory by a keyed hash.

use std::{collections::BTreeMap, sync::Arc};

use secrecy::SecretString;

use super::{
    error::{Error, Result, Waiting},
    host::Host,
};
use crate::{
    contract::{
        Entry, FileOrigin, Files, Key, Object, SecretInput, Secrets, SpecError,
        connection::ValueSource,
    },
    live::{Connection, Connections},
    zitadel::file::File,
};

/// A secret that an object declares, as its Secret holds it.
#[derive(Debug, Clone)]
pub struct InputSecret {
    /// Which one.
    pub input: &'static SecretInput,
    /// Its value.
    pub value: SecretString,
    /// Which state of the Secret this is.
    pub version: String,
}

/// Why a secret is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendCause {
    /// What it belongs to is created.
    New,
    /// The Secret is another one than the last that was sent.
    Changed,
    /// Somebody else set it, who may have no name.
    Drift(String),
}

/// A secret that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretChange {
    /// The field.
    pub field: &'static str,
    /// Why.
    pub cause: SendCause,
    /// Whether another thing has to be created for it.
    pub by_another: bool,
}

/// What is known of the secrets that were sent.
#[derive(Debug, Clone, Copy)]
pub struct SentFacts<'a> {
    /// The versions of the Secrets that were sent last, by field.
    pub applied: &'a BTreeMap<String, String>,
    /// Whether what was not sent yet is sent to what is there already.
    pub sends_unknown: bool,
}

/// Reads the secrets that a spec names. One that is missing is waited for, if it could be sent: what
/// only counts at a creation is needed where something is `created`. What a connection logs in by is
/// sent to nobody: who may declare something here may not use it.
pub(super) async fn read(
    connections: &Connections,
    host: &dyn Host,
    entry: Entry,
    object: &Object,
    created: bool,
) -> Result<Vec<InputSecret>> {
    let namespace = &object.key.namespace;
    let mut all = Vec::new();
    for input in entry.inputs {
        let Some(source) = input.read(&object.spec)? else { continue };
        refuse_login(connections, namespace, &source, input.reference)?;
        if input.initial && !created {
            continue;
        }
        let read = host.secret(namespace, &source.name, &source.key).await;
        let read = read.map_err(|missing| {
            Error::Waiting(Waiting::Value {
                kind: "Secret",
                namespace: namespace.clone(),
                name: source.name,
                key: source.key,
                missing,
            })
        })?;
        all.push(InputSecret { input, value: read.value, version: read.version });
    }
    Ok(all)
}

/// Reads the files that a spec names. One that is missing is waited for, and one that ZITADEL would
/// not take is refused: everybody sees what is uploaded, so that no Secret of another kind may pass
/// for one.
pub(super) async fn files(
    connections: &Connections,
    host: &dyn Host,
    entry: Entry,
    object: &Object,
) -> Result<Files> {
    let namespace = &object.key.namespace;
    let mut files = Files::default();
    for input in entry.files {
        let Some(origin) = input.read(&object.spec)? else { continue };
        if let FileOrigin::Secret(source) = &origin {
            refuse_login(connections, namespace, source, input.field)?;
        }
        let read = host.file(namespace, &origin).await.map_err(|missing| {
            Error::Waiting(Waiting::Value {
                kind: origin.kind(),
                namespace: namespace.clone(),
                name: origin.source().name.clone(),
                key: origin.source().key.clone(),
                missing,
            })
        })?;
        let file = File::new(read);
        input.check(&file)?;
        files.insert(input.field, file);
    }
    Ok(files)
}

/// Refuses what a connection logs in by.
fn refuse_login(
    connections: &Connections,
    namespace: &str,
    source: &ValueSource,
    field: &str,
) -> Result<()> {
    let holds = |(key, connection): &(Key, _)| is_login(key, connection, namespace, source);
    match connections.all().iter().find(|both| holds(both)) {
        None => Ok(()),
        Some((instance, _)) => {
            let what = format!("names what {instance} logs in by: that is sent to nobody");
            Err(SpecError::new(field, what).into())
        }
    }
}

/// Whether a connection logs in by what this Secret holds.
fn is_login(
    key: &Key,
    connection: &Arc<Connection>,
    namespace: &str,
    source: &ValueSource,
) -> bool {
    key.namespace == namespace && connection.spec.credentials.secret().name == source.name
}

/// Which secrets have to be sent to something that exists. Pure. `was_sent`: whether this very value
/// was the last that this process sent. `set_by`: who else set it since.
pub fn changes(
    inputs: &[InputSecret],
    facts: SentFacts<'_>,
    was_sent: impl Fn(&InputSecret) -> bool,
    set_by: impl Fn(&'static str) -> Option<String>,
) -> Vec<SecretChange> {
    let change = |secret: &InputSecret| {
        let SecretInput { field, by_another, .. } = *secret.input;
        let cause = match (set_by(field), facts.applied.get(field)) {
            (Some(by), _) => SendCause::Drift(by),
            (None, Some(applied)) if *applied == secret.version => return None,
            (None, None) if !facts.sends_unknown => return None,
            (None, _) if was_sent(secret) => return None,
            (None, _) => SendCause::Changed,
        };
        Some(SecretChange { field, cause, by_another })
    };
    inputs.iter().filter_map(change).collect()
}

/// Those that what is created gets with it: all.
pub fn at_creation(inputs: &[InputSecret]) -> Vec<SecretChange> {
    let change = |secret: &InputSecret| SecretChange {
        field: secret.input.field,
        cause: SendCause::New,
        by_another: false,
    };
    inputs.iter().map(change).collect()
}

/// The values of those that are to be sent.
pub fn values(inputs: &[InputSecret], changes: &[SecretChange]) -> Secrets {
    let is_sent = |secret: &&InputSecret| changes.iter().any(|c| c.field == secret.input.field);
    inputs.iter().filter(is_sent).map(|s| (s.input.field, s.value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: SecretInput = SecretInput { field: "token", ..SecretInput::EMPTY };

    fn secret(version: &str) -> Vec<InputSecret> {
        vec![InputSecret { input: &TOKEN, value: "x".into(), version: version.into() }]
    }

    fn decided(
        version: &str,
        applied: Option<&str>,
        sends_unknown: bool,
        was_sent: bool,
        by: Option<&str>,
    ) -> Option<SendCause> {
        let applied = applied.map(|v| ("token".to_owned(), v.to_owned())).into_iter().collect();
        let facts = SentFacts { applied: &applied, sends_unknown };
        let by = by.map(ToOwned::to_owned);
        let changes = changes(&secret(version), facts, |_| was_sent, |_| by.clone());
        changes.into_iter().next().map(|change| change.cause)
    }

    #[test]
    fn a_secret_is_sent_when_it_is_another_one_and_never_at_rest() {
        assert_eq!(decided("1", Some("1"), true, false, None), None, "at rest");
        assert_eq!(decided("2", Some("1"), true, false, None), Some(SendCause::Changed));
        assert_eq!(decided("2", Some("1"), true, true, None), None, "the value is the same");
        assert_eq!(decided("1", None, true, false, None), Some(SendCause::Changed));
        assert_eq!(decided("1", None, false, false, None), None, "nobody knows, and nobody asks");
        assert_eq!(decided("2", Some("1"), false, false, None), Some(SendCause::Changed));
    }

    #[test]
    fn what_somebody_else_set_is_sent_again_whatever_is_known() {
        for applied in [None, Some("1")] {
            for was_sent in [false, true] {
                let drift = Some(SendCause::Drift("minnie".into()));
                assert_eq!(decided("1", applied, false, was_sent, Some("minnie")), drift);
            }
        }
    }

    #[test]
    fn only_the_values_of_what_is_sent_are_taken() {
        let all = secret("1");
        assert!(values(&all, &[]).is_empty());
        assert_eq!(values(&all, &at_creation(&all)).get("token"), Some("x"));
    }
}
