//! The instance itself: which one is this?

use serde_json::{Value, json};

use super::{Access, Answer, Call, Route, date};
use crate::{
    clock,
    errors::ApiError,
    message::message,
    model::instance::Domain,
    proto::{EMPTY, Field, Message, NAME, OPTIONAL_NAME},
    store::Draft,
};

/// The version that the recorded server gave itself.
const VERSION: &str = "v4.0.0";

static GET: Message =
    Message::new("GetInstanceRequest", &[Field::text("instanceId").rules(OPTIONAL_NAME)]);
static UPDATE: Message = Message::new(
    "UpdateInstanceRequest",
    &[Field::text("instanceId").rules(OPTIONAL_NAME), Field::text("instanceName").rules(NAME)],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::{Authenticated, Permission, Public};
    vec![
        Route::search("/zitadel.instance.v2.InstanceService/GetInstance", Authenticated, &GET, get),
        Route::post(
            "/zitadel.instance.v2.InstanceService/UpdateInstance",
            Authenticated,
            &UPDATE,
            update,
        ),
        Route::search(
            "/zitadel.instance.v2.InstanceService/ListCustomDomains",
            Authenticated,
            &EMPTY,
            |call| {
                permit(call, "iam.read")?;
                let domains = domains(call, domain_view);
                let pagination = message! { "totalResult" => domains.len().to_string() };
                Ok(json!({ "domains": domains, "pagination": pagination }).into())
            },
        ),
        Route::get("/admin/v1/instances/me", Permission("iam.read"), get_v1),
        Route::get("/admin/v1/healthz", Public, |_| Ok(json!({}).into())),
        Route::get("/management/v1/iam", Authenticated, |call| {
            let instance = &call.state.read.instance;
            let organization = instance.default_organization();
            Ok(json!({
                "globalOrgId": organization,
                "defaultOrgId": organization,
                "iamProjectId": instance.fields.text("projectId"),
            })
            .into())
        }),
        Route::get("/management/v1/healthz", Public, |_| Ok(json!({}).into())),
    ]
}

/// The instance's permissions are checked in the caller's organization.
fn permit(call: &Call<'_>, permission: &'static str) -> Result<(), ApiError> {
    crate::auth::check(call.state, &call.user, &call.organization, permission, None)
}

fn domains(call: &Call<'_>, view: impl Fn(&str, &Domain) -> Value) -> Vec<Value> {
    let instance = &call.state.instance_id;
    let domains = call.state.read.instance.domains.iter();
    domains.map(|domain| view(instance, domain)).collect()
}

fn domain_view(instance: &str, domain: &Domain) -> Value {
    message! {
        "instanceId" => instance,
        "creationDate" => clock::text(domain.stamp.created),
        "domain" => &*domain.name,
        "generated" => domain.generated,
        "primary" => domain.primary,
    }
}

/// Only the caller's own instance can be named: another is a matter of the system.
fn check_id(call: &Call<'_>) -> Result<(), ApiError> {
    let id = call.request.text("instanceId");
    if id.is_empty() || id == call.state.instance_id {
        Ok(())
    } else {
        Err(ApiError::denied("AUTH-5mWD2", "No matching permissions found"))
    }
}

fn get(call: &mut Call<'_>) -> Answer {
    check_id(call)?;
    permit(call, "iam.read")?;
    let instance = &call.state.read.instance;
    let stamp = instance.stamp.as_ref();
    let view = message! {
        "id" => &*call.state.instance_id,
        "changeDate" => stamp.map(|stamp| clock::text(stamp.changed)),
        "creationDate" => stamp.map(|stamp| clock::text(stamp.created)),
        "name" => instance.fields.text("name"),
        "version" => VERSION,
        "customDomains" => domains(call, domain_view),
    };
    Ok(json!({ "instance": view }).into())
}

fn get_v1(call: &mut Call<'_>) -> Answer {
    let instance = &call.state.read.instance;
    let domains = domains(call, |_, domain| {
        message! {
            "details" => domain.stamp.details(),
            "domain" => &*domain.name,
            "generated" => domain.generated,
            "primary" => domain.primary,
        }
    });
    let view = message! {
        "id" => &*call.state.instance_id,
        "details" => instance.stamp.as_ref().map(crate::model::Stamp::details),
        "state" => "STATE_RUNNING",
        "name" => instance.fields.text("name"),
        "version" => VERSION,
        "domains" => domains,
    };
    Ok(json!({ "instance": view }).into())
}

fn update(call: &mut Call<'_>) -> Answer {
    check_id(call)?;
    permit(call, "iam.write")?;
    let name = call.request.text("instanceName").to_owned();
    let instance = &call.state.write.instance;
    if instance.fields.text("name") == name {
        return Err(ApiError::precondition("INST-alpxism", "Instance not changed"));
    }
    let draft = Draft::new(&call.state.instance(), "instance.changed").with("name", name);
    let event = call.push(vec![draft])?;
    Ok(json!({ "changeDate": date(&event) }).into())
}
