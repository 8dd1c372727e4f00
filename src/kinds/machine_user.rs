//! `MachineUser`: a service account. Created, changed and deleted by the management API, which lets
//! the client choose the id; listed by the user service v2, one list for the whole instance.

use futures::{Stream, TryStreamExt};
use reqwest::Method;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::{
    organization,
    user::{self, UserState, move_to},
    wire::{self, Details, found, lenient, some_default},
};
use crate::{
    api::{
        secret::SecretScope,
        spec::{AllowedNamespaces, Common, Identity, OrganizationScope},
    },
    contract::{
        Access, Breadth, Description, Entity, EntityDescription, EventFilter, EventPlace,
        EventSubject, Fields, Inputs, Issued, Issues, Kind, NaturalKey, Permissions, Place,
        RemoteEntity, Renewal, Row, SpecError, Written,
    },
    zitadel::{Path, Result, page},
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineUser {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    identity: Identity,
    #[serde(flatten)]
    organization: OrganizationScope,
    /// Namespaces whose objects may refer to this account. Omitted: only its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_namespaces: Option<AllowedNamespaces>,
    #[serde(flatten)]
    secret: SecretScope,
    #[serde(flatten)]
    state: MachineUserState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineUserState {
    /// User name, unique in the instance regardless of case, or in the organization where its
    /// domain policy says `userLoginMustBeDomain`. The client id of client credentials follows from
    /// it. Omitted: the name of this object.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    /// Name that people see. Omitted: not managed, and of a new account its user name.
    #[schemars(length(min = 1, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What the account is for; `""`: nothing. Omitted: not managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Form of its access tokens. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token_type: Option<AccessTokenType>,
    /// Whether the account can be used. Deactivating or locking it ends its access tokens for good.
    /// Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<UserState>,
    /// Its login name: the user name, with the organization's domain where its domain policy says
    /// `userLoginMustBeDomain`.
    #[schemars(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
}

/// Form of access tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccessTokenType {
    /// Opaque: ZITADEL has to be asked what they mean.
    #[default]
    #[serde(alias = "ACCESS_TOKEN_TYPE_BEARER")]
    Bearer,
    /// Signed: they can be verified without ZITADEL.
    #[serde(alias = "ACCESS_TOKEN_TYPE_JWT")]
    Jwt,
}

impl AccessTokenType {
    fn wire(self) -> &'static str {
        match self {
            Self::Bearer => "ACCESS_TOKEN_TYPE_BEARER",
            Self::Jwt => "ACCESS_TOKEN_TYPE_JWT",
        }
    }
}

impl Kind for MachineUser {
    type State = MachineUserState;
    const DESCRIPTION: Description = Description {
        kind: "MachineUser",
        plural: "machineusers",
        short: "zmachine",
        about: "A service account of an organization (machine user).",
        noun: "the service account",
        references: &[organization::REQUIRED_PARENT],
        events: &[EventFilter {
            aggregate: "user",
            types: &[
                "user.machine.added",
                "user.machine.changed",
                "user.username.changed",
                "user.domain.claimed",
                "user.deactivated",
                "user.reactivated",
                "user.locked",
                "user.unlocked",
                "user.machine.secret.set",
                "user.machine.secret.removed",
                "user.removed",
            ],
            creates: &["user.machine.added"],
            removes: &["user.removed"],
            place: EventPlace::Owner,
            subject: EventSubject::Aggregate,
        }],
        reported: &["clientId"],
        unchanged: &["COMMAND-2n8vs", "COMMAND-6m9gs"],
        permissions: &[Permissions::in_organization(&[
            "org.read",
            "user.read",
            "user.write",
            "user.delete",
        ])],
        ..Description::EMPTY
    };

    fn desired(&self, name: &str, _: &Inputs) -> std::result::Result<MachineUserState, SpecError> {
        let user_name = self.state.user_name.clone().unwrap_or_else(|| name.into());
        Ok(MachineUserState { user_name: Some(user_name), ..self.state.clone() })
    }

    async fn locks_out(
        access: &Access,
        id: Option<&str>,
        want: Option<&MachineUserState>,
    ) -> Result<Option<&'static str>> {
        let to = want.map_or(UserState::Inactive, |want| want.state.unwrap_or(UserState::Active));
        user::locks_out(access, id, to).await
    }
}

/// A user in the management API, and in the service v2, which has other names for two fields.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(alias = "userId")]
    id: String,
    #[serde(default)]
    details: Details,
    #[serde(alias = "username")]
    user_name: String,
    preferred_login_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    state: Option<UserState>,
    machine: Machine,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Machine {
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default = "some_default", deserialize_with = "lenient")]
    access_token_type: Option<AccessTokenType>,
}

impl From<Wire> for RemoteEntity<MachineUserState> {
    fn from(w: Wire) -> Self {
        let version = w.details.version();
        Self {
            id: w.id,
            place: Place { organization: w.details.resource_owner, parents: Vec::new() },
            state: MachineUserState {
                user_name: Some(w.user_name),
                name: Some(w.machine.name),
                description: Some(w.machine.description),
                access_token_type: w.machine.access_token_type,
                state: w.state,
                client_id: w.preferred_login_name,
            },
            version,
        }
    }
}

