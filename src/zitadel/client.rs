//! The client of one ZITADEL instance.

mod down;
mod files;
mod proof;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::{
    Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use secrecy::ExposeSecret;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};

use super::{
    Capabilities, Config, Credentials, Error, Requests, Result, Transport,
    auth::{self, Login},
    error::{CredentialsProblem, Status},
    exchange::{Call, Exchange},
    outage::Outage,
    path::Endpoint,
    retry::{Safety, Tries},
    token::{Token, Tokens},
    transport::{Http, Response},
};

const TOKEN_ENDPOINT: &str = "/oauth/v2/token";
const OWN_USER_ENDPOINT: &str = "/auth/v1/users/me";
const INTROSPECTION_ENDPOINT: &str = "/oauth/v2/introspect";
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// A client of one instance; clones share connections, tokens, limits and what is known of the
/// server.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    issuer: String,
    exchange: Exchange,
    credentials: Credentials,
    tokens: Tokens,
    capabilities: Capabilities,
    limit: Semaphore,
    outage: Outage,
    /// How long a call is tried again.
    patience: Duration,
    requests: Arc<Requests>,
    /// What is known of files.
    fingerprints: Mutex<files::Fingerprints>,
}

impl Client {
    /// The issuer of the instance.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// Connects to nothing yet.
    pub fn new(config: Config) -> Result<Self> {
        let transport = Http::new(config.ca.as_deref(), config.timeout, &config.addresses)?;
        Self::with_transport(config, Box::new(transport))
    }

    /// A client whose requests go where `transport` takes them.
    pub fn with_transport(config: Config, transport: Box<dyn Transport>) -> Result<Self> {
        let exchange = Exchange::new(&config, transport)?;
        Ok(Self(Arc::new(Inner {
            issuer: config.issuer.as_str().trim_end_matches('/').to_owned(),
            outage: Outage::new(exchange.host()),
            exchange,
            credentials: config.credentials,
            tokens: Tokens::default(),
            capabilities: Capabilities::default(),
            limit: Semaphore::new(config.max_concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            patience: config.timeout,
            requests: config.requests,
            fingerprints: Mutex::default(),
        })))
    }

    /// What is known of the server.
    pub fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    /// A read: repeated after transient failures.
    pub async fn get<T: DeserializeOwned>(
        &self,
        organization: Option<&str>,
        endpoint: &(impl Endpoint + ?Sized),
    ) -> Result<T> {
        self.call(Safety::Read, Method::GET, organization, endpoint, &()).await
    }

    /// A read by POST (searches, Connect's Get and List): repeated after transient failures.
    pub async fn query<T: DeserializeOwned>(
        &self,
        organization: Option<&str>,
        endpoint: &(impl Endpoint + ?Sized),
        body: &impl Serialize,
    ) -> Result<T> {
        self.call(Safety::Read, Method::POST, organization, endpoint, body).await
    }

    /// A write: repeated only where it is certain that it had no effect.
    pub async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        organization: Option<&str>,
        endpoint: &(impl Endpoint + ?Sized),
        body: &impl Serialize,
    ) -> Result<T> {
        self.call(Safety::Write, method, organization, endpoint, body).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        safety: Safety,
        method: Method,
        organization: Option<&str>,
        endpoint: &(impl Endpoint + ?Sized),
        body: &impl Serialize,
    ) -> Result<T> {
        let mut call = self.0.exchange.call(method, endpoint)?;
        call.writes = safety == Safety::Write;
        call.headers.insert(ACCEPT, JSON);
        call.set_organization(organization)?;
        let body = serde_json::to_value(body).map_err(|_| call.malformed("a body without JSON"))?;
        if body != Value::Null {
            call.body = body.to_string().into_bytes();
            call.headers.insert(CONTENT_TYPE, JSON);
        }
        let began = Instant::now();
        // In a box: hundreds wait here.
        let answer = Box::pin(self.repeat(safety, &call)).await?;
        // serde_json's own text may quote the body; its position is enough to find the place.
        let parsed = serde_json::from_slice(&answer.body).map_err(|e| {
            let (line, column) = (e.line(), e.column());
            call.malformed(format!("{:?} error at line {line} column {column}", e.classify()))
        });
        if let Err(error) = &parsed {
            Box::pin(self.judge(&call, began, error)).await;
        }
        parsed
    }

