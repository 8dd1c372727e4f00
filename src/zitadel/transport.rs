//! How bytes get to ZITADEL: over sockets, or into a service in the same process.

use std::{fmt, sync::Arc, sync::Once, time::Duration};

use async_trait::async_trait;
use reqwest::{Method, Url, header::HeaderMap};

use super::{AddressPolicy, Fence, Result, error::ConfigurationProblem, proxy::Proxies};

/// The largest body of an answer, in bytes. A page of a thousand entries of ZITADEL is a hundred
/// times smaller.
pub const MAX_BODY: usize = 32 * 1024 * 1024;

/// Room that is made for a body on the word of its `Content-Length`.
const TRUSTED_LENGTH: usize = 64 * 1024;

#[cfg(target_os = "linux")]
/// What the network does not take for so long is given up: it must not arrive when it is no longer
/// expected.
const UNDELIVERED: Duration = Duration::from_secs(5);

/// A request, complete.
#[derive(Clone)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Where to connect; the host that selects the instance is in the headers.
    pub url: Url,
    /// All headers, the token among them: never log them.
    pub headers: HeaderMap,
    /// The body, empty for none; may hold a secret.
    pub body: Vec<u8>,
    /// The largest body of the answer, in bytes.
    pub limit: usize,
    /// Of a request that changes something: until when it may be sent.
    pub fence: Option<Fence>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.url.path())
            .finish_non_exhaustive()
    }
}

/// An answer, complete.
#[derive(Clone)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers of the answer.
    pub headers: HeaderMap,
    /// The whole body; may hold a secret.
    pub body: Vec<u8>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportError {
    /// The connection was not made: nothing was sent.
    Connect(String),
    /// It broke, or the deadline passed, afterwards: what was sent may have had its effect.
    Broken(String),
    /// The body is larger than the request allows: what was sent may have had its effect.
    TooLarge,
    /// The address is not allowed.
    NotAllowed,
}

/// Sends a request and returns the whole answer.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// One exchange, without retries; it ends within the transport's deadline.
    async fn send(&self, request: Request) -> Result<Response, TransportError>;
}

/// The transport over sockets: HTTP/1.1 and HTTP/2, TLS by rustls, no redirects.
pub struct Http(reqwest::Client);

impl Http {
    /// `ca`: PEM certificates to trust besides the system's. `timeout`: the deadline of an
    /// exchange, from the connection to the last byte of the answer. See [`super::address`] for
    /// when the proxy of the environment is used.
    pub fn new(ca: Option<&[u8]>, timeout: Duration, addresses: &AddressPolicy) -> Result<Self> {
        Self::in_environment(ca, timeout, addresses, |name| std::env::var(name).ok())
    }

    fn in_environment(
        ca: Option<&[u8]>,
        timeout: Duration,
        addresses: &AddressPolicy,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let failed = |e: reqwest::Error| ConfigurationProblem::Http { cause: innermost(&e) };
        let proxies = proxies(addresses, environment)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("kastellan/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            .timeout(timeout)
            .dns_resolver(Arc::new(addresses.resolver(&proxies.hosts())));
        #[cfg(target_os = "linux")]
        {
            builder = builder.tcp_user_timeout(UNDELIVERED);
        }
        builder = proxies.apply(builder).map_err(failed)?;
        if let Some(pem) = ca {
            let roots = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|_| ConfigurationProblem::CaNotPem)?;
            if roots.is_empty() {
                return Err(ConfigurationProblem::CaEmpty.into());
            }
            builder = builder.tls_certs_merge(roots);
        }
        Ok(Self(builder.build().map_err(failed)?))
    }
}

