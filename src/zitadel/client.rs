//! The client of one ZITADEL instance.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use reqwest::{
    Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
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
    exchange::{Call, Exchange, PROBE},
    outage::{Outage, SLOW},
    path::Endpoint,
    retry::{Safety, Tries},
    token::{Token, Tokens},
    transport::{Http, Response},
};

const ORGANIZATION: HeaderName = HeaderName::from_static("x-zitadel-orgid");
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
}

impl Client {
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
        })))
    }

    /// What is known of the server.
    pub fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    /// Whether the server is known to be down: then nothing is sent but probes.
    pub fn is_down(&self) -> bool {
        self.0.outage.check().is_err()
    }

    /// How often the server was found to be down.
    pub fn outages(&self) -> u64 {
        self.0.outage.count()
    }

    /// What every call fails with while the server is known to be down.
    pub fn outage(&self) -> Option<Error> {
        self.0.outage.check().err()
    }

    /// Returns when the server is known to be down.
    pub async fn until_down(&self) {
        self.0.outage.until_down().await;
    }

    /// Waits until the next probe of a server that is down is due, and sends it, unless somebody
    /// else does. Returns at once when the server is not down.
    pub async fn try_again(&self) {
        self.0.outage.until_due().await;
        self.admit().await.ok();
    }

    /// Lets a call pass, unless the server is down.
    async fn admit(&self) -> Result<()> {
        self.0.outage.admit(self.probe()).await
    }

    /// A call that began at this time failed so: finds out whether the server is down.
    async fn judge(&self, call: &Call<'_>, began: Instant, error: &Error) {
        if !error.suggests_outage() {
            return;
        }
        if call.is_probe() {
            self.0.outage.set_down(error, began);
        } else {
            self.0.outage.confirm(self.probe()).await.ok();
        }
    }

    /// The smallest call that needs all of ZITADEL; without a token, that for one.
    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        async move { self.ask().await }.boxed()
    }

    async fn ask(&self) -> Result<()> {
        let exchange = &self.0.exchange;
        let login = match self.0.tokens.current() {
            Some(token) => Login::Token(token.value),
            None => self.0.credentials.login(&self.0.issuer)?,
        };
        match login {
            Login::Token(token) => {
                let mut call = exchange.call(Method::POST, PROBE)?;
                call.headers.insert(ACCEPT, JSON);
                call.headers.insert(CONTENT_TYPE, JSON);
                call.body = b"{}".into();
                let answer = self.authorized(&call, &Token::fixed(token), 1).await?;
                let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&answer.body).is_ok();
                if is_json { Ok(()) } else { Err(call.malformed("no JSON")) }
            }
            Login::Form(form) => {
                let call = self.form(TOKEN_ENDPOINT, &form)?;
                let sent = exchange.send(&call, call.headers.clone(), 1, auth::refusal);
                let answer = sent.await?;
                Token::parse(&answer.body).map(|_| ()).ok_or_else(|| call.malformed("no token"))
            }
        }
    }

    /// Waits for an answer, unless the server turns out to be down. A write is waited for all the
    /// same: it may still have its effect.
    async fn unless_down<T>(
        &self,
        safety: Safety,
        sent: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut sent = std::pin::pin!(sent);
        let outage = &self.0.outage;
        let down = async {
            tokio::select! {
                () = outage.until_down() => {}
                () = sleep(SLOW) => {
                    outage.confirm(self.probe()).await.ok();
                }
            }
            outage.until_down().await;
        };
        tokio::select! {
            biased;
            answer = &mut sent => return answer,
            () = down => {}
        }
        match (safety, outage.check()) {
            (Safety::Read, Err(down)) => Err(down),
            _ => sent.await,
        }
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
        if let Some(id) = organization {
            let header = HeaderValue::from_str(id).map_err(|_| Error::InvalidPath {
                path: id.into(),
                problem: "an organization id that no header may have",
            })?;
            call.headers.insert(ORGANIZATION, header);
        }
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
            let began = Instant::now();
            let sent = self.authorized(call, &token, *attempt);
            let answer = self.unless_down(safety, sent).await;
            *attempt += 1;
            if let Err(error) = &answer {
                self.judge(call, began, error).await;
            }
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
        let answer = self.submit(TOKEN_ENDPOINT, form).await?;
        let endpoint = format!("POST {TOKEN_ENDPOINT}");
        let malformed = || Error::Malformed { endpoint, what: "no usable access_token".into() };
        Token::parse(&answer.body).ok_or_else(malformed)
    }

    /// Whether this is the secret of a client that can be used. It is tried by asking what a token
    /// means, which leaves no trace.
    pub async fn accepts_client(&self, client_id: &str, secret: &SecretString) -> Result<bool> {
        let form = [
            ("client_id", client_id.to_owned()),
            ("client_secret", secret.expose_secret().to_owned()),
            ("token", "none".to_owned()),
        ];
        is_accepted(self.submit(INTROSPECTION_ENDPOINT, &form).await)
    }

    /// Whether this is the secret of an account that can be used. It is tried by a login.
    pub async fn accepts_account(&self, client_id: &str, secret: &SecretString) -> Result<bool> {
        let form = [
            ("grant_type", "client_credentials".to_owned()),
            ("scope", "openid".to_owned()),
            ("client_id", client_id.to_owned()),
            ("client_secret", secret.expose_secret().to_owned()),
        ];
        is_accepted(self.submit(TOKEN_ENDPOINT, &form).await)
    }

    /// The id of the user whose token this is; `None`: it opens nothing.
    pub async fn user_of(&self, token: &SecretString) -> Result<Option<String>> {
        #[derive(serde::Deserialize)]
        struct Answer {
            user: User,
        }
        #[derive(serde::Deserialize)]
        struct User {
            id: String,
        }
        let mut call = self.0.exchange.call(Method::GET, OWN_USER_ENDPOINT)?;
        call.headers.insert(ACCEPT, JSON);
        self.admit().await?;
        let began = Instant::now();
        let token = Token::fixed(token.clone());
        let sent = self.authorized(&call, &token, 1);
        let answer = self.unless_down(Safety::Read, sent).await;
        if let Err(error) = &answer {
            self.judge(&call, began, error).await;
        }
        match answer {
            Ok(answer) => {
                let answer: Answer = serde_json::from_slice(&answer.body)
                    .map_err(|_| call.malformed("no user with an id"))?;
                Ok(Some(answer.user.id))
            }
            Err(e) if e.is_unauthenticated() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Sends a form without a token, again as long as that can help.
    async fn submit(
        &self,
        endpoint: &'static str,
        form: &[(&'static str, String)],
    ) -> Result<Response> {
        self.admit().await?;
        let call = self.form(endpoint, form)?;
        let mut tries = Tries::new(Safety::Read, self.0.patience);
        let mut attempt = 1;
        loop {
            let began = Instant::now();
            let headers = call.headers.clone();
            let sent = self.0.exchange.send(&call, headers, attempt, auth::refusal);
            match self.unless_down(Safety::Read, sent).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    self.judge(&call, began, &error).await;
                    self.pause(&mut tries, error).await?;
                }
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

fn is_accepted(answer: Result<Response>) -> Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(Error::TokenRefused { .. }) => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::RETRY_AFTER;
    use serde_json::json;

    use tokio::time::Instant;

    use super::*;
    use crate::zitadel::{
        TransportError,
        error::ConfigurationProblem,
        fake::{Answer, Fake, answer},
        outage::INTERVAL,
        retry,
        token::REMEMBERED,
        transport::{MAX_BODY, Request},
    };

    const ENDPOINT: &str = "/admin/v1/restrictions";

    fn client_credentials() -> Credentials {
        Credentials::ClientCredentials {
            client_id: "bot".into(),
            secret: "s3cret-client".to_owned().into(),
        }
    }

    fn unauthenticated() -> Answer {
        answer(401, json!({"code": 16, "message": "no", "details": [{"id": "AUTH-7fs1e"}]}))
    }

    async fn get(client: &Client) -> Result<Value> {
        client.get(None, ENDPOINT).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_lifetime_without_limit_is_only_long() {
        let (client, fake) = Fake::client_of(client_credentials(), |_, request| {
            answer(
                200,
                match request.url.path() {
                    "/oauth/v2/token" => json!({"access_token": "t", "expires_in": u64::MAX}),
                    _ => json!({}),
                },
            )
        });
        get(&client).await.unwrap();
        tokio::time::advance(Duration::from_secs(86_000)).await;
        get(&client).await.unwrap();
        assert_eq!(fake.paths(), ["/oauth/v2/token", ENDPOINT, ENDPOINT]);
        tokio::time::advance(Duration::from_secs(400)).await;
        get(&client).await.unwrap();
        assert_eq!(fake.paths().len(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn refused_credentials_are_asked_for_once_in_a_while() {
        let (client, fake) = Fake::client_of(client_credentials(), |_, _| {
            answer(400, json!({"error": "invalid_client", "error_description": "s3cret-client"}))
        });
        let refused = Error::TokenRefused { error: "invalid_client" };
        let calls = futures::future::join_all((0..300).map(|_| get(&client))).await;
        assert!(calls.iter().all(|c| *c == Err(refused.clone())));
        assert_eq!(fake.paths(), ["/oauth/v2/token"]);
        tokio::time::advance(REMEMBERED.saturating_sub(Duration::from_millis(1))).await;
        assert_eq!(get(&client).await, Err(refused.clone()));
        assert_eq!(fake.paths().len(), 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(get(&client).await, Err(refused));
        assert_eq!(fake.paths().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_personal_access_token_is_asked_for_once_in_a_while() {
        let (client, fake) = Fake::client(|_, _| unauthenticated());
        let calls = futures::future::join_all((0..300).map(|_| get(&client))).await;
        assert!(calls.iter().all(|c| c.as_ref().is_err_and(Error::is_unauthenticated)));
        // Those that were on their way.
        assert_eq!(fake.paths().len(), 4);
        let error = get(&client).await.unwrap_err();
        assert_eq!((error.id(), fake.paths().len()), (Some("AUTH-7fs1e"), 4));
        tokio::time::advance(REMEMBERED).await;
        get(&client).await.unwrap_err();
        assert_eq!(fake.paths().len(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_that_are_accepted_again_work_again() {
        let (client, fake) = Fake::client(|fake, _| match fake.paths().len() {
            1 => unauthenticated(),
            _ => answer(200, json!({})),
        });
        get(&client).await.unwrap_err();
        tokio::time::advance(REMEMBERED).await;
        for _ in 0..3 {
            get(&client).await.unwrap();
        }
        assert_eq!(fake.paths().len(), 4);
        // Another client remembers nothing.
        let (client, _) = Fake::client(|_, _| answer(200, json!({})));
        get(&client).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_expired_is_replaced_once_for_all() {
        let (client, fake) = Fake::client_of(client_credentials(), |fake, request| {
            let tokens = fake.paths().iter().filter(|p| *p == "/oauth/v2/token").count();
            match request.url.path() {
                "/oauth/v2/token" => answer(200, json!({"access_token": format!("t{tokens}")})),
                _ if request.headers[AUTHORIZATION] == "Bearer t1" => unauthenticated(),
                _ => answer(200, json!({})),
            }
        });
        let calls = futures::future::join_all((0..100).map(|_| get(&client))).await;
        assert!(calls.iter().all(Result::is_ok));
        // Those with the former token were on their way.
        assert_eq!(fake.paths().iter().filter(|p| *p == "/oauth/v2/token").count(), 2);
        assert_eq!(fake.paths().len(), 2 + 100 + 4);
    }

    #[tokio::test(start_paused = true)]
    async fn fresh_tokens_that_are_refused_are_not_fetched_for_ever() {
        let (client, fake) =
            Fake::client_of(client_credentials(), |fake, request| match request.url.path() {
                "/oauth/v2/token" => {
                    answer(200, json!({"access_token": format!("t{}", fake.paths().len())}))
                }
                _ => unauthenticated(),
            });
        let calls = futures::future::join_all((0..300).map(|_| get(&client))).await;
        assert!(calls.iter().all(Result::is_err));
        let tokens = fake.paths().iter().filter(|p| *p == "/oauth/v2/token").count();
        assert_eq!((tokens, fake.paths().len()), (2, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_of_the_token_endpoint_is_shared_and_passes() {
        let (client, fake) = Fake::client_of(client_credentials(), |fake, request| {
            match (request.url.path(), fake.paths().len()) {
                ("/oauth/v2/token", 1..=2) => answer(400, json!({"error": "server_error"})),
                ("/oauth/v2/token", _) => answer(200, json!({"access_token": "t"})),
                _ => answer(200, json!({})),
            }
        });
        let calls = futures::future::join_all((0..4).map(|_| get(&client))).await;
        assert!(calls.iter().all(|c| c.as_ref().is_err_and(Error::is_transient)), "{calls:?}");
        // The attempt, and the probe.
        assert_eq!(fake.paths().len(), 2);
        tokio::time::advance(INTERVAL).await;
        get(&client).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_asks_for_no_pause_gets_one() {
        for header in ["0", "Thu, 01 Jan 1970 00:00:00 GMT", "18446744073709551615"] {
            let (client, fake) = Fake::client(move |_, _| {
                let mut busy = answer(429, json!({}))?;
                busy.headers.insert(RETRY_AFTER, HeaderValue::from_static(header));
                Ok(busy)
            });
            let began = Instant::now();
            let error = get(&client).await.unwrap_err();
            if header.len() < 15 || header.contains("GMT") {
                assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
                assert_eq!((error.retry_after(), fake.paths().len()), (None, 4));
            } else {
                assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
                assert_eq!(fake.paths().len(), 1);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_is_not_waited_for_until_the_deadline() {
        struct Hanging;
        #[async_trait::async_trait]
        impl Transport for Hanging {
            async fn send(&self, _: Request) -> Result<Response, TransportError> {
                sleep(Duration::from_secs(30)).await;
                Err(TransportError::Broken("the deadline passed".into()))
            }
        }
        let config = Config::new("https://a.example".parse().unwrap(), client_credentials());
        let client = Client::with_transport(config, Box::new(Hanging)).unwrap();
        let began = Instant::now();
        assert!(get(&client).await.unwrap_err().is_down());
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_tells_each_call_without_secrets() {
        #[derive(Clone, Default)]
        struct Log(Arc<std::sync::Mutex<Vec<u8>>>);
        impl std::io::Write for Log {
            fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(text)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let (client, _) =
            Fake::client_of(client_credentials(), |_, request| match request.url.path() {
                "/oauth/v2/token" => answer(200, json!({"access_token": "s3cret-access"})),
                _ => answer(
                    400,
                    json!({"code": 9, "message": "s3cret-body", "details": [{"id": "X-1"}]}),
                ),
            });
        // Whoever makes the first call decides for all threads whether its event is of interest.
        get(&Fake::client(|_, _| answer(200, json!({}))).0).await.unwrap();
        tracing::callsite::rebuild_interest_cache();
        let body = json!({"password": "s3cret-body"});
        let path = "/management/v1/users/371-a/machine";
        client.write::<Value>(Method::PUT, None, path, &body).await.unwrap_err();
        drop(guard);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        for part in [
            "endpoint=/oauth/v2/token status=200 code=\"ok\"",
            "method=PUT endpoint=/management/v1/users/{}/machine status=400",
            "code=\"failed_precondition\" error_id=\"X-1\"",
            "attempt=1",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("s3cret") && !text.contains("371-a"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn writes_are_repeated_only_without_effect() {
        for (http, sent) in [(429, 4), (500, 1), (502, 1), (503, 1), (504, 1), (400, 1)] {
            let (client, fake) = Fake::client(move |_, _| answer(http, json!({})));
            let written = client.write::<Value>(Method::POST, None, ENDPOINT, &json!({})).await;
            written.unwrap_err();
            let sends = fake.paths().iter().filter(|path| *path == ENDPOINT).count();
            assert_eq!(sends, sent, "{http}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_beyond_the_limit_is_an_error_and_not_asked_for_again() {
        let (client, fake) = Fake::client(|_, _| {
            let mut large = answer(200, json!({}))?;
            large.body = vec![b' '; MAX_BODY + 1];
            Ok(large)
        });
        let endpoint = format!("GET {ENDPOINT}");
        assert_eq!(get(&client).await, Err(Error::TooLarge { endpoint, limit: MAX_BODY }));
        assert_eq!(fake.paths().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_invalid_path_or_header_is_not_sent() {
        let (client, fake) =
            Fake::client_of(client_credentials(), |_, _| answer(200, json!({"access_token": "t"})));
        for path in ["/management/v1/projects/x/../../admin", "/admin/v1/x?y", "/admin/v1//x"] {
            let deleted = client.write::<Value>(Method::DELETE, None, path, &()).await;
            assert!(matches!(deleted, Err(Error::InvalidPath { .. })), "{deleted:?}");
        }
        let refused = client.get::<Value>(Some("1\r\nhost: evil"), ENDPOINT).await;
        assert!(matches!(refused, Err(Error::InvalidPath { .. })), "{refused:?}");
        assert!(fake.paths().is_empty());
    }

    #[test]
    fn issuer_and_address_are_plain_urls() {
        let pat = || Credentials::token(&"t".into()).unwrap();
        for url in [
            "https://u:p@a.example",
            "https://a.example/?x",
            "https://a.example/#x",
            "ftp://a.example",
        ] {
            let Err(e) = Client::new(Config::new(url.parse().unwrap(), pat())) else {
                panic!("accepted: {url}")
            };
            assert_eq!(e, Error::Configuration(ConfigurationProblem::Url), "{url}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_counted_by_endpoint_and_code() {
        let (client, fake) = Fake::client(|_, request| match request.method {
            Method::GET => answer(200, json!({})),
            _ => answer(404, json!({"code": 5, "message": "", "details": [{"id": "X-1"}]})),
        });
        for id in ["1", "2-b"] {
            client.get::<Value>(None, &format!("/management/v1/projects/{id}")).await.unwrap();
        }
        let path = crate::zitadel::Path::new("/management/v1/users/{}", &["kim"]).unwrap();
        client.write::<Value>(Method::DELETE, None, &path, &()).await.unwrap_err();
        assert_eq!(fake.paths()[2], "/management/v1/users/kim");
        let requests = &client.0.requests;
        assert_eq!((requests.reads(), requests.writes()), (2, 1));
        let mut series: Vec<_> = requests
            .snapshot()
            .map(|s| (s.method.to_string(), s.endpoint.into_owned(), s.code, s.count))
            .collect();
        series.sort();
        assert_eq!(
            series,
            [
                ("DELETE".into(), "/management/v1/users/{}".into(), "not_found", 1),
                ("GET".into(), "/management/v1/projects/{}".into(), "ok", 2),
            ]
        );
    }

    #[derive(Debug, serde::Deserialize)]
    struct Expected {
        #[expect(dead_code, reason = "no answer has it")]
        field: u8,
    }

    proptest! {
        /// Whatever the server answers, nothing that is printed holds a secret or an odd body.
        #[test]
        fn no_error_holds_a_secret_or_a_body(
            http in 200u16..600,
            before in "\\PC{0,300}",
            after in "\\PC{0,9}",
            form in 0..8,
            retry_after in "[0-9]{0,30}|\\PC{0,9}",
            by_token in any::<bool>(),
        ) {
            const MARK: &str = "body-of-a-proxy";
            let credentials = if by_token {
                Credentials::token(&"s3cret-token".into()).unwrap()
            } else {
                client_credentials()
            };
            let (client, _) = Fake::client_of(credentials, move |fake, request| {
                let token = request.headers.get(AUTHORIZATION).map_or("", |v| v.to_str().unwrap());
                let sent = String::from_utf8_lossy(&request.body);
                let echo = format!("{before}{token}{sent}{after}");
                if request.url.path() == "/oauth/v2/token" && fake.paths().len() % 2 == 1 {
                    return answer(200, json!({"access_token": "s3cret-access"}));
                }
                let body = match form {
                    0 => json!({"code": 3, "message": echo}),
                    1 => json!({"code": "internal", "message": echo, "details": [{"id": echo}]}),
                    2 => json!({"code": 5, "message": "x", "details": [{"debug": {"id": echo}}]}),
                    3 => json!({"error": echo, "error_description": echo}),
                    4 => json!([MARK, echo]),
                    5 => json!({MARK: echo}),
                    6 => json!(echo),
                    _ => json!({"code": {MARK: echo}, "details": {MARK: echo}}),
                };
                let mut answer = answer(http, body)?;
                if let Ok(value) = HeaderValue::from_str(&retry_after) {
                    answer.headers.insert(RETRY_AFTER, value);
                }
                Ok(answer)
            });
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time().start_paused(true).build().unwrap();
            let errors = runtime.block_on(async {
                [
                    client.get::<Expected>(None, ENDPOINT).await.unwrap_err(),
                    client.write::<Expected>(Method::POST, None, ENDPOINT, &json!({})).await.unwrap_err(),
                ]
            });
            for error in errors {
                let text = format!("{error} {error:?} {}", error.label());
                prop_assert!(!text.contains("s3cret") && !text.contains(MARK), "{}", text);
                prop_assert!(error.retry_after().is_none_or(|d| !d.is_zero() && d <= retry::MAX_RETRY_AFTER));
            }
        }
    }
}
