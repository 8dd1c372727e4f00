//! What a server can do: found out once per connection, not by a failed call per write.
//!
//! A kind names what it needs and has a fallback for as a [`Capability`], and makes the call by
//! [`Client::with_fallback`]. The first call tries, while others that need the same wait; what it
//! finds holds for the connection. A missing capability is looked for again after [`RECHECKED`]:
//! servers are upgraded.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Client, Result};

/// How long a capability that is missing is not tried again.
pub const RECHECKED: Duration = Duration::from_secs(60 * 60);

/// Something that not every supported release of ZITADEL has: a service, a method, a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Capability(&'static str);

impl Capability {
    /// A capability of this name; equal names are the same capability.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Its name, for logs.
    pub fn name(self) -> &'static str {
        self.0
    }
}

/// What is known of one server.
#[derive(Debug, Default)]
pub struct Capabilities {
    all: Mutex<HashMap<Capability, Record>>,
}

#[derive(Debug, Clone, Default)]
struct Record {
    known: Option<Known>,
    trial: Trial,
}

/// Held by whoever tries what is not known; when the last one ended without a result.
type Trial = Arc<tokio::sync::Mutex<Option<Instant>>>;

#[derive(Debug, Clone, Copy)]
enum Known {
    Present,
    Missing { since: Instant },
}

impl Capabilities {
    /// Whether the server has it; `None` where this is not known, or no longer.
    pub fn has(&self, capability: Capability) -> Option<bool> {
        match self.record(capability, |record| record.known)? {
            Known::Present => Some(true),
            Known::Missing { since } => (since.elapsed() < RECHECKED).then_some(false),
        }
    }

    /// Records what an answer showed.
    pub fn learn(&self, capability: Capability, is_present: bool) {
        let now =
            if is_present { Known::Present } else { Known::Missing { since: Instant::now() } };
        let before = self.record(capability, |record| record.known.replace(now));
        if !is_present && !matches!(before, Some(Known::Missing { .. })) {
            tracing::debug!(capability = capability.name(), "missing on this server");
        }
    }

    fn record<T>(&self, capability: Capability, f: impl FnOnce(&mut Record) -> T) -> T {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        f(all.entry(capability).or_default())
    }
}

impl Client {
    /// Makes the preferred call where the server has the capability, the fallback where it does not.
    ///
    /// A capability counts as missing when the server has no such endpoint but answers the
    /// fallback: a misrouted request gets 404 for both and proves nothing.
    pub async fn with_fallback<T, P, F>(
        &self,
        capability: Capability,
        preferred: impl FnOnce() -> P,
        fallback: impl FnOnce() -> F,
    ) -> Result<T>
    where
        P: Future<Output = Result<T>>,
        F: Future<Output = Result<T>>,
    {
        let capabilities = self.capabilities();
        match capabilities.has(capability) {
            Some(false) => return fallback().await,
            Some(true) => return self.prefer(capability, preferred, fallback).await,
            None => {}
        }
        let asked = Instant::now();
        let trial = capabilities.record(capability, |record| record.trial.clone());
        let mut trial = trial.lock().await;
        match capabilities.has(capability) {
            Some(false) => {
                drop(trial);
                fallback().await
            }
            Some(true) => {
                drop(trial);
                self.prefer(capability, preferred, fallback).await
            }
            // While the server fails, callers do not wait for each other.
            None if trial.is_some_and(|ended| asked <= ended) => {
                drop(trial);
                self.prefer(capability, preferred, fallback).await
            }
            None => {
                let result = self.prefer(capability, preferred, fallback).await;
                if capabilities.has(capability).is_none() {
                    *trial = Some(Instant::now());
                }
                result
            }
        }
    }

