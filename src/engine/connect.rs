//! The reconcile of a connection: credentials, who is at the other end, and what the account may
//! do.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::{
    context::Engine,
    error::{Doing, Error, Missing, Result, Waiting, WhileDoing},
    host::Host,
    report::{Outcome, Pause},
};
use crate::{
    api::instance::{Account, InstanceDetails},
    contract::{
        ConnectionSpec, Entry, Key, Object, SpecError,
        connection::{CaSource, CredentialsSource, ValueSource},
        refuse_unknown,
    },
    live::{Connection, Informer, Parts, VerifyError},
    zitadel::{
        Config, Credentials,
        auth::PrivateKey,
        identity::{AccountIdentity, IdentityError, fetch_account, fetch_instance},
        outage,
    },
};

/// How long to wait for dependants before looking again.
const DEPENDANTS_PAUSE: Duration = Duration::from_secs(10);

/// Reconciles a connection.
pub(super) async fn reconcile(
    engine: &Engine,
    host: &dyn Host,
    object: &Object,
    outcome: &mut Outcome,
) {
    if object.is_deleting {
        return delete(engine, host, object, outcome).await;
    }
    let noun = engine.registry.connection().description().noun;
    match connect(engine, host, object).await {
        Ok(connection) => {
            engine.memory.succeeded(&object.key);
            let details = details(object, &connection);
            outcome.connected(object, &connection.instance_id, details);
            outcome.requeue_after = Some(connection.spec.resync);
        }
        Err(e) => {
            tracing::debug!(reason = %e.reason(), class = e.class().as_str(), error = ?e, "not connected");
            let failures = engine.memory.failed(object);
            outcome.failed(object, noun, e, failures);
            // A connection is tried by whoever follows its feed.
            if outcome.awaits_return && engine.connections.get(&object.key).is_none() {
                outcome.requeue_after = Some(outage::INTERVAL);
            }
        }
    }
}

fn details(object: &Object, connection: &Connection) -> InstanceDetails {
    let AccountIdentity { id, name, sight, .. } = &*connection.account;
    let scope = match (sight.instance, sight.organizations.first()) {
        (false, Some(organization)) => format!("organization {organization}"),
        _ => "instance".to_owned(),
    };
    InstanceDetails {
        version: connection.version.clone(),
        issuer: object.spec.get("issuer").and_then(|v| v.as_str()).map(ToOwned::to_owned),
        account: Some(Account { id: id.clone(), name: name.clone(), scope }),
        feed: connection.feed_status(),
        objects: object.details.objects,
        served_by: object.details.served_by.clone(),
    }
}

/// A connection goes last: its dependants need it for their own deletion.
async fn delete(engine: &Engine, host: &dyn Host, object: &Object, outcome: &mut Outcome) {
    let noun = engine.registry.connection().description().noun;
    let left = host.dependants(&object.key);
    if left.is_empty() || object.is_abandoned() {
        engine.connections.remove(&object.key);
        outcome.wake = left;
        outcome.gone();
        return;
    }
    let pause = Pause::Dependants(left.clone());
    outcome.paused(object, noun, &pause, DEPENDANTS_PAUSE);
    // After a restart, or without its Secret. What comes of it decides what the dependants do.
    if let Err(e) = connect(engine, host, object).await {
        let failures = engine.memory.failed(object);
        outcome.failed(object, noun, e, failures);
        outcome.requeue_after = Some(DEPENDANTS_PAUSE);
    }
    outcome.wake = left;
}

