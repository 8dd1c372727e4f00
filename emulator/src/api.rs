//! The interfaces: a table of routes, a file for each kind of thing.
//!
//! A route says which permission it needs, what its request looks like, and what to do. All else
//! (reading the body, telling the instance and the caller, writing errors) is done here, in the
//! order in which ZITADEL does it.

#![allow(
    clippy::unnecessary_wraps,
    reason = "handlers share one type, whether they can refuse or not"
)]

use std::sync::Arc;

use axum::{
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri, request::Parts},
    response::Response,
};
use serde_json::Value;

use crate::{
    auth, clock,
    errors::{ApiError, Code, Form, json_response},
    proto::{self, EMPTY, Message, Request},
    state::State,
    store::{Draft, Editor, Event},
};

pub(crate) mod administrators;
pub(crate) mod applications;
pub(crate) mod assets;
mod connect;
pub(crate) mod credentials;
pub(crate) mod events;
pub(crate) mod grants;
pub(crate) mod instance;
pub(crate) mod list;
pub(crate) mod me;
pub(crate) mod members;
pub(crate) mod messages;
pub(crate) mod metadata;
pub(crate) mod notifications;
pub(crate) mod oidc;
pub(crate) mod organizations;
pub(crate) mod policies;
pub(crate) mod project_roles;
pub(crate) mod projects;
pub(crate) mod providers;
pub(crate) mod settings;
pub(crate) mod users;
pub(crate) mod web_keys;

/// Who may call a route.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    /// Everybody, without a token.
    Public,
    /// Everybody with a token; the handler checks more.
    Authenticated,
    /// Those with a permission in the organization that the call acts in.
    Permission(&'static str),
}

/// What a handler answers.
pub(crate) type Answer = Result<Reply, ApiError>;

/// A good answer.
pub(crate) struct Reply {
    status: StatusCode,
    body: Value,
}

impl From<Value> for Reply {
    fn from(body: Value) -> Self {
        Self { status: StatusCode::OK, body }
    }
}

impl Reply {
    pub(crate) fn created(body: Value) -> Self {
        Self { status: StatusCode::CREATED, body }
    }
}

type Handler = Arc<dyn Fn(&mut Call<'_>) -> Answer + Send + Sync>;

/// One route.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// Whether it is meant to change anything.
    pub(crate) writes: bool,
    access: Access,
    /// The part of the path that names the one resource a permission may be for.
    one: Option<&'static str>,
    message: &'static Message,
    /// Over Connect: the parts of a path that the handler asks for, and the fields that hold them.
    ids: &'static [(&'static str, &'static str)],
    handler: Handler,
}

impl Route {
    fn new(
        method: Method,
        path: &'static str,
        access: Access,
        message: &'static Message,
        handler: impl Fn(&mut Call<'_>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self {
            writes: method != Method::GET,
            method,
            path,
            access,
            one: None,
            message,
            ids: &[],
            handler: Arc::new(handler),
        }
    }

    /// A route of one resource, which a part of its path names: who holds the permission for that
    /// resource alone may call it.
    pub(crate) fn of_one(self, param: &'static str) -> Self {
        Self { one: Some(param), ..self }
    }

    /// The same as a method over Connect.
    fn over_connect(
        &self,
        path: &'static str,
        message: &'static Message,
        ids: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self {
            method: Method::POST,
            path,
            writes: self.writes,
            access: self.access,
            one: self.one,
            message,
            ids,
            handler: Arc::clone(&self.handler),
        }
    }

