//! What happens to a request between the operator and ZITADEL.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kastellan::zitadel::{TransportError, transport::Response};
use reqwest::{
    Method,
    header::{HeaderValue, RETRY_AFTER},
};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

/// The deadline of a client.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

const PAGE: &str = "<html><body>a page of a proxy</body></html>";

/// A request, as far as faults tell them apart.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
}

impl Asked {
    /// Whether it asks the event feed.
    pub(crate) fn is_feed(&self) -> bool {
        self.path == "/admin/v1/events/_search"
    }

    /// Whether it is about who is at either end.
    fn is_identity(&self) -> bool {
        self.path.starts_with("/auth/v1/") || self.path.ends_with("/GetInstance")
    }

    /// Whether it may change something.
    pub(crate) fn writes(&self) -> bool {
        let last = self.path.rsplit('/').next().unwrap_or_default();
        let reads = ["_search", "search", "Get", "List", "Search"];
        match self.method {
            Method::GET => false,
            // That lists users.
            Method::POST if self.path == "/v2/users" => false,
            Method::POST => !reads.iter().any(|verb| last.starts_with(verb)),
            _ => true,
        }
    }
}

/// Which requests meet a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All.
    All,
    /// Those that change something.
    Writes,
    /// Those that list or read what is declared.
    Reads,
    /// Those to the event feed.
    Feed,
}

impl Reach {
    fn includes(self, asked: &Asked) -> bool {
        match self {
            Self::All => true,
            Self::Writes => asked.writes(),
            Self::Reads => !asked.writes() && !asked.is_feed() && !asked.is_identity(),
            Self::Feed => asked.is_feed(),
        }
    }
}

/// What happens to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strike {
    /// There is no connection.
    Connect(&'static str),
    /// The connection breaks before ZITADEL has read the request.
    Reset,
    /// ZITADEL never answers; the request is lost.
    Hang,
    /// The answer drips for so long.
    Slow(Duration),
    /// Half of the answer's text comes.
    Truncated,
    /// It takes effect, and the connection breaks instead of the answer.
    LostAnswer,
    /// A page in place of the answer, with this status.
    Page(u16),
    /// An error in ZITADEL's form: HTTP status and code.
    Error(u16, u8),
    /// 429, with or without `Retry-After` in seconds.
    Busy(Option<u64>),
    /// A list shows none of its entries, and says that there are some.
    Half,
    /// The entries of a list, or what was read, are of another form but for their ids.
    Odd,
}

/// What was sent, and what strikes it.
#[derive(Default)]
pub(crate) struct Line {
    strike: Mutex<Option<(Reach, Strike)>>,
    sent: Mutex<usize>,
    met: Mutex<usize>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    /// From now on these requests meet this.
    pub(crate) fn strike(&self, reach: Reach, strike: Strike) {
        *lock(&self.strike) = Some((reach, strike));
    }

    /// From now on nothing happens to them.
    pub(crate) fn heal(&self) {
        *lock(&self.strike) = None;
    }

    /// How many requests were sent.
    pub(crate) fn sent(&self) -> usize {
        *lock(&self.sent)
    }

    /// How many met a fault.
    pub(crate) fn met(&self) -> usize {
        *lock(&self.met)
    }

    /// Carries a request, which is answered by `answer` if it gets there.
    pub(crate) async fn carry(
        &self,
        asked: &Asked,
        answer: impl Future<Output = Result<Response, TransportError>>,
    ) -> Result<Response, TransportError> {
        *lock(&self.sent) += 1;
        let strike = *lock(&self.strike);
        match strike.filter(|(reach, _)| reach.includes(asked)) {
            None => answer.await,
            Some((_, strike)) => {
                *lock(&self.met) += 1;
                let struck = timeout(DEADLINE, struck(strike, answer)).await;
                struck.unwrap_or_else(|_| Err(TransportError::Broken("the deadline passed".into())))
            }
        }
    }
}

async fn struck(
    strike: Strike,
    answer: impl Future<Output = Result<Response, TransportError>>,
) -> Result<Response, TransportError> {
    let broken = || TransportError::Broken("connection reset by peer".into());
    match strike {
        Strike::Connect(cause) => Err(TransportError::Connect(cause.into())),
        Strike::Reset => Err(broken()),
        Strike::Hang => std::future::pending().await,
        Strike::Slow(drips) => {
            let answer = answer.await?;
            sleep(drips).await;
            Ok(answer)
        }
        Strike::Truncated => {
            let mut answer = answer.await?;
            answer.body.truncate(answer.body.len() / 2);
            Ok(answer)
        }
        Strike::LostAnswer => {
            answer.await?;
            Err(broken())
        }
        Strike::Page(status) => {
            Ok(Response { status, headers: reqwest::header::HeaderMap::new(), body: PAGE.into() })
        }
        Strike::Error(status, code) => Ok(error(status, code)),
        Strike::Busy(pause) => {
            let mut busy = error(429, 8);
            if let Some(seconds) = pause {
                busy.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            Ok(busy)
        }
        Strike::Half => Ok(changed(answer.await?, |body| each_list(body, &mut Vec::clear))),
        Strike::Odd => Ok(changed(answer.await?, odd)),
    }
}

fn error(status: u16, code: u8) -> Response {
    let body = json!({"code": code, "message": "struck", "details": [{"id": "TEST-struck"}]});
    let headers = reqwest::header::HeaderMap::new();
    Response { status, headers, body: body.to_string().into() }
}

fn changed(mut answer: Response, change: impl FnOnce(&mut Value)) -> Response {
    if answer.status < 300
        && let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body)
    {
        change(&mut body);
        answer.body = body.to_string().into();
    }
    answer
}

/// The lists of an answer: below its top, as ZITADEL's searches have them.
fn each_list(body: &mut Value, change: &mut dyn FnMut(&mut Vec<Value>)) {
    for (_, value) in body.as_object_mut().into_iter().flatten() {
        if let Some(list) = value.as_array_mut() {
            change(list);
        }
    }
}

/// Everything but ids is of another form.
fn odd(body: &mut Value) {
    fn spoil(thing: &mut Value) {
        for (name, value) in thing.as_object_mut().into_iter().flatten() {
            if !["id", "keyId", "userId", "key", "details"].contains(&name.as_str()) {
                *value = json!([{"odd": 7}]);
            }
        }
    }
    let is_list = body.as_object().is_some_and(|b| b.values().any(Value::is_array));
    if is_list {
        each_list(body, &mut |list| list.iter_mut().for_each(spoil));
    } else {
        for (_, thing) in body.as_object_mut().into_iter().flatten() {
            spoil(thing);
        }
    }
}
