//! `HumanUser`: a person, as far as an account is to be there before anybody registers: a first
//! administrator, one for emergencies, one for tests. By the user service v2, listed by
//! organization. What is under `initial` counts when the account is created and is the person's from
//! then on. An update keeps what is omitted, and can't empty what was filled.

use futures::{Stream, TryStreamExt};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    organization,
    user::{self, UserState, move_to},
    wire::{Dated, Details, found, lenient},
};
use crate::{
    api::{
        secret::SecretKeyReference,
        spec::{AllowedNamespaces, Common, Identity, OrganizationScope},
    },
    contract::{
        Access, Breadth, Description, Entity, EntityDescription, EventFilter, EventPlace,
        EventSubject, Fields, Inputs, Kind, NaturalKey, Permissions, Place, RemoteEntity, Row,
        SecretInput, Secrets, SpecError, Written, crd::Rule,
    },
    zitadel::{Path, Result, page},
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HumanUser {
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
    state: HumanUserState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HumanUserState {
    /// User name, unique in the instance regardless of case, or in the organization where its
    /// domain policy says `userLoginMustBeDomain`. Omitted: the name of this object.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    /// What stays as it is declared, whatever the person does.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Profile>,
    /// E-mail address that stays as it is declared. It counts as verified: ZITADEL asks nobody
    /// whether it is theirs. Omitted: not managed.
    #[schemars(length(min = 3, max = 200), regex(pattern = r"^[^\s@]+@[^\s@]+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// Phone number that stays as it is declared, with `+` and the code of the country. It counts as
    /// verified. Omitted: not managed. ZITADEL can't be made to forget it by this field.
    #[schemars(regex(pattern = r"^\+[1-9][0-9]{6,14}$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    /// Whether the account can be used. Deactivating or locking it ends its sessions. Omitted: not
    /// managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<UserState>,
    /// What the account gets when it is created, where `profile`, `email` and `phone` do not say it.
    /// From then on it is the person's: changes here do nothing any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    initial: Option<Initial>,
    /// Its preferred login name.
    #[schemars(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    login_name: Option<String>,
}

/// Who somebody is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Profile {
    /// Given name. Omitted: not managed.
    #[schemars(length(min = 1, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    given_name: Option<String>,
    /// Family name. Omitted: not managed.
    #[schemars(length(min = 1, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    family_name: Option<String>,
    /// Nick name. Omitted: not managed.
    #[schemars(length(min = 1, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    nick_name: Option<String>,
    /// Name that others see. Omitted: not managed, and of a new account its given name and its family
    /// name.
    #[schemars(length(min = 1, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    /// Language of mails and of the login, such as `de`. Omitted: not managed.
    #[schemars(length(min = 2, max = 10), regex(pattern = r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_language: Option<String>,
    /// Gender. Omitted: not managed.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    gender: Option<Gender>,
}

/// Gender of a person, as far as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum Gender {
    /// Female.
    #[serde(alias = "GENDER_FEMALE")]
    Female,
    /// Male.
    #[serde(alias = "GENDER_MALE")]
    Male,
    /// Diverse.
    #[serde(alias = "GENDER_DIVERSE")]
    Diverse,
}

impl Gender {
    fn wire(self) -> &'static str {
        match self {
            Self::Female => "GENDER_FEMALE",
            Self::Male => "GENDER_MALE",
            Self::Diverse => "GENDER_DIVERSE",
        }
    }
}

/// What counts when an account is created.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Initial {
    /// Who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Profile>,
    /// E-mail address. Every account needs one, here or in `spec.email`.
    #[schemars(length(min = 3, max = 200), regex(pattern = r"^[^\s@]+@[^\s@]+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// Whether this address counts as verified. Omitted: no; ZITADEL sends a code to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    /// Phone number, with `+` and the code of the country. Omitted: none.
    #[schemars(regex(pattern = r"^\+[1-9][0-9]{6,14}$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    /// Whether this number counts as verified. Omitted: no; ZITADEL sends a code to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_verified: Option<bool>,
    /// The password, in a Secret of the namespace. It has to be there only until the account is
    /// created. Omitted: none, unless there is a hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    password_secret_ref: Option<SecretKeyReference>,
    /// The hash of a password, such as bcrypt, in a Secret of the namespace: for accounts that come
    /// from elsewhere. Omitted: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    password_hash_secret_ref: Option<SecretKeyReference>,
    /// Whether the password has to be changed at the first login. Omitted: yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    password_change_required: Option<bool>,
}

