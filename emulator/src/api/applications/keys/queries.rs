//! What is read of the keys of applications.

use serde_json::{Value, json};

use super::super::{
    super::{
        Answer, Call, credentials,
        list::{self, Page},
    },
    At,
};
use crate::{clock, errors::ApiError, message::message, model::user::Credential, proto::Request};

fn no_key() -> ApiError {
    ApiError::not_found("QUERY-Dgr3g", "Errors.AuthNKey.NotFound")
}

/// The keys of the application in the path that show, by their ids.
fn of_path<'a>(call: &'a Call<'_>) -> Vec<&'a Credential> {
    let at = At::path(call);
    let keys = call.state.read.keys.owned_by(&call.organization);
    let mut keys: Vec<_> = keys
        .filter(|key| key.enabled && key.project == at.project && key.application == at.id)
        .map(|key| &key.credential)
        .collect();
    keys.sort_by_key(|key| &key.id);
    keys
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let key = of_path(call).into_iter().find(|key| key.id == call.param("key"));
    Ok(json!({ "key": credentials::key_view(key.ok_or_else(no_key)?) }).into())
}

pub(super) fn search(call: &mut Call<'_>) -> Answer {
    let (page, total) = Page::of(&call.request).cut(of_path(call).into_iter());
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("keys")),
        "result" => page.into_iter().map(credentials::key_view).collect::<Vec<_>>(),
    }
    .into())
}

/// A key as the service v2 knows it: that of an application, or of a user, who then is the
/// application and the project as well.
struct Listed<'a> {
    credential: &'a Credential,
    project: &'a str,
    application: &'a str,
}

/// All keys that show.
fn all<'a>(call: &'a Call<'_>) -> impl Iterator<Item = Listed<'a>> {
    let read = &call.state.read;
    let of_applications = read.keys.iter().filter(|key| key.enabled).map(|key| Listed {
        credential: &key.credential,
        project: &key.project,
        application: &key.application,
    });
    let of_users = read.users.iter().flat_map(|user| {
        let keys = user.keys.values();
        keys.map(|key| Listed { credential: key, project: &user.id, application: &user.id })
    });
    of_applications.chain(of_users)
}

pub(super) fn get_v2(call: &mut Call<'_>) -> Answer {
    let id = call.request.text("keyId").trim();
    let key = all(call).find(|key| key.credential.id == id).ok_or_else(no_key)?;
    call.permit_one("project.app.read", &key.credential.stamp.owner, key.project)?;
    Ok(json!({
        "keyId": key.credential.id,
        "creationDate": clock::text(key.credential.stamp.created),
        "expirationDate": key.credential.expires,
    })
    .into())
}

fn passes(key: &Listed<'_>, filter: &Request) -> bool {
    let is = |name: &str, field: &str, have: &str| {
        !filter.has(name) || filter.message(name).text(field).trim() == have
    };
    is("applicationIdFilter", "applicationId", key.application)
        && is("projectIdFilter", "projectId", key.project)
        && is("organizationIdFilter", "organizationId", &key.credential.stamp.owner)
}

/// Whether the caller may see a key in a list: as one may see a user.
fn may_see(call: &Call<'_>, key: &Listed<'_>) -> bool {
    call.user == key.project
        || call.permit_one("user.read", &key.credential.stamp.owner, key.project).is_ok()
}

fn view_v2(key: &Listed<'_>) -> Value {
    message! {
        "keyId" => &*key.credential.id,
        "applicationId" => key.application,
        "projectId" => key.project,
        "creationDate" => clock::text(key.credential.stamp.created),
        "organizationId" => &*key.credential.stamp.owner,
        "expirationDate" => &*key.credential.expires,
    }
}

pub(super) fn search_v2(call: &mut Call<'_>) -> Answer {
    let page = Page::of_pagination(&call.request)?;
    let filters = call.request.messages("filters");
    let mut rows: Vec<_> =
        all(call).filter(|key| filters.iter().all(|filter| passes(key, filter))).collect();
    match call.request.number("sortingColumn") {
        1 => page.sort(&mut rows, |key| key.project.to_owned()),
        2 => page.sort(&mut rows, |key| key.application.to_owned()),
        3 => page.sort(&mut rows, |key| key.credential.position),
        4 => page.sort(&mut rows, |key| key.credential.stamp.owner.clone()),
        5 => page.sort(&mut rows, |key| key.credential.expires.clone()),
        6 => {}
        _ => page.sort(&mut rows, |key| key.credential.id.clone()),
    }
    let (rows, total) = page.cut(rows.into_iter());
    // The total counts what the caller may not see.
    let keys: Vec<_> = rows.iter().filter(|key| may_see(call, key)).map(view_v2).collect();
    Ok(message! { "pagination" => page.pagination(total), "keys" => keys }.into())
}
