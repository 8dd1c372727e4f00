//! The policy of how pages look: requests change a draft, and nobody sees that before it is
//! activated.

use serde_json::{Map, Value, json};

use super::{
    super::{Access::Permission, Answer, Call, Route, assets::remove_stored, change_details},
    Routes, add, change, context, not_found, owner_type, remove, update_instance,
};
use crate::{
    errors::ApiError,
    message::message,
    model::{
        is_zero,
        policy::{
            LABEL, Policy,
            label::{ASSETS, Asset, COLORS, theme_of_event, theme_of_request},
        },
    },
    proto::{EMPTY, Request},
    store::{Aggregate, Draft},
};

const INSTANCE: &str = "/admin/v1/policies/label";
const ORGANIZATION: Routes = Routes {
    path: "/management/v1/policies/label",
    read: "policy.read",
    write: "policy.write",
    remove: "policy.delete",
};
const ACTIVATED: [&str; 2] = ["instance.policy.label.activated", "org.policy.label.activated"];

/// Which of the two a read tells.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Draft,
    Published,
}

pub(super) fn routes() -> Vec<Route> {
    use Stage::{Draft, Published};
    let Routes { path, read, write, remove: delete } = ORGANIZATION;
    let [update, add_request, change_request] = &LABEL.requests;
    let of_instance = "iam.policy.write";
    let mut routes = vec![
        Route::get(INSTANCE, Permission("iam.policy.read"), |call| default(call, Published)),
        Route::get("/admin/v1/policies/label/_preview", Permission("iam.policy.read"), |call| {
            default(call, Draft)
        }),
        Route::put(INSTANCE, Permission(of_instance), update, |call| {
            let want = wanted(&call.request)?;
            update_instance(call, &LABEL, &want)
        }),
        Route::post(
            "/admin/v1/policies/label/_activate",
            Permission(of_instance),
            &EMPTY,
            |call| {
                let instance = call.state.instance();
                let event = call.push(vec![activation(&instance)])?;
                Ok(json!({ "details": change_details(&event) }).into())
            },
        ),
        Route::get(path, Permission(read), |call| own(call, Published)),
        Route::get("/management/v1/policies/label/_preview", Permission(read), |call| {
            own(call, Draft)
        }),
        Route::get("/management/v1/policies/default/label", Permission(read), |call| {
            default(call, Published)
        }),
        Route::post(path, Permission(write), add_request, |call| {
            let mut want = wanted(&call.request)?;
            if let Some(value) = want.remove("disableWatermark") {
                want.insert("disableMsgPopup".to_owned(), value);
            }
            add(call, &LABEL, want)
        }),
        Route::put(path, Permission(write), change_request, |call| {
            let want = wanted(&call.request)?;
            change(call, &LABEL, &want)
        }),
        Route::delete(path, Permission(delete), |call| remove(call, &LABEL)),
        Route::post("/management/v1/policies/label/_activate", Permission(write), &EMPTY, activate),
        Route::get("/v2/settings/branding", Permission(read), read_v2),
    ];
    for asset in &ASSETS {
        let [instance, organization] = removals(asset);
        routes.push(Route::delete(instance, Permission(of_instance), |call| {
            let instance = call.state.instance();
            remove_asset(call, asset, &instance)
        }));
        routes.push(Route::delete(organization, Permission(write), |call| {
            let organization = Aggregate::organization(&call.organization);
            remove_asset(call, asset, &organization)
        }));
    }
    routes
}

fn removals(asset: &Asset) -> [&'static str; 2] {
    match asset.removal {
        "logo" => ["/admin/v1/policies/label/logo", "/management/v1/policies/label/logo"],
        "logo_dark" => {
            ["/admin/v1/policies/label/logo_dark", "/management/v1/policies/label/logo_dark"]
        }
        "icon" => ["/admin/v1/policies/label/icon", "/management/v1/policies/label/icon"],
        "icon_dark" => {
            ["/admin/v1/policies/label/icon_dark", "/management/v1/policies/label/icon_dark"]
        }
        _ => ["/admin/v1/policies/label/font", "/management/v1/policies/label/font"],
    }
}

/// Publishes the draft of the instance's, or of an organization's own.
pub(crate) fn activation(of: &Aggregate) -> Draft {
    let [of_instance, of_organization] = ACTIVATED;
    let activated = if of.kind == "instance" { of_instance } else { of_organization };
    Draft::new(of, activated).payload(Map::new())
}

/// What a request wants, as events have it.
///
/// # Errors
/// 400 for what is no colour.
fn wanted(request: &Request) -> Result<Map<String, Value>, ApiError> {
    for (name, title) in COLORS {
        if !is_color(request.text(name)) {
            let message = format!("{title} is no valid Hex color value");
            return Err(ApiError::invalid("POLICY-391dG", message));
        }
    }
    let want = LABEL.fields.iter().map(|name| {
        let value = match *name {
            "themeMode" => json!(theme_of_request(request.0.get(*name))),
            "hideLoginNameSuffix" | "disableWatermark" => json!(request.flag(name)),
            _ => json!(request.text(name)),
        };
        ((*name).to_owned(), value)
    });
    Ok(want.collect())
}

