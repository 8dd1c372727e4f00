//! Whether the server is down, found out once for all who call it.
//!
//! A call that fails in a way that an outage would explain (`Error::suggests_outage`) is no proof:
//! one endpoint may be broken alone. So a *probe* follows, the cheapest call that needs all of
//! ZITADEL: which instance it is. If that fails in such a way too, the server is down. From then on
//! nothing is sent but one probe every [`INTERVAL`], whoever asks; every other call fails at once
//! with [`Error::Down`]. The first probe that is answered, be it with an error of its own, ends it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{Error, Result};

/// From one probe of a server that is down to the next: twelve a minute.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// How long a probe may take. A server that needs longer for the smallest of calls is down.
const DEADLINE: Duration = Duration::from_secs(3);

/// A call that takes longer than this is a reason for a probe.
pub(super) const SLOW: Duration = Duration::from_secs(2);

/// The pause before the probe that decides: a connection that is replaced, or a process that is
/// started again behind a proxy, is no outage. Those who are under way wait with it.
const BLIP: Duration = Duration::from_millis(300);
/// So soon after a probe that was answered there is no such pause: it is one endpoint that fails,
/// and others must not be held up by it.
const RECENT: Duration = Duration::from_secs(30);

/// The state of one server.
pub(super) struct Outage {
    host: String,
    down: watch::Sender<Option<Down>>,
    /// How often it was down.
    count: AtomicU64,
    /// When the last probe began; held while one is under way.
    probing: Mutex<Option<Instant>>,
}

#[derive(Clone)]
struct Down {
    cause: Box<Error>,
    since: Instant,
    /// When the next probe is due.
    next: Instant,
}

impl Outage {
    /// A server that is taken for one that works. `host`: as errors name it.
    pub(super) fn new(host: String) -> Self {
        let down = watch::Sender::new(None);
        Self { host, down, count: AtomicU64::default(), probing: Mutex::default() }
    }

    /// `Err`: it is down, as far as is known.
    pub(super) fn check(&self) -> Result<()> {
        match &*self.down.borrow() {
            Some(down) => Err(Error::Down(down.cause.clone())),
            None => Ok(()),
        }
    }

    /// Lets a call pass. While the server is down only if a probe is due and is answered.
    pub(super) async fn admit(&self, probe: impl Future<Output = Result<()>>) -> Result<()> {
        let Err(error) = self.check() else { return Ok(()) };
        let Ok(mut last) = self.probing.try_lock() else { return Err(error) };
        match self.due() {
            // Another probe has ended meanwhile.
            None => Ok(()),
            Some(due) if Instant::now() < due => Err(error),
            Some(_) => self.probe(&mut last, probe).await,
        }
    }

    /// A call failed with this, or takes long: finds out whether the server is down. One probe
    /// answers all who ask meanwhile.
    pub(super) async fn confirm(&self, probe: impl Future<Output = Result<()>>) -> Result<()> {
        let noticed = Instant::now();
        let mut last = self.probing.lock().await;
        self.check()?;
        if last.is_some_and(|began| began > noticed) {
            return Ok(());
        }
        if last.is_none_or(|began| began.elapsed() > RECENT) {
            sleep(BLIP).await;
        }
        self.probe(&mut last, probe).await
    }

    async fn probe(
        &self,
        last: &mut Option<Instant>,
        probe: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let began = Instant::now();
        *last = Some(began);
        // Also if whoever asks gives up half-way.
        self.down.send_if_modified(|down| {
            if let Some(down) = down {
                down.next = began + INTERVAL;
            }
            false
        });
        let answer = timeout(DEADLINE, probe).await.unwrap_or_else(|_| {
            let cause = "the deadline passed".into();
            Err(Error::NoAnswer { host: self.host.clone(), cause })
        });
        match answer {
            Err(e) if e.suggests_outage() => {
                self.set_down(&e, began);
                self.check()
            }
            _ => {
                self.set_up();
                Ok(())
            }
        }
    }

