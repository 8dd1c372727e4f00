//! The older form of the domain policy.

use serde_json::{Map, Value, json};

use super::{
    super::{Access, Route},
    Routes, add, change, named, read, remove, target, update_instance,
};
use crate::{
    model::policy::DOMAIN,
    proto::{Field, Message, Request},
};

/// The older form of the domain policy knows one of its fields.
pub(super) const FIELDS: &[&str] = &["userLoginMustBeDomain"];
const REQUEST: &[Field] = &[Field::flag("userLoginMustBeDomain")];
static UPDATE: Message = Message::new("UpdateOrgIAMPolicyRequest", REQUEST);
static ADD: Message = Message::new("AddCustomOrgIAMPolicyRequest", REQUEST);
static CHANGE: Message = Message::new("UpdateCustomOrgIAMPolicyRequest", REQUEST);

pub(super) fn routes(at: &Routes) -> Vec<Route> {
    use Access::Permission;
    let instance_path = "/admin/v1/policies/orgiam";
    vec![
        Route::get(instance_path, Permission("iam.policy.read"), |call| {
            let instance = call.state.instance_id.clone();
            read(call, &DOMAIN, &instance, FIELDS)
        }),
        Route::put(instance_path, Permission("iam.policy.write"), &UPDATE, |call| {
            let want = said(&call.request);
            update_instance(call, &DOMAIN, &want)
        }),
        Route::get(at.path, Permission(at.read), |call| {
            let owner = target(call);
            read(call, &DOMAIN, &owner, FIELDS)
        }),
        Route::post(at.path, Permission(at.write), &ADD, |call| {
            let want = said(&call.request);
            add(call, &DOMAIN, want)
        }),
        Route::put(at.path, Permission(at.write), &CHANGE, |call| {
            let want = said(&call.request);
            change(call, &DOMAIN, &want)
        }),
        Route::delete(at.path, Permission(at.remove), |call| remove(call, &DOMAIN)),
    ]
}

/// The older form sets the two fields that it lacks.
fn said(request: &Request) -> Map<String, Value> {
    let mut want = named(&DOMAIN, request);
    for name in DOMAIN.fields.iter().skip(1) {
        want.insert((*name).to_owned(), json!(true));
    }
    want
}
