//! The texts of messages: those built in, the instance's and organizations'.

use std::{collections::HashMap, sync::LazyLock};

use serde_json::{Map, Value, json};

use super::{Access, Answer, Call, Route, change_details, settings};
use crate::{
    errors::ApiError,
    message::message,
    model::message::{Text, word},
    parsers::language,
    proto::{Field, Message, Rule},
    store::{Aggregate, Draft},
};

/// The words that are built in, in English: those of other languages are not recorded.
const BUILT_IN: &str = include_str!("../data/message_texts.json");

/// The texts that a fresh instance has of its own, as far as they are recorded: what is not said
/// is as it is built in.
const INITIAL: [(&str, &str, &str, Option<&str>); 3] = [
    (
        "InitCode",
        "en",
        "Zitadel - Initialize User",
        Some(
            "This user was created in Zitadel. Use the username {{.PreferredLoginName}} to login. \
             Please click the button below to finish the initialization process. (Code {{.Code}}) \
             If you didn't ask for this mail, please ignore it.",
        ),
    ),
    ("InitCode", "de", "Zitadel - User initialisieren", None),
    ("PasswordReset", "en", "Zitadel - Reset password", None),
];

/// The fields in the order of their events: in requests, and in events.
const FIELDS: [(&str, &str); 7] = [
    ("greeting", "Greeting"),
    ("subject", "Subject"),
    ("title", "Title"),
    ("preHeader", "PreHeader"),
    ("text", "Text"),
    ("buttonText", "ButtonText"),
    ("footerText", "Footer"),
];

static SET: Message = Message::new(
    "SetMessageTextRequest",
    &[
        Field::text("title").rules(&[Rule::MaxTextBytes(2_000)]),
        Field::text("preHeader").rules(&[Rule::MaxTextBytes(2_000)]),
        Field::text("subject").rules(&[Rule::MaxTextBytes(2_000)]),
        Field::text("greeting").rules(&[Rule::MaxTextBytes(4_000)]),
        Field::text("text").rules(&[Rule::MaxTextBytes(40_000)]),
        Field::text("buttonText").rules(&[Rule::MaxTextBytes(4_000)]),
        Field::text("footerText").rules(&[Rule::MaxTextBytes(8_000)]),
    ],
);

/// A message: its name in events, and its paths.
struct Kind {
    template: &'static str,
    instance: &'static str,
    built_in: &'static str,
    organization: &'static str,
    inherited: &'static str,
}

macro_rules! kinds {
    ($($template:literal at $path:literal),* $(,)?) => {
        &[$(Kind {
            template: $template,
            instance: concat!("/admin/v1/text/message/", $path, "/{language}"),
            built_in: concat!("/admin/v1/text/default/message/", $path, "/{language}"),
            organization: concat!("/management/v1/text/message/", $path, "/{language}"),
            inherited: concat!("/management/v1/text/default/message/", $path, "/{language}"),
        }),*]
    };
}

const KINDS: &[Kind] = kinds![
    "InitCode" at "init",
    "PasswordReset" at "passwordreset",
    "VerifyEmail" at "verifyemail",
    "VerifyPhone" at "verifyphone",
    "VerifySMSOTP" at "verifysmsotp",
    "VerifyEmailOTP" at "verifyemailotp",
    "DomainClaimed" at "domainclaimed",
    "PasswordlessRegistration" at "passwordless_registration",
    "PasswordChange" at "password_change",
    "InviteUser" at "invite_user",
];

pub(super) fn routes() -> Vec<Route> {
    KINDS.iter().flat_map(of_kind).collect()
}

fn of_kind(kind: &'static Kind) -> Vec<Route> {
    use Access::Permission;
    let template = kind.template;
    let instance = |call: &Call<'_>| call.state.instance();
    let organization = |call: &Call<'_>| Aggregate::organization(&call.organization);
    vec![
        Route::get(kind.built_in, Permission("iam.policy.read"), |_| {
            let mut text = built_in(template);
            text.insert("details".to_owned(), json!({}));
            Ok(json!({ "customText": text }).into())
        }),
        Route::get(kind.inherited, Permission("policy.read"), |call| {
            Ok(json!({ "customText": inherited(call, template, true) }).into())
        }),
        Route::get(kind.instance, Permission("iam.policy.read"), move |call| {
            read(call, template, &instance(call).id)
        }),
        Route::put(kind.instance, Permission("iam.policy.write"), &SET, move |call| {
            set(call, template, &instance(call))
        }),
        Route::delete(kind.instance, Permission("iam.policy.delete"), move |call| {
            reset(call, template, &instance(call), "INSTANCE-fju90")
        }),
        Route::get(kind.organization, Permission("policy.read"), move |call| {
            read(call, template, &organization(call).id)
        }),
        Route::put(kind.organization, Permission("policy.write"), &SET, move |call| {
            set(call, template, &organization(call))
        }),
        Route::delete(kind.organization, Permission("policy.delete"), move |call| {
            reset(call, template, &organization(call), "Org-3b8Jf")
        }),
    ]
}