const PASSWORD: &str = "initial.password";
const PASSWORD_HASH: &str = "initial.passwordHash";

impl Kind for HumanUser {
    type State = HumanUserState;
    const DESCRIPTION: Description = Description {
        kind: "HumanUser",
        plural: "humanusers",
        short: "zhuman",
        about: "The account of a person in an organization (human user).",
        noun: "the account",
        references: &[organization::REQUIRED_PARENT],
        events: &[EventFilter {
            aggregate: "user",
            types: &[
                "user.human.added",
                "user.human.selfregistered",
                "user.human.profile.changed",
                "user.human.email.changed",
                "user.human.phone.changed",
                "user.human.phone.removed",
                "user.username.changed",
                "user.domain.claimed",
                "user.deactivated",
                "user.reactivated",
                "user.locked",
                "user.unlocked",
                "user.removed",
            ],
            creates: &["user.human.added", "user.human.selfregistered"],
            removes: &["user.removed"],
            place: EventPlace::Owner,
            subject: EventSubject::Aggregate,
        }],
        inputs: &[
            SecretInput {
                field: PASSWORD,
                reference: "initial.passwordSecretRef",
                initial: true,
                ..SecretInput::EMPTY
            },
            SecretInput {
                field: PASSWORD_HASH,
                reference: "initial.passwordHashSecretRef",
                initial: true,
                ..SecretInput::EMPTY
            },
        ],
        initial: &["initial"],
        reported: &["loginName"],
        rules: &[
            Rule {
                rule: "(has(self.mode) && self.mode == 'Observe') || ((has(self.email) || (has(self.initial) && has(self.initial.email))) && ((has(self.profile) && has(self.profile.givenName)) || (has(self.initial) && has(self.initial.profile) && has(self.initial.profile.givenName))) && ((has(self.profile) && has(self.profile.familyName)) || (has(self.initial) && has(self.initial.profile) && has(self.initial.profile.familyName))))",
                message: "an account needs an e-mail address, a given name and a family name: set \
                          email, profile.givenName and profile.familyName, or the same under \
                          initial, where they count once",
            },
            Rule {
                rule: "!has(self.initial) || !has(self.initial.passwordSecretRef) || !has(self.initial.passwordHashSecretRef)",
                message: "initial: set passwordSecretRef or passwordHashSecretRef, not both",
            },
        ],
        permissions: &[Permissions::in_organization(&[
            "org.read",
            "user.read",
            "user.write",
            "user.delete",
        ])],
        ..Description::EMPTY
    };

    fn desired(&self, name: &str, _: &Inputs) -> std::result::Result<HumanUserState, SpecError> {
        let user_name = self.state.user_name.clone().unwrap_or_else(|| name.into());
        Ok(HumanUserState { user_name: Some(user_name), ..self.state.clone() })
    }

    async fn locks_out(
        access: &Access,
        id: Option<&str>,
        want: Option<&HumanUserState>,
    ) -> Result<Option<&'static str>> {
        let to = want.map_or(UserState::Inactive, |want| want.state.unwrap_or(UserState::Active));
        user::locks_out(access, id, to).await
    }
}

/// A user of the service v2.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(rename = "userId")]
    id: String,
    #[serde(default)]
    details: Details,
    username: String,
    preferred_login_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    state: Option<UserState>,
    human: Human,
}

#[derive(Debug, Deserialize)]
struct Human {
    #[serde(default)]
    profile: Profile,
    #[serde(default)]
    email: Email,
    #[serde(default)]
    phone: Phone,
}

#[derive(Debug, Default, Deserialize)]
struct Email {
    email: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Phone {
    phone: Option<String>,
}

impl From<Wire> for RemoteEntity<HumanUserState> {
    fn from(w: Wire) -> Self {
        Self {
            id: w.id,
            version: w.details.version(),
            place: Place { organization: w.details.resource_owner, parents: Vec::new() },
            state: HumanUserState {
                user_name: Some(w.username),
                profile: Some(w.human.profile),
                email: w.human.email.email,
                phone: w.human.phone.phone,
                state: w.state,
                initial: None,
                login_name: w.preferred_login_name,
            },
        }
    }
}

impl Entity for HumanUser {
    const ENTITY: EntityDescription = EntityDescription {
        natural_key: NaturalKey::Field("userName"),
        defaults: &[("state", "Active"), ("profile.preferredLanguage", "und")],
        // "Already existing", under this id.
        exists: &["COMMAND-7yiox1isql"],
        listed_by: Breadth::Organization,
        unique_in: Breadth::Instance,
        is_personal: true,
        omits_unreadable: true,
        ..EntityDescription::NAMED
    };

