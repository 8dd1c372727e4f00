//! The reconcile of an `Instance`: credentials, connection, who is at the other end and what the
//! account may do.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use jiff::SignedDuration;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::{
    Error, Key, Object,
    connection::Connection,
    error::{Doing, Result},
    host::Host,
    kind::decode,
    outcome::Outcome,
    reconcile::Engine,
};
use crate::{
    api::status::{Ready, Reason, Verdict},
    kinds::instance::{Account, Instance, InstanceDetails, KeyReference},
    live::Live,
    zitadel::{Client, Config, Credentials, auth::PrivateKey},
};

/// How long it is believed which instance is at the other end.
const TRUST: Duration = Duration::from_secs(5);

/// Reconciles an Instance.
pub async fn reconcile(engine: &Engine, host: &dyn Host, object: &Object) -> Outcome {
    let mut outcome = Outcome::of(object);
    if object.is_deleting {
        return delete(engine, host, object, outcome).await;
    }
    match connect(engine, host, object).await {
        Ok(connection) => {
            outcome.status.id = Some(connection.instance_id.clone());
            outcome.status.instance_id = Some(connection.instance_id.clone());
            outcome.details = Some(InstanceDetails {
                version: connection.version.clone(),
                issuer: object.spec.get("issuer").and_then(|v| v.as_str()).map(ToOwned::to_owned),
                account: Some(connection.account.clone()),
                feed: connection.live.feed_status(),
                objects: object.details.objects,
            });
            let Account { name, scope, .. } = &connection.account;
            outcome.conclude(
                object,
                &Verdict {
                    ready: Ready::True,
                    reason: Reason::InSync,
                    message: format!("connected as {name}, acting on the {scope}"),
                },
            );
            outcome.again = Some(connection.resync);
        }
        Err(e) => outcome.fail(engine, object, &e),
    }
    outcome
}

/// An Instance goes last: its dependants need it for their own deletion.
async fn delete(
    engine: &Engine,
    host: &dyn Host,
    object: &Object,
    mut outcome: Outcome,
) -> Outcome {
    let left = host.dependants(&object.key);
    if let (Some(first), false) = (left.first(), object.is_abandoned()) {
        let who = if left.len() == 1 {
            format!("{first} still needs it")
        } else {
            format!("{first} and {} more still need it", left.len() - 1)
        };
        let message = format!(
            "{who}; delete what needs it, or annotate this one with kastellan.dev/abandon: \"true\""
        );
        outcome.conclude(
            object,
            &Verdict { ready: Ready::Progressing, reason: Reason::Deleting, message },
        );
        if engine.connections.get(&object.key).is_none() {
            // After a restart. What comes of it decides what the dependants do.
            if let Err(e) = connect(engine, host, object).await {
                outcome.fail(engine, object, &e);
            }
            outcome.wake = left;
        }
        outcome.again = Some(Duration::from_secs(10));
        return outcome;
    }
    outcome.wake = engine.forget(&object.key);
    outcome.release = true;
    outcome
}

/// Makes sure, before a write, that it is still the instance that it was: the same address may lead
/// to another one by now, in which everything would look as if it had been deleted.
pub(super) async fn still_the_same(engine: &Engine, connection: &Arc<Connection>) -> Result<()> {
    let mut checked = connection.checked.lock().await;
    if checked.elapsed() < TRUST {
        return Ok(());
    }
    let (found, _) = who_is_there(&connection.client).await?;
    if found != connection.instance_id {
        engine.connections.drop_all(connection);
        return Err(Error::InstanceChanged(format!(
            "the instance behind the address was {} and is {found} now; nothing is written to it",
            connection.instance_id
        )));
    }
    *checked = Instant::now();
    Ok(())
}

