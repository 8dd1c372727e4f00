//! People, as far as they take ids and names and have a state: their creation (user service v2)
//! and what both interfaces tell of them.

use serde_json::{Map, Value, json};

use super::{
    super::{Access, Answer, Call, Route, change_details, credentials},
    TAKEN, is_scoped, unique,
};
use crate::{
    clock,
    errors::{ApiError, Code},
    message::message,
    model::{is_zero, policy::COMPLEXITY, user::User},
    proto::{Field, Message, NAME, OPTIONAL_NAME, Request, Rule, SHORT},
    store::{Aggregate, Draft},
};

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
    &[Field::text("email").rules(&[Rule::Length(1, 200), Rule::Email]), Field::flag("isVerified")],
);
static PASSWORD: Message =
    Message::new("Password", &[Field::text("password").rules(NAME), Field::flag("changeRequired")]);
static ORGANIZATION: Message = Message::new("Organization", &[Field::text("orgId").rules(NAME)]);
/// What the newer creation calls a human.
pub(super) static PERSON: Message = Message::new(
    "CreateUserRequest_Human",
    &[
        Field::message("profile", &PROFILE),
        Field::message("email", &EMAIL),
        Field::message("password", &PASSWORD),
    ],
);
static ADD: Message = Message::new(
    "AddHumanUserRequest",
    &[
        Field::text("userId").rules(OPTIONAL_NAME),
        Field::text("username").rules(OPTIONAL_NAME),
        Field::message("organization", &ORGANIZATION),
        Field::message("profile", &PROFILE),
        Field::message("email", &EMAIL),
        Field::message("password", &PASSWORD),
    ],
);

pub(super) fn routes() -> Vec<Route> {
    vec![Route::post("/v2/users/human", Access::Authenticated, &ADD, add)]
}

fn add(call: &mut Call<'_>) -> Answer {
    let organization = match call.request.message("organization").text("orgId") {
        "" => call.organization.clone(),
        // A removed one is accepted.
        id if call.state.write.organizations.get(id).is_some() => id.to_owned(),
        _ => return Err(ApiError::denied("AUTH-Bs7Ds", "Organisation doesn't exist")),
    };
    let id = match call.request.text("userId") {
        "" => call.state.clock.id(),
        id => id.to_owned(),
    };
    let name = call.request.text("username").to_owned();
    let request = call.request.clone();
    let drafts = creation(call, &id, &organization, &name, &request)?;
    let event = call.push(drafts)?;
    Ok(json!({ "userId": id, "details": change_details(&event) }).into())
}

/// The events that make a person. Unlike a machine's, its id is taken in all organizations.
pub(super) fn creation(
    call: &Call<'_>,
    id: &str,
    organization: &str,
    user_name: &str,
    request: &Request,
) -> Result<Vec<Draft>, ApiError> {
    for (field, go_name) in [("profile", "Profile"), ("email", "Email")] {
        if !request.has(field) {
            let message = format!("invalid AddHumanUserRequest.{go_name}: value is required");
            return Err(ApiError::bare(Code::InvalidArgument, message));
        }
    }
    let state = &call.state;
    call.permit("user.write", organization)?;
    if state.write.users.get(id).is_some_and(|user| user.state.exists()) {
        return Err(ApiError::precondition("COMMAND-7yiox1isql", "Errors.User.AlreadyExisting"));
    }
    let profile = request.message("profile");
    let address = request.message("email");
    let email = address.text("email");
    let password = request.message("password");
    if request.has("password") {
        check_password(call, organization, password.text("password"))?;
    }
    let user_name = if user_name.is_empty() { email } else { user_name };
    let display_name = match profile.text("displayName") {
        "" => format!("{} {}", profile.text("givenName"), profile.text("familyName")),
        name => name.to_owned(),
    };
    let language = match profile.text("preferredLanguage") {
        "" => "und",
        language => language,
    };
    let hash = request.has("password").then(|| credentials::hash(password.text("password")));
    let payload: Map<_, _> = [
        ("userName", json!(user_name)),
        ("firstName", json!(profile.text("givenName"))),
        ("lastName", json!(profile.text("familyName"))),
        ("nickName", json!(profile.text("nickName"))),
        ("displayName", json!(display_name)),
        ("preferredLanguage", json!(language)),
        ("gender", json!(profile.number("gender"))),
        ("email", json!(email)),
        ("encodedHash", json!(hash)),
        ("changeRequired", json!(password.flag("changeRequired"))),
    ]
    .into_iter()
    .filter(|(_, value)| !is_zero(value))
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let scoped = is_scoped(&state.write, &state.instance_id, organization);
    let user = Aggregate::new("user", id, organization);
    let verification = if address.flag("isVerified") {
        "user.human.email.verified"
    } else {
        "user.human.email.code.added"
    };
    Ok(vec![
        Draft::new(&user, "user.human.added").payload(payload).take(
            "usernames",
            unique(user_name, organization, scoped),
            TAKEN,
        ),
        Draft::new(&user, verification),
    ])
}

/// Holds a password against the policy of its organization.
fn check_password(call: &Call<'_>, organization: &str, password: &str) -> Result<(), ApiError> {
    let write = &call.state.write;
    let policy = write
        .policy(organization, &COMPLEXITY)
        .or_else(|| write.policy(&call.state.instance_id, &COMPLEXITY));
    let Some(policy) = policy else {
        return Ok(());
    };
    let refuse = |id, message: &str| Err(ApiError::invalid(id, message));
    let lacks =
        |flag, has: fn(char) -> bool| policy.fields.flag(flag) && !password.chars().any(has);
    if u64::try_from(password.len()).unwrap_or_default() < policy.fields.number("minLength") {
        return refuse("COMMA-HuJf6", "Password is too short");
    }
    if lacks("hasLowercase", |c| c.is_ascii_lowercase()) {
        return refuse("COMMA-co3Xw", "Password must contain lower letter");
    }
    if lacks("hasUppercase", |c| c.is_ascii_uppercase()) {
        return refuse("COMMA-VoaRj", "Password must contain upper letter");
    }
    if lacks("hasNumber", |c| c.is_ascii_digit()) {
        return refuse("COMMA-ZBv4H", "Password must contain number");
    }
    if lacks("hasSymbol", |c| !c.is_ascii_alphanumeric()) {
        return refuse("COMMA-ZDLwA", "Password must contain symbol");
    }
    Ok(())
}

fn gender(user: &User) -> &'static str {
    let number = usize::try_from(user.fields.number("gender")).unwrap_or_default();
    GENDERS.get(number).copied().unwrap_or_default()
}

fn password_changed(user: &User) -> Option<String> {
    let has_password = !user.fields.text("encodedHash").is_empty();
    has_password.then(|| clock::text(user.stamp.created))
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
    message! {
        "profile" => profile,
        "email" => email,
        "phone" => json!({}),
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
    message! {
        "profile" => profile,
        "email" => email,
        "phone" => json!({}),
        "passwordChangeRequired" => fields.flag("changeRequired"),
        "passwordChanged" => password_changed(user),
    }
}
