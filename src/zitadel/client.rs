//! The client of one ZITADEL instance.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::{
    Method, Url,
    header::{
        ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    },
};
use secrecy::ExposeSecret;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::{Mutex, Semaphore};

use super::{
    AddressPolicy, Credentials, Error, Result, Transport, TransportError,
    auth::Token,
    error::{Code, Status},
    retry::{self, Safety},
    transport::{Http, Request, Response},
};

const INSTANCE_HOST: HeaderName = HeaderName::from_static("x-zitadel-instance-host");
const ORGANIZATION: HeaderName = HeaderName::from_static("x-zitadel-orgid");

/// Where an instance is and how to log in.
#[derive(Clone)]
pub struct Config {
    /// The external URL: audience of tokens, and the host that selects the instance.
    pub issuer: Url,
    /// Where to connect, if not at the issuer.
    pub address: Option<Url>,
    /// How to log in.
    pub credentials: Credentials,
    /// PEM certificates to trust besides the system's.
    pub ca: Option<Vec<u8>>,
    /// Calls at once; at least 1.
    pub max_concurrency: usize,
    /// Deadline of one exchange.
    pub timeout: Duration,
    /// What may be connected to; holds for issuer and address alike.
    pub addresses: AddressPolicy,
    /// Counts what is sent.
    pub requests: Arc<Requests>,
}

/// How many requests were sent, repeated ones included, those for tokens left out.
#[derive(Debug, Default)]
pub struct Requests {
    reads: AtomicU64,
    writes: AtomicU64,
}

impl Requests {
    /// Requests that change nothing.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Requests that may change something.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    fn count(&self, safety: Safety) {
        let counter = match safety {
            Safety::Read => &self.reads,
            Safety::Write => &self.writes,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Config {
    /// A configuration with the defaults: no other address, no CA, four calls at once, 30 s, any
    /// address that is not local.
    pub fn new(issuer: Url, credentials: Credentials) -> Self {
        Self {
            issuer,
            address: None,
            credentials,
            ca: None,
            max_concurrency: 4,
            timeout: Duration::from_secs(30),
            addresses: AddressPolicy::default(),
            requests: Arc::default(),
        }
    }
}

/// A client of one instance; clones share connections, tokens and limits.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    issuer: String,
    base: Url,
    instance_host: HeaderValue,
    host: Option<HeaderValue>,
    credentials: Credentials,
    token: Mutex<Option<Token>>,
    limit: Semaphore,
    requests: Arc<Requests>,
    transport: Box<dyn Transport>,
}

impl Client {
    /// Connects to nothing yet.
    pub fn new(config: Config) -> Result<Self> {
        let transport = Http::new(config.ca.as_deref(), config.timeout, &config.addresses)?;
        Self::with_transport(config, Box::new(transport))
    }

    /// A client whose requests go where `transport` takes them.
    pub fn with_transport(config: Config, transport: Box<dyn Transport>) -> Result<Self> {
        for url in [Some(&config.issuer), config.address.as_ref()].into_iter().flatten() {
            if !config.addresses.allows(url) {
                return Err(Error::AddressNotAllowed { host: host_and_port(url) });
            }
        }
        let instance_host = HeaderValue::from_str(&host_and_port(&config.issuer))
            .map_err(|_| Error::Credentials("the issuer has no host".into()))?;
        let base = config.address.unwrap_or_else(|| config.issuer.clone());
        // Over TLS the connection may be HTTP/2, whose authority is the URL's own: there the second
        // header has to do.
        let host = (base.scheme() == "http").then(|| instance_host.clone());
        Ok(Self(Arc::new(Inner {
            issuer: config.issuer.as_str().trim_end_matches('/').to_owned(),
            base,
            instance_host,
            host,
            credentials: config.credentials,
            token: Mutex::new(None),
            limit: Semaphore::new(config.max_concurrency.max(1)),
            requests: config.requests,
            transport,
        })))
    }

    /// A read: repeated after transient failures.
    pub async fn get<T: DeserializeOwned>(
        &self,
        organization: Option<&str>,
        path: &str,
    ) -> Result<T> {
        self.call(Safety::Read, Method::GET, organization, path, &()).await
    }

    /// A read by POST (searches, Connect's Get and List): repeated after transient failures.
    pub async fn query<T: DeserializeOwned>(
        &self,
        organization: Option<&str>,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        self.call(Safety::Read, Method::POST, organization, path, body).await
    }