/// The events of the texts that a fresh instance has of its own.
pub(crate) fn initial(instance: &Aggregate) -> Vec<Draft> {
    let of =
        |(template, language, title, text): (&str, &str, &'static str, Option<&'static str>)| {
            let mut words = built_in(template);
            words.insert("title".to_owned(), json!(title));
            words.extend(text.map(|text| ("text".to_owned(), json!(text))));
            let event = event(instance, "set");
            let set = move |(field, key): (&str, &str)| {
                let text = words.get(field)?.clone();
                Some(about(instance, event, template, language).with("key", key).with("text", text))
            };
            FIELDS.into_iter().filter_map(set).collect::<Vec<_>>()
        };
    INITIAL.into_iter().flat_map(of).collect()
}

/// What is built in.
fn built_in(template: &str) -> Map<String, Value> {
    static TEXTS: LazyLock<HashMap<String, Map<String, Value>>> =
        LazyLock::new(|| serde_json::from_str(BUILT_IN).unwrap_or_default());
    TEXTS.get(template).cloned().unwrap_or_default()
}

/// The name of an event of an owner.
fn event(owner: &Aggregate, what: &str) -> &'static str {
    match (owner.kind, what) {
        ("instance", "set") => "instance.customtext.set",
        ("instance", "removed") => "instance.customtext.removed",
        ("instance", _) => "instance.customtext.template.removed",
        (_, "set") => "org.customtext.set",
        (_, "removed") => "org.customtext.removed",
        _ => "org.customtext.template.removed",
    }
}

fn about(owner: &Aggregate, event: &'static str, template: &str, language: &str) -> Draft {
    Draft::new(owner, event).with("template", template).with("language", language)
}

// Queries.

/// The words of a text that are there, by the names of requests.
fn words(text: Option<&Text>) -> impl Iterator<Item = (String, Value)> {
    FIELDS
        .into_iter()
        .map(move |(field, key)| (field.to_owned(), word(text, key)))
        .filter(|(_, word)| !word.is_empty())
        .map(|(field, word)| (field, json!(word)))
}

/// What is built in, under the instance's own words for organizations.
fn inherited(call: &Call<'_>, template: &str, in_organization: bool) -> Value {
    let instance = &call.state.instance_id;
    let mut text = built_in(template);
    if in_organization {
        let own = call.state.read.messages.get(instance, template, call.param("language"));
        text.extend(words(own));
    }
    text.insert("details".to_owned(), json!({ "resourceOwner": instance }));
    text.insert("isDefault".to_owned(), json!(true));
    Value::Object(text)
}

fn read(call: &Call<'_>, template: &str, owner: &str) -> Answer {
    let own = call.state.read.messages.get(owner, template, call.param("language"));
    let text = match own {
        None => inherited(call, template, owner != call.state.instance_id),
        Some(text) => {
            let mut view: Map<String, Value> = words(Some(text)).collect();
            view.insert("details".to_owned(), text.stamp.details());
            Value::Object(view)
        }
    };
    Ok(json!({ "customText": text }).into())
}

// Commands.

fn set(call: &mut Call<'_>, template: &str, owner: &Aggregate) -> Answer {
    let language = language::parse(call.param("language"));
    let language = language.filter(|language| language != language::ROOT);
    let language =
        language.ok_or_else(|| ApiError::invalid("LANG-3M9f2", "Language is undefined"))?;
    settings::check_supported(std::iter::once(&language))?;
    let texts = &call.state.write.messages;
    let have = texts.get(&owner.id, template, &language);
    let drafts: Vec<Draft> = FIELDS
        .into_iter()
        .filter_map(|(field, key)| {
            let want = call.request.text(field);
            let what = if want.is_empty() { "removed" } else { "set" };
            let draft = about(owner, event(owner, what), template, &language).with("key", key);
            match (word(have, key) == want, want) {
                (true, _) => None,
                (false, "") => Some(draft),
                (false, want) => Some(draft.with("text", want)),
            }
        })
        .collect();
    if drafts.is_empty() {
        let details = texts.last(&owner.id).map_or_else(
            || message! { "resourceOwner" => &*owner.id },
            crate::model::Stamp::change_details,
        );
        return Ok(json!({ "details": details }).into());
    }
    let event = call.push(drafts)?;
    Ok(json!({ "details": change_details(&event) }).into())
}

fn reset(call: &mut Call<'_>, template: &str, owner: &Aggregate, missing: &'static str) -> Answer {
    let language = language::parse(call.param("language")).unwrap_or_default();
    let have = call.state.write.messages.get(&owner.id, template, &language);
    if !have.is_some_and(|text| text.exists) {
        return Err(ApiError::not_found(missing, "Errors.CustomMessageText.NotFound"));
    }
    let draft = about(owner, event(owner, "template.removed"), template, &language);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}
