//! How long keys may be valid.

use kastellan::{contract::secret, kinds::REGISTRY};
use serde_json::{Value, json};

use super::Ruled;

/// A valid spec of each kind of key.
fn specs() -> [(&'static str, Value); 3] {
    let secret = json!({"name": "s"});
    [
        ("MachineKey", json!({"userRef": {"name": "u"}, "secret": secret})),
        ("PersonalAccessToken", json!({"userRef": {"name": "u"}, "secret": secret})),
        ("ApplicationKey", json!({"applicationRef": {"name": "a"}, "secret": secret})),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_valid_for_no_longer_than_is_allowed() {
    let limit = |days: u32| json!({"keyLifetime": {"enabled": true, "maxDays": days}});
    let ruled = Ruled::new("keys", limit(30)).await;
    for (kind, spec) in specs() {
        let with = |lifetime: Value| {
            let mut spec = spec.clone();
            spec["lifetime"] = lifetime;
            spec
        };
        // The default counts too.
        for spec in [spec.clone(), with(Value::Null)] {
            let refused = ruled.apply(kind, "key", spec).await.unwrap_err();
            assert!(refused.contains("a lifetime of 2160h"), "{kind}: {refused}");
        }
        for (lifetime, allowed) in [
            ("720h", true),
            ("720h1ms", false),
            ("24h", true),
            ("721h", false),
            ("43200m", true),
            ("43201m", false),
            ("2592000s", true),
            ("2592001s", false),
            ("2592000000ms", true),
            ("2592000001ms", false),
            ("719h59m60s", true),
            ("719h60m1s", false),
            ("876000h", false),
            // More than a duration can be.
            ("9999999999999999999h", false),
            ("9999999999999999999s", false),
        ] {
            let made = ruled.apply(kind, "key", with(lifetime.into())).await;
            assert_eq!(made.is_ok(), allowed, "{kind} {lifetime}: {made:?}");
            if let Err(refused) = made {
                let says = format!(
                    "a lifetime of {lifetime} is longer than the 30 days that are allowed: set \
                     lifetime to 720h or less"
                );
                assert!(refused.contains(&says), "{refused}");
            }
        }
        // Nor can it become longer later.
        ruled.merge(kind, "key", json!({"spec": {"lifetime": "721h"}})).await.unwrap_err();
        ruled.merge(kind, "key", json!({"spec": {"lifetime": null}})).await.unwrap_err();
    }

    ruled.set(&[&ruled.namespace], limit(90)).await;
    for (kind, spec) in specs() {
        ruled.apply(kind, "key", spec).await.unwrap();
    }
    // A key that was there before can be annotated, so that another one is issued.
    ruled.set(&[&ruled.namespace], limit(89)).await;
    for (kind, spec) in specs() {
        let annotations = json!({"kastellan.dev/renew-at": "now"});
        let renewed = json!({"metadata": {"annotations": annotations}});
        ruled.merge(kind, "key", renewed).await.unwrap();
        let refused = ruled.apply(kind, "other", spec).await.unwrap_err();
        assert!(refused.contains("a lifetime of 2160h (it is omitted)"), "{refused}");
    }
}

/// The rule has the operator's default in its text.
#[test]
fn a_key_without_a_lifetime_is_valid_for_as_long_as_the_rule_says() {
    let mut kinds = Vec::new();
    for entry in REGISTRY.all() {
        let Some(issues) = entry.as_entity().filter(|e| e.is_key()).and_then(|e| e.issues) else {
            continue;
        };
        kinds.push(entry.kind());
        let spec = json!({"secret": {"name": "s"}});
        let declared = secret::declared(issues, &spec).unwrap().unwrap();
        assert_eq!(declared.lifetime.whole.as_hours(), 2160, "{}", entry.kind());
    }
    kinds.sort_unstable();
    let mut known = specs().map(|(kind, _)| kind);
    known.sort_unstable();
    assert_eq!(kinds, known, "the test above knows all kinds of keys");
}