    /// A write: repeated only where it is certain that it took no effect.
    pub async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        organization: Option<&str>,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        self.call(Safety::Write, method, organization, path, body).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        safety: Safety,
        method: Method,
        organization: Option<&str>,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        let malformed = |what: String| Error::Malformed {
            endpoint: format!("{method} {}", without_query(path)),
            what,
        };
        let body = match serde_json::to_value(body).map_err(|e| malformed(e.to_string()))? {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        let mut pauses = retry::pauses();
        let answer = loop {
            self.0.requests.count(safety);
            match self.authorized(&method, organization, path, &body).await {
                Err(e) if retry::worthwhile(safety, &e) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(e.retry_after().unwrap_or(pause)).await,
                    None => return Err(e),
                },
                other => break other?,
            }
        };
        // serde_json's own text may quote the body; its position is enough to find the place.
        serde_json::from_slice(&answer.body).map_err(|e| {
            malformed(format!(
                "{:?} error at line {} column {}",
                e.classify(),
                e.line(),
                e.column()
            ))
        })
    }

    /// One exchange with a token; an expired one is renewed once.
    async fn authorized(
        &self,
        method: &Method,
        organization: Option<&str>,
        path: &str,
        body: &[u8],
    ) -> Result<Response> {
        let token = self.token(None).await?;
        match self.exchange(method, organization, path, body, &token).await {
            Err(e)
                if e.code() == Some(Code::Unauthenticated)
                    && !matches!(self.0.credentials, Credentials::PersonalAccessToken(_)) =>
            {
                let token = self.token(Some(&token)).await?;
                self.exchange(method, organization, path, body, &token).await
            }
            other => other,
        }
    }

    async fn exchange(
        &self,
        method: &Method,
        organization: Option<&str>,
        path: &str,
        body: &[u8],
        token: &Token,
    ) -> Result<Response> {
        let mut headers = HeaderMap::new();
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.value.expose_secret()))
            .map_err(|_| {
                Error::Credentials("the token holds characters that no header may have".into())
            })?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(id) = organization {
            let id = HeaderValue::from_str(id).map_err(|_| Error::Malformed {
                endpoint: path.into(),
                what: "an organization id that no header may have".into(),
            })?;
            headers.insert(ORGANIZATION, id);
        }
        self.send(method.clone(), path, headers, body.to_vec()).await
    }

    /// Where a path is on this server.
    fn url(&self, path: &str) -> Result<Url> {
        let base = self.0.base.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}{path}"))
            .map_err(|e| Error::Malformed { endpoint: path.into(), what: e.to_string() })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        mut headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Response> {
        headers.insert(INSTANCE_HOST, self.0.instance_host.clone());
        if let Some(host) = &self.0.host {
            headers.insert(HOST, host.clone());
        }
        let request = Request { method, url: self.url(path)?, headers, body };
        // The semaphore is never closed.
        let _permit = self.0.limit.acquire().await.ok();
        let host = || host_and_port(&self.0.base);
        let answer = self.0.transport.send(request).await.map_err(|e| match e {
            TransportError::Connect(cause) => Error::Unreachable { host: host(), cause },
            TransportError::Broken(cause) => Error::NoAnswer { host: host(), cause },
            TransportError::NotAllowed => Error::AddressNotAllowed { host: host() },
        })?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let retry_after = answer
            .headers
            .get(RETRY_AFTER)
            .and_then(|v| v.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        Err(Error::Status(Status::parse(answer.status, retry_after, &answer.body)))
    }

    /// The current token; another one than `refused`. One exchange at a time, whoever else waits
    /// takes its result.
    async fn token(&self, refused: Option<&Token>) -> Result<Token> {
        let mut kept = self.0.token.lock().await;
        if let Some(token) = kept.as_ref()
            && token.is_fresh()
            && refused.is_none_or(|r| r.value.expose_secret() != token.value.expose_secret())
        {
            return Ok(token.clone());
        }
        let token = match (self.0.credentials.exchange(&self.0.issuer)?, &self.0.credentials) {
            (None, Credentials::PersonalAccessToken(pat)) => Token::fixed(pat.clone()),
            (None, _) => return Err(Error::Credentials("nothing to log in with".into())),
            (Some(exchange), _) => self.fetch_token(exchange).await?,
        };
        *kept = Some(token.clone());
        Ok(token)
    }

    async fn fetch_token(&self, exchange: Vec<(&'static str, String)>) -> Result<Token> {
        const PATH: &str = "/oauth/v2/token";
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&exchange)
            .finish()
            .into_bytes();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let mut pauses = retry::pauses();
        let answer = loop {
            match self.send(Method::POST, PATH, headers.clone(), body.clone()).await {
                Err(e) if retry::worthwhile(Safety::Read, &e) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(e.retry_after().unwrap_or(pause)).await,
                    None => return Err(e),
                },
                // RFC 6749: 400 and 401 refuse the credentials. 404 is a host that selects no
                // instance.
                Err(Error::Status(s)) if matches!(s.http, 400 | 401) => {
                    return Err(Error::TokenRefused {
                        error: if s.http == 401 { "invalid_client" } else { "invalid_grant" }
                            .into(),
                    });
                }
                other => break other?,
            }
        };
        Token::parse(&answer.body).ok_or_else(|| Error::Malformed {
            endpoint: format!("POST {PATH}"),
            what: "no access_token".into(),
        })
    }
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |p| format!("{host}:{p}"))
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}