impl Entity for MachineUser {
    const ENTITY: EntityDescription = EntityDescription {
        natural_key: NaturalKey::Field("userName"),
        defaults: &[("accessTokenType", "Bearer"), ("state", "Active")],
        // "Already existing", under this id.
        exists: &["COMMAND-k2una"],
        listed_by: Breadth::Instance,
        unique_in: Breadth::Instance,
        takes_ids_twice: true,
        issues: Some(&Issues {
            renewal: Renewal::InPlace,
            value: "clientSecret",
            values: &["clientId", "userId", "userName"],
            keys: &[
                ("clientId", "${clientId}"),
                ("clientSecret", "${clientSecret}"),
                ("issuer", "${issuer}"),
            ],
            events: &["user.machine.secret.set", "user.machine.secret.removed"],
        }),
        ..EntityDescription::NAMED
    };

    fn list(
        access: &Access,
    ) -> impl Stream<Item = Result<Row<RemoteEntity<MachineUserState>>>> + Send + 'static {
        let machines = json!({"queries": [{"typeQuery": {"type": "TYPE_MACHINE"}}]});
        page::rows::<Wire>(&access.client, None, "/v2/users", machines)
            .map_ok(|row| row.map(RemoteEntity::from))
    }

    async fn read(access: &Access, id: &str) -> Result<Option<RemoteEntity<MachineUserState>>> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Read {
            User {
                user: Box<Wire>,
            },
            /// The id is that of a person.
            Person {
                user: Person,
            },
        }
        #[derive(Deserialize)]
        struct Person {
            #[serde(rename = "human")]
            _human: IgnoredAny,
        }
        let path = Path::new("/management/v1/users/{}", &[id])?;
        let answer: Result<Read> = access.client.get(access.organization(), &path).await;
        Ok(match found(answer)? {
            Some(Read::User { user }) => Some((*user).into()),
            Some(Read::Person { user: Person { .. } }) | None => None,
        })
    }

    async fn create(access: &Access, id: &str, want: &MachineUserState) -> Result<Written> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            user_id: String,
            #[serde(default)]
            details: Details,
        }
        let account = json!({"userId": id, "userName": want.user_name});
        let body = Fields::from(machine(want)).overlay(&Fields::from(account)).into_map();
        let path = "/management/v1/users/machine";
        let created: Created =
            access.client.write(Method::POST, access.organization(), path, &body).await?;
        let (id, version) = (Some(created.user_id.clone()), created.details.version());
        let written = Written { id, version, ..Written::default() };
        match want.state {
            None | Some(UserState::Active) => Ok(written),
            Some(state) => {
                let moved = move_to(access, &created.user_id, UserState::Active, state).await?;
                Ok(moved.after(written))
            }
        }
    }

    async fn update(
        access: &Access,
        have: &RemoteEntity<MachineUserState>,
        want: &MachineUserState,
    ) -> Result<Written> {
        let mut written = Written::default();
        let (from, to) = (have.state.state, want.state);
        let moves = from.zip(to).filter(|(from, to)| from != to);
        // What is to be out of use is so before anything else of it changes.
        if let Some((from, to)) = moves.filter(|(_, to)| *to != UserState::Active) {
            written = move_to(access, &have.id, from, to).await?.after(written);
        }
        if machine(&have.state) != machine(want) {
            let path = Path::new("/management/v1/users/{}/machine", &[&have.id])?;
            let put = wire::write(access, Method::PUT, &path, &machine(want)).await?;
            written = put.after(written);
        }
        if have.state.user_name != want.user_name {
            let path = Path::new("/management/v1/users/{}/username", &[&have.id])?;
            let body = json!({"userName": want.user_name});
            written = wire::write(access, Method::PUT, &path, &body).await?.after(written);
        }
        if let Some((from, to)) = moves.filter(|(_, to)| *to == UserState::Active) {
            written = move_to(access, &have.id, from, to).await?.after(written);
        }
        Ok(written)
    }

    fn has_secret(_: &MachineUserState) -> bool {
        true
    }

    fn values(user: &RemoteEntity<MachineUserState>) -> Vec<(&'static str, String)> {
        let user_name = user.state.user_name.clone().unwrap_or_default();
        let client_id = user.state.client_id.clone().unwrap_or_else(|| user_name.clone());
        vec![("clientId", client_id), ("userName", user_name), ("userId", user.id.clone())]
    }

    async fn proves(
        access: &Access,
        user: &RemoteEntity<MachineUserState>,
        value: &SecretString,
    ) -> Result<bool> {
        let values = Self::values(user);
        let client_id = values.iter().find(|(name, _)| *name == "clientId").map(|(_, id)| id);
        access.client.accepts_account(client_id.map_or("", String::as_str), value).await
    }

    async fn issue(access: &Access, id: &str) -> Result<Issued> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Generated {
            client_secret: SecretString,
            #[serde(default)]
            details: Details,
        }
        let path = Path::new(SECRET, &[id])?;
        let generated: Generated =
            access.client.write(Method::PUT, access.organization(), &path, &json!({})).await?;
        let version = generated.details.version();
        Ok(Issued { secret: generated.client_secret, version })
    }

    async fn delete(access: &Access, id: &str) -> Result<()> {
        let path = Path::new("/management/v1/users/{}", &[id])?;
        wire::delete(access, &path).await
    }
}

/// Where the secret of an account is.
const SECRET: &str = "/management/v1/users/{}/secret";

/// What the endpoint of machines takes; an update resets what is omitted. A name is required.
fn machine(want: &MachineUserState) -> Value {
    let name = want.name.as_deref().filter(|name| !name.is_empty());
    json!({
        "name": name.or(want.user_name.as_deref()),
        "description": want.description,
        "accessTokenType": want.access_token_type.map(AccessTokenType::wire),
    })
}
