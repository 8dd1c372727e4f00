//! What keys and tokens have in common: created with the moment at which they end, never changed,
//! and read by nobody again. Listed by the services v2 (since 4.0, those of applications since 4.5),
//! created, read and deleted by the management API.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::KeySize,
    signature::{KeyPair as _, RsaKeyPair},
};
use futures::{Stream, TryStreamExt};
use jiff::Timestamp;
use pkcs8::PrivateKeyInfoRef;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wire::{self, Details, found, lenient};
use crate::{
    api::spec::ObjectReference,
    contract::{
        Access, Consent, EventFilter, EventPlace, EventSubject, Place, Reference, RemoteEntity,
        Row, Version, Written,
    },
    zitadel::{Error, Path, Result, page},
};

/// The service account that something is a key of: whoever gets it is that account from then on, so
/// an id or a name is not enough.
pub(super) const OF_USER: Reference = Reference {
    field: "userRef",
    kinds: &["MachineUser"],
    required: true,
    consent: Consent::Named,
    ..Reference::PARENT
};

/// The service account of a key or token.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountScope {
    /// A `MachineUser` object. One of another namespace must name this kind in the `kinds` of its
    /// `allowedNamespaces`. Immutable.
    user_ref: ObjectReference,
}

/// The fields: none that can be declared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyState {
    #[schemars(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<Timestamp>,
}

/// What templates can use of a key: the ids of what it is in, its own, and when it ends.
pub(super) fn values(
    key: &RemoteEntity<KeyState>,
    parents: &[&'static str],
    id: &'static str,
) -> Vec<(&'static str, String)> {
    let parents = parents.iter().copied().zip(key.place.parents.iter().cloned());
    let ends = key.state.expires_at.map(|at| ("expiresAt", at.to_string()));
    parents.chain([(id, key.id.clone())]).chain(ends).collect()
}

/// Events of keys of one kind, which are below the aggregate.
pub(super) const fn events(
    aggregate: &'static str,
    types: &'static [&'static str],
    creates: &'static [&'static str],
    subject: &'static str,
) -> EventFilter {
    EventFilter {
        aggregate,
        types,
        creates,
        removes: &[],
        place: EventPlace::BelowAggregate,
        subject: EventSubject::Payload(subject),
    }
}

/// A key or token in any answer of the management API.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    id: String,
    #[serde(default)]
    details: Details,
    /// What never ends does so in the last second of the year 9999, which is no timestamp here.
    #[serde(default, deserialize_with = "lenient")]
    expiration_date: Option<Timestamp>,
}

impl Wire {
    fn at(self, place: &Place) -> RemoteEntity<KeyState> {
        RemoteEntity {
            version: self.details.version(),
            id: self.id,
            place: place.clone(),
            state: KeyState { expires_at: self.expiration_date },
        }
    }
}

/// A key or token in a list of the services v2, which hold those of all users or applications.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    #[serde(alias = "keyId")]
    id: String,
    organization_id: String,
    user_id: Option<String>,
    project_id: Option<String>,
    application_id: Option<String>,
    creation_date: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient")]
    expiration_date: Option<Timestamp>,
}

impl Listed {
    /// `None`: among the keys of applications are those of users, as if their account were both
    /// project and application (recording `app-list-instance`).
    fn read(self) -> Option<RemoteEntity<KeyState>> {
        let organization = Place::organization(&*self.organization_id);
        let place = match (self.user_id, self.project_id, self.application_id) {
            (Some(user), ..) => organization.below(user),
            (None, Some(project), Some(application)) if project != application => {
                organization.below(project).below(application)
            }
            _ => return None,
        };
        let aggregate = Some(self.organization_id);
        let version = self.creation_date.map(|changed| Version { aggregate, changed });
        let state = KeyState { expires_at: self.expiration_date };
        Some(RemoteEntity { id: self.id, place, state, version })
    }
}

/// All keys of the instance.
pub(super) fn list(
    access: &Access,
    path: &'static str,
) -> impl Stream<Item = Result<Row<RemoteEntity<KeyState>>>> + Send + 'static {
    page::rows_v2::<Listed>(&access.client, path, json!({})).try_filter_map(|row| {
        std::future::ready(Ok(match row {
            Row::Read(listed) => listed.read().map(Row::Read),
            Row::Odd { id } => Some(Row::Odd { id }),
        }))
    })
}