/// The proxies to use: none where names are judged by what they resolve to.
fn proxies(
    addresses: &AddressPolicy,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Proxies, ConfigurationProblem> {
    static SAID: Once = Once::new();
    let found = Proxies::read(environment);
    if addresses.judges_by_name() {
        return found;
    }
    if !found.is_ok_and(|proxies| proxies.is_empty()) {
        SAID.call_once(|| {
            tracing::warn!(
                "the proxy of the environment is not used without a list of allowed addresses"
            );
        });
    }
    Ok(Proxies::default())
}

#[async_trait]
impl Transport for Http {
    async fn send(&self, r: Request) -> Result<Response, TransportError> {
        let limit = r.limit;
        let body = match r.fence {
            Some(fence) if !r.body.is_empty() => fence.body(r.body.into()),
            _ => r.body.into(),
        };
        let sent = self.0.request(r.method, r.url).headers(r.headers).body(body).send().await;
        let mut answer = sent.map_err(|e| {
            let cause = innermost(&e);
            if cause == super::address::NOT_ALLOWED {
                TransportError::NotAllowed
            } else if e.is_connect() {
                TransportError::Connect(cause)
            } else {
                TransportError::Broken(cause)
            }
        })?;
        let length = answer.content_length().unwrap_or_default();
        if length > limit as u64 {
            return Err(TransportError::TooLarge);
        }
        let length = usize::try_from(length).unwrap_or_default();
        let mut body = Vec::with_capacity(length.min(TRUSTED_LENGTH));
        while let Some(chunk) =
            answer.chunk().await.map_err(|e| TransportError::Broken(innermost(&e)))?
        {
            if body.len() + chunk.len() > limit {
                return Err(TransportError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// Answers the first connection by `serve`, after the head of a request was read; returns the
    /// address, and the head when it is done.
    async fn listen<F: Future<Output = ()> + Send>(
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) -> (std::net::SocketAddr, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            serve(socket).await;
            String::from_utf8(head).unwrap()
        });
        (address, served)
    }

    fn request(url: &str) -> Request {
        Request {
            method: Method::GET,
            url: url.parse().unwrap(),
            headers: HeaderMap::new(),
            body: Vec::new(),
            limit: MAX_BODY,
            fence: None,
        }
    }

    fn http(timeout: Duration) -> Http {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        Http::in_environment(None, timeout, &AddressPolicy::any(), |_| None).unwrap()
    }

    #[test]
    fn requests_and_answers_do_not_print_what_may_be_secret() {
        let headers = HeaderMap::from_iter([(
            reqwest::header::AUTHORIZATION,
            reqwest::header::HeaderValue::from_static("Bearer s3cret"),
        )]);
        let body = b"s3cret".to_vec();
        let request =
            Request { headers: headers.clone(), body: body.clone(), ..request("http://a/b") };
        let text = format!("{request:?} {:?}", Response { status: 200, headers, body });
        assert!(!text.contains("s3cret") && !text.contains("115, 51"), "{text}");
    }

    #[tokio::test]
    async fn a_body_that_grows_too_large_is_cut_off() {
        let (address, served) = listen(async |mut socket| {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            socket.write_all(head.as_bytes()).await.unwrap();
            let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
            for _ in 0..=MAX_BODY / 0x10000 {
                // It fails when the other end has had enough.
                socket.write_all(&chunk).await.ok();
            }
            socket.write_all(b"0\r\n\r\n").await.ok();
        })
        .await;
        let answer =
            http(Duration::from_secs(60)).send(request(&format!("http://{address}/"))).await;
        assert_eq!(answer.unwrap_err(), TransportError::TooLarge);
        served.await.unwrap();
    }

    #[tokio::test]
    async fn a_body_that_is_announced_as_too_large_is_not_read() {
        let (address, _) = listen(async |mut socket| {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
            socket.write_all(head.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        })
        .await;
        let answer =
            http(Duration::from_secs(60)).send(request(&format!("http://{address}/"))).await;
        assert_eq!(answer.unwrap_err(), TransportError::TooLarge);
    }

    #[tokio::test]
    async fn a_body_that_drips_ends_with_the_deadline() {
        let (address, _) = listen(async |mut socket| {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
            socket.write_all(head.as_bytes()).await.unwrap();
            while socket.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let http = http(Duration::from_millis(300));
        let answer = http.send(request(&format!("http://{address}/")));
        let answer = tokio::time::timeout(Duration::from_secs(20), answer).await.unwrap();
        assert_eq!(answer.unwrap_err(), TransportError::Broken("the deadline passed".into()));
    }

    #[tokio::test]
    async fn the_proxy_of_the_environment_is_used_with_a_list_only() {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let (address, served) = listen(async |mut socket| {
            socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        })
        .await;
        let port = address.port();
        let send = async |list: &[&str], proxy: &str, host: &str| {
            let proxy = format!("http://{proxy}:{port}");
            let environment = |name: &str| (name == "HTTP_PROXY").then(|| proxy.clone());
            let addresses = AddressPolicy::new(list.iter().map(ToString::to_string));
            let timeout = Duration::from_secs(10);
            let http = Http::in_environment(None, timeout, &addresses, environment).unwrap();
            http.send(request(&format!("http://{host}/path"))).await
        };
        // A direct connection, whose name is resolved here and judged.
        let answer = send(&[], "127.0.0.1", "localhost").await;
        assert_eq!(answer.unwrap_err(), TransportError::NotAllowed);
        // The list holds the target and need not hold the proxy.
        let answer = send(&["auth.example.com"], "localhost", "auth.example.com").await.unwrap();
        assert_eq!(answer.status, 204);
        let head = served.await.unwrap();
        assert!(head.starts_with("GET http://auth.example.com/path"), "{head}");
    }
}
