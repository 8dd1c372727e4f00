//! Each part of a person by itself, through the user service v2: the e-mail address, the phone
//! number, the password.

use serde_json::json;

use super::{
    super::{
        super::{Access::Authenticated, Answer, Call, Route, change_details, credentials},
        aggregate,
    },
    PASSWORD,
    changes::set,
    check_password,
    codes::{self, Code, SEND},
    normal_phone,
};
use crate::{
    errors::ApiError,
    message::message,
    model::user::User,
    proto::{EMPTY, Field, Message, NAME, Request, Rule},
    store::Draft,
};

/// How something new is proven.
macro_rules! verified {
    ($name:literal, $first:expr, $send:expr) => {
        Message::new(
            $name,
            &[
                $first,
                Field::message("sendCode", $send).in_group("verification"),
                Field::message("returnCode", &EMPTY).in_group("verification"),
                Field::flag("isVerified").rules(&[Rule::True]).in_group("verification"),
            ],
        )
    };
}

static SET_EMAIL: Message = verified!(
    "SetEmailRequest",
    Field::text("email").rules(&[Rule::Length(1, 200), Rule::Email]),
    &SEND
);
static SET_PHONE: Message = verified!("SetPhoneRequest", Field::text("phone").rules(NAME), &EMPTY);
static RESEND_EMAIL: Message = Message::new(
    "ResendEmailCodeRequest",
    &[
        Field::message("sendCode", &SEND).in_group("verification"),
        Field::message("returnCode", &EMPTY).in_group("verification"),
    ],
);
static RESEND_PHONE: Message = Message::new(
    "ResendPhoneCodeRequest",
    &[
        Field::message("sendCode", &EMPTY).in_group("verification"),
        Field::message("returnCode", &EMPTY).in_group("verification"),
    ],
);
static VERIFY: Message =
    Message::new("VerifyRequest", &[Field::text("verificationCode").rules(&[Rule::Length(1, 20)])]);
static SET_PASSWORD: Message = Message::new(
    "SetPasswordRequest",
    &[
        Field::message("newPassword", &PASSWORD),
        Field::text("currentPassword").rules(&[Rule::LengthIfSet(1, 200)]).in_group("verification"),
        Field::text("verificationCode").rules(&[Rule::LengthIfSet(1, 20)]).in_group("verification"),
    ],
);

/// The e-mail address, or the phone number.
struct Part {
    name: &'static str,
    changed: &'static str,
    proven: &'static str,
    made: &'static str,
    failed: &'static str,
    missing: &'static str,
    no_code: &'static str,
}

static EMAIL: Part = Part {
    name: "email",
    changed: "user.human.email.changed",
    proven: "user.human.email.verified",
    made: "user.human.email.code.added",
    failed: "user.human.email.verification.failed",
    missing: "Email not found",
    no_code: "EMAIL-5w5ilin4yt",
};
static PHONE: Part = Part {
    name: "phone",
    changed: "user.human.phone.changed",
    proven: "user.human.phone.verified",
    made: "user.human.phone.code.added",
    failed: "user.human.phone.verification.failed",
    missing: "Phone not found",
    no_code: "PHONE-5xrra88eq8",
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v2/users/{id}/email", Authenticated, &SET_EMAIL, |call| {
            let email = call.request.text("email").trim().to_owned();
            change(call, &EMAIL, |_| Ok(email))
        }),
        Route::post("/v2/users/{id}/email/resend", Authenticated, &RESEND_EMAIL, |call| {
            resend(call, &EMAIL)
        }),
        Route::post("/v2/users/{id}/email/send", Authenticated, &RESEND_EMAIL, |call| {
            send(call, &EMAIL)
        }),
        Route::post("/v2/users/{id}/email/verify", Authenticated, &VERIFY, |call| {
            verify(call, &EMAIL)
        }),
        Route::post("/v2/users/{id}/phone", Authenticated, &SET_PHONE, |call| {
            change(call, &PHONE, |call| normal_phone(call.request.text("phone")))
        }),
        Route::delete("/v2/users/{id}/phone", Authenticated, |call| {
            let user = person(call, &PHONE)?;
            call.permit("user.write", &user.stamp.owner)?;
            push(call, vec![Draft::new(&aggregate(&user), "user.human.phone.removed")])
        }),
        Route::post("/v2/users/{id}/phone/resend", Authenticated, &RESEND_PHONE, |call| {
            resend(call, &PHONE)
        }),
        Route::post("/v2/users/{id}/phone/verify", Authenticated, &VERIFY, |call| {
            verify(call, &PHONE)
        }),
        Route::post("/v2/users/{id}/password", Authenticated, &SET_PASSWORD, set_password),
    ]
}

