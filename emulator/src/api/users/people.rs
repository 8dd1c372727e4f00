//! People: their creation, their changes, and what both interfaces tell of them.

use serde_json::{Map, Value, json};

use super::{
    super::{Access, Answer, Call, Route, change_details, credentials},
    TAKEN, is_scoped, unique,
};
use crate::{
    clock,
    errors::ApiError,
    message::message,
    model::{is_zero, policy::COMPLEXITY, user::User},
    proto::{EMPTY, Field, Message, NAME, OPTIONAL_NAME, Request, Rule, SHORT},
    store::{Aggregate, Draft},
};
pub(super) use changes::{PERSON as CHANGED_PERSON, last_change, of as changes};
use codes::Code;
pub(in super::super) use codes::Codes;

mod changes;
mod codes;
mod parts;
mod v1;

const GENDERS: &[&str] = &["GENDER_UNSPECIFIED", "GENDER_FEMALE", "GENDER_MALE", "GENDER_DIVERSE"];
static PROFILE: Message = Message::new(
    "SetHumanProfile",
    &[
        Field::text("givenName").rules(NAME),
        Field::text("familyName").rules(NAME),
        Field::text("nickName").rules(SHORT),
        Field::text("displayName").rules(SHORT),
        Field::text("preferredLanguage").rules(&[Rule::Length(0, 10)]),
        Field::choice("gender", GENDERS),
    ],
);
static EMAIL: Message = Message::new(
    "SetHumanEmail",
    &[
        Field::text("email").rules(&[Rule::Length(1, 200), Rule::Email]),
        Field::message("sendCode", &codes::SEND).in_group("verification"),
        Field::message("returnCode", &EMPTY).in_group("verification"),
        Field::flag("isVerified").in_group("verification"),
    ],
);
static PHONE: Message = Message::new(
    "SetHumanPhone",
    &[
        Field::text("phone").rules(SHORT),
        Field::message("sendCode", &EMPTY).in_group("verification"),
        Field::message("returnCode", &EMPTY).in_group("verification"),
        Field::flag("isVerified").in_group("verification"),
    ],
);
static METADATA: Message = Message::new(
    "SetMetadataEntry",
    &[Field::text("key").rules(NAME), Field::bytes("value").rules(&[Rule::Bytes(1, 500_000)])],
);
static HASHED: Message = Message::new(
    "HashedPassword",
    &[Field::text("hash").rules(NAME), Field::flag("changeRequired")],
);
static LINK: Message = Message::new(
    "IDPLink",
    &[
        Field::text("idpId").rules(NAME),
        Field::text("userId").rules(NAME),
        Field::text("userName").rules(NAME),
    ],
);
const REQUIRED: &[Rule] = &[Rule::Required];
static PASSWORD: Message =
    Message::new("Password", &[Field::text("password").rules(NAME), Field::flag("changeRequired")]);
static ORGANIZATION: Message = Message::new(
    "Organization",
    &[Field::text("orgId").in_group("org"), Field::text("orgDomain").in_group("org")],
);
/// What the newer creation calls a human.
pub(super) static PERSON: Message = Message::new(
    "CreateUserRequest_Human",
    &[
        Field::message("profile", &PROFILE).rules(REQUIRED),
        Field::message("email", &EMAIL).rules(REQUIRED),
        Field::message("phone", &PHONE),
        Field::message("metadata", &METADATA).repeated(),
        Field::message("password", &PASSWORD).in_group("password_type"),
        Field::message("hashedPassword", &HASHED).in_group("password_type"),
        Field::message("idpLinks", &LINK).repeated(),
    ],
);
pub(in super::super) static ADD: Message = Message::new(
    "AddHumanUserRequest",
    &[
        Field::text("userId").rules(OPTIONAL_NAME),
        Field::text("username").rules(OPTIONAL_NAME),
        Field::message("organization", &ORGANIZATION),
        Field::message("profile", &PROFILE).rules(REQUIRED),
        Field::message("email", &EMAIL).rules(REQUIRED),
        Field::message("phone", &PHONE),
        Field::message("metadata", &METADATA).repeated(),
        Field::message("password", &PASSWORD).in_group("password_type"),
        Field::message("hashedPassword", &HASHED).in_group("password_type"),
        Field::message("idpLinks", &LINK).repeated(),
    ],
);

