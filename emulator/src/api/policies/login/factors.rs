//! The second factors and multi factors that a login policy allows.

use serde_json::{Value, json};

use super::{
    super::super::{
        Access::Permission, Answer, Call, Route, change_details, creation_details, list,
    },
    names, owner, standing,
};
use crate::{
    errors::{ApiError, Code},
    message::message,
    model::policy::login::{Allowed, MULTI_FACTORS, SECOND_FACTORS},
    proto::{EMPTY, Field, Message, Request, Rule},
    store::Draft,
};

/// A kind of factor, at the instance or at an organization.
struct Factor {
    of_instance: bool,
    /// Where all are and are added, one is removed, and all are listed.
    paths: [&'static str; 3],
    names: &'static [&'static str],
    add: Message,
    /// What refuses the first value where one is removed.
    remove: &'static str,
    have: fn(&Allowed) -> &[u64],
    events: [&'static str; 2],
    /// The ids of: there already, not there.
    refusals: [&'static str; 2],
}

const RULES: &[Rule] = &[Rule::Defined, Rule::NotFirst];
const SECOND: Message = Message::new(
    "AddSecondFactorToLoginPolicyRequest",
    &[Field::choice("type", SECOND_FACTORS).rules(RULES)],
);
const MULTI: Message = Message::new(
    "AddMultiFactorToLoginPolicyRequest",
    &[Field::choice("type", MULTI_FACTORS).rules(RULES)],
);

static FACTORS: [Factor; 4] = [
    Factor {
        of_instance: true,
        paths: [
            "/admin/v1/policies/login/second_factors",
            "/admin/v1/policies/login/second_factors/{type}",
            "/admin/v1/policies/login/second_factors/_search",
        ],
        names: SECOND_FACTORS,
        add: SECOND,
        remove: "RemoveSecondFactorFromLoginPolicyRequest",
        have: |allowed| &allowed.second_factors,
        events: [
            "instance.policy.login.secondfactor.added",
            "instance.policy.login.secondfactor.removed",
        ],
        refusals: ["INSTANCE-2B0ps", "INSTANCE-3M9od"],
    },
    Factor {
        of_instance: true,
        paths: [
            "/admin/v1/policies/login/multi_factors",
            "/admin/v1/policies/login/multi_factors/{type}",
            "/admin/v1/policies/login/multi_factors/_search",
        ],
        names: MULTI_FACTORS,
        add: MULTI,
        remove: "RemoveMultiFactorFromLoginPolicyRequest",
        have: |allowed| &allowed.multi_factors,
        events: [
            "instance.policy.login.multifactor.added",
            "instance.policy.login.multifactor.removed",
        ],
        refusals: ["INSTANCE-3M9od", "INSTANCE-3M9df"],
    },
    Factor {
        of_instance: false,
        paths: [
            "/management/v1/policies/login/second_factors",
            "/management/v1/policies/login/second_factors/{type}",
            "/management/v1/policies/login/second_factors/_search",
        ],
        names: SECOND_FACTORS,
        add: SECOND,
        remove: "RemoveSecondFactorFromLoginPolicyRequest",
        have: |allowed| &allowed.second_factors,
        events: ["org.policy.login.secondfactor.added", "org.policy.login.secondfactor.removed"],
        refusals: ["Org-2B0ps", "Org-3M9od"],
    },
    Factor {
        of_instance: false,
        paths: [
            "/management/v1/policies/login/multi_factors",
            "/management/v1/policies/login/multi_factors/{type}",
            // Not where the others are.
            "/management/v1/policies/login/auth_factors/_search",
        ],
        names: MULTI_FACTORS,
        add: MULTI,
        remove: "RemoveMultiFactorFromLoginPolicyRequest",
        have: |allowed| &allowed.multi_factors,
        events: ["org.policy.login.multifactor.added", "org.policy.login.multifactor.removed"],
        refusals: ["Org-3M9od", "Org-3M9df"],
    },
];

pub(super) fn routes() -> Vec<Route> {
    FACTORS
        .iter()
        .flat_map(|factor| {
            let (read, write) = if factor.of_instance {
                ("iam.policy.read", "iam.policy.write")
            } else {
                ("policy.read", "policy.write")
            };
            let [all, one, search] = factor.paths;
            [
                Route::search(search, Permission(read), &EMPTY, |call| found(call, factor)),
                Route::post(all, Permission(write), &factor.add, |call| add(call, factor)),
                Route::delete(one, Permission(write), |call| remove(call, factor)),
            ]
        })
        .collect()
}

/// The factors that the creation of a policy names.
///
/// # Errors
/// 400 for a number that stands for none.
pub(super) fn wanted(
    request: &Request,
    field: &str,
    names: &[&str],
    id: &'static str,
) -> Result<Vec<u64>, ApiError> {
    let number = |value: &Value| {
        let number = value.as_u64().filter(|number| *number > 0)?;
        usize::try_from(number).is_ok_and(|index| index < names.len()).then_some(number)
    };
    request
        .list(field)
        .iter()
        .map(|value| number(value).ok_or_else(|| ApiError::invalid(id, "Multifactor invalid")))
        .collect()
}

fn found(call: &mut Call<'_>, factor: &Factor) -> Answer {
    let (_, allowed, _) = standing(call, &owner(call, factor.of_instance).id)?;
    let result = names((factor.have)(&allowed), factor.names);
    Ok(message! {
        "details" => list::details(result.len(), &call.state.read.latest("policies")),
        "result" => result,
    }
    .into())
}

/// No command asks whether there is a policy: the factor of an organization that inherits is kept
/// where no read shows it, and is in the way of its own policy later.
fn add(call: &mut Call<'_>, factor: &Factor) -> Answer {
    let owner = owner(call, factor.of_instance);
    let wanted = call.request.number("type");
    if (factor.have)(&call.state.write.logins.of(&owner.id)).contains(&wanted) {
        let [exists, _] = factor.refusals;
        return Err(ApiError::exists(exists, "Multifactor already exists"));
    }
    let [added, _] = factor.events;
    let event = call.push(vec![Draft::new(&owner, added).with("mfaType", wanted)])?;
    Ok(json!({ "details": creation_details(&event) }).into())
}

fn remove(call: &mut Call<'_>, factor: &Factor) -> Answer {
    let wanted = named(factor, call.param("type"))?;
    let owner = owner(call, factor.of_instance);
    if !(factor.have)(&call.state.write.logins.of(&owner.id)).contains(&wanted) {
        let [_, missing] = factor.refusals;
        return Err(ApiError::not_found(missing, "Multifactor not existing"));
    }
    let [_, removed] = factor.events;
    let event = call.push(vec![Draft::new(&owner, removed).with("mfaType", wanted)])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

/// A factor in a path, by its name or its number.
fn named(factor: &Factor, text: &str) -> Result<u64, ApiError> {
    let by_name = factor.names.iter().position(|name| *name == text);
    let by_number = || text.parse().ok().filter(|number| *number < factor.names.len());
    let refused = |message| ApiError::bare(Code::InvalidArgument, message);
    match by_name.or_else(by_number) {
        None => Err(refused(format!(
            "type mismatch, parameter: type, error: {text} is not a valid {}",
            factor.remove
        ))),
        Some(0) => Err(refused(format!(
            "invalid {}.Type: value must not be in list [{}]",
            factor.remove,
            factor.names.first().copied().unwrap_or_default()
        ))),
        Some(number) => Ok(number as u64),
    }
}
