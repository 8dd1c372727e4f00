//! Where logins may lead to.

use serde_json::{Value, json};

use super::Ruled;
use crate::world::eventually;

fn application(redirects: &[&str], after_logout: &[&str]) -> Value {
    json!({
        "projectRef": {"name": "p"},
        "redirectUris": redirects,
        "postLogoutRedirectUris": after_logout,
    })
}

async fn lists(name: &str, everywhere: &[&str], annotation: &str) -> Ruled {
    let rule = json!({"redirectHosts": {"enabled": true, "hosts": everywhere}});
    let ruled = Ruled::new(name, rule).await;
    ruled.annotate(annotation).await;
    ruled
}

impl Ruled {
    /// Sets the hosts of the namespace, and waits until the API server goes by them.
    async fn annotate(&self, hosts: &str) {
        let probe = "probe.kastellan.example";
        let annotations = json!({"kastellan.dev/redirect-hosts": format!("{hosts} {probe}")});
        self.mark(&self.namespace, json!({"annotations": annotations})).await;
        let spec = application(&[&format!("https://{probe}/")], &[]);
        let ask = async || {
            let (namespace, kind) = (&self.namespace, "OidcApplication");
            self.try_metadata(namespace, kind, "probe", json!({}), spec.clone(), true).await
        };
        eventually("the annotation counts", ask, Result::is_ok).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_lead_only_to_the_hosts_that_the_namespace_may_name() {
    let ruled = lists(
        "hosts",
        &["shared.example.com", "localhost", "::1"],
        "App.example.com,\n*.dev.example.com,\tcom.example.app: 192.0.2.7",
    )
    .await;
    for uri in [
        "https://app.example.com/callback",
        "https://app.example.com",
        "https://app.example.com:8443/callback?x=y#z",
        "HTTPS://APP.EXAMPLE.COM/",
        "https://a.b.dev.example.com/",
        "https://shared.example.com/x",
        "http://localhost:3000/callback",
        "http://[::1]:3000/callback",
        "https://192.0.2.7/",
        "com.example.app:/callback",
        "com.example.app:callback",
        "com.example.app://login",
        "https://app.example.com/callback?next=https://evil.example/",
    ] {
        for spec in [application(&[uri], &[]), application(&[], &[uri])] {
            ruled.apply("OidcApplication", "app", spec).await.unwrap_or_else(|e| panic!("{e}"));
        }
    }
    for uri in [
        "https://evil.example/callback",
        "https://example.com/",
        "https://xapp.example.com/",
        "https://dev.example.com/",
        "https://xdev.example.com/",
        "https://app.example.com.evil.example/",
        "https://a.dev.example.com.evil.example/",
        "https://app.example.com@evil.example/",
        "https://a.dev.example.com.evil.example/",
        "https://app.example.com:443@evil.example/",
        "https://evil.example/app.example.com",
        "https://evil.example?app.example.com",
        "https://evil.example#app.example.com",
        "https://evil.example#.dev.example.com",
        "https://evil.example#@app.example.com",
        "https://evil.example\\.dev.example.com/",
        "https://evil.example\\@app.example.com/",
        "https://evil.example%2f.dev.example.com/",
        "https:/evil.example/",
        "https:evil.example",
        "https:///evil.example/",
        "//evil.example/",
        "evil.example",
        "com.example.apps:/callback",
        "com.example.ap:/callback",
        "javascript://app.example.com/%0aalert(1)",
        "http://[::2]/",
        "http://127.0.0.1/",
        "https://192.0.2.70/",
        "*",
        "https://*/",
        "https://app.example.com./",
    ] {
        for spec in [
            application(&["https://app.example.com/", uri], &[]),
            application(&[], &[uri, "https://app.example.com/"]),
        ] {
            let refused = ruled.apply("OidcApplication", "app", spec).await;
            let refused = refused.expect_err(uri);
            let says = format!(
                "redirectUris and postLogoutRedirectUris of namespace {0} may not name {uri}: use \
                 another address, or have its host put into the annotation \
                 kastellan.dev/redirect-hosts of the namespace or into {0}-kastellan's \
                 admission.redirectHosts.hosts",
                ruled.namespace
            );
            assert!(refused.contains(&says), "{refused}");
        }
    }
    // Without any there is nothing to refuse.
    for spec in [
        json!({"projectRef": {"name": "p"}}),
        json!({"projectRef": {"name": "p"}, "redirectUris": null}),
    ] {
        ruled.apply("OidcApplication", "none", spec).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_that_are_withdrawn_stay_where_they_are_and_come_nowhere_else() {
    let ruled = lists("withdrawn", &[], "app.example.com").await;
    let spec = application(&["https://app.example.com/"], &[]);
    ruled.apply("OidcApplication", "app", spec.clone()).await.unwrap();
    ruled.annotate("").await;
    let again = async || ruled.apply("OidcApplication", "other", spec.clone()).await;
    eventually("withdrawn", again, Result::is_err).await.unwrap_err();
    ruled.apply("OidcApplication", "app", spec.clone()).await.unwrap();
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    ruled.merge("OidcApplication", "app", labels).await.unwrap();
    let renamed = json!({"spec": {"name": "renamed"}});
    ruled.merge("OidcApplication", "app", renamed).await.unwrap_err();
    let complies =
        json!({"spec": {"name": "renamed", "redirectUris": ["https://probe.kastellan.example/"]}});
    ruled.merge("OidcApplication", "app", complies).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_host_is_any_but_no_other_scheme() {
    let ruled = lists("any", &["*"], "").await;
    let spec = application(&["https://a.example/", "http://b.example/"], &[]);
    ruled.apply("OidcApplication", "app", spec).await.unwrap();
    let spec = application(&["com.example.app:/callback"], &[]);
    ruled.apply("OidcApplication", "app", spec).await.unwrap_err();
}

/// CEL has a budget for each request, and what exceeds it is refused: it must not be reached by what
/// the schema allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_application_and_the_longest_list_cost_less_than_the_budget() {
    let host = |n: usize| format!("{}-{n:03}.example.com", "a".repeat(40));
    let everywhere: Vec<String> = (0..100).map(host).collect();
    let everywhere: Vec<&str> = everywhere.iter().map(String::as_str).collect();
    let annotated: Vec<String> = (100..200).map(|n| format!("*.{}", host(n))).collect();
    let ruled = lists("largest", &everywhere, &annotated.join(",\n")).await;
    // The last of the list, in addresses of the greatest length.
    let uri = |n: usize| {
        let start = format!("https://app{}/{n:03}", &annotated[99][1..]);
        format!("{start}{}", "x".repeat(500 - start.len()))
    };
    let uris: Vec<String> = (0..100).map(uri).collect();
    let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
    ruled.apply("OidcApplication", "app", application(&uris, &uris)).await.unwrap();
    // What is refused is so for what it says, not for what it costs.
    let refused: Vec<String> =
        uris.iter().map(|u| u.replace("example.com", "example.org")).collect();
    let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
    let spec = application(&refused, &refused);
    let says = ruled.apply("OidcApplication", "app", spec).await.unwrap_err();
    assert!(says.contains(&format!("may not name {}", refused[0])), "{says}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_application_is_put_into_development_mode() {
    let ruled = Ruled::new("dev-mode", json!({"forbidDevMode": {"enabled": true}})).await;
    let mode = |on: Value| json!({"projectRef": {"name": "p"}, "devMode": on});
    let refused = ruled.apply("OidcApplication", "app", mode(true.into())).await.unwrap_err();
    let says = "set it to false or remove it, and name exact https addresses in redirectUris";
    assert!(refused.contains(says), "{refused}");
    for off in [Value::Null, false.into()] {
        ruled.apply("OidcApplication", "app", mode(off)).await.unwrap();
    }
    let change = json!({"spec": {"devMode": true}});
    ruled.merge("OidcApplication", "app", change.clone()).await.unwrap_err();
    // Who wants to see first whom it would meet is only told.
    let told = json!({"forbidDevMode": {"enabled": true}, "validationActions": ["Warn", "Audit"]});
    ruled.set(&[&ruled.namespace], told).await;
    ruled.merge("OidcApplication", "app", change).await.unwrap();
}