pub(super) fn routes() -> Vec<Route> {
    let update = &changes::UPDATE;
    let mut routes = vec![
        Route::post("/v2/users/human", Access::Authenticated, &ADD, add),
        Route::put("/v2/users/human/{id}", Access::Authenticated, update, changes::update),
    ];
    routes.extend(v1::routes());
    routes.extend(parts::routes());
    routes
}

fn add(call: &mut Call<'_>) -> Answer {
    let organization = organization(call)?;
    let id = match call.request.text("userId") {
        "" => call.state.clock.id(),
        id => id.to_owned(),
    };
    let name = call.request.text("username").to_owned();
    let request = call.request.clone();
    let (drafts, codes) = creation(call, &id, &organization, &name, &request)?;
    let event = call.push(drafts)?;
    Ok(message! {
        "userId" => &*id,
        "details" => change_details(&event),
        "emailCode" => codes.email,
        "phoneCode" => codes.phone,
    }
    .into())
}

/// The organization that a request names, by its id or by a domain, or the one that the call acts
/// in. A removed one is accepted by its id.
fn organization(call: &Call<'_>) -> Result<String, ApiError> {
    let named = call.request.message("organization");
    let (id, domain) = (named.text("orgId"), named.text("orgDomain"));
    let organizations = &call.state.write.organizations;
    let of_domain = || {
        organizations.iter().find(|organization| {
            organization.state.exists()
                && organization.domains.get(domain).is_some_and(|known| known.verified)
        })
    };
    match (id.is_empty(), domain.is_empty()) {
        (true, true) => return Ok(call.organization.clone()),
        (true, false) => of_domain(),
        (false, _) => organizations.get(id),
    }
    .map(|organization| organization.id.clone())
    .ok_or_else(|| ApiError::denied("AUTH-Bs7Ds", "Organisation doesn't exist"))
}

/// Adds the events that make a person in an organization that is about to be made; returns the id,
/// and the codes that are asked for.
pub(in super::super) fn add_to(
    call: &mut Call<'_>,
    organization: &str,
    request: &Request,
    drafts: &mut Vec<Draft>,
) -> Result<(String, Codes), ApiError> {
    let id = match request.text("userId") {
        "" => call.state.clock.id(),
        id => id.to_owned(),
    };
    let (made, codes) = creation(call, &id, organization, request.text("username"), request)?;
    drafts.extend(made);
    Ok((id, codes))
}

/// The events that make a person. Unlike a machine's, its id is taken in all organizations.
pub(super) fn creation(
    call: &Call<'_>,
    id: &str,
    organization: &str,
    user_name: &str,
    request: &Request,
) -> Result<(Vec<Draft>, Codes), ApiError> {
    let phone = request.message("phone");
    let number = match phone.text("phone") {
        "" => String::new(),
        number => normal_phone(number)?,
    };
    let hashed = request.message("hashedPassword");
    if request.has("hashedPassword") {
        check_hash(hashed.text("hash"))?;
    }
    let state = &call.state;
    call.permit("user.write", organization)?;
    if state.write.users.get(id).is_some_and(|user| user.state.exists()) {
        return Err(ApiError::precondition("COMMAND-7yiox1isql", "Errors.User.AlreadyExisting"));
    }
    let address = request.message("email");
    let email = address.text("email");
    let password = request.message("password");
    if request.has("password") {
        check_password(call, organization, password.text("password"), true)?;
    }
    let is_unknown = |link: &Request| {
        !state.write.providers.iter().any(|provider| provider.id == link.text("idpId"))
    };
    if request.messages("idpLinks").iter().any(is_unknown) {
        let message = "Identity Provider Configuration doesn't exist";
        return Err(ApiError::precondition("COMMAND-39nf2", message));
    }
    let user_name = if user_name.is_empty() { email } else { user_name };
    let hash = match (request.has("password"), request.has("hashedPassword")) {
        (true, _) => credentials::hash(password.text("password")),
        (_, true) => hashed.text("hash").to_owned(),
        _ => String::new(),
    };
    let mut fields = created(user_name, &request.message("profile"));
    fields.insert("email".to_owned(), json!(email));
    fields.insert("phone".to_owned(), json!(number));
    fields.insert("encodedHash".to_owned(), json!(hash));
    let change_required = password.flag("changeRequired") || hashed.flag("changeRequired");
    fields.insert("changeRequired".to_owned(), json!(change_required));
    let scoped = is_scoped(&state.write, &state.instance_id, organization);
    let user = Aggregate::new("user", id, organization);
    let mut drafts = vec![added(&user, fields, scoped)];
    let mut codes = Codes::default();
    drafts.push(if address.flag("isVerified") {
        Draft::new(&user, "user.human.email.verified")
    } else {
        let code = Code::asked_for(&address)?;
        let draft = code.on(call, Draft::new(&user, "user.human.email.code.added"));
        codes.email = code.told();
        draft
    });
    if !number.is_empty() {
        drafts.push(if phone.flag("isVerified") {
            Draft::new(&user, "user.human.phone.verified")
        } else {
            let code = Code::asked_for(&phone)?;
            let draft = code.on(call, Draft::new(&user, "user.human.phone.code.added"));
            codes.phone = code.told();
            draft
        });
    }
    for entry in request.messages("metadata") {
        drafts.push(
            Draft::new(&user, "user.metadata.set")
                .with("key", entry.text("key"))
                .with("value", entry.text("value")),
        );
    }
    Ok((drafts, codes))
}