/// A person of any organization.
fn known<'a>(call: &'a Call<'_>) -> Option<&'a User> {
    let user = call.state.write.users.get(call.param("id")).map(User::latest);
    user.filter(|user| user.human && user.state.exists())
}

fn person(call: &Call<'_>, part: &Part) -> Result<User, ApiError> {
    let user = known(call).ok_or_else(|| ApiError::not_found("COMMAND-ieJ2e", part.missing))?;
    if user.is_initial() {
        return Err(ApiError::precondition("COMMAND-uz0Uu", "User is not yet initialised"));
    }
    Ok(user.clone())
}

/// Everybody may change oneself.
fn permit(call: &Call<'_>, user: &User) -> Result<(), ApiError> {
    if user.id == call.user { Ok(()) } else { call.permit("user.write", &user.stamp.owner) }
}

/// Sets another address or number. Nobody proves one's own without a code.
fn change(
    call: &mut Call<'_>,
    part: &Part,
    wanted: impl FnOnce(&Call<'_>) -> Result<String, ApiError>,
) -> Answer {
    let code = Code::asked_for(&call.request)?;
    let user = person(call, part)?;
    let is_verified = call.request.flag("isVerified");
    if is_verified {
        call.permit("user.write", &user.stamp.owner)?;
    } else {
        permit(call, &user)?;
    }
    let wanted = wanted(call)?;
    if user.fields.text(part.name) == wanted {
        return Err(ApiError::precondition("COMMAND-Uch5e", "not changed"));
    }
    let of = aggregate(&user);
    let changed = Draft::new(&of, part.changed).with(part.name, wanted);
    if is_verified {
        return push(call, vec![changed, Draft::new(&of, part.proven)]);
    }
    let made = code.on(call, Draft::new(&of, part.made));
    told(call, vec![changed, made], code)
}

/// Makes another code where there is one to be entered.
fn resend(call: &mut Call<'_>, part: &Part) -> Answer {
    let code = Code::asked_for(&call.request)?;
    let user = person(call, part)?;
    permit(call, &user)?;
    if codes::pending(call, &user, part.name).is_none() {
        return Err(ApiError::precondition(part.no_code, "Code is empty"));
    }
    let made = code.on(call, Draft::new(&aggregate(&user), part.made));
    told(call, vec![made], code)
}

/// Makes a code, whether or not there is one.
fn send(call: &mut Call<'_>, part: &Part) -> Answer {
    let code = Code::asked_for(&call.request)?;
    let user = person(call, part)?;
    permit(call, &user)?;
    let made = code.on(call, Draft::new(&aggregate(&user), part.made));
    told(call, vec![made], code)
}

fn verify(call: &mut Call<'_>, part: &Part) -> Answer {
    let user = person(call, part)?;
    let pending = codes::pending(call, &user, part.name);
    let code = call.request.text("verificationCode");
    if pending.is_some_and(|pending| codes::is_right(call, &pending, code)) {
        return push(call, vec![Draft::new(&aggregate(&user), part.proven)]);
    }
    call.push(vec![Draft::new(&aggregate(&user), part.failed)])?;
    Err(ApiError::invalid("COMMAND-eis9R", "Code is invalid"))
}

/// Sets another password: by who may write users, or by who knows the former one.
fn set_password(call: &mut Call<'_>) -> Answer {
    let gone = || ApiError::not_found("COMMAND-3M0fs", "User could not be found");
    let user = known(call).ok_or_else(gone)?.clone();
    let request: &Request = &call.request;
    if request.has("currentPassword") {
        let current = credentials::hash(request.text("currentPassword"));
        if user.fields.text("encodedHash") != current {
            return Err(ApiError::invalid("COMMAND-3M0fs", "Password is invalid"));
        }
    } else if request.has("verificationCode") {
        return Err(ApiError::precondition("COMMAND-2M9fs", "Code not found"));
    } else {
        permit(call, &user)?;
    }
    let password = call.request.message("newPassword");
    check_password(call, &user.stamp.owner, password.text("password"), false)?;
    let hash = credentials::hash(password.text("password"));
    let draft = set(call, &user, &hash, password.flag("changeRequired"));
    push(call, vec![draft])
}

fn push(call: &mut Call<'_>, drafts: Vec<Draft>) -> Answer {
    let event = call.push(drafts)?;
    Ok(json!({ "details": change_details(&event) }).into())
}

fn told(call: &mut Call<'_>, drafts: Vec<Draft>, code: Code) -> Answer {
    let event = call.push(drafts)?;
    Ok(message! { "details" => change_details(&event), "verificationCode" => code.told() }.into())
}