    fn list(
        access: &Access,
    ) -> impl Stream<Item = Result<Row<RemoteEntity<HumanUserState>>>> + Send + 'static {
        let organization = access.organization().unwrap_or_default();
        let people = json!({"queries": [
            {"organizationIdQuery": {"organizationId": organization}},
            {"typeQuery": {"type": "TYPE_HUMAN"}},
        ]});
        page::rows::<Wire>(&access.client, None, "/v2/users", people)
            .map_ok(|row| row.map(RemoteEntity::from))
    }

    async fn read(access: &Access, id: &str) -> Result<Option<RemoteEntity<HumanUserState>>> {
        #[derive(Deserialize)]
        struct Read {
            user: Wire,
        }
        let path = Path::new("/v2/users/{}", &[id])?;
        let answer: Result<Read> = access.client.get(None, &path).await;
        Ok(found(answer)?.map(|r| r.user.into()))
    }

    async fn create(access: &Access, id: &str, want: &HumanUserState) -> Result<Written> {
        Self::create_with(access, id, want, &Secrets::default()).await
    }

    async fn create_with(
        access: &Access,
        id: &str,
        want: &HumanUserState,
        secrets: &Secrets,
    ) -> Result<Written> {
        #[derive(Deserialize)]
        struct Created {
            id: String,
            #[serde(flatten)]
            dated: Dated,
        }
        let organization = access.organization().unwrap_or_default();
        let body = json!({
            "organizationId": organization,
            "userId": id,
            "username": want.user_name,
            "human": person(want, secrets),
        });
        let created: Created =
            access.client.write(Method::POST, None, "/v2/users/new", &body).await?;
        let written = created.dated.written(Some(&created.id), organization);
        match want.state {
            None | Some(UserState::Active) => Ok(written),
            Some(state) => {
                let moved = move_to(access, &created.id, UserState::Active, state).await?;
                Ok(moved.after(written))
            }
        }
    }

    async fn update(
        access: &Access,
        have: &RemoteEntity<HumanUserState>,
        want: &HumanUserState,
    ) -> Result<Written> {
        let mut written = Written::default();
        let moves = have.state.state.zip(want.state).filter(|(from, to)| from != to);
        // Who is not to log in any more can't before anything else of it changes.
        if let Some((from, to)) = moves.filter(|(_, to)| *to != UserState::Active) {
            written = move_to(access, &have.id, from, to).await?.after(written);
        }
        let body = changes(&have.state, want);
        if let Some(body) = body {
            let path = Path::new("/v2/users/{}", &[&have.id])?;
            let dated: Dated = access.client.write(Method::PATCH, None, &path, &body).await?;
            let owner = have.place.organization.as_deref().unwrap_or_default();
            written = dated.written(None, owner).after(written);
        }
        if let Some((from, to)) = moves.filter(|(_, to)| *to == UserState::Active) {
            written = move_to(access, &have.id, from, to).await?.after(written);
        }
        Ok(written)
    }

    async fn delete(access: &Access, id: &str) -> Result<()> {
        let path = Path::new("/v2/users/{}", &[id])?;
        access.client.write::<Value>(Method::DELETE, None, &path, &()).await.map(drop)
    }
}

/// A profile in the words of the service.
fn profile(of: &Profile) -> Fields {
    Fields::from(json!({
        "givenName": of.given_name,
        "familyName": of.family_name,
        "nickName": of.nick_name,
        "displayName": of.display_name,
        "preferredLanguage": of.preferred_language,
        "gender": of.gender.map(Gender::wire),
    }))
}

