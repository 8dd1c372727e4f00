//! People by the management API: their creation, and each part of them by itself.

use serde_json::json;

use super::{
    super::{
        super::{Access, Answer, Call, Route, change_details, creation_details, credentials},
        is_scoped, missing,
    },
    GENDERS, added,
    changes::{address, existing, set},
    check_password,
    codes::Code,
    normal_phone,
};
use crate::{
    errors::ApiError,
    message::message,
    model::{difference, user::User},
    proto::{Field, Message, NAME, OPTIONAL_NAME, Request, Rule, SHORT},
    store::{Aggregate, Draft},
};

static PROFILE: Message = Message::new(
    "AddHumanUserRequest_Profile",
    &[
        Field::text("firstName").rules(NAME),
        Field::text("lastName").rules(NAME),
        Field::text("nickName").rules(SHORT),
        Field::text("displayName").rules(SHORT),
        Field::text("preferredLanguage").rules(&[Rule::Length(0, 10)]),
        Field::choice("gender", GENDERS),
    ],
);
static EMAIL: Message = Message::new(
    "AddHumanUserRequest_Email",
    &[Field::text("email").rules(&[Rule::Email]), Field::flag("isEmailVerified")],
);
static PHONE: Message = Message::new(
    "AddHumanUserRequest_Phone",
    &[Field::text("phone").rules(&[Rule::Length(1, 50)]), Field::flag("isPhoneVerified")],
);
const REQUIRED: &[Rule] = &[Rule::Required];
static ADD: Message = Message::new(
    "AddHumanUserRequest",
    &[
        Field::text("userName").rules(NAME),
        Field::message("profile", &PROFILE).rules(REQUIRED),
        Field::message("email", &EMAIL).rules(REQUIRED),
        Field::message("phone", &PHONE),
        Field::text("initialPassword").rules(&[Rule::Length(0, 72)]),
    ],
);
static IMPORT: Message = Message::new(
    "ImportHumanUserRequest",
    &[
        Field::text("userName").rules(NAME),
        Field::message("profile", &PROFILE).rules(REQUIRED),
        Field::message("email", &EMAIL).rules(REQUIRED),
        Field::message("phone", &PHONE),
        Field::text("password").rules(&[Rule::Length(0, 72)]),
        Field::flag("passwordChangeRequired"),
        Field::text("userId").rules(OPTIONAL_NAME),
    ],
);
static UPDATE_PROFILE: Message = Message::new(
    "UpdateHumanProfileRequest",
    &[
        Field::text("firstName").rules(NAME),
        Field::text("lastName").rules(NAME),
        Field::text("nickName").rules(SHORT),
        Field::text("displayName").rules(NAME),
        Field::text("preferredLanguage").rules(&[Rule::Length(0, 10)]),
        Field::choice("gender", GENDERS),
    ],
);
static UPDATE_EMAIL: Message = Message::new(
    "UpdateHumanEmailRequest",
    &[Field::text("email").rules(&[Rule::Email]), Field::flag("isEmailVerified")],
);
static UPDATE_PHONE: Message = Message::new(
    "UpdateHumanPhoneRequest",
    &[Field::text("phone").rules(&[Rule::Length(1, 50)]), Field::flag("isPhoneVerified")],
);
static PASSWORD: Message = Message::new(
    "SetHumanPasswordRequest",
    &[Field::text("password").rules(&[Rule::Length(1, 72)]), Field::flag("noChangeRequired")],
);

pub(super) fn routes() -> Vec<Route> {
    const READ: Access = Access::Permission("user.read");
    const WRITE: Access = Access::Permission("user.write");
    vec![
        Route::post("/management/v1/users/human", WRITE, &ADD, |call| {
            let password = call.request.text("initialPassword").to_owned();
            create(call, &password, !password.is_empty())
        }),
        Route::post("/management/v1/users/human/_import", WRITE, &IMPORT, |call| {
            let password = call.request.text("password").to_owned();
            let change = call.request.flag("passwordChangeRequired");
            create(call, &password, change)
        }),
        Route::get("/management/v1/users/{id}/profile", READ, |call| part(call, "profile")),
        Route::put("/management/v1/users/{id}/profile", WRITE, &UPDATE_PROFILE, update_profile),
        Route::get("/management/v1/users/{id}/email", READ, |call| part(call, "email")),
        Route::put("/management/v1/users/{id}/email", WRITE, &UPDATE_EMAIL, update_email),
        Route::get("/management/v1/users/{id}/phone", READ, |call| part(call, "phone")),
        Route::put("/management/v1/users/{id}/phone", WRITE, &UPDATE_PHONE, update_phone),
        Route::delete("/management/v1/users/{id}/phone", WRITE, remove_phone),
        Route::post("/management/v1/users/{id}/password", WRITE, &PASSWORD, set_password),
    ]
}

