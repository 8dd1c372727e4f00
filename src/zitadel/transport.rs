//! How bytes get to ZITADEL: over sockets, or into a service in the same process.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::{Method, Url, header::HeaderMap};

use super::{AddressPolicy, Error, Result};

/// A request, complete.
#[derive(Debug, Clone)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Where to connect; the host that selects the instance is in the headers.
    pub url: Url,
    /// All headers, the token among them: never log them.
    pub headers: HeaderMap,
    /// The body, empty for none.
    pub body: Vec<u8>,
}

/// An answer, complete.
#[derive(Debug, Clone)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers of the answer.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub enum TransportError {
    /// The connection was not made: nothing was sent.
    Connect(String),
    /// It broke, or the deadline passed, afterwards: what was sent may have taken effect.
    Broken(String),
    /// The address is not allowed.
    NotAllowed,
}

/// Sends a request and gives the whole answer.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// One exchange, without retries; it ends within the transport's deadline.
    async fn send(&self, request: Request) -> Result<Response, TransportError>;
}

/// The transport over sockets: HTTP/1.1 and HTTP/2, TLS by rustls, no redirects.
pub struct Http(reqwest::Client);

impl Http {
    /// `ca`: PEM certificates to trust besides the system's. `timeout`: the deadline of an
    /// exchange.
    pub fn new(ca: Option<&[u8]>, timeout: Duration, addresses: &AddressPolicy) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("kastellan/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            .timeout(timeout)
            .dns_resolver(Arc::new(addresses.clone()));
        if let Some(pem) = ca {
            let roots = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|_| Error::Credentials("the CA is no PEM certificate".into()))?;
            if roots.is_empty() {
                return Err(Error::Credentials("the CA holds no certificate".into()));
            }
            builder = builder.tls_certs_merge(roots);
        }
        builder.build().map(Self).map_err(|e| Error::Credentials(innermost(&e)))
    }
}

#[async_trait]
impl Transport for Http {
    async fn send(&self, r: Request) -> Result<Response, TransportError> {
        let sent = self.0.request(r.method, r.url).headers(r.headers).body(r.body).send().await;
        let answer = sent.map_err(|e| {
            let cause = innermost(&e);
            if cause == super::address::NOT_ALLOWED {
                TransportError::NotAllowed
            } else if e.is_connect() {
                TransportError::Connect(cause)
            } else {
                TransportError::Broken(cause)
            }
        })?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body =
            answer.bytes().await.map_err(|e| TransportError::Broken(innermost(&e)))?.to_vec();
        Ok(Response { status, headers, body })
    }
}

/// reqwest's own text only says "error sending request"; what happened is at the end of its chain
/// of causes.
fn innermost(e: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = e;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if e.is_timeout() && !e.is_connect() { "the deadline passed".into() } else { cause.to_string() }
}