    /// The probe that `error` is the answer to began at this time.
    pub(super) fn set_down(&self, error: &Error, began: Instant) {
        let next = began + INTERVAL.max(error.retry_after().unwrap_or_default());
        self.down.send_modify(|down| {
            let since = down.as_ref().map_or(began, |down| down.since);
            if down.is_none() {
                self.count.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(host = self.host, error = %error, "ZITADEL is down");
            }
            *down = Some(Down { cause: Box::new(error.clone()), since, next });
        });
    }

    fn set_up(&self) {
        self.down.send_if_modified(|down| {
            let Some(down) = down.take() else { return false };
            let seconds = down.since.elapsed().as_secs();
            tracing::info!(host = self.host, seconds, "ZITADEL answers again");
            true
        });
    }

    /// When the next probe is due; `None`: the server is not down.
    pub(super) fn due(&self) -> Option<Instant> {
        self.down.borrow().as_ref().map(|down| down.next)
    }

    /// How often the server was found to be down.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns when the server is known to be down.
    pub(super) async fn until_down(&self) {
        // The sender is this one's own.
        self.down.subscribe().wait_for(Option::is_some).await.ok();
    }

    /// Returns when the server is not known to be down, or the next probe is due.
    pub(super) async fn until_due(&self) {
        let Some(due) = self.due() else { return };
        let mut down = self.down.subscribe();
        tokio::select! {
            _ = down.wait_for(Option::is_none) => {}
            () = sleep_until(due) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize},
    };

    use async_trait::async_trait;
    use reqwest::{Method, header::RETRY_AFTER};
    use serde_json::{Value, json};

    use super::*;
    use crate::zitadel::{
        AddressPolicy, Client, Config, Credentials, Transport, TransportError,
        exchange::PROBE,
        fake::{Answer, Fake, answer},
        transport::{MAX_BODY, Request, Response},
    };

    const ENDPOINT: &str = "/management/v1/projects/1";

    async fn get(client: &Client) -> Result<Value> {
        client.get(None, ENDPOINT).await
    }

    #[expect(clippy::unnecessary_wraps, reason = "what a transport answers")]
    fn text(status: u16, body: &str) -> Answer {
        let headers = reqwest::header::HeaderMap::new();
        Ok(Response { status, headers, body: body.into() })
    }

    fn zitadels(status: u16, code: u8) -> Answer {
        answer(status, json!({"code": code, "message": "m", "details": [{"id": "X-1"}]}))
    }