    pub(crate) fn get(
        path: &'static str,
        access: Access,
        handler: impl Fn(&mut Call<'_>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::new(Method::GET, path, access, &EMPTY, handler)
    }

    /// A `POST` that only reads.
    pub(crate) fn search(
        path: &'static str,
        access: Access,
        message: &'static Message,
        handler: impl Fn(&mut Call<'_>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self { writes: false, ..Self::new(Method::POST, path, access, message, handler) }
    }

    pub(crate) fn post(
        path: &'static str,
        access: Access,
        message: &'static Message,
        handler: impl Fn(&mut Call<'_>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::new(Method::POST, path, access, message, handler)
    }

    pub(crate) fn put(
        path: &'static str,
        access: Access,
        message: &'static Message,
        handler: impl Fn(&mut Call<'_>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::new(Method::PUT, path, access, message, handler)
    }

    pub(crate) fn patch(
        path: &'static str,
        access: Access,
        message: &'static Message,
        handler: impl Fn(&mut Call<'_>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::new(Method::PATCH, path, access, message, handler)
    }

    pub(crate) fn delete(
        path: &'static str,
        access: Access,
        handler: impl Fn(&mut Call<'_>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::new(Method::DELETE, path, access, &EMPTY, handler)
    }

    /// A `DELETE` whose body says what.
    pub(crate) fn delete_by(
        path: &'static str,
        access: Access,
        message: &'static Message,
        handler: impl Fn(&mut Call<'_>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::new(Method::DELETE, path, access, message, handler)
    }
}

/// All routes of ZITADEL's own interfaces.
pub(crate) fn routes() -> Vec<Route> {
    let mut routes: Vec<_> = [
        settings::routes(),
        policies::routes(),
        providers::routes(),
        notifications::routes(),
        messages::routes(),
        metadata::routes(),
        projects::routes(),
        applications::routes(),
        project_roles::routes(),
        grants::routes(),
        organizations::routes(),
        instance::routes(),
        users::routes(),
        credentials::routes(),
        web_keys::routes(),
        members::routes(),
        administrators::routes(),
        me::routes(),
        events::routes(),
    ]
    .into_iter()
    .flatten()
    .collect();
    routes.extend(connect::twins(&routes));
    routes
}

/// A call on its way through a handler.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a mut State,
    /// The caller.
    pub(crate) user: String,
    /// The organization that the call acts in.
    pub(crate) organization: String,
    /// Where this server is, as the caller knows it.
    pub(crate) origin: String,
    pub(crate) request: Request,
    params: &'a [(String, String)],
    query: Vec<(String, String)>,
}

impl Call<'_> {
    /// A part of the path.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    /// A parameter of the query, by its JSON name or by the one in the proto file.
    pub(crate) fn query(&self, name: &str) -> String {
        let value = |name: &str| self.query.iter().find(|(key, _)| key == name);
        value(name)
            .or_else(|| value(&proto::snake(name)))
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    }

    /// All values of a parameter of the query.
    pub(crate) fn queries(&self, name: &str) -> Vec<String> {
        let values = self.query.iter().filter(|(key, _)| key == name);
        values.map(|(_, value)| value.clone()).collect()
    }

    /// A flag of the query, as Go reads it.
    ///
    /// # Errors
    /// 400 for any other text.
    pub(crate) fn query_flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.query(name).as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            other => Err(ApiError::bare(
                Code::InvalidArgument,
                format!(
                    "parsing field \"{name}\": strconv.ParseBool: parsing \"{other}\": invalid syntax"
                ),
            )),
        }
    }

    pub(crate) fn editor(&self) -> Editor {
        self.state.editor(&self.user)
    }

    /// Appends a transaction and tells its last event.
    pub(crate) fn push(&mut self, drafts: Vec<Draft>) -> Result<Event, ApiError> {
        let editor = self.editor();
        let range = self.state.push(&editor, drafts)?;
        range
            .last()
            .and_then(|position| self.state.store.get(position))
            .cloned()
            .ok_or_else(|| ApiError::internal("EMU-0", "nothing happened"))
    }

    /// Checks a permission in an organization, for the organization itself.
    pub(crate) fn permit(&self, permission: &str, organization: &str) -> Result<(), ApiError> {
        self.permit_one(permission, organization, organization)
    }

    /// Checks a permission for one resource of an organization.
    pub(crate) fn permit_one(
        &self,
        permission: &str,
        organization: &str,
        resource: &str,
    ) -> Result<(), ApiError> {
        auth::check_inside(self.state, &self.user, organization, permission, resource)
    }

    /// How far the caller holds a permission in the organization that the call acts in.
    pub(crate) fn held(&self, permission: &str) -> auth::Held<'_> {
        auth::held(self.state, &self.user, &self.organization, permission)
    }
}

/// The details of a change, from its last event.
pub(crate) fn change_details(event: &Event) -> Value {
    crate::model::Stamp::new(event).change_details()
}

/// The details of a creation through the older interfaces.
pub(crate) fn creation_details(event: &Event) -> Value {
    crate::model::Stamp::new(event).creation_details()
}

/// The details of a change whose last event may have happened to something else, such as a grant
/// of another organization: its sequence and date, but the owner of what was changed.
pub(crate) fn cascade_details(event: &Event, owner: &str) -> Value {
    let stamp = crate::model::Stamp::new(event);
    crate::model::Stamp { owner: owner.to_owned(), ..stamp }.change_details()
}

/// The date of an event as text.
pub(crate) fn date(event: &Event) -> String {
    clock::text(event.creation_date)
}

/// Answers a call of one of ZITADEL's own interfaces.
pub(crate) fn answer(
    state: &mut State,
    route: &Route,
    parts: &Parts,
    params: &[(String, String)],
    body: &Bytes,
) -> Response {
    let form = Form::of(parts.uri.path());
    state.catch_up();
    if form == Form::Connect && !is_json(&parts.headers) {
        return Response::builder()
            .status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .header(
                "accept-post",
                "application/json, application/json; charset=utf-8, application/proto",
            )
            .body(axum::body::Body::empty())
            .unwrap_or_default();
    }
    match serve(state, route, parts, params, body, form) {
        // Methods know no other success.
        Ok(reply) if form == Form::Connect => json_response(StatusCode::OK, &reply.body),
        Ok(reply) => json_response(reply.status, &reply.body),
        Err(error) => error.response(form),
    }
}

fn serve(
    state: &mut State,
    route: &Route,
    parts: &Parts,
    params: &[(String, String)],
    body: &Bytes,
    form: Form,
) -> Answer {
    let takes_body = [Method::POST, Method::PUT, Method::PATCH].contains(&route.method)
        || !route.message.fields.is_empty();
    let request =
        if takes_body { proto::read(route.message, body, form)? } else { Request::default() };
    let in_body: Vec<_> = route
        .ids
        .iter()
        .map(|(part, field)| ((*part).to_owned(), request.text(field).to_owned()))
        .collect();
    let params = if route.ids.is_empty() { params } else { &in_body };
    let query = match form {
        Form::Connect => connect::query(&request),
        Form::Gateway => oidc::form(parts.uri.query().unwrap_or_default().as_bytes()),
    };
    check_host(&state.domain, &parts.headers, &parts.uri)?;
    let (user, organization) = match route.access {
        Access::Public => (String::new(), String::new()),
        Access::Authenticated | Access::Permission(_) => {
            let user = auth::authenticate(state, &parts.headers)?;
            let organization = auth::organization(state, &parts.headers, &user)?;
            (user, organization)
        }
    };
    if let Access::Permission(permission) = route.access {
        let param = |name| params.iter().find(|(key, _)| key == name).map(|(_, value)| &**value);
        let resource = route.one.map(|name| param(name).unwrap_or_default());
        auth::check(state, &user, &organization, permission, resource)?;
    }
    proto::check(route.message, &request)?;
    if let Some((name, _)) = params.iter().find(|(_, value)| value.chars().count() > 200) {
        return Err(ApiError::bare(
            Code::InvalidArgument,
            format!("invalid {name}: value length must be between 1 and 200 runes, inclusive"),
        ));
    }
    let origin = oidc::issuer(state, parts);
    (route.handler)(&mut Call { state, user, organization, origin, request, params, query })
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The host that a call names, with its port: the header that overrules it, `Host`, or the
/// authority of the request's target.
pub(crate) fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    ["x-zitadel-instance-host", "host"]
        .into_iter()
        .find_map(|name| headers.get(name).and_then(|value| value.to_str().ok()))
        .or_else(|| uri.authority().map(axum::http::uri::Authority::as_str))
}

/// Finds the instance by its host name.
///
/// # Errors
/// 404 without an id for a host that is not the instance's.
pub(crate) fn check_host(domain: &str, headers: &HeaderMap, uri: &Uri) -> Result<(), ApiError> {
    let Some(named) = host(headers, uri) else {
        // Calls in process name no host.
        return Ok(());
    };
    let name = named.rsplit_once(':').map_or(named, |(name, port)| {
        if port.chars().all(|c| c.is_ascii_digit()) { name } else { named }
    });
    if name.eq_ignore_ascii_case(domain) {
        return Ok(());
    }
    Err(ApiError::bare(
        Code::NotFound,
        format!(
            "unable to set instance using origin &{{{named}  http}} (ExternalDomain is {domain}): \
             ID=QUERY-1kIjX Message=Instance not found. Make sure you got the domain right. \
             Check out https://zitadel.com/docs/apis/introduction#domains"
        ),
    ))
}