fn create(call: &mut Call<'_>, password: &str, change_required: bool) -> Answer {
    let organization = call.organization.clone();
    let id = match call.request.text("userId") {
        "" => call.state.clock.id(),
        id => id.to_owned(),
    };
    let request = call.request.clone();
    let phone = request.message("phone");
    let number = match phone.text("phone") {
        "" => String::new(),
        number => normal_phone(number)?,
    };
    if super::super::existing(call, &id).is_some() {
        return Err(ApiError::precondition("COMMAND-ziuna", "Errors.User.AlreadyExisting"));
    }
    let hash = if password.is_empty() {
        String::new()
    } else {
        check_password(call, &organization, password, false)?;
        credentials::hash(password)
    };
    let email = request.message("email");
    let scoped = is_scoped(&call.state.write, &call.state.instance_id, &organization);
    let mut fields =
        super::created(request.text("userName"), &profile(&request.message("profile")));
    // What nobody told is "-1" here.
    if !fields.contains_key("gender") {
        fields.insert("gender".to_owned(), json!(-1));
    }
    fields.insert("email".to_owned(), json!(email.text("email")));
    fields.insert("phone".to_owned(), json!(number));
    fields.insert("encodedHash".to_owned(), json!(hash));
    fields.insert("changeRequired".to_owned(), json!(!hash.is_empty() && change_required));
    let user = Aggregate::new("user", &*id, &*organization);
    let mut drafts = vec![added(&user, fields, scoped)];
    let is_verified = email.flag("isEmailVerified");
    if !is_verified || hash.is_empty() {
        let code = Draft::new(&user, "user.human.initialization.code.added");
        drafts.push(Code::sent().on(call, code));
    } else {
        drafts.push(Draft::new(&user, "user.human.email.verified"));
    }
    if !number.is_empty() {
        drafts.push(if phone.flag("isPhoneVerified") {
            Draft::new(&user, "user.human.phone.verified")
        } else {
            Code::sent().on(call, Draft::new(&user, "user.human.phone.code.added"))
        });
    }
    let event = call.push(drafts)?;
    Ok(json!({ "userId": id, "details": creation_details(&event) }).into())
}

/// A profile of this interface in the words of the newer one.
fn profile(request: &Request) -> Request {
    let mut profile = request.0.clone();
    for (old, new) in [("firstName", "givenName"), ("lastName", "familyName")] {
        if let Some(name) = profile.remove(old) {
            profile.insert(new.to_owned(), name);
        }
    }
    Request(profile)
}

/// One part of a person.
fn part(call: &mut Call<'_>, part: &'static str) -> Answer {
    let user = call.state.read.users.get(call.param("id"));
    let user = user.filter(|user| user.human && user.stamp.owner == call.organization);
    let user = user.ok_or_else(|| missing("QUERY-Dfbg2"))?;
    let of = super::view(user).get(part).cloned().unwrap_or_default();
    Ok(message! { "details" => user.stamp.details(), part => of }.into())
}

fn update_profile(call: &mut Call<'_>) -> Answer {
    let user = existing(call, || missing("COMMAND-3M9sd"))?;
    let request = &call.request;
    let texts = ["firstName", "lastName", "nickName", "displayName", "preferredLanguage"];
    let mut want: serde_json::Map<_, _> =
        texts.iter().map(|field| ((*field).to_owned(), json!(request.text(field)))).collect();
    if request.number("gender") > 0 {
        want.insert("gender".to_owned(), json!(request.number("gender")));
    }
    let changes = difference(&user.fields, &want);
    if changes.is_empty() {
        return Err(ApiError::precondition("COMMAND-2M0fs", "Profile not changed"));
    }
    let draft = Draft::new(&super::super::aggregate(&user), "user.human.profile.changed");
    push(call, vec![draft.payload(changes)])
}

fn update_email(call: &mut Call<'_>) -> Answer {
    let gone = || ApiError::precondition("COMMAND-0Pe4r", "Errors.User.Email.NotFound");
    let user = existing(call, gone)?;
    if user.is_initial() {
        return Err(ApiError::precondition("COMMAND-J8dsk", "User is not yet initialised"));
    }
    let (email, verified) = (call.request.text("email"), call.request.flag("isEmailVerified"));
    let fields = ["email", "emailVerified"];
    let (drafts, _) = address(call, &user, fields, email, verified, Code::sent());
    if drafts.is_empty() {
        return Err(ApiError::precondition("COMMAND-2b7fM", "Email not changed"));
    }
    push(call, drafts)
}

fn update_phone(call: &mut Call<'_>) -> Answer {
    let number = normal_phone(call.request.text("phone"))?;
    let user =
        existing(call, || ApiError::precondition("COMMAND-3M0fs", "User could not be found"))?;
    let verified = call.request.flag("isPhoneVerified");
    let fields = ["phone", "phoneVerified"];
    let (drafts, _) = address(call, &user, fields, &number, verified, Code::sent());
    if drafts.is_empty() {
        return Err(ApiError::precondition("COMMAND-wF94r", "Phone not changed"));
    }
    push(call, drafts)
}

fn remove_phone(call: &mut Call<'_>) -> Answer {
    let none = || ApiError::not_found("COMMAND-p6rsc", "Phone not found");
    let user = existing(call, none)?;
    if user.fields.text("phone").is_empty() {
        return Err(none());
    }
    push(call, vec![Draft::new(&super::super::aggregate(&user), "user.human.phone.removed")])
}

fn set_password(call: &mut Call<'_>) -> Answer {
    let user: User = existing(call, || missing("COMMAND-3M0fs"))?;
    let password = call.request.text("password").to_owned();
    check_password(call, &user.stamp.owner, &password, false)?;
    let change_required = !call.request.flag("noChangeRequired");
    let draft = set(call, &user, &credentials::hash(&password), change_required);
    push(call, vec![draft])
}

fn push(call: &mut Call<'_>, drafts: Vec<Draft>) -> Answer {
    let event = call.push(drafts)?;
    Ok(json!({ "details": change_details(&event) }).into())
}
