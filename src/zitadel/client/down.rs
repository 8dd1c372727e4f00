//! What a client does when its server may be down: it finds out by a probe, and spares the calls.

use futures::{FutureExt, future::BoxFuture};
use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use tokio::time::{Instant, sleep};

use super::{Client, JSON, TOKEN_ENDPOINT};
use crate::zitadel::{
    Error, Result,
    auth::{self, Login},
    exchange::{Call, PROBE},
    outage::SLOW,
    retry::Safety,
    token::Token,
};

impl Client {
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
    pub(super) async fn admit(&self) -> Result<()> {
        self.0.outage.admit(self.probe()).await
    }

    /// A call that began at this time failed so: finds out whether the server is down.
    pub(super) async fn judge(&self, call: &Call<'_>, began: Instant, error: &Error) {
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

    /// Sends a call, and finds out whether the server is down where that would explain its failure.
    pub(super) async fn watch<T>(
        &self,
        safety: Safety,
        call: &Call<'_>,
        sent: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        let answer = self.unless_down(safety, sent).await;
        if let Err(error) = &answer {
            self.judge(call, began, error).await;
        }
        answer
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
}
