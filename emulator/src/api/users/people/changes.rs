//! Changes of people, as the user service v2 makes them: each part by itself, and what is omitted
//! stays.

use serde_json::{Map, json};

use super::{
    super::{
        super::{Answer, Call, change_details, credentials},
        aggregate, missing,
        names::user_name_change,
    },
    Code, Codes, GENDERS, PHONE, check_hash, check_password, normal_phone, only_human, wanted,
};
use crate::{
    clock,
    errors::ApiError,
    message::message,
    model::{difference, user::User},
    proto::{Field, Message, NAME, OPTIONAL_NAME, Request, Rule},
    store::Draft,
};

static PROFILE: Message = Message::new(
    "UpdateUserRequest_Human_Profile",
    &[
        Field::text("givenName").rules(OPTIONAL_NAME),
        Field::text("familyName").rules(OPTIONAL_NAME),
        Field::text("nickName").rules(OPTIONAL_NAME),
        Field::text("displayName").rules(OPTIONAL_NAME),
        Field::text("preferredLanguage").rules(&[Rule::LengthIfSet(1, 10)]),
        Field::choice("gender", GENDERS),
    ],
);
static HASHED: Message = Message::new(
    "HashedPassword",
    &[Field::text("hash").rules(NAME), Field::flag("changeRequired")],
);
static SET_PASSWORD: Message = Message::new(
    "SetPassword",
    &[
        Field::message("password", &super::PASSWORD).in_group("password_type"),
        Field::message("hashedPassword", &HASHED).in_group("password_type"),
        Field::text("currentPassword").rules(&[Rule::LengthIfSet(1, 200)]).in_group("verification"),
        Field::text("verificationCode").rules(&[Rule::LengthIfSet(1, 20)]).in_group("verification"),
    ],
);
pub(in super::super) static PERSON: Message = Message::new(
    "UpdateUserRequest_Human",
    &[
        Field::message("profile", &PROFILE),
        Field::message("email", &super::EMAIL),
        Field::message("phone", &PHONE),
        Field::message("password", &SET_PASSWORD),
    ],
);
pub(super) static UPDATE: Message = Message::new(
    "UpdateHumanUserRequest",
    &[
        Field::text("username").rules(OPTIONAL_NAME),
        Field::message("profile", &super::PROFILE),
        Field::message("email", &super::EMAIL),
        Field::message("phone", &PHONE),
        Field::message("password", &SET_PASSWORD),
    ],
);

/// The older form of an update.
pub(super) fn update(call: &mut Call<'_>) -> Answer {
    let user = call.state.write.users.get(call.param("id")).map(User::latest);
    let user = user.filter(|user| user.human && user.state.exists()).cloned();
    let user = user.ok_or_else(|| missing("COMMAND-ugjs0upun6"))?;
    let request = call.request.clone();
    let (drafts, codes) = of(call, &user, request.text("username"), &request)?;
    if drafts.is_empty() {
        return Ok(json!({ "details": user.stamp.change_details() }).into());
    }
    let event = call.push(drafts)?;
    Ok(message! {
        "details" => change_details(&event),
        "emailCode" => codes.email,
        "phoneCode" => codes.phone,
    }
    .into())
}

/// When what a request is about changed last: it looks at no other parts.
pub(in super::super) fn last_change(call: &Call<'_>, user: &User, request: &Request) -> String {
    let is_about = |event: &str| match event.strip_prefix("user.human.") {
        Some("added") | None => true,
        Some(of) => of.split('.').next().is_some_and(|part| request.has(part)),
    };
    let store = &call.state.store;
    let mut of_user = store.of_aggregate(&user.id).iter().rev().filter_map(|n| store.get(*n));
    let last = of_user.find(|event| {
        is_about(event.event_type) && !event.event_type.starts_with("user.metadata.")
    });
    last.map_or_else(|| clock::text(user.stamp.changed), |event| clock::text(event.creation_date))
}