    /// A call with a token, repeated as far as that is safe, unless the server is down.
    async fn repeat(&self, safety: Safety, call: &Call<'_>) -> Result<Response> {
        let mut tries = Tries::new(safety, self.0.patience);
        let mut attempt = 1;
        loop {
            let error = match self.attempt(safety, call, &mut attempt).await? {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            self.pause(&mut tries, error).await?;
        }
    }

    /// Waits before a call that failed so is tried again. Returns the error if it is not.
    async fn pause(&self, tries: &mut Tries, error: Error) -> Result<()> {
        if self.is_down() {
            return Err(error);
        }
        sleep(tries.pause(&error).ok_or(error)?).await;
        Ok(())
    }

    /// A call with a token. If the token is refused, the call is made with another one, once.
    /// The outer error is that there is no token, which was tried often enough.
    async fn attempt(
        &self,
        safety: Safety,
        call: &Call<'_>,
        attempt: &mut u32,
    ) -> Result<Result<Response>> {
        self.admit().await?;
        // Held while the token is awaited and replaced: of hundreds of callers, few find out that it
        // is refused. The semaphore is never closed.
        let _permit = self.0.limit.acquire().await.ok();
        self.0.outage.check()?;
        let mut may_replace = !self.0.credentials.are_a_token();
        loop {
            let token = self.token().await?;
            self.0.requests.count(safety);
            let answer = self.watch(safety, call, self.authorized(call, &token, *attempt)).await;
            *attempt += 1;
            match answer {
                Err(error) if error.is_unauthenticated() && may_replace => {
                    may_replace = false;
                    self.0.tokens.drop_token(&token).await;
                }
                Err(error) if error.is_unauthenticated() => {
                    self.0.tokens.refuse(&token, &error).await;
                    return Ok(Err(error));
                }
                other => return Ok(other),
            }
        }
    }

    async fn authorized(&self, call: &Call<'_>, token: &Token, attempt: u32) -> Result<Response> {
        let text = token.value.expose_secret();
        let mut bearer = HeaderValue::from_str(&format!("Bearer {text}"))
            .map_err(|_| CredentialsProblem::NoToken)?;
        bearer.set_sensitive(true);
        let mut headers = call.headers.clone();
        headers.insert(AUTHORIZATION, bearer);
        self.0
            .exchange
            .send(call, headers, attempt, |answer, retry_after| {
                Error::Status(Status::parse(answer.status, retry_after, &answer.body, text))
            })
            .await
    }

    async fn token(&self) -> Result<Token> {
        let fetch = async {
            match self.0.credentials.login(&self.0.issuer)? {
                Login::Token(token) => Ok(Token::fixed(token)),
                Login::Form(form) => self.fetch_token(&form).await,
            }
        };
        self.0.tokens.get(fetch).await
    }

    async fn fetch_token(&self, form: &[(&'static str, String)]) -> Result<Token> {
        let answer = self.submit(&self.form(TOKEN_ENDPOINT, form)?, auth::refusal).await?;
        let endpoint = format!("POST {TOKEN_ENDPOINT}");
        let malformed = || Error::Malformed { endpoint, what: "no usable access_token".into() };
        Token::parse(&answer.body).ok_or_else(malformed)
    }

    /// Sends a call without a token, which changes nothing, again as long as that can help.
    /// `failure`: what an answer other than 2xx means.
    async fn submit(
        &self,
        call: &Call<'_>,
        failure: fn(&Response, Option<Duration>) -> Error,
    ) -> Result<Response> {
        self.admit().await?;
        let mut tries = Tries::new(Safety::Read, self.0.patience);
        let mut attempt = 1;
        loop {
            let headers = call.headers.clone();
            let sent = self.0.exchange.send(call, headers, attempt, failure);
            match self.watch(Safety::Read, call, sent).await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.pause(&mut tries, error).await?,
            }
            attempt += 1;
        }
    }

    /// A call that sends a form.
    fn form(
        &self,
        endpoint: &'static str,
        form: &[(&'static str, String)],
    ) -> Result<Call<'static>> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut call = self.0.exchange.call(Method::POST, endpoint)?;
        call.headers.insert(CONTENT_TYPE, FORM);
        call.body = body.into_bytes();
        Ok(call)
    }
}
