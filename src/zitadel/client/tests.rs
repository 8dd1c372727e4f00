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
    for url in
        ["https://u:p@a.example", "https://a.example/?x", "https://a.example/#x", "ftp://a.example"]
    {
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