/// What a profile says, in the words of the events.
fn wanted(profile: &Request) -> Map<String, Value> {
    let words = [
        ("givenName", "firstName"),
        ("familyName", "lastName"),
        ("nickName", "nickName"),
        ("displayName", "displayName"),
        ("preferredLanguage", "preferredLanguage"),
        ("gender", "gender"),
    ];
    let said = words.iter().filter_map(|(word, of_event)| {
        let value = profile.0.get(*word).filter(|value| !is_zero(value))?;
        Some(((*of_event).to_owned(), value.clone()))
    });
    said.collect()
}

/// The fields of somebody new.
fn created(user_name: &str, profile: &Request) -> Map<String, Value> {
    let mut fields = wanted(profile);
    let name = format!("{} {}", profile.text("givenName"), profile.text("familyName"));
    fields.entry("displayName").or_insert(json!(name));
    fields.entry("preferredLanguage").or_insert(json!("und"));
    fields.insert("userName".to_owned(), json!(user_name));
    fields
}

/// The event that makes a person.
fn added(user: &Aggregate, fields: Map<String, Value>, scoped: bool) -> Draft {
    let name = fields.get("userName").and_then(Value::as_str).unwrap_or_default().to_owned();
    let payload = fields.into_iter().filter(|(_, value)| !is_zero(value)).collect();
    Draft::new(user, "user.human.added").payload(payload).take(
        "usernames",
        unique(&name, &user.owner, scoped),
        TAKEN,
    )
}

/// Where somebody would go to enter a code.
fn origin(call: &Call<'_>) -> String {
    format!("http://{}:8080", call.state.domain)
}

fn only_human(user: &User) -> bool {
    user.human
}

/// A phone number without what only divides it.
fn normal_phone(number: &str) -> Result<String, ApiError> {
    let digits: String = number.chars().filter(|c| !" -().".contains(*c)).collect();
    let is_one = digits.strip_prefix('+').is_some_and(|rest| {
        (7..=15).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_digit())
    });
    if is_one { Ok(digits) } else { Err(ApiError::invalid("PHONE-so0wa", "Phone is invalid")) }
}

/// Refuses what is no hash of a password.
fn check_hash(hash: &str) -> Result<(), ApiError> {
    const KNOWN: [&str; 8] = ["2a", "2b", "2y", "argon2i", "argon2id", "scrypt", "pbkdf2", "1"];
    let kind = hash.strip_prefix('$').and_then(|rest| rest.split('$').next()).unwrap_or_default();
    if KNOWN.iter().any(|known| kind == *known || kind.starts_with(&format!("{known}-"))) {
        return Ok(());
    }
    Err(ApiError::invalid("CRYPT-r8Qm2", "Password is invalid"))
}

