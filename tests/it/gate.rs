//! The way of one process to the API server and to ZITADEL. It writes down who wrote what and when,
//! and can be cut.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use futures::{FutureExt, StreamExt};
use kube::Client;
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// What a process did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It got the Lease.
    Lease,
    /// It changed something in Kubernetes other than the Lease.
    Kubernetes,
    /// It changed something in ZITADEL.
    Zitadel,
    /// It read something in ZITADEL other than the event feed.
    Read,
}

/// One deed.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) at: Instant,
    pub(crate) who: String,
    pub(crate) deed: Deed,
    pub(crate) target: String,
}

/// The deeds of all, in their order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Entry>>>);

impl Log {
    fn add(&self, who: &str, deed: Deed, target: String) {
        let entry = Entry { at: Instant::now(), who: who.to_owned(), deed, target };
        self.0.lock().unwrap().push(entry);
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap().clone()
    }

    /// Who got the Lease last, and when.
    pub(crate) fn leader(&self) -> Option<(String, Instant)> {
        let log = self.0.lock().unwrap();
        let last = log.iter().rev().find(|e| e.deed == Deed::Lease)?;
        Some((last.who.clone(), last.at))
    }
}

/// See the module.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    cut: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Way {
    who: String,
    log: Log,
    cluster: Client,
    zitadel: reqwest::Client,
    has_lease: AtomicBool,
    cut: watch::Receiver<bool>,
}

impl Gate {
    /// A server that is the API server to whoever takes it for that, and the proxy to whoever takes
    /// it for that.
    pub(crate) async fn open(who: &str, cluster: Client, log: Log) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, of_way) = watch::channel(false);
        let way = Way {
            who: who.to_owned(),
            log,
            cluster,
            zitadel: reqwest::Client::builder().no_proxy().build().unwrap(),
            has_lease: AtomicBool::new(false),
            cut: of_way,
        };
        let router = axum::Router::new().fallback(pass).with_state(Arc::new(way));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, cut, task }
    }

    /// Cuts the way to the API server: what comes is never answered, and not sent on later either.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Opens it again.
    pub(crate) fn mend(&self) {
        self.cut.send_replace(false);
    }
}

async fn pass(State(way): State<Arc<Way>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    // The end of a request that a process did not finish is not one.
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if head.uri.authority().is_some() {
        return way.to_zitadel(head.method, &head.uri, head.headers, body).await;
    }
    let is_cut = async |wanted: bool| {
        way.cut.clone().wait_for(|cut| *cut == wanted).await.ok();
    };
    if !*way.cut.borrow() {
        tokio::select! {
            biased;
            () = is_cut(true) => {}
            answer = way.to_kubernetes(head.method, &head.uri, &head.headers, body) => return answer,
        }
    }
    is_cut(false).await;
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

impl Way {
    async fn to_zitadel(
        &self,
        method: Method,
        uri: &Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let target = format!("{method} {}", uri.path());
        if is_write(&method, uri.path()) {
            self.log.add(&self.who, Deed::Zitadel, target);
        } else if !uri.path().contains("/events/") {
            self.log.add(&self.who, Deed::Read, target);
        }
        let request = self.zitadel.request(method, uri.to_string()).headers(headers).body(body);
        let Ok(answer) = request.send().await else {
            return StatusCode::BAD_GATEWAY.into_response();
        };
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        headers.remove(header::TRANSFER_ENCODING);
        (status, headers, answer.bytes().await.unwrap_or_default()).into_response()
    }

    async fn to_kubernetes(
        &self,
        method: Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response {
        let path = uri.path_and_query().unwrap().as_str();
        let is_lease = path.contains("/leases");
        let changes = method != Method::GET;
        if changes && !is_lease {
            self.log.add(&self.who, Deed::Kubernetes, format!("{method} {path}"));
        }
        let holder =
            serde_json::from_slice(&body).map(|o: Value| o["spec"]["holderIdentity"].clone());
        let mut request = Request::builder().method(method).uri(path);
        for name in [header::CONTENT_TYPE, header::ACCEPT] {
            if let Some(value) = headers.get(&name) {
                request = request.header(name, value.clone());
            }
        }
        let request = request.body(kube::client::Body::from(body)).unwrap();
        let Ok(answer) = self.cluster.send(request).await else {
            return StatusCode::BAD_GATEWAY.into_response();
        };
        let takes = is_lease && changes && answer.status().is_success();
        if takes
            && holder.is_ok_and(|holder| holder == self.who.as_str())
            && !self.has_lease.swap(true, Ordering::SeqCst)
        {
            self.log.add(&self.who, Deed::Lease, String::new());
        }
        let (status, kind) = (answer.status(), answer.headers().get(header::CONTENT_TYPE).cloned());
        let mut cut = self.cut.clone();
        let is_cut = async move { cut.wait_for(|cut| *cut).await.map(|_| ()).ok() };
        let data = Body::new(answer.into_body()).into_data_stream().take_until(is_cut.boxed());
        let kind = kind.unwrap_or(HeaderValue::from_static("application/json"));
        (status, [(header::CONTENT_TYPE, kind)], Body::from_stream(data)).into_response()
    }
}

/// Whether a call of ZITADEL changes something.
fn is_write(method: &Method, path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    let reads = ["_search", "search", "token", "introspect"].contains(&last)
        || ["Get", "List", "Search"].iter().any(|verb| last.starts_with(verb));
    *method != Method::GET && !reads
}
