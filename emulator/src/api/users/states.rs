//! The states of users, and every way from one to the next.

use serde_json::json;

use super::{
    super::{Access, Answer, Call, Route, change_details},
    aggregate, existing, missing,
};
use crate::{
    errors::ApiError,
    model::{organization::State as Life, user::User},
    proto::EMPTY,
    store::Draft,
};

/// A way from one state to another.
struct Step {
    event: &'static str,
    v1: Interface,
    v2: Interface,
    from: &'static [Life],
    refusal: &'static str,
}

/// A path, and the ids of its refusals.
struct Interface {
    path: &'static str,
    missing: &'static str,
    refused: &'static str,
}

const STEPS: [Step; 4] = [
    Step {
        event: "user.deactivated",
        v1: Interface {
            path: "/management/v1/users/{id}/_deactivate",
            missing: "COMMAND-3M9ds",
            refused: "COMMAND-5M0sf",
        },
        v2: Interface {
            path: "/v2/users/{id}/deactivate",
            missing: "COMMAND-5gp2p62iin",
            refused: "COMMAND-5gunjw0cd7",
        },
        // A locked user needs no unlocking first.
        from: &[Life::Active, Life::Locked],
        refusal: "User already inactive",
    },
    Step {
        event: "user.reactivated",
        v1: Interface {
            path: "/management/v1/users/{id}/_reactivate",
            missing: "COMMAND-4M0sd",
            refused: "COMMAND-6M0sf",
        },
        v2: Interface {
            path: "/v2/users/{id}/reactivate",
            missing: "COMMAND-9hy5kzbuk6",
            refused: "COMMAND-s5qqcz97hf",
        },
        from: &[Life::Inactive],
        refusal: "User is not inactive",
    },
    Step {
        event: "user.locked",
        v1: Interface {
            path: "/management/v1/users/{id}/_lock",
            missing: "COMMAND-5M9fs",
            refused: "COMMAND-3NN8v",
        },
        v2: Interface {
            path: "/v2/users/{id}/lock",
            missing: "COMMAND-450yxuqrh1",
            refused: "COMMAND-lgws8wtsqf",
        },
        from: &[Life::Active],
        refusal: "User is not active or initial",
    },
    Step {
        event: "user.unlocked",
        v1: Interface {
            path: "/management/v1/users/{id}/_unlock",
            missing: "COMMAND-M0dos",
            refused: "COMMAND-4M0ds",
        },
        v2: Interface {
            path: "/v2/users/{id}/unlock",
            missing: "COMMAND-x377t913pw",
            refused: "COMMAND-olb9vb0oca",
        },
        from: &[Life::Locked],
        refusal: "User is not locked",
    },
];

pub(super) fn routes() -> Vec<Route> {
    STEPS
        .iter()
        .flat_map(|step| {
            let v1 = Access::Permission("user.write");
            [
                Route::post(step.v1.path, v1, &EMPTY, move |call| {
                    let user = existing(call, call.param("id")).cloned();
                    go(call, step, &step.v1, user)
                }),
                Route::post(step.v2.path, Access::Authenticated, &EMPTY, move |call| {
                    let user = call.state.write.users.get(call.param("id")).map(User::latest);
                    let user = user.filter(|user| user.state.exists()).cloned();
                    go(call, step, &step.v2, user)
                }),
            ]
        })
        .collect()
}

fn go(call: &mut Call<'_>, step: &Step, interface: &Interface, user: Option<User>) -> Answer {
    let user = user.ok_or_else(|| missing(interface.missing))?;
    if !step.from.contains(&user.state) {
        return Err(ApiError::precondition(interface.refused, step.refusal));
    }
    call.permit("user.write", &user.stamp.owner)?;
    let event = call.push(vec![Draft::new(&aggregate(&user), step.event)])?;
    Ok(json!({ "details": change_details(&event) }).into())
}