    /// What may come instead of an answer, and whether ZITADEL is down where everything is answered
    /// so.
    fn rows() -> Vec<(&'static str, Answer, bool)> {
        const PAGE: &str = "<html>a proxy's page</html>";
        let connect = |cause: &str| Err(TransportError::Connect(cause.into()));
        let broken = |cause: &str| Err(TransportError::Broken(cause.into()));
        vec![
            ("refused", connect("Connection refused (os error 111)"), true),
            ("no such host", connect("no record found"), true),
            ("TLS", connect("invalid peer certificate: Expired"), true),
            ("reset", broken("Connection reset by peer (os error 104)"), true),
            ("time-out", broken("the deadline passed"), true),
            ("a page in place of JSON", text(200, PAGE), true),
            ("half of the JSON", text(200, r#"{"project":{"id":"1""#), true),
            ("an empty body", text(200, ""), true),
            ("500 of a proxy", text(500, PAGE), true),
            ("500 of ZITADEL", zitadels(500, 13), true),
            ("502", text(502, PAGE), true),
            ("503 of a proxy", text(503, PAGE), true),
            ("503 of ZITADEL", zitadels(503, 14), true),
            ("504 of a proxy", text(504, PAGE), true),
            ("504 of ZITADEL", zitadels(504, 4), true),
            ("an address that is not allowed", Err(TransportError::NotAllowed), false),
            ("a body that is too large", text(200, &" ".repeat(MAX_BODY + 1)), false),
            ("JSON of another form", text(200, "[7]"), false),
            ("302", text(302, ""), false),
            ("400", zitadels(400, 3), false),
            ("401", zitadels(401, 16), false),
            ("403", zitadels(403, 7), false),
            ("404 of a proxy", text(404, PAGE), false),
            ("404 of ZITADEL", zitadels(404, 5), false),
            ("405", text(405, PAGE), false),
            ("408", text(408, PAGE), false),
            ("409", zitadels(409, 6), false),
            ("409: somebody else wrote", zitadels(409, 10), false),
            ("412", zitadels(400, 9), false),
            ("429 of a proxy", text(429, PAGE), false),
            ("429 of ZITADEL", zitadels(429, 8), false),
            ("501", zitadels(501, 12), false),
        ]
    }

    #[tokio::test(start_paused = true)]
    async fn what_everything_is_answered_with_is_an_outage_or_not() {
        for (what, row, is_outage) in rows() {
            let (client, _) = Fake::client(move |_, _| row.clone());
            let failed = client.get::<Vec<String>>(None, ENDPOINT).await;
            assert!(failed.is_err(), "{what}");
            assert_eq!(client.is_down(), is_outage, "{what}: {failed:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_endpoint_is_answered_with_is_none() {
        for (what, row, _) in rows() {
            let (client, fake) = Fake::client(move |_, request| match request.url.path() {
                ENDPOINT => row.clone(),
                _ => answer(200, json!({})),
            });
            client.get::<Vec<String>>(None, ENDPOINT).await.unwrap_err();
            assert_eq!((client.is_down(), client.outages()), (false, 0), "{what}");
            client.get::<Value>(None, "/management/v1/orgs/me").await.ok();
            assert!(fake.paths().len() <= 9, "{what}: {:?}", fake.paths());
        }
    }

    /// A server that is down while the switch says so; what it is asked.
    fn server() -> (Client, Fake, Arc<AtomicBool>) {
        let is_down = Arc::new(AtomicBool::new(true));
        let switch = is_down.clone();
        let (client, fake) = Fake::client(move |_, _| {
            if switch.load(Ordering::Relaxed) { text(503, "") } else { answer(200, json!({})) }
        });
        (client, fake, is_down)
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_callers_send_twelve_probes_a_minute() {
        let (client, fake, is_down) = server();
        let began = Instant::now();
        let callers = (0..1000).map(|n| {
            let (client, is_down) = (client.clone(), is_down.clone());
            async move {
                tokio::time::sleep(Duration::from_millis(n * 7)).await;
                while is_down.load(Ordering::Relaxed) {
                    get(&client).await.ok();
                    tokio::time::sleep(Duration::from_secs(7)).await;
                }
            }
        });
        let minutes = async {
            tokio::time::sleep(Duration::from_mins(1)).await;
            // Those that were under way, and the one that decided.
            let first = fake.paths().len();
            assert!(first <= 4 + 1 + 11, "{first}: {:?}", fake.paths());
            for _ in 0..2 {
                let before = fake.paths().len();
                tokio::time::sleep(Duration::from_mins(1)).await;
                let sent = fake.paths().len() - before;
                assert!((11..=12).contains(&sent), "{sent} in a minute");
            }
            is_down.store(false, Ordering::Relaxed);
            Instant::now()
        };
        let (_, returned) = tokio::join!(futures::future::join_all(callers), minutes);
        assert!(returned - began > Duration::from_mins(2));
        assert!(fake.paths().iter().skip(4).all(|path| path == PROBE), "{:?}", fake.paths());
    }

    #[tokio::test(start_paused = true)]
    async fn its_end_is_noticed_within_five_seconds_and_by_all() {
        let (client, _, is_down) = server();
        get(&client).await.unwrap_err();
        assert!(client.is_down() && client.outages() == 1);
        for wait in [0, 1, 4999, 5000, 7777] {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            is_down.store(false, Ordering::Relaxed);
            let returned = Instant::now();
            while client.is_down() {
                client.try_again().await;
            }
            assert!(returned.elapsed() <= INTERVAL, "{:?} after {wait}", returned.elapsed());
            get(&client).await.unwrap();
            is_down.store(true, Ordering::Relaxed);
            get(&client).await.unwrap_err();
        }
        // Nobody need wait for it: whoever calls when a probe is due sends it.
        is_down.store(false, Ordering::Relaxed);
        assert!(get(&client).await.unwrap_err().is_down());
        tokio::time::sleep(INTERVAL).await;
        get(&client).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_without_a_server_is_no_outage() {
        let (client, _, is_down) = server();
        let (got, ()) = tokio::join!(get(&client), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            is_down.store(false, Ordering::Relaxed);
        });
        got.unwrap();
        assert_eq!(client.outages(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_is_asked_for_is_kept() {
        let (client, fake) = Fake::client(|_, _| {
            let mut busy = text(503, "")?;
            busy.headers.insert(RETRY_AFTER, "30".parse().unwrap());
            Ok(busy)
        });
        get(&client).await.unwrap_err();
        let began = (Instant::now(), fake.paths().len());
        while fake.paths().len() == began.1 {
            client.try_again().await;
        }
        assert!(began.0.elapsed() > Duration::from_secs(29), "{:?}", began.0.elapsed());
    }

    /// Answers nothing while it hangs; counts.
    #[derive(Clone, Default)]
    struct Hanging(Arc<AtomicBool>, Arc<AtomicUsize>);

    #[async_trait]
    impl Transport for Hanging {
        async fn send(&self, _: Request) -> Answer {
            self.1.fetch_add(1, Ordering::Relaxed);
            if self.0.load(Ordering::Relaxed) {
                sleep(Duration::from_secs(30)).await;
                return Err(TransportError::Broken("the deadline passed".into()));
            }
            answer(200, json!({}))
        }
    }

    fn hanging(credentials: Credentials) -> (Client, Hanging) {
        let server = Hanging::default();
        server.0.store(true, Ordering::Relaxed);
        let config = Config {
            addresses: AddressPolicy::any(),
            ..Config::new("https://auth.example.com".parse().unwrap(), credentials)
        };
        (Client::with_transport(config, Box::new(server.clone())).unwrap(), server)
    }

    fn token() -> Credentials {
        Credentials::token(&"token".into()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_server_that_hangs_reads_are_given_up_and_writes_are_not() {
        let (client, server) = hanging(token());
        let began = Instant::now();
        let body = json!({});
        let write = client.write::<Value>(Method::PUT, None, ENDPOINT, &body);
        let (write, read) = tokio::join!(async { (write.await, began.elapsed()) }, async {
            (get(&client).await, began.elapsed())
        });
        let known = SLOW + BLIP + DEADLINE;
        assert!(read.0.unwrap_err().is_down() && read.1 <= known, "{:?}", read.1);
        assert!(matches!(write.0, Err(Error::NoAnswer { .. })), "{:?}", write.0);
        assert_eq!(write.1, Duration::from_secs(30));
        let before = server.1.load(Ordering::Relaxed);
        for _ in 0..6 {
            client.try_again().await;
        }
        assert_eq!(server.1.load(Ordering::Relaxed) - before, 6);
        server.0.store(false, Ordering::Relaxed);
        client.try_again().await;
        get(&client).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_token_the_request_for_one_is_the_probe() {
        let credentials = Credentials::ClientCredentials {
            client_id: "bot".into(),
            secret: "secret".to_owned().into(),
        };
        let (client, server) = hanging(credentials.clone());
        let began = Instant::now();
        let calls = futures::future::join_all((0..100).map(|_| get(&client))).await;
        assert!(calls.iter().all(|c| c.as_ref().is_err_and(Error::is_transient)), "{calls:?}");
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
        assert_eq!(server.1.load(Ordering::Relaxed), 2);
        let (client, fake) = Fake::client_of(credentials, |fake, _| match fake.paths().len() {
            ..=3 => Err(TransportError::Connect("refused".into())),
            _ => answer(200, json!({"access_token": "t"})),
        });
        get(&client).await.unwrap_err();
        assert!(client.is_down());
        while client.is_down() {
            client.try_again().await;
        }
        get(&client).await.unwrap();
        let tokens = fake.paths().iter().filter(|p| *p == "/oauth/v2/token").count();
        assert_eq!((tokens, fake.paths().len()), (5, 6));
    }
}