fn is_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or_default();
    text.is_empty()
        || (matches!(digits.len(), 3 | 6) && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

// Queries.

/// An owner's own, or the instance's.
fn stands<'a>(call: &'a Call<'_>, owner: &str, stage: Stage) -> Option<(&'a Policy, bool)> {
    let of = |owner: &str| match stage {
        Stage::Draft => call.state.read.policy(owner, &LABEL),
        Stage::Published => call.state.read.published(owner),
    };
    let instance = &call.state.instance_id;
    match of(owner) {
        Some(own) => Some((own, owner == instance)),
        None => Some((of(instance)?, true)),
    }
}

fn view(call: &Call<'_>, owner: &str, stage: Stage) -> Result<(Value, bool), ApiError> {
    let found = stands(call, owner, stage);
    let (policy, is_default) = found
        .ok_or_else(|| ApiError::not_found("QUERY-bJEsm", "Private Label Policy not found"))?;
    let mut view = message! { "details" => policy.stamp.details(), "isDefault" => is_default };
    if let Some(view) = view.as_object_mut() {
        for name in LABEL.fields.iter().filter(|name| **name != "themeMode") {
            let value = policy.fields.0.get(*name).filter(|value| !is_zero(value));
            view.extend(value.map(|value| ((*name).to_owned(), value.clone())));
        }
        for Asset { url, .. } in &ASSETS {
            view.extend(address(call, policy, url).map(|text| ((*url).to_owned(), json!(text))));
        }
        let theme = theme_of_event(policy.fields.0.get("themeMode"));
        view.insert("themeMode".to_owned(), theme.into());
    }
    Ok((view, is_default))
}

/// Where a file is, as who asks knows this server.
fn address(call: &Call<'_>, policy: &Policy, url: &str) -> Option<String> {
    let key = policy.fields.text(url);
    let owner = &policy.stamp.owner;
    (!key.is_empty()).then(|| format!("{}/assets/v1/{owner}/{key}", call.origin))
}

fn default(call: &Call<'_>, stage: Stage) -> Answer {
    let (policy, _) = view(call, &call.state.instance_id, stage)?;
    Ok(json!({ "policy": policy }).into())
}

fn own(call: &Call<'_>, stage: Stage) -> Answer {
    let (policy, is_default) = view(call, &call.organization, stage)?;
    Ok(message! { "policy" => policy, "isDefault" => is_default }.into())
}

fn read_v2(call: &mut Call<'_>) -> Answer {
    let owner = context(call)?;
    let found = stands(call, &owner, Stage::Published);
    let (policy, is_default) = found
        .ok_or_else(|| ApiError::not_found("QUERY-bJEsm", "Private Label Policy not found"))?;
    let text = |name: &str| policy.fields.text(name);
    let theme = |suffix: &str| {
        let color = |name: &str| text(&format!("{name}{suffix}")).to_owned();
        message! {
            "primaryColor" => color("primaryColor"),
            "backgroundColor" => color("backgroundColor"),
            "warnColor" => color("warnColor"),
            "fontColor" => color("fontColor"),
            "logoUrl" => address(call, policy, &format!("logoUrl{suffix}")),
            "iconUrl" => address(call, policy, &format!("iconUrl{suffix}")),
        }
    };
    let settings = message! {
        "lightTheme" => theme(""),
        "darkTheme" => theme("Dark"),
        "fontUrl" => address(call, policy, "fontUrl"),
        "hideLoginNameSuffix" => policy.fields.flag("hideLoginNameSuffix"),
        "disableWatermark" => policy.fields.flag("disableWatermark"),
        "resourceOwnerType" => owner_type(is_default),
        "themeMode" => theme_of_event(policy.fields.0.get("themeMode")),
    };
    Ok(json!({ "details": policy.stamp.details(), "settings": settings }).into())
}

// Commands.

/// Publishes an organization's own. The answer is that of the last change before.
fn activate(call: &mut Call<'_>) -> Answer {
    let own = call.state.write.policy(&call.organization, &LABEL);
    let own = own.ok_or_else(|| not_found(("ORG-34mSE", "Private Label Policy not found")))?;
    let details = own.stamp.change_details();
    let organization = Aggregate::organization(&call.organization);
    call.push(vec![activation(&organization)])?;
    Ok(json!({ "details": details }).into())
}

/// Takes a file out of the draft and out of the storage at once; that there was none is an event
/// too.
fn remove_asset(call: &mut Call<'_>, asset: &Asset, of: &Aggregate) -> Answer {
    let policy = call.state.write.policy(&of.id, &LABEL);
    let policy =
        policy.ok_or_else(|| not_found(("ORG-4MVsf", "Private Label Policy not found")))?;
    let key = policy.fields.text(asset.url).to_owned();
    remove_stored(call.state, &of.id, &key);
    let [of_instance, of_organization] = asset.removed;
    let removed = if of.kind == "instance" { of_instance } else { of_organization };
    let event = call.push(vec![Draft::new(of, removed).with("storeKey", key)])?;
    Ok(json!({ "details": change_details(&event) }).into())
}