/// The events that change a person.
pub(in super::super) fn of(
    call: &Call<'_>,
    user: &User,
    user_name: &str,
    request: &Request,
) -> Result<(Vec<Draft>, Codes), ApiError> {
    let phone = request.message("phone");
    let number = match phone.text("phone") {
        "" => String::new(),
        number => normal_phone(number)?,
    };
    let password = request.message("password");
    if password.has("hashedPassword") {
        check_hash(password.message("hashedPassword").text("hash"))?;
    }
    call.permit("user.write", &user.stamp.owner)?;
    let mut codes = Codes::default();
    let mut drafts = Vec::new();
    let mut push = |draft: Draft| drafts.push(draft);
    if !user_name.is_empty() && user_name != user.user_name() {
        push(user_name_change(call.state, user, user_name));
    }
    let changes = difference(&user.fields, &wanted(&request.message("profile")));
    if !changes.is_empty() {
        push(Draft::new(&aggregate(user), "user.human.profile.changed").payload(changes));
    }
    if request.has("email") {
        let email = request.message("email");
        let code = Code::asked_for(&email)?;
        let (changes, code) = address(
            call,
            user,
            ["email", "emailVerified"],
            email.text("email"),
            email.flag("isVerified"),
            code,
        );
        changes.into_iter().for_each(&mut push);
        codes.email = code;
    }
    if request.has("phone") {
        let verified = phone.flag("isVerified");
        match (number.as_str(), user.fields.text("phone")) {
            ("", "") => {}
            ("", _) => push(Draft::new(&aggregate(user), "user.human.phone.removed")),
            (number, _) => {
                let fields = ["phone", "phoneVerified"];
                let code = Code::asked_for(&phone)?;
                let (changes, code) = address(call, user, fields, number, verified, code);
                changes.into_iter().for_each(&mut push);
                codes.phone = code;
            }
        }
    }
    if request.has("password") {
        push(new_password(call, user, &password)?);
    }
    Ok((drafts, codes))
}

/// The events that change an e-mail address or a phone number, or verify the one that is there; and
/// the code, if there is one that the answer tells.
pub(super) fn address(
    call: &Call<'_>,
    user: &User,
    [field, is_verified]: [&'static str; 2],
    address: &str,
    verified: bool,
    code: Code,
) -> (Vec<Draft>, Option<String>) {
    let [changed, proven, made] = match field {
        "email" => {
            ["user.human.email.changed", "user.human.email.verified", "user.human.email.code.added"]
        }
        _ => {
            ["user.human.phone.changed", "user.human.phone.verified", "user.human.phone.code.added"]
        }
    };
    let aggregate = aggregate(user);
    if address == user.fields.text(field) {
        let is_new = verified && !user.fields.flag(is_verified);
        let drafts = is_new.then(|| Draft::new(&aggregate, proven)).into_iter().collect();
        return (drafts, None);
    }
    let changed = Draft::new(&aggregate, changed).with(field, address);
    if verified {
        return (vec![changed, Draft::new(&aggregate, proven)], None);
    }
    let made = code.on(call, Draft::new(&aggregate, made));
    (vec![changed, made], code.told())
}

fn new_password(call: &Call<'_>, user: &User, password: &Request) -> Result<Draft, ApiError> {
    if password.has("hashedPassword") {
        let hashed = password.message("hashedPassword");
        return Ok(set(call, user, hashed.text("hash"), hashed.flag("changeRequired")));
    }
    let plain = password.message("password");
    check_password(call, &user.stamp.owner, plain.text("password"), false)?;
    let hash = credentials::hash(plain.text("password"));
    Ok(set(call, user, &hash, plain.flag("changeRequired")))
}

/// The event of a new password.
pub(super) fn set(call: &Call<'_>, user: &User, hash: &str, change_required: bool) -> Draft {
    let payload = Map::from_iter([
        ("changeRequired".to_owned(), json!(change_required)),
        ("encodedHash".to_owned(), json!(hash)),
        ("triggerOrigin".to_owned(), json!(super::origin(call))),
    ]);
    Draft::new(&aggregate(user), "user.human.password.changed").payload(payload)
}

/// A person in the organization that the call acts in.
pub(super) fn existing(call: &Call<'_>, refusal: impl Fn() -> ApiError) -> Result<User, ApiError> {
    let user = super::super::existing(call, call.param("id")).filter(|user| only_human(user));
    user.cloned().ok_or_else(refusal)
}
