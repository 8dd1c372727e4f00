//! A server for tests: a function of the request, without sockets.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::Value;

use super::{
    AddressPolicy, Client, Config, Credentials, Transport, TransportError,
    transport::{Request, Response},
};

pub(super) type Answer = Result<Response, TransportError>;

/// What the server was asked.
#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Mutex<Vec<Request>>>);

impl Fake {
    /// A client by personal access token.
    pub(super) fn client(
        answer: impl Fn(&Fake, &Request) -> Answer + Send + Sync + 'static,
    ) -> (Client, Self) {
        Self::client_of(Credentials::token(&"s3cret-token".into()).unwrap(), answer)
    }

    pub(super) fn client_of(
        credentials: Credentials,
        answer: impl Fn(&Fake, &Request) -> Answer + Send + Sync + 'static,
    ) -> (Client, Self) {
        let fake = Self::default();
        let config = Config {
            addresses: AddressPolicy::any(),
            ..Config::new("https://auth.example.com".parse().unwrap(), credentials)
        };
        let server = Server { fake: fake.clone(), answer: Box::new(answer) };
        (Client::with_transport(config, Box::new(server)).unwrap(), fake)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.0.lock().unwrap().clone()
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.requests().iter().map(|r| r.url.path().to_owned()).collect()
    }
}

/// An answer of JSON.
#[expect(
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    reason = "short at its many callers"
)]
pub(super) fn answer(status: u16, body: Value) -> Answer {
    Ok(Response {
        status,
        headers: reqwest::header::HeaderMap::new(),
        body: body.to_string().into(),
    })
}

type Serve = dyn Fn(&Fake, &Request) -> Answer + Send + Sync;

struct Server {
    fake: Fake,
    answer: Box<Serve>,
}

#[async_trait]
impl Transport for Server {
    async fn send(&self, request: Request) -> Answer {
        self.fake.0.lock().unwrap().push(request.clone());
        // Others may send meanwhile, as over a network.
        tokio::task::yield_now().await;
        (self.answer)(&self.fake, &request)
    }
}