/// Reads one.
pub(super) async fn read(
    access: &Access,
    template: &'static str,
    id: &str,
) -> Result<Option<RemoteEntity<KeyState>>> {
    #[derive(Deserialize)]
    struct Read {
        #[serde(alias = "token")]
        key: Wire,
    }
    let path = path(access, template, Some(id))?;
    let answer: Result<Read> = access.client.get(access.organization(), &path).await;
    Ok(found(answer)?.map(|read| read.key.at(&access.place)))
}

/// Deletes one.
pub(super) async fn delete(access: &Access, template: &'static str, id: &str) -> Result<()> {
    wire::delete(access, &path(access, template, Some(id))?).await
}

/// What a create answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Created {
    #[serde(alias = "keyId", alias = "tokenId")]
    id: String,
    #[serde(default)]
    details: Details,
    #[serde(alias = "keyDetails")]
    token: Option<SecretString>,
}

impl Created {
    /// With the secret that it answered, or that was made here.
    pub(super) fn written(self, secret: Option<SecretString>) -> Written {
        Written {
            version: self.details.version(),
            id: Some(self.id),
            secret: secret.or(self.token),
            ..Written::default()
        }
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The key file in the answer, which is in base64.
    pub(super) fn file(&self) -> Result<SecretString> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let text = self.token.as_ref().map(ExposeSecret::expose_secret);
        let decoded = text.and_then(|text| STANDARD.decode(text).ok());
        let file = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        file.map(SecretString::from).ok_or_else(|| malformed("no key file"))
    }
}

/// Creates one.
pub(super) async fn create(
    access: &Access,
    template: &'static str,
    body: &Value,
) -> Result<Created> {
    let path = path(access, template, None)?;
    access.client.write(reqwest::Method::POST, access.organization(), &path, body).await
}

fn path(access: &Access, template: &'static str, id: Option<&str>) -> Result<Path> {
    let parents = access.place.parents.iter().map(String::as_str);
    Path::new(template, &parents.chain(id).collect::<Vec<_>>())
}

/// A key file's text tells which key it is.
pub(super) fn is_of(value: &SecretString, id: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct File {
        key_id: String,
    }
    serde_json::from_str::<File>(value.expose_secret()).is_ok_and(|file| file.key_id == id)
}

/// A key pair whose private half never leaves this process but into a Secret.
pub(super) struct Pair {
    /// PKCS#1 in PEM, as in ZITADEL's own key files.
    pub(super) private: SecretString,
    /// PKIX in PEM.
    pub(super) public: String,
}

impl Pair {
    /// Makes one, of RSA with 2048 bits: every release of ZITADEL takes it.
    pub(super) async fn generate() -> Result<Self> {
        let made = tokio::task::spawn_blocking(Self::make).await;
        made.ok().flatten().ok_or_else(|| malformed("no key pair could be made"))
    }

    fn make() -> Option<Self> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().ok()?;
        let private = PrivateKeyInfoRef::try_from(pkcs8.as_ref()).ok()?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
        Some(Self {
            private: pem("RSA PRIVATE KEY", private.private_key.as_bytes()).into(),
            public: pem("PUBLIC KEY", public.as_ref()),
        })
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}

fn malformed(what: &str) -> Error {
    Error::Malformed { endpoint: "(a key)".into(), what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_tells_which_key_it_is() {
        let file = SecretString::from(r#"{"type": "serviceaccount", "keyId": "7", "key": "…"}"#);
        assert!(is_of(&file, "7") && !is_of(&file, "8"));
        assert!(!is_of(&"7".into(), "7"));
    }

    #[test]
    fn a_pair_has_the_form_of_zitadels_own() {
        let pair = Pair::make().unwrap();
        let private = pem::parse(pair.private.expose_secret()).unwrap();
        assert_eq!(private.tag(), "RSA PRIVATE KEY");
        let again = RsaKeyPair::from_der(private.contents()).unwrap();
        let public: PublicKeyX509Der<'_> = again.public_key().as_der().unwrap();
        assert_eq!(pair.public, pem("PUBLIC KEY", public.as_ref()));
    }
}