/// A connection that works just now: the former one where nothing changed, else a new one. Whatever
/// the spec does not give any more is not used any more, before anything else is tried.
async fn connect(engine: &Engine, host: &dyn Host, object: &Object) -> Result<Arc<Connection>> {
    let kind = engine.registry.connection();
    let known = refuse_unknown(Entry::Connection(kind), &object.spec);
    let spec = known.and_then(|()| kind.read(&object.spec)).inspect_err(|_| {
        engine.connections.remove(&object.key);
    })?;
    let (config, fingerprint) =
        configure(engine, host, object, &spec).await.inspect_err(|e| match e {
            Error::Waiting(Waiting::Value { missing: Missing::Unreadable(_), .. }) => {}
            Error::Waiting(_) => engine.connections.retire(&object.key),
            _ => engine.connections.remove(&object.key),
        })?;
    let known = engine.connections.get(&object.key);
    let informer = known
        .as_ref()
        .filter(|c| c.spec.resync == spec.resync)
        .map(|c| (c.instance_id.clone(), c.informer.clone()));
    let former = known.filter(|c| c.fingerprint == fingerprint && c.spec == spec);
    if former.is_none() {
        engine.connections.remove(&object.key);
    }
    let client = match &former {
        // Its own status, which was written a moment ago, is no reason to ask again.
        Some(c) if !engine.is_asked(object) && object.status.is_ready() && c.is_fresh().await => {
            return Ok(c.clone());
        }
        Some(c) => c.client.clone(),
        None => engine.client(config).doing_other("use this Instance")?,
    };
    let or_down = |e: IdentityError| match client.outage() {
        Some(source) => Error::Zitadel { doing: Doing::CONNECT, source },
        None => Error::from(e),
    };
    let instance = fetch_instance(&client).await.map_err(or_down)?;
    verify(object, &spec, &instance.id).inspect_err(|_| engine.connections.remove(&object.key))?;
    let account = fetch_account(&client).await.map_err(or_down)?;
    if let Some(former) = former.filter(|f| {
        *f.account == account && f.version == instance.version && f.instance_id == instance.id
    }) {
        former.confirm().await;
        return Ok(former);
    }
    let informer = match informer.filter(|(id, _)| *id == instance.id) {
        Some((_, informer)) => informer,
        None => {
            let informer = Arc::new(Informer::new(engine.registry, spec.resync, engine.editors));
            informer.start(&client).await;
            informer
        }
    };
    let connection = Arc::new(Connection::new(Parts {
        client,
        instance_id: instance.id,
        version: instance.version,
        account,
        informer,
        fingerprint,
        spec,
    }));
    engine.connections.insert(object.key.clone(), connection.clone());
    tracing::info!(
        instance = connection.instance_id,
        account = connection.account.name,
        "connected"
    );
    Ok(connection)
}

/// Another issuer may well be another instance; the same one must not.
fn verify(object: &Object, spec: &ConnectionSpec, found: &str) -> Result<(), VerifyError> {
    let Some(known) = &object.status.instance_id else { return Ok(()) };
    let same_issuer = object.details.issuer.as_ref().is_none_or(|issuer| *issuer == spec.issuer);
    if known == found || !same_issuer {
        return Ok(());
    }
    Err(VerifyError::Changed { known: known.clone(), found: found.to_owned() })
}

async fn configure(
    engine: &Engine,
    host: &dyn Host,
    object: &Object,
    spec: &ConnectionSpec,
) -> Result<(Config, u64)> {
    let text = secret(host, &object.key, spec.credentials.secret()).await?;
    let credentials = match &spec.credentials {
        CredentialsSource::PrivateKey(_) => {
            PrivateKey::parse(text.expose_secret()).map(Credentials::PrivateKey)
        }
        CredentialsSource::PersonalAccessToken(_) => Credentials::token(&text),
        CredentialsSource::ClientCredentials { client_id, .. } => {
            let secret: SecretString = text.expose_secret().trim().into();
            Ok(Credentials::ClientCredentials { client_id: client_id.clone(), secret })
        }
    };
    let ca = match &spec.ca {
        None => None,
        Some(CaSource::Secret(source)) => {
            Some(secret(host, &object.key, source).await?.expose_secret().to_owned())
        }
        Some(CaSource::ConfigMap(source)) => Some(config_map(host, &object.key, source).await?),
    };
    let credentials = credentials.doing_other("use the credentials")?;
    let mut config = Config::new(url("issuer", &spec.issuer)?, credentials);
    config.address = spec.address.as_deref().map(|a| url("address", a)).transpose()?;
    config.max_concurrency = spec.max_concurrency;
    config.addresses = engine.addresses.clone();
    let mut hasher = DefaultHasher::new();
    (&ca, text.expose_secret()).hash(&mut hasher);
    config.ca = ca.map(String::into_bytes);
    Ok((config, hasher.finish()))
}

fn url(field: &str, text: &str) -> Result<Url> {
    Url::parse(text)
        .map_err(|e| SpecError::new(field, format!("{text:?} is not a URL: {e}")).into())
}

async fn secret(host: &dyn Host, instance: &Key, source: &ValueSource) -> Result<SecretString> {
    let read = host.secret(&instance.namespace, &source.name, &source.key).await;
    read.map(|held| held.value).map_err(|missing| waiting("Secret", instance, source, missing))
}

async fn config_map(host: &dyn Host, instance: &Key, source: &ValueSource) -> Result<String> {
    let read = host.config_map(&instance.namespace, &source.name, &source.key).await;
    read.map_err(|missing| waiting("ConfigMap", instance, source, missing))
}

fn waiting(kind: &'static str, instance: &Key, source: &ValueSource, missing: Missing) -> Error {
    Error::Waiting(Waiting::Value {
        kind,
        namespace: instance.namespace.clone(),
        name: source.name.clone(),
        key: source.key.clone(),
        missing,
    })
}
