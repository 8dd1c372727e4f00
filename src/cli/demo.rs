//! `kastellan demo`: an emulated ZITADEL, the examples and the engine in one process. Without
//! sockets: what connects here can't reach anything else.

use std::{path::PathBuf, time::Instant};

use async_trait::async_trait;
use axum::{Router, body::Body};
use reqwest::{Method, Url};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;
use zitadel_emulator::{Emulator, Options};

use super::{
    output::{self, Exit, Result, Tally},
    source::{self, Files},
};
use crate::{
    engine::Engine,
    files::{environment::Environment, session::Session},
    kinds::REGISTRY,
    zitadel::{
        AddressPolicy, Client, Config, Credentials, Transport, TransportError,
        error::ConfigurationProblem,
        transport::{Request, Response},
    },
};

const ISSUER: &str = "http://localhost";

#[derive(clap::Args)]
pub(super) struct Args {
    /// Files to show it with.
    #[arg(short, long = "file", value_name = "PATH", default_value = "examples/tenant")]
    file: PathBuf,
}

/// Requests go straight into the emulator.
struct InProcess(Router);

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, r: Request) -> std::result::Result<Response, TransportError> {
        let broken = |e: &dyn std::fmt::Display| TransportError::Broken(e.to_string());
        let path = r
            .url
            .query()
            .map_or_else(|| r.url.path().to_owned(), |q| format!("{}?{q}", r.url.path()));
        let mut request = axum::http::Request::builder()
            .method(r.method)
            .uri(path)
            .body(Body::from(r.body))
            .map_err(|e| broken(&e))?;
        *request.headers_mut() = r.headers;
        let Ok(answer) = self.0.clone().oneshot(request).await;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX)
            .await
            .map_err(|e| broken(&e))?
            .to_vec();
        Ok(Response { status, headers, body })
    }
}

pub(super) async fn run(args: Args) -> Result {
    let wrong = |e: &dyn std::fmt::Display| output::fail(e, None);
    let folder = Files { files: vec![args.file.clone()], allow_empty: false }.read()?;
    let emulator = Emulator::new(Options::default()).map_err(|e| wrong(&e))?;
    let router = emulator.router();
    let mut engine = Engine::new(&REGISTRY, AddressPolicy::any());
    engine.connect =
        Box::new(move |config| Client::with_transport(config, Box::new(InProcess(router.clone()))));
    let environment = Environment {
        issuer: Some(ISSUER.into()),
        token: Some(emulator.pat().into()),
        ..Environment::default()
    };
    let session =
        Session::new(&folder, None, &environment, engine).map_err(|e| source::no_connection(&e))?;
    let session = source::connected(session, None).await?;

    output::title(
        "A fresh ZITADEL (emulated, in this process). `kastellan plan` says what is missing:",
    );
    output::data(&output::rendered(&session.plan().await))?;
    output::title("`kastellan apply` makes it so:");
    apply(&session, true).await?;
    let writes = writes(&emulator);
    output::title("Once more, and nothing is written:");
    apply(&session, true).await?;
    output::say(format!("writes to ZITADEL: {}", self::writes(&emulator) - writes));

    output::title(
        "Now somebody changes it by hand: the registration is opened, the links are removed.",
    );
    let minnie = emulator.add_user("minnie.mouse", "Minnie Mouse", &["IAM_OWNER"]);
    let theirs = client(&emulator, &minnie.pat).map_err(|e| wrong(&e))?;
    let restrictions = json!({"disallowPublicOrgRegistration": false});
    theirs
        .write::<Value>(Method::PUT, None, "/admin/v1/restrictions", &restrictions)
        .await
        .map_err(|e| wrong(&e))?;
    theirs
        .write::<Value>(Method::PUT, None, "/admin/v1/policies/privacy", &json!({}))
        .await
        .map_err(|e| wrong(&e))?;
    let changed = Instant::now();
    // As `--watch` does it: the change is found when the feed is asked the next time.
    let poll = session.poll_interval();
    tokio::time::sleep(poll).await;
    while !session.is_touched().await.map_err(|e| wrong(&e))? {
        tokio::time::sleep(poll).await;
    }
    output::title(
        "The event feed tells of it, and of who it was; `kastellan apply --watch` and the operator correct it:",
    );
    apply(&session, false).await?;
    output::say(format!(
        "corrected {:.1} s after the change: the feed is asked every {} s",
        changed.elapsed().as_secs_f64(),
        poll.as_secs()
    ));
    output::title("Next: kastellan plan --help, or the operator in a cluster: make demo");
    Ok(Exit::Fine)
}

async fn apply(session: &Session, summary: bool) -> Result<()> {
    let mut tally = Tally::new(session.count());
    // Nobody asks it to stop: Ctrl-C ends the whole process.
    let (_go, never) = watch::channel(false);
    session.apply(never, |done| tally.take(&done)).await;
    match tally.end(summary) {
        Exit::Fine => Ok(()),
        exit => Err(exit),
    }
}

fn writes(emulator: &Emulator) -> usize {
    emulator.calls().iter().filter(|c| c.writes).count()
}

fn client(emulator: &Emulator, token: &str) -> crate::zitadel::Result<Client> {
    let issuer = Url::parse(ISSUER).map_err(|_| ConfigurationProblem::Url)?;
    let config = Config {
        addresses: AddressPolicy::any(),
        ..Config::new(issuer, Credentials::token(&token.into())?)
    };
    Client::with_transport(config, Box::new(InProcess(emulator.router())))
}
