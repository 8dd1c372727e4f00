//! One request and its answer: addressed, timed, counted and logged. Neither tokens nor bodies are
//! logged.

use std::{borrow::Cow, sync::Arc, time::Duration};

use jiff::Timestamp;
use reqwest::{
    Method, Url,
    header::{HOST, HeaderMap, HeaderName, HeaderValue},
};
use tokio::time::Instant;

use super::{
    Config, Error, Fence, Requests, Result, Transport, TransportError,
    error::ConfigurationProblem,
    path::{self, Endpoint},
    retry, span,
    transport::{MAX_BODY, Request, Response},
};

/// Which instance it is: the smallest call that needs all of ZITADEL, whatever the account may do.
pub(super) const PROBE: &str = "/zitadel.instance.v2.InstanceService/GetInstance";

const INSTANCE_HOST: HeaderName = HeaderName::from_static("x-zitadel-instance-host");
const ORGANIZATION: HeaderName = HeaderName::from_static("x-zitadel-orgid");

/// Where requests go, and how.
pub(super) struct Exchange {
    base: Url,
    instance_host: HeaderValue,
    host: Option<HeaderValue>,
    requests: Arc<Requests>,
    fence: Fence,
    transport: Box<dyn Transport>,
}

/// A request to one endpoint, but for its token.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    path: &'a str,
    template: Cow<'a, str>,
    url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Whether it changes something.
    pub(super) writes: bool,
    /// The largest body of its answer, in bytes.
    pub(super) limit: usize,
}

impl Call<'_> {
    fn endpoint(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether it asks which instance it is.
    pub(super) fn is_probe(&self) -> bool {
        self.path == PROBE
    }

    /// Names the organization that it acts in.
    pub(super) fn set_organization(&mut self, organization: Option<&str>) -> Result<()> {
        let Some(id) = organization else { return Ok(()) };
        let header = HeaderValue::from_str(id).map_err(|_| Error::InvalidPath {
            path: id.into(),
            problem: "an organization id that no header may have",
        })?;
        self.headers.insert(ORGANIZATION, header);
        Ok(())
    }

    pub(super) fn malformed(&self, what: impl Into<String>) -> Error {
        Error::Malformed { endpoint: self.endpoint(), what: what.into() }
    }
}

impl Exchange {
    /// Refuses issuers and addresses that are not allowed or not plain.
    pub(super) fn new(config: &Config, transport: Box<dyn Transport>) -> Result<Self> {
        for url in [Some(&config.issuer), config.address.as_ref()].into_iter().flatten() {
            if !is_plain(url) {
                return Err(ConfigurationProblem::Url.into());
            }
            if !config.addresses.allows(url) {
                return Err(Error::AddressNotAllowed { host: host_and_port(url) });
            }
        }
        let instance_host = HeaderValue::from_str(&host_and_port(&config.issuer))
            .map_err(|_| ConfigurationProblem::Url)?;
        let base = config.address.as_ref().unwrap_or(&config.issuer).clone();
        // Over TLS the connection may be HTTP/2, whose authority is the URL's own: there the second
        // header has to do.
        let host = (base.scheme() == "http").then(|| instance_host.clone());
        let (requests, fence) = (config.requests.clone(), config.fence.clone());
        Ok(Self { base, instance_host, host, requests, fence, transport })
    }

    /// Host and port, as errors name them.
    pub(super) fn host(&self) -> String {
        host_and_port(&self.base)
    }

    /// A call without headers and body. Fails if the path would not reach the endpoint.
    pub(super) fn call<'a>(
        &self,
        method: Method,
        endpoint: &'a (impl Endpoint + ?Sized),
    ) -> Result<Call<'a>> {
        Ok(Call {
            method,
            path: endpoint.path(),
            template: endpoint.template(),
            url: path::url(&self.base, endpoint.path())?,
            headers: HeaderMap::new(),
            body: Vec::new(),
            writes: false,
            limit: MAX_BODY,
        })
    }

    /// `failure`: what an answer other than 2xx means.
    pub(super) async fn send(
        &self,
        call: &Call<'_>,
        mut headers: HeaderMap,
        attempt: u32,
        failure: impl FnOnce(&Response, Option<Duration>) -> Error,
    ) -> Result<Response> {
        headers.insert(INSTANCE_HOST, self.instance_host.clone());
        if let Some(host) = &self.host {
            headers.insert(HOST, host.clone());
        }
        let request = Request {
            method: call.method.clone(),
            url: call.url.clone(),
            headers,
            body: call.body.clone(),
            limit: call.limit,
            fence: call.writes.then(|| self.fence.clone()),
        };
        let span = span::call(&call.method, &call.template, &self.base, attempt);
        let began = Instant::now();
        let send = self.transport.send(request);
        let answer = if call.writes { self.guarded(send).await } else { send.await };
        let took = began.elapsed();
        let status = answer.as_ref().ok().map(|answer| answer.status);
        let result = match answer {
            Ok(answer) if answer.body.len() > call.limit => {
                Err(Error::TooLarge { endpoint: call.endpoint(), limit: call.limit })
            }
            Ok(answer) if (200..300).contains(&answer.status) => Ok(answer),
            Ok(answer) => {
                let retry_after = retry::retry_after(&answer.headers, Timestamp::now());
                Err(failure(&answer, retry_after))
            }
            Err(e) => Err(self.without_answer(call, e)),
        };
        let error = result.as_ref().err();
        let code = error.map_or("ok", Error::label);
        self.requests.record(&call.method, &call.template, code, took);
        span::answered(&span, status, error);
        tracing::debug!(
            method = %call.method,
            endpoint = %call.template,
            status = status.unwrap_or_default(),
            code,
            error_id = error.and_then(Error::id),
            milliseconds = took.as_secs_f64() * 1e3,
            attempt,
            "called ZITADEL"
        );
        result
    }

    /// Sends only while this process may write.
    async fn guarded(
        &self,
        send: impl Future<Output = Result<Response, TransportError>>,
    ) -> Result<Response, TransportError> {
        let closed = match self.fence.guard(send).await {
            Ok(answer) => return answer,
            Err(closed) => closed,
        };
        let cause = closed.to_string();
        let error = if closed.begun { TransportError::Broken } else { TransportError::Connect };
        Err(error(cause))
    }

    fn without_answer(&self, call: &Call<'_>, error: TransportError) -> Error {
        let host = host_and_port(&self.base);
        match error {
            TransportError::Connect(cause) => Error::Unreachable { host, cause },
            TransportError::Broken(cause) => Error::NoAnswer { host, cause },
            TransportError::NotAllowed => Error::AddressNotAllowed { host },
            TransportError::TooLarge => {
                Error::TooLarge { endpoint: call.endpoint(), limit: call.limit }
            }
        }
    }
}

/// Scheme, host, port and path are all that issuer and address have.
fn is_plain(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |p| format!("{host}:{p}"))
}
