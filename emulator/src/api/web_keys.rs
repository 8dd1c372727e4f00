//! Web keys: what tokens are signed with. Through Connect alone; the paths of REST are not served.

use serde_json::Value;

use super::{Access, Answer, Call, Route, date};
use crate::{
    clock,
    errors::ApiError,
    message::message,
    model::web_key::{Config, State as Life, WebKey},
    proto::{EMPTY, Field, Message, NAME, Rule},
    state::State,
    store::{Aggregate, Draft},
};

const CHOSEN: &[Rule] = &[Rule::Defined, Rule::NotFirst];
const BITS: &[&str] = &["RSA_BITS_UNSPECIFIED", "RSA_BITS_2048", "RSA_BITS_3072", "RSA_BITS_4096"];
const HASHERS: &[&str] =
    &["RSA_HASHER_UNSPECIFIED", "RSA_HASHER_SHA256", "RSA_HASHER_SHA384", "RSA_HASHER_SHA512"];
const CURVES: &[&str] =
    &["ECDSA_CURVE_UNSPECIFIED", "ECDSA_CURVE_P256", "ECDSA_CURVE_P384", "ECDSA_CURVE_P512"];

static RSA: Message = Message::new(
    "RSA",
    &[Field::choice("bits", BITS).rules(CHOSEN), Field::choice("hasher", HASHERS).rules(CHOSEN)],
);
static ECDSA: Message = Message::new("ECDSA", &[Field::choice("curve", CURVES).rules(CHOSEN)]);
static CREATE: Message = Message::new(
    "CreateWebKeyRequest",
    &[
        Field::message("rsa", &RSA).in_group("key"),
        Field::message("ecdsa", &ECDSA).in_group("key"),
        Field::message("ed25519", &EMPTY).in_group("key"),
    ],
);
static ACTIVATE: Message = Message::new("ActivateWebKeyRequest", &[Field::text("id").rules(NAME)]);
static DELETE: Message = Message::new("DeleteWebKeyRequest", &[Field::text("id").rules(NAME)]);

pub(super) fn routes() -> Vec<Route> {
    use Access::Permission;
    vec![
        Route::search(
            "/zitadel.webkey.v2.WebKeyService/ListWebKeys",
            Permission("iam.web_key.read"),
            &EMPTY,
            list,
        ),
        Route::post(
            "/zitadel.webkey.v2.WebKeyService/CreateWebKey",
            Permission("iam.web_key.write"),
            &CREATE,
            create,
        ),
        Route::post(
            "/zitadel.webkey.v2.WebKeyService/ActivateWebKey",
            Permission("iam.web_key.write"),
            &ACTIVATE,
            activate,
        ),
        Route::post(
            "/zitadel.webkey.v2.WebKeyService/DeleteWebKey",
            Permission("iam.web_key.delete"),
            &DELETE,
            delete,
        ),
    ]
}

fn list(call: &mut Call<'_>) -> Answer {
    let mut keys: Vec<&WebKey> = call.state.read.web_keys.iter().collect();
    keys.sort_by_key(|key| (key.stamp.created, key.touched));
    let keys: Vec<Value> = keys.into_iter().map(view).collect();
    Ok(message! { "webKeys" => keys }.into())
}

fn view(key: &WebKey) -> Value {
    let state = match key.state {
        Life::Initial => "STATE_INITIAL",
        Life::Active => "STATE_ACTIVE",
        Life::Inactive => "STATE_INACTIVE",
        Life::Removed => "STATE_REMOVED",
    };
    let (form, config) = match key.config() {
        Config::Rsa { bits, hash } => {
            let [bits, hasher] = [format!("RSA_BITS_{bits}"), format!("RSA_HASHER_SHA{hash}")];
            ("rsa", message! { "bits" => bits, "hasher" => hasher })
        }
        Config::Ecdsa { curve } => {
            ("ecdsa", message! { "curve" => format!("ECDSA_CURVE_P{curve}") })
        }
        Config::Ed25519 => ("ed25519", message! {}),
    };
    message! {
        "id" => &*key.id,
        "creationDate" => clock::text(key.stamp.created),
        "changeDate" => clock::text(key.stamp.changed),
        "state" => state,
        form => config,
    }
}