/// What an account is created with. What is declared for good wins, and counts as verified.
fn person(want: &HumanUserState, secrets: &Secrets) -> Value {
    let initial = want.initial.clone().unwrap_or_default();
    let first = initial.profile.unwrap_or_default();
    let profile = profile(&first).overlay(&profile(&want.profile.clone().unwrap_or_default()));
    let of =
        |field: &str, always: &Option<String>, first: Option<String>, verified: Option<bool>| {
            let address = always.clone().or(first)?;
            let is_verified = always.is_some() || verified == Some(true);
            Some(json!({field: address, "isVerified": is_verified}))
        };
    let changed = initial.password_change_required.unwrap_or(true);
    let password = |field: &str, name: &str| {
        let value = secrets.get(field)?;
        Some(json!({name: value, "changeRequired": changed}))
    };
    let parts = [
        ("profile", Some(Value::Object(profile.into_map()))),
        ("email", of("email", &want.email, initial.email, initial.email_verified)),
        ("phone", of("phone", &want.phone, initial.phone, initial.phone_verified)),
        ("password", password(PASSWORD, "password")),
        ("hashedPassword", password(PASSWORD_HASH, "hash")),
    ];
    let parts = parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?)));
    Value::Object(parts.collect())
}

/// What an update changes; what it omits stays. A user name alone is refused as "not implemented":
/// it goes with a human of which nothing changes.
fn changes(have: &HumanUserState, want: &HumanUserState) -> Option<Value> {
    let of = |state: &HumanUserState| profile(&state.profile.clone().unwrap_or_default());
    let (before, after) = (of(have), of(want));
    let is_new = |(field, value): &(&String, &Value)| before.get(field) != Some(value);
    let new: Map<String, Value> =
        after.iter().filter(is_new).map(|(field, value)| (field.clone(), value.clone())).collect();
    let mut human = Map::new();
    if !new.is_empty() {
        human.insert("profile".into(), Value::Object(new));
    }
    for (field, before, after) in
        [("email", &have.email, &want.email), ("phone", &have.phone, &want.phone)]
    {
        if let Some(after) = after.as_ref().filter(|after| before.as_ref() != Some(after)) {
            human.insert(field.into(), json!({field: after, "isVerified": true}));
        }
    }
    let name = want.user_name.as_ref().filter(|name| have.user_name.as_ref() != Some(name));
    if human.is_empty() && name.is_none() {
        return None;
    }
    let name = name.map(|name| ("username".to_owned(), json!(name)));
    let human = ("human".to_owned(), Value::Object(human));
    Some(Value::Object(name.into_iter().chain([human]).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(fields: Value) -> HumanUserState {
        Fields::from(fields).to().unwrap()
    }

    #[test]
    fn what_is_declared_for_good_wins_over_what_counts_once_and_is_verified() {
        let want = state(json!({
            "userName": "ada",
            "profile": {"givenName": "Ada"},
            "email": "ada@example.com",
            "initial": {
                "profile": {"givenName": "A.", "familyName": "Byron", "gender": "Female"},
                "email": "other@example.com",
                "phone": "+41791234567",
            },
        }));
        let secrets: Secrets = [(PASSWORD, "Secret-0".into())].into_iter().collect();
        let created = person(&want, &secrets);
        let expected = json!({
            "profile": {"givenName": "Ada", "familyName": "Byron", "gender": "GENDER_FEMALE"},
            "email": {"email": "ada@example.com", "isVerified": true},
            "phone": {"phone": "+41791234567", "isVerified": false},
            "password": {"password": "Secret-0", "changeRequired": true},
        });
        assert_eq!(created, expected);
    }

    #[test]
    fn an_update_says_what_differs_and_a_user_name_never_goes_alone() {
        let have = state(json!({
            "userName": "ada", "email": "a@example.com",
            "profile": {"givenName": "Ada", "nickName": ""},
        }));
        assert_eq!(changes(&have, &have), None);
        let renamed = HumanUserState { user_name: Some("eve".into()), ..have.clone() };
        assert_eq!(changes(&have, &renamed), Some(json!({"username": "eve", "human": {}})));
        let moved = HumanUserState { email: Some("b@example.com".into()), ..have.clone() };
        let email = json!({"email": {"email": "b@example.com", "isVerified": true}});
        assert_eq!(changes(&have, &moved), Some(json!({"human": email})));
        let other = state(json!({
            "userName": "ada", "email": "a@example.com",
            "profile": {"givenName": "Eve", "nickName": ""},
        }));
        let profile = json!({"profile": {"givenName": "Eve"}});
        assert_eq!(changes(&have, &other), Some(json!({"human": profile})));
    }
}
