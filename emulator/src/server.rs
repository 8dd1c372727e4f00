//! From a connection to a handler and back: routing, faults, counting.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{MatchedPath, RawPathParams, Request, State as Shared},
    http::{Method, StatusCode, Uri},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
};

use crate::{
    api::{self, Route, assets, oidc},
    calls::Call,
    connection::{Connection, ResettingListener},
    control,
    emulator::Emulator,
    errors::{ApiError, Code, Form},
    strike,
};

/// Marks an answer that is none: in process, where there is no connection to reset, the answer
/// carries this extension, its status is 502 and its body fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset;

/// The longest body that is read.
const LONGEST: usize = 16 * 1024 * 1024;

/// Builds the router from the tables of routes.
pub(crate) fn router(emulator: &Emulator) -> Router {
    let mut router = Router::new();
    for route in api::routes() {
        let path = route.path;
        let filter = filter(&route.method);
        let route = Arc::new(route);
        let handler = move |shared: Shared<Emulator>, params: RawPathParams, request: Request| {
            call(shared, Arc::clone(&route), params, request)
        };
        router = router.route(path, on(filter, handler));
    }
    for page in oidc::pages().into_iter().chain(assets::pages()) {
        let handler = move |Shared(emulator): Shared<Emulator>, request: Request| async move {
            let (parts, body) = request.into_parts();
            let body = read(body).await;
            let mut state = emulator.state();
            state.catch_up();
            if page.of_instance
                && let Err(error) = api::check_host(&state.domain, &parts.headers, &parts.uri)
            {
                return error.response(Form::Gateway);
            }
            (page.handler)(&mut state, &parts, &body)
        };
        router = router.route(page.path, on(filter(&page.method), handler));
    }
    router
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .merge(control::router())
        .layer(middleware::from_fn_with_state(emulator.clone(), meet))
        .with_state(emulator.clone())
}

/// Serves until dropped.
pub(crate) async fn serve(
    emulator: &Emulator,
    listener: tokio::net::TcpListener,
) -> std::io::Result<()> {
    let service = router(emulator).into_make_service_with_connect_info::<Connection>();
    axum::serve(ResettingListener::new(listener), service).await
}

fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET)
}

pub(crate) async fn read(body: Body) -> Bytes {
    axum::body::to_bytes(body, LONGEST).await.unwrap_or_default()
}

async fn call(
    Shared(emulator): Shared<Emulator>,
    route: Arc<Route>,
    params: RawPathParams,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = read(body).await;
    let params: Vec<_> =
        params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    // A slash in a part of the path makes it another path, be it encoded.
    if !route.path.contains("{*") && params.iter().any(|(_, value)| value.contains('/')) {
        return unknown_path(parts.uri).await;
    }
    api::answer(&mut emulator.state(), &route, &parts, &params, &body)
}

pub(crate) async fn unknown_path(uri: Uri) -> Response {
    match Form::of(uri.path()) {
        Form::Gateway => ApiError::bare(Code::NotFound, "Not Found").response(Form::Gateway),
        Form::Connect => (StatusCode::NOT_FOUND, "404 page not found\n").into_response(),
    }
}

async fn wrong_method(uri: Uri) -> Response {
    match Form::of(uri.path()) {
        Form::Gateway => {
            let mut response =
                ApiError::bare(Code::Unimplemented, "Method Not Allowed").response(Form::Gateway);
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            response
        }
        Form::Connect => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

/// Lets a call meet its faults, and counts it.
async fn meet(
    Shared(emulator): Shared<Emulator>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    if path.starts_with("/_emulator") {
        return next.run(request).await;
    }
    let route = route.map(|route| route.as_str().to_owned()).unwrap_or_default();
    let writes = writes(&method, &route);
    let connection = request
        .extensions()
        .get::<axum::extract::ConnectInfo<Connection>>()
        .map(|info| info.0.clone());
    let met = emulator.faults().meet(method.as_str(), &path, writes);
    // Made before the answer, so that a call counts whose caller gave up.
    let counted = Counted {
        emulator,
        call: Call { method: method.to_string(), route, path, status: 0, writes },
    };
    let response = strike::suffer(met, request, next, connection).await;
    let is_reset = response.extensions().get::<Reset>().is_some();
    counted.answered(if is_reset { 0 } else { response.status().as_u16() });
    response
}

/// A call that is counted when it ends, whether or not it was answered.
struct Counted {
    emulator: Emulator,
    call: Call,
}

impl Counted {
    fn answered(mut self, status: u16) {
        self.call.status = status;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.emulator.shared.calls.add(self.call.clone());
    }
}

/// Whether a route is one that changes things.
fn writes(method: &Method, route: &str) -> bool {
    use std::{collections::HashSet, sync::LazyLock};
    static READS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
        api::routes()
            .into_iter()
            .filter(|route| route.method == Method::POST && !route.writes)
            .map(|route| route.path)
            .collect()
    });
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => false,
        Method::POST => !READS.contains(route) && !route.starts_with("/oauth/v2/"),
        _ => true,
    }
}