/// A connection that works just now: the former one where nothing changed, else a new one.
async fn connect(engine: &Engine, host: &dyn Host, object: &Object) -> Result<Arc<Connection>> {
    let spec: Instance = decode(&object.spec)?;
    let (config, fingerprint) = configure(engine, host, object, &spec).await?;
    let poll = interval(
        "pollInterval",
        spec.poll_interval.as_deref(),
        Duration::from_secs(5),
        Duration::from_secs(1),
    )?;
    let resync = interval(
        "resyncInterval",
        spec.resync_interval.as_deref(),
        Duration::from_secs(600),
        Duration::from_secs(10),
    )?;
    let former = engine
        .connections
        .get(&object.key)
        .filter(|c| (c.fingerprint, c.poll, c.resync) == (fingerprint, poll, resync));
    let client = match &former {
        // Its own status, which was written a moment ago, is no reason to ask again.
        Some(c)
            if !engine.is_asked(object)
                && object.status.is_ready()
                && c.checked.lock().await.elapsed() < TRUST =>
        {
            return Ok(c.clone());
        }
        Some(c) => c.client.clone(),
        None => engine.client(config).doing("use this Instance")?,
    };
    let (instance_id, version) = who_is_there(&client).await?;
    // Another issuer may well be another instance; the same one must not.
    if let Some(known) = &object.status.instance_id
        && *known != instance_id
        && object.details.issuer.as_ref().is_none_or(|i| *i == spec.issuer)
    {
        engine.connections.remove(&object.key);
        return Err(Error::InstanceChanged(format!(
            "the instance behind {} was {known} and is {instance_id} now; nothing is written to it. Point this object at the former one, or delete it and make it anew",
            spec.issuer
        )));
    }
    let account = who_am_i(&client).await?;
    if let Some(former) = former
        .filter(|f| f.account == account && f.version == version && f.instance_id == instance_id)
    {
        *former.checked.lock().await = Instant::now();
        return Ok(former);
    }
    let known = engine
        .connections
        .get(&object.key)
        .filter(|c| c.instance_id == instance_id && c.resync == resync);
    let live = match known {
        Some(c) => c.live.clone(),
        None => {
            let live = Arc::new(Live::new(resync));
            live.set_feed_status(&live.start_feed(&client).await);
            live
        }
    };
    let connection = Arc::new(Connection {
        client,
        instance_id,
        version,
        account,
        live,
        fingerprint,
        poll,
        resync,
        checked: tokio::sync::Mutex::new(Instant::now()),
    });
    engine.connections.put(object.key.clone(), connection.clone());
    Ok(connection)
}

fn interval(
    field: &str,
    text: Option<&str>,
    default: Duration,
    least: Duration,
) -> Result<Duration> {
    let Some(text) = text else { return Ok(default) };
    let parsed = text
        .parse::<SignedDuration>()
        .ok()
        .and_then(|d| Duration::try_from(d).ok())
        .filter(|d| *d >= least);
    parsed.ok_or_else(|| {
        Error::Invalid(format!(
            "spec.{field}: {text:?} is no duration of at least {least:?}, such as 30s or 5m"
        ))
    })
}

async fn configure(
    engine: &Engine,
    host: &dyn Host,
    object: &Object,
    spec: &Instance,
) -> Result<(Config, u64)> {
    let url = |field: &str, text: &str| {
        Url::parse(text)
            .map_err(|e| Error::Invalid(format!("spec.{field}: {text:?} is no URL: {e}")))
    };
    let secret = async |r: &KeyReference| secret(host, &object.key, r).await;
    let (credentials, seed) = match (
        &spec.credentials.private_key,
        &spec.credentials.personal_access_token,
        &spec.credentials.client_credentials,
    ) {
        (Some(key), None, None) => {
            let text = secret(&key.secret_ref).await?;
            (PrivateKey::parse(text.expose_secret()).map(Credentials::PrivateKey), text)
        }
        (None, Some(token), None) => {
            let text = secret(&token.secret_ref).await?;
            (Credentials::token(&text), text)
        }
        (None, None, Some(c)) => {
            let text = secret(&c.secret_ref).await?;
            let trimmed: SecretString = text.expose_secret().trim().into();
            (
                Ok(Credentials::ClientCredentials {
                    client_id: c.client_id.clone(),
                    secret: trimmed,
                }),
                text,
            )
        }
        _ => {
            return Err(Error::Invalid(
                    "spec.credentials: set exactly one of privateKey, personalAccessToken, clientCredentials".into(),
                ));
        }
    };
    let ca = match &spec.ca {
        None => None,
        Some(ca) => Some(match (&ca.secret_ref, &ca.config_map_ref) {
            (Some(r), None) => secret(r).await?.expose_secret().to_owned(),
            (None, Some(r)) => {
                let ns = &object.key.namespace;
                host.config_map(ns, &r.name, &r.key)
                    .await
                    .map_err(|m| Error::Waiting(m.message("ConfigMap", ns, &r.name, &r.key)))?
            }
            _ => {
                return Err(Error::Invalid(
                    "spec.ca: set exactly one of secretRef, configMapRef".into(),
                ));
            }
        }),
    };
    let mut config =
        Config::new(url("issuer", &spec.issuer)?, credentials.doing("use the credentials")?);
    config.address = spec.address.as_deref().map(|a| url("address", a)).transpose()?;
    config.max_concurrency = spec.max_concurrency.unwrap_or(4) as usize;
    config.addresses = engine.addresses.clone();
    let mut hasher = DefaultHasher::new();
    (&spec.issuer, &spec.address, spec.max_concurrency, &ca, seed.expose_secret())
        .hash(&mut hasher);
    config.ca = ca.map(String::into_bytes);
    Ok((config, hasher.finish()))
}

