//! Kubernetes, which this process writes to only while it may.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::http::{Method, Request};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use tower::{BoxError, service_fn};

use crate::zitadel::Fence;

/// How long an answer is waited for: one that is lost on its way holds up an object as long. Watches
/// are answered at once, too.
const ANSWER: Duration = Duration::from_secs(30);

/// How the operator speaks with Kubernetes: it writes by connections that are cut as soon as it must
/// not write any more, and reads by others.
pub struct Connection {
    pub(super) reads: Client,
    writes: Client,
    pub(super) fence: Fence,
}

impl Connection {
    /// Connects when it is used for the first time.
    ///
    /// # Errors
    /// The configuration is one that no client can have.
    pub fn new(config: Config) -> Result<Self, kube::Error> {
        let fence = Fence::default();
        let executor = FencedExecutor(fence.clone());
        let writes = ClientBuilder::try_from((config.clone(), executor))?.build();
        Ok(Self { reads: Client::try_from(config)?, writes, fence })
    }

    /// A client whose requests that change something pass the fence.
    pub(super) fn fenced(&self) -> Client {
        let namespace = self.reads.default_namespace().to_owned();
        let (reads, writes) = (self.reads.clone(), self.writes.clone());
        let fence = self.fence.clone();
        let service = service_fn(move |request: Request<Body>| {
            let is_read = [Method::GET, Method::HEAD].contains(request.method());
            let client = if is_read { &reads } else { &writes }.clone();
            let fence = fence.clone();
            async move {
                let send = tokio::time::timeout(ANSWER, client.send(request));
                let answer = if is_read { send.await } else { fence.guard(send).await? };
                let silent = |_| BoxError::from("the API server does not answer");
                answer.map_err(silent)?.map_err(BoxError::from)
            }
        });
        Client::new(service, namespace)
    }
}

impl From<Client> for Connection {
    /// Writes by the connections of this client, which are not cut.
    fn from(client: Client) -> Self {
        Self { reads: client.clone(), writes: client, fence: Fence::default() }
    }
}

/// Runs connections while the fence is open. A request that waits for its connection, or for its turn
/// on it, when the process is paused would else be sent whenever that goes on.
#[derive(Clone)]
struct FencedExecutor(Fence);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl hyper::rt::Executor<Task> for FencedExecutor {
    fn execute(&self, mut connection: Task) {
        let fence = self.0.clone();
        tokio::spawn(poll_fn(move |context: &mut Context<'_>| {
            if fence.is_open() { connection.as_mut().poll(context) } else { Poll::Ready(()) }
        }));
    }
}

#[cfg(test)]
mod tests {
    use hyper::rt::Executor;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_never_comes_is_not_waited_for() {
        let silent = service_fn(|_: Request<Body>| {
            std::future::pending::<Result<axum::http::Response<Body>, BoxError>>()
        });
        let client = Connection::from(Client::new(silent, "default")).fenced();
        for method in [Method::GET, Method::PATCH] {
            let request = Request::builder().method(method).uri("/").body(Vec::new()).unwrap();
            let answer = client.request::<serde_json::Value>(request).await;
            let said = format!("{:?}", answer.unwrap_err());
            assert!(said.contains("the API server does not answer"), "{said}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_should_go_on_too_late_is_cut() {
        for is_late in [false, true] {
            let fence = Fence::default();
            let (go_on, goes_on) = oneshot::channel::<()>();
            let (send, sent) = oneshot::channel();
            FencedExecutor(fence.clone()).execute(Box::pin(async move {
                goes_on.await.unwrap();
                send.send(()).unwrap();
            }));
            tokio::task::yield_now().await;
            if is_late {
                fence.close();
            }
            go_on.send(()).unwrap();
            assert_eq!(sent.await.is_err(), is_late);
        }
    }
}
