//! The caller itself (auth API).

use serde_json::json;

use super::{Access, Route, members, users};
use crate::{auth, errors::ApiError, message::message, proto::EMPTY};

pub(super) fn routes() -> Vec<Route> {
    use Access::{Authenticated, Public};
    vec![
        Route::get("/auth/v1/users/me", Authenticated, |call| {
            let user = call.state.read.users.get(&call.user);
            let user =
                user.ok_or_else(|| ApiError::not_found("QUERY-Dfbg2", "User could not be found"))?;
            Ok(json!({ "user": users::view(call.state, user) }).into())
        }),
        Route::search("/auth/v1/permissions/zitadel/me/_search", Authenticated, &EMPTY, |call| {
            let permissions = auth::all_permissions(call.state, &call.user, &call.organization)?;
            Ok(message! { "result" => permissions }.into())
        }),
        Route::search(
            "/auth/v1/memberships/me/_search",
            Authenticated,
            &members::MEMBERSHIPS,
            |call| {
                let user = call.user.clone();
                members::memberships(call, &user)
            },
        ),
        Route::get("/auth/v1/healthz", Public, |_| Ok(json!({}).into())),
    ]
}