/// Holds a password against the policy of its organization. Refusals of a person's first one by the
/// service v2 have other ids.
fn check_password(
    call: &Call<'_>,
    organization: &str,
    password: &str,
    is_first: bool,
) -> Result<(), ApiError> {
    let write = &call.state.write;
    let policy = write
        .policy(organization, &COMPLEXITY)
        .or_else(|| write.policy(&call.state.instance_id, &COMPLEXITY));
    let Some(policy) = policy else {
        return Ok(());
    };
    let refuse = |[first, other]: [&'static str; 2], message: &str| {
        Err(ApiError::invalid(if is_first { first } else { other }, message))
    };
    let lacks =
        |flag, has: fn(char) -> bool| policy.fields.flag(flag) && !password.chars().any(has);
    if u64::try_from(password.len()).unwrap_or_default() < policy.fields.number("minLength") {
        return refuse(["COMMA-HuJf6", "DOMAIN-HuJf6"], "Password is too short");
    }
    if lacks("hasLowercase", |c| c.is_ascii_lowercase()) {
        return refuse(["COMMA-co3Xw", "DOMAIN-co3Xw"], "Password must contain lower letter");
    }
    if lacks("hasUppercase", |c| c.is_ascii_uppercase()) {
        return refuse(["COMMA-VoaRj", "DOMAIN-VoaRj"], "Password must contain upper letter");
    }
    if lacks("hasNumber", |c| c.is_ascii_digit()) {
        return refuse(["COMMA-ZBv4H", "DOMAIN-ZBv4H"], "Password must contain number");
    }
    if lacks("hasSymbol", |c| !c.is_ascii_alphanumeric()) {
        return refuse(["COMMA-ZDLwA", "DOMAIN-ZDLwA"], "Password must contain symbol");
    }
    Ok(())
}

fn gender(user: &User) -> &'static str {
    let number = usize::try_from(user.fields.number("gender")).unwrap_or_default();
    GENDERS.get(number).copied().unwrap_or_default()
}

fn password_changed(user: &User) -> Option<String> {
    if user.fields.text("encodedHash").is_empty() {
        return None;
    }
    match user.fields.text("passwordChanged") {
        "" => Some(clock::text(user.stamp.created)),
        date => Some(date.to_owned()),
    }
}

/// What only people have, as the older interfaces tell it.
pub(super) fn view(user: &User) -> Value {
    let fields = &user.fields;
    let profile = message! {
        "firstName" => fields.text("firstName"),
        "lastName" => fields.text("lastName"),
        "nickName" => fields.text("nickName"),
        "displayName" => fields.text("displayName"),
        "preferredLanguage" => fields.text("preferredLanguage"),
        "gender" => (fields.number("gender") > 0).then(|| gender(user)),
    };
    let email = message! {
        "email" => fields.text("email"),
        "isEmailVerified" => fields.flag("emailVerified"),
    };
    let phone = message! {
        "phone" => fields.text("phone"),
        "isPhoneVerified" => fields.flag("phoneVerified"),
    };
    message! {
        "profile" => profile,
        "email" => email,
        "phone" => phone,
        "passwordChanged" => password_changed(user),
    }
}

/// What only people have, as the user service v2 tells it: a profile without omissions.
pub(super) fn view_v2(user: &User) -> Value {
    let fields = &user.fields;
    let profile = json!({
        "givenName": fields.text("firstName"),
        "familyName": fields.text("lastName"),
        "nickName": fields.text("nickName"),
        "displayName": fields.text("displayName"),
        "preferredLanguage": fields.text("preferredLanguage"),
        "gender": gender(user),
    });
    let email = message! {
        "email" => fields.text("email"),
        "isVerified" => fields.flag("emailVerified"),
    };
    let phone = message! {
        "phone" => fields.text("phone"),
        "isVerified" => fields.flag("phoneVerified"),
    };
    message! {
        "profile" => profile,
        "email" => email,
        "phone" => phone,
        "passwordChangeRequired" => fields.flag("changeRequired"),
        "passwordChanged" => password_changed(user),
    }
}