fn create(call: &mut Call<'_>) -> Answer {
    let rsa = call.request.message("rsa");
    let config = if call.request.has("ecdsa") {
        let curve = call.request.message("ecdsa").number("curve");
        Config::Ecdsa { curve: size(curve) }
    } else if call.request.has("ed25519") {
        Config::Ed25519
    } else if call.request.has("rsa") {
        // 2048, 3072, 4096.
        Config::Rsa { bits: 1024 + rsa.number("bits") * 1024, hash: size(rsa.number("hasher")) }
    } else {
        Config::Rsa { bits: 2048, hash: 256 }
    };
    let id = call.state.clock.id();
    let event = call.push(vec![addition(call.state, &id, config)])?;
    Ok(message! { "id" => id, "creationDate" => date(&event) }.into())
}

/// 256, 384, 512.
fn size(number: u64) -> u64 {
    128 + number * 128
}

/// The event by which a key begins. Its halves are made later.
pub(crate) fn addition(state: &State, id: &str, config: Config) -> Draft {
    let (kind, parameters) = config.payload();
    let mut public = message! {
        "alg" => config.algorithm(),
        "kid" => id,
        "use" => "sig",
    };
    let more = match config {
        Config::Rsa { .. } => message! { "kty" => "RSA", "e" => "AQAB", "n" => "-" },
        Config::Ecdsa { curve } => {
            let curve = if curve == 512 { 521 } else { curve };
            message! { "kty" => "EC", "crv" => format!("P-{curve}"), "x" => "-", "y" => "-" }
        }
        Config::Ed25519 => message! { "kty" => "OKP", "crv" => "Ed25519", "x" => "-" },
    };
    if let (Value::Object(public), Value::Object(more)) = (&mut public, more) {
        public.extend(more);
    }
    let private = serde_json::json!({
        "Algorithm": "aes", "Crypted": "-", "CryptoType": 0, "KeyID": "oidcKey",
    });
    Draft::new(&aggregate(state, id), "web_key.added")
        .with("config", parameters)
        .with("configType", kind)
        .with("privateKey", private)
        .with("publicKey", public)
}

/// An event without anything to tell.
pub(crate) fn event(state: &State, id: &str, event_type: &'static str) -> Draft {
    Draft::new(&aggregate(state, id), event_type).payload(serde_json::Map::new())
}

fn aggregate(state: &State, id: &str) -> Aggregate {
    Aggregate::new("web_key", id, &*state.instance_id)
}

fn activate(call: &mut Call<'_>) -> Answer {
    let id = call.request.text("id").to_owned();
    let keys = &call.state.write.web_keys;
    let key = keys.get(&id).filter(|key| key.state != Life::Removed);
    let key = key.ok_or_else(|| ApiError::not_found("COMMAND-teiG3", "Web key not found"))?;
    if key.state == Life::Active {
        return Ok(message! { "changeDate" => clock::text(key.stamp.changed) }.into());
    }
    let former = keys.active().map(|former| former.id.clone());
    let mut drafts = vec![event(call.state, &id, "web_key.activated")];
    drafts.extend(former.map(|former| event(call.state, &former, "web_key.deactivated")));
    let event = call.push(drafts)?;
    Ok(message! { "changeDate" => date(&event) }.into())
}

fn delete(call: &mut Call<'_>) -> Answer {
    let id = call.request.text("id").to_owned();
    let deleted = |date: String| Ok(message! { "deletionDate" => date }.into());
    match call.state.write.web_keys.get(&id) {
        None => Ok(message! {}.into()),
        Some(key) if key.state == Life::Removed => deleted(clock::text(key.stamp.changed)),
        Some(key) if key.state == Life::Active => {
            Err(ApiError::precondition("COMMAND-Chai1", "Cannot delete active web key"))
        }
        Some(_) => {
            let event = call.push(vec![event(call.state, &id, "web_key.removed")])?;
            deleted(date(&event))
        }
    }
}