    async fn prefer<T, P, F>(
        &self,
        capability: Capability,
        preferred: impl FnOnce() -> P,
        fallback: impl FnOnce() -> F,
    ) -> Result<T>
    where
        P: Future<Output = Result<T>>,
        F: Future<Output = Result<T>>,
    {
        let result = preferred().await;
        match &result {
            Err(e) if e.is_missing_endpoint() => {
                let result = fallback().await;
                if result.as_ref().err().is_none_or(|e| e.is_answer() && !e.is_missing_endpoint()) {
                    self.capabilities().learn(capability, false);
                }
                return result;
            }
            // A refusal comes before the look at the path.
            Err(e) if !e.is_answer() => {}
            _ => self.capabilities().learn(capability, true),
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::zitadel::{
        Error,
        fake::{Fake, answer},
    };

    const CREATE: Capability = Capability::new("CreateThing");

    /// A server that has the older endpoint, and answers the newer one by this.
    fn older(newer: impl Fn(usize) -> u16 + Send + Sync + 'static) -> (Client, Fake) {
        Fake::client(move |fake, request| match request.url.path() {
            "/v2/things" => {
                let n = fake.paths().iter().filter(|p| *p == "/v2/things").count();
                answer(newer(n), json!({}))
            }
            _ => answer(200, json!({})),
        })
    }

    async fn create(client: &Client) -> Result<Value> {
        client
            .with_fallback(
                CREATE,
                || async { client.query(None, "/v2/things", &json!({})).await },
                || async { client.query(None, "/v1/things", &json!({})).await },
            )
            .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_endpoint_is_tried_once_however_many_need_it() {
        let (client, fake) = older(|_| 404);
        let calls = futures::future::join_all((0..100).map(|_| create(&client))).await;
        assert!(calls.iter().all(Result::is_ok));
        assert_eq!(client.capabilities().has(CREATE), Some(false));
        let count = || fake.paths().iter().filter(|p| *p == "/v2/things").count();
        assert_eq!(count(), 1);
        tokio::time::advance(RECHECKED).await;
        assert_eq!(client.capabilities().has(CREATE), None);
        create(&client).await.unwrap();
        assert_eq!(count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fallback_may_have_a_fallback() {
        let (client, fake) = older(|_| 404);
        let nested = || create(&client);
        client
            .with_fallback(
                Capability::new("CreateThingLater"),
                || async { client.query(None, "/v2/things", &json!({})).await },
                nested,
            )
            .await
            .unwrap();
        assert_eq!(fake.paths(), ["/v2/things", "/v2/things", "/v1/things"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_upgraded_server_is_noticed() {
        let (client, fake) = older(|n| if n == 1 { 501 } else { 200 });
        create(&client).await.unwrap();
        tokio::time::advance(RECHECKED).await;
        for _ in 0..3 {
            create(&client).await.unwrap();
        }
        assert_eq!(client.capabilities().has(CREATE), Some(true));
        assert_eq!(
            fake.paths(),
            ["/v2/things", "/v1/things", "/v2/things", "/v2/things", "/v2/things"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_route_that_is_missing_altogether_proves_nothing() {
        let (client, _) = Fake::client(|_, _| answer(404, json!({})));
        assert!(create(&client).await.is_err_and(|e| e.is_missing_endpoint()));
        assert_eq!(client.capabilities().has(CREATE), None);
    }

    #[tokio::test(start_paused = true)]
    async fn neither_an_outage_nor_a_refusal_proves_anything() {
        for http in [401, 500, 502, 503] {
            let (client, _) = older(move |_| http);
            let calls = futures::future::join_all((0..10).map(|_| create(&client))).await;
            assert!(calls.iter().all(Result::is_err));
            assert_eq!(client.capabilities().has(CREATE), None, "{http}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_request_shows_that_the_endpoint_is_there() {
        let (client, _) = Fake::client(|_, _| {
            answer(404, json!({"code": 5, "message": "", "details": [{"id": "QUERY-1"}]}))
        });
        assert!(matches!(create(&client).await, Err(Error::Status(_))));
        assert_eq!(client.capabilities().has(CREATE), Some(true));
    }
}
