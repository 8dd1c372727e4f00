//! A client of the API server whose requests can be refused, held up, or made to panic; for what a
//! real API server does too rarely.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{
    body::Body,
    http::{Request, Response},
};
use futures::{FutureExt, StreamExt, future::BoxFuture};
use kube::{Client, client::ClientBuilder};
use tokio::sync::watch;
use tower::{BoxError, Service, layer::layer_fn};

use crate::{apiserver, world};

/// What happens to a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The task that sends it panics.
    Panic,
    /// It is not sent before the connections are cut; then it fails.
    Hang,
    /// It is answered with this status.
    Refuse(u16),
    /// A watch is answered that it was away for too long.
    Expired,
}

/// Which requests: parts of the path with its query, all of which are in it; and how often.
struct Rule {
    parts: Vec<String>,
    fault: Fault,
    times: u32,
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Interceptor {
    rules: Arc<Mutex<Vec<Rule>>>,
    cuts: watch::Sender<u32>,
}

impl Interceptor {
    /// A client of the shared API server, and its interceptor.
    pub(crate) async fn client() -> (Client, Self) {
        let interceptor = Self { rules: Arc::default(), cuts: watch::Sender::new(0) };
        let kubeconfig =
            tokio::task::spawn_blocking(|| apiserver::shared().kubeconfig.clone()).await.unwrap();
        let builder = ClientBuilder::try_from(world::config(kubeconfig).await).unwrap();
        let of_client = interceptor.clone();
        let layer = layer_fn(move |inner| Intercepted { inner, by: of_client.clone() });
        (builder.with_layer(&layer).build(), interceptor)
    }

    /// Requests with all these parts in their path and query meet this fault, so many times.
    pub(crate) fn add(&self, parts: &[&str], fault: Fault, times: u32) {
        let parts = parts.iter().map(|&part| part.to_owned()).collect();
        self.rules.lock().unwrap().push(Rule { parts, fault, times });
    }

    /// Whether some rule has met no request yet, or not as often as it may.
    pub(crate) fn is_unused(&self) -> bool {
        self.rules.lock().unwrap().iter().any(|rule| rule.times > 0)
    }

    /// No more faults; what hangs goes on hanging until the connections are cut.
    pub(crate) fn clear(&self) {
        self.rules.lock().unwrap().clear();
    }

    /// Ends all watches, and fails all requests that hang.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|n| *n += 1);
    }

    fn fault(&self, request: &str) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap();
        let found = rules
            .iter_mut()
            .find(|r| r.times > 0 && r.parts.iter().all(|part| request.contains(part.as_str())))?;
        found.times -= 1;
        Some(found.fault)
    }
}

struct Intercepted<S> {
    inner: S,
    by: Interceptor,
}

impl<S, B> Service<Request<kube::client::Body>> for Intercepted<S>
where
    S: Service<Request<kube::client::Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: axum::body::HttpBody<Data = axum::body::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let target = request.uri().path_and_query().unwrap().to_string();
        let mut cuts = self.by.cuts.subscribe();
        let fault = self.by.fault(&target);
        let answer = self.inner.call(request);
        async move {
            let status = |code: u16| format!(r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"refused by the test","reason":"Test","code":{code}}}"#);
            match fault {
                Some(Fault::Panic) => panic!("{target} panics in a test"),
                Some(Fault::Hang) => {
                    cuts.changed().await.ok();
                    Err("the connection is cut".into())
                }
                Some(Fault::Refuse(code)) => {
                    Ok(Response::builder().status(code).body(status(code).into()).unwrap())
                }
                Some(Fault::Expired) => {
                    let event = format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", status(410));
                    Ok(Response::new(event.into()))
                }
                None => Ok(answer.await?.map(|body| {
                    let cut = async move { cuts.changed().await.ok() };
                    let data = Body::new(body).into_data_stream();
                    if target.contains("watch=") {
                        Body::from_stream(data.take_until(cut.boxed()))
                    } else {
                        Body::from_stream(data)
                    }
                })),
            }
        }
        .boxed()
    }
}