async fn secret(host: &dyn Host, instance: &Key, r: &KeyReference) -> Result<SecretString> {
    let ns = &instance.namespace;
    host.secret(ns, &r.name, &r.key)
        .await
        .map_err(|m| Error::Waiting(m.message("Secret", ns, &r.name, &r.key)))
}

/// The instance's own id and, where told, its version.
async fn who_is_there(client: &Client) -> Result<(String, Option<String>)> {
    #[derive(Deserialize)]
    struct Answer {
        instance: Found,
    }
    #[derive(Deserialize)]
    struct Found {
        id: String,
        version: Option<String>,
    }
    #[derive(Deserialize)]
    struct Default {
        policy: Policy,
    }
    #[derive(Deserialize)]
    struct Policy {
        details: Details,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Details {
        resource_owner: String,
    }
    let v2 = client
        .query::<Answer>(None, "/zitadel.instance.v2.InstanceService/GetInstance", &json!({}))
        .await;
    let e = match v2 {
        Ok(Answer { instance }) => return Ok((instance.id, instance.version)),
        Err(e) => e,
    };
    if e.is_missing_endpoint() {
        // An unknown host answers so on every path, an older server on this one alone.
        if client.get::<serde_json::Value>(None, "/admin/v1/healthz").await.is_err() {
            return Err(Error::Invalid(
                "spec.issuer: the server knows no instance of this host name; use the external URL of the instance (its ExternalDomain), and address for where to connect".into(),
            ));
        }
        if let Ok(Answer { instance }) = client.get(None, "/admin/v1/instances/me").await {
            return Ok((instance.id, instance.version));
        }
    } else if e.code() != Some(crate::zitadel::Code::PermissionDenied)
        && e.code() != Some(crate::zitadel::Code::NotFound)
    {
        return Err(e).doing("reach the instance");
    }
    // An organization's owner may not read the instance, but the policies that it inherits name
    // their owner.
    let inherited: Default = client
        .get(None, "/management/v1/policies/default/privacy")
        .await
        .doing("read the instance's id")?;
    Ok((inherited.policy.details.resource_owner, None))
}

/// The account, and what it owns.
async fn who_am_i(client: &Client) -> Result<Account> {
    #[derive(Deserialize)]
    struct Me {
        user: User,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct User {
        id: String,
        #[serde(default)]
        preferred_login_name: String,
    }
    #[derive(Deserialize)]
    struct Memberships {
        #[serde(default)]
        result: Vec<Membership>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Membership {
        #[serde(default)]
        iam: bool,
        org_id: Option<String>,
    }
    let Me { user } = client.get(None, "/auth/v1/users/me").await.doing("read the account")?;
    let Memberships { result } = client
        .query(None, "/auth/v1/memberships/me/_search", &json!({}))
        .await
        .doing("read the account's memberships")?;
    let scope = if result.iter().any(|m| m.iam) {
        "instance".to_owned()
    } else if let Some(organization) = result.iter().find_map(|m| m.org_id.as_deref()) {
        format!("organization {organization}")
    } else {
        return Err(Error::NoConsent(format!(
            "the account {} has no role in the instance or an organization; give it IAM_OWNER, or ORG_OWNER of the organization that it shall keep",
            user.preferred_login_name
        )));
    };
    Ok(Account { id: user.id, name: user.preferred_login_name, scope })
}
