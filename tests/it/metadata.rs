//! Metadata: keys of any form, what is not text, what was there before, and a former life.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kastellan::{
    contract::{Fields, Key, Place},
    export::{Selection, export},
    files::Folder,
    kinds::REGISTRY,
    validate,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    inprocess::{Lab, key},
    remote::{Access, entry},
};

/// What has metadata, by an object of this kind.
struct Home {
    lab: Lab,
    kind: &'static str,
    organization: String,
    /// Where the metadata is, in the management API.
    path: String,
    scope: Value,
}

/// An organization with an account, and which of them has the metadata.
async fn homes() -> [Home; 2] {
    let home = async |kind: &'static str| {
        let lab = Lab::new().await;
        let organization = lab.declare("ns", "Organization", "home", json!({}));
        let user = json!({"organizationRef": {"name": "home"}});
        let user = lab.declare("ns", "MachineUser", "bot", user);
        lab.settle().await;
        let (organization, user) =
            (lab.status(&organization).id.unwrap(), lab.status(&user).id.unwrap());
        let (path, scope) = match kind {
            "OrganizationMetadata" => {
                ("/management/v1/metadata".to_owned(), json!({"organizationRef": {"name": "home"}}))
            }
            _ => (
                format!("/management/v1/users/{user}/metadata"),
                json!({"userRef": {"name": "bot"}}),
            ),
        };
        Home { lab, kind, organization, path, scope }
    };
    [home("OrganizationMetadata").await, home("UserMetadata").await]
}

impl Home {
    /// Somebody else's call.
    async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        let Access { client, .. } = self.lab.minnie(&Place::instance());
        let path = format!("{}/{path}", self.path);
        client.write(method, Some(&self.organization), &*path, body).await.unwrap()
    }

    async fn set(&self, key: &str, value: &[u8]) {
        let entry = json!({"key": key, "value": STANDARD.encode(value)});
        self.call(Method::POST, "_bulk", &json!({"metadata": [entry]})).await;
    }

    async fn remove(&self, key: &str) {
        self.call(Method::DELETE, "_bulk", &json!({"keys": [key]})).await;
    }

    /// What ZITADEL has.
    async fn live(&self) -> BTreeMap<String, Vec<u8>> {
        let found = self.call(Method::POST, "_search", &json!({})).await;
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
        let entry = |e: &Value| (text(e, "key"), STANDARD.decode(text(e, "value")).unwrap());
        found["result"].as_array().into_iter().flatten().map(entry).collect()
    }

    async fn has(&self, entries: &[(&str, &[u8])]) {
        let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec()));
        assert_eq!(self.live().await, entries.collect(), "{}", self.kind);
    }

    fn declare(&self, entries: &Value) -> Key {
        let mut spec = self.scope.clone();
        spec["entries"] = entries.clone();
        self.lab.declare("ns", self.kind, "it", spec)
    }

    async fn apply(&self, entries: &Value) -> Key {
        let key = self.declare(entries);
        let outcome = self.lab.look(&key).await;
        assert!(outcome.status.is_ready(), "{outcome:?}");
        key
    }

    fn metadata_events(&self) -> usize {
        let events = self.lab.emulator.events();
        events.iter().filter(|event| event.event_type.contains(".metadata.")).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_gets_back_what_it_held_or_goes_and_no_other_is_touched() {
    for home in homes().await {
        for (key, value) in [("theirs", &b"t"[..]), ("team", b"red"), ("bin", &[0, 255, 16])] {
            home.set(key, value).await;
        }
        let entries =
            json!({"team": "blue", "bin": "text", "new": "n", "a.b": "dot", r"c\d/e": "slash"});
        let key = home.apply(&entries).await;
        home.has(&[
            ("a.b", b"dot"),
            ("bin", b"text"),
            (r"c\d/e", b"slash"),
            ("new", b"n"),
            ("team", b"blue"),
            ("theirs", b"t"),
        ])
        .await;
        let original = home.lab.status(&key).original.unwrap();
        let former = |key: &str| original[key].as_str().unwrap();
        assert_eq!(
            ["entries.team", "entries.bin", "entries.new", r"entries.a\.b", r"entries.c\\d/e"]
                .map(former),
            ["red", "base64:AP8Q", "", "", ""]
        );

        home.lab.delete(&key);
        home.lab.settle().await;
        assert!(home.lab.object(&key).is_none(), "{:?}", home.lab.reason(&key));
        home.has(&[("bin", &[0, 255, 16]), ("team", b"red"), ("theirs", b"t")]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_value_removes_a_key_and_what_is_not_listed_any_more_stays() {
    for home in homes().await {
        home.set("old", b"x").await;
        let key = home.apply(&json!({"old": "", "never": "", "kept": "y"})).await;
        home.has(&[("kept", b"y")]).await;
        let before = home.metadata_events();
        assert!(home.lab.look(&key).await.status.is_ready());
        home.apply(&json!({"old": ""})).await;
        assert_eq!(home.metadata_events(), before, "at rest nothing is written");
        home.has(&[("kept", b"y")]).await;

        // Somebody sets it again: that is drift.
        home.set("old", b"z").await;
        home.lab.follow().await;
        assert!(home.lab.look(&key).await.status.is_ready());
        home.has(&[("kept", b"y")]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_text_is_declared_as_base64_and_compared_as_what_it_stands_for() {
    for home in homes().await {
        home.set("red", b"red").await;
        let entries = json!({"red": "base64:cmVk", "bin": "base64:AP8Q"});
        let key = home.apply(&entries).await;
        home.has(&[("bin", &[0, 255, 16]), ("red", b"red")]).await;
        let before = home.metadata_events();
        assert!(home.lab.look(&key).await.status.is_ready());
        assert_eq!(home.metadata_events(), before);
        let drift = home.lab.plan(&key).await.plan.unwrap().changes;
        assert!(drift.is_empty(), "{drift:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_by_somebody_else_is_reverted() {
    for home in homes().await {
        let key = home.apply(&json!({"team": "red"})).await;
        home.remove("team").await;
        home.lab.follow().await;
        let outcome = home.lab.look(&key).await;
        assert!(outcome.status.is_ready(), "{outcome:?}");
        assert_eq!(outcome.status.last_drift.unwrap().fields, ["entries.team"]);
        home.has(&[("team", b"red")]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_object_for_the_same_place_is_a_conflict() {
    for home in homes().await {
        home.apply(&json!({"a": "1"})).await;
        let mut spec = home.scope.clone();
        spec["entries"] = json!({"b": "2"});
        let second = home.lab.declare("ns", home.kind, "second", spec);
        home.lab.look(&second).await;
        assert_eq!(home.lab.reason(&second).0, "Conflict");
        home.has(&[("a", b"1")]).await;
    }
}

/// ZITADEL remembers the values of a former life, and takes the same ones for no change.
#[tokio::test(start_paused = true)]
async fn what_is_reborn_under_its_id_gets_its_metadata_again() {
    let lab = Lab::new().await;
    let id = json!({"id": "reborn"});
    lab.declare("ns", "Organization", "home", id.clone());
    let mut bot = id;
    bot["organizationRef"] = json!({"name": "home"});
    bot["id"] = json!("bot");
    lab.declare("ns", "MachineUser", "bot", bot);
    let at = json!({"organizationId": "reborn", "entries": {"tier": "gold"}});
    let of_organization = lab.declare("ns", "OrganizationMetadata", "it", at);
    let of_user = json!({"userRef": {"name": "bot"}, "entries": {"team": "red"}});
    let of_user = lab.declare("ns", "UserMetadata", "it", of_user);
    lab.settle().await;
    let minnie = lab.minnie(&Place::instance());
    let read = async |kind: &str, place: Place| {
        let live = entry(kind).read(&minnie.at(place), "").await.unwrap().unwrap();
        live.state
    };
    let home = Place::organization("reborn");
    let all = async || {
        let of_organization = read("OrganizationMetadata", home.clone()).await;
        (of_organization, read("UserMetadata", home.below("bot")).await)
    };
    let expected = (
        Fields::from(json!({"entries": {"tier": "gold"}})),
        Fields::from(json!({"entries": {"team": "red"}})),
    );
    assert_eq!(all().await, expected);

    entry("Organization").delete(&minnie, "reborn").await.unwrap();
    let again = Fields::from(json!({"name": "home"}));
    entry("Organization").create(&minnie, "reborn", &again).await.unwrap();
    lab.follow().await;
    lab.settle().await;
    for key in [&of_organization, &of_user] {
        assert!(lab.status(key).is_ready(), "{:?}", lab.reason(key));
    }
    assert_eq!(all().await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_a_user_had_goes_with_the_user() {
    let lab = Lab::new().await;
    lab.declare("ns", "Organization", "home", json!({}));
    let bot = json!({"organizationRef": {"name": "home"}});
    let bot = lab.declare("ns", "MachineUser", "bot", bot);
    lab.settle().await;
    let home = Place::organization(lab.status(&bot).organization_id.unwrap());
    let id = lab.status(&bot).id.unwrap();
    let minnie = lab.minnie(&home);
    let there = Fields::from(json!({"entries": {"team": "red"}}));
    entry("UserMetadata").change(&minnie.at(home.below(&*id)), "", &there).await;
    let it = json!({"userRef": {"name": "bot"}, "entries": {"team": "blue"}});
    let it = lab.declare("ns", "UserMetadata", "it", it);
    lab.settle().await;
    assert!(lab.status(&it).is_ready(), "{:?}", lab.reason(&it));

    // The account is not declared any more when it goes: it stays gone.
    lab.edit(&bot, |o| o.spec["suspend"] = json!(true));
    entry("MachineUser").delete(&minnie, &id).await.unwrap();
    lab.delete(&it);
    lab.settle().await;
    assert!(lab.object(&it).is_none(), "{:?}", lab.reason(&it));
}

#[tokio::test(start_paused = true)]
async fn a_person_has_metadata_by_an_object_or_by_an_id() {
    let lab = Lab::new().await;
    lab.declare("ns", "Organization", "home", json!({}));
    let ada = json!({
        "organizationRef": {"name": "home"},
        "initial": {
            "profile": {"givenName": "Ada", "familyName": "Byron"},
            "email": "ada@example.com",
        },
    });
    let ada = lab.declare("ns", "HumanUser", "ada", ada);
    lab.settle().await;
    let (id, home) = (lab.status(&ada).id.unwrap(), lab.status(&ada).organization_id.unwrap());
    let live = async || {
        let at = lab.client_at(Place::organization(&*home).below(&*id));
        entry("UserMetadata").read(&at, "").await.unwrap().unwrap().state
    };
    for (name, user, value) in [
        ("by-object", json!({"userRef": {"kind": "HumanUser", "name": "ada"}}), "red"),
        ("by-id", json!({"userId": id}), "blue"),
    ] {
        let mut spec = user;
        spec["entries"] = json!({"team": value});
        let it = lab.declare("ns", "UserMetadata", name, spec);
        lab.settle().await;
        assert!(lab.status(&it).is_ready(), "{:?}", lab.reason(&it));
        assert_eq!(live().await, Fields::from(json!({"entries": {"team": value}})));
        lab.delete(&it);
        lab.settle().await;
        assert!(live().await.is_empty());
    }
    let spec = json!({"userId": "ghost", "entries": {"team": "red"}});
    let ghost = lab.declare("ns", "UserMetadata", "ghost", spec);
    lab.settle().await;
    assert_eq!(lab.reason(&ghost).0, "WaitingForReference");
}

#[tokio::test(start_paused = true)]
async fn what_people_have_is_exported_with_them_and_is_not_asked_for_otherwise() {
    let lab = Lab::new().await;
    lab.declare("ns", "Organization", "home", json!({}));
    let bot = json!({"organizationRef": {"name": "home"}});
    lab.declare("ns", "MachineUser", "bot", bot);
    let ada = json!({
        "organizationRef": {"name": "home"},
        "userName": "ada",
        "initial": {
            "profile": {"givenName": "Ada", "familyName": "Byron"},
            "email": "ada@example.com",
        },
    });
    let ada = lab.declare("ns", "HumanUser", "ada", ada);
    for (name, kind) in [("bot", "MachineUser"), ("ada", "HumanUser")] {
        let spec = json!({"userRef": {"kind": kind, "name": name}, "entries": {"a.b": "red"}});
        lab.declare("ns", "UserMetadata", name, spec);
    }
    lab.settle().await;
    let id = lab.status(&ada).id.unwrap();
    let connection = lab.engine.connections.get(&key("Instance", "ns", "default")).unwrap();
    let exported = async |kinds: &[&str]| {
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let selection = Selection { kinds, ..Selection::default() };
        let export = export(&REGISTRY, &connection, &selection).await.unwrap();
        let of_kind = export.objects.into_iter().filter(|o| o.yaml.contains("UserMetadata"));
        of_kind.map(|o| (o.path, o.yaml)).collect::<Vec<_>>()
    };
    lab.emulator.reset_calls();
    let [(path, yaml)] = &exported(&[]).await[..] else { panic!("the account's alone") };
    assert_eq!(path, "organizations/home/usermetadata/bot.yaml");
    assert!(yaml.contains("a.b: red"), "{yaml}");
    assert!(lab.emulator.calls().iter().all(|call| !call.path.contains(&id)));

    let with_people = exported(&["HumanUser", "UserMetadata"]).await;
    let of_ada = with_people.iter().find(|(path, _)| path.ends_with("usermetadata/ada.yaml"));
    let (_, yaml) = of_ada.unwrap_or_else(|| panic!("{with_people:?}"));
    assert!(yaml.contains("kind: HumanUser"), "{yaml}");
}

#[test]
fn what_is_wrong_with_entries_is_found_offline() {
    let found = |entries: Value| {
        let manifest = json!({
            "apiVersion": "zitadel.kastellan.dev/v1alpha1",
            "kind": "OrganizationMetadata",
            "metadata": {"name": "it"},
            "spec": {"organizationId": "1", "entries": entries},
        });
        let folder = Folder::of([("it.yaml".into(), Ok(manifest.to_string().into_bytes()))]);
        let findings = validate::check(&folder, false);
        findings.into_iter().map(|finding| finding.message).collect::<Vec<_>>().join("; ")
    };
    let is_long = found(json!({"k".repeat(201): "x"}));
    let many: Value = (0..1_001).map(|n| (format!("k{n}"), json!("x"))).collect();
    for (found, says) in [
        (is_long, "a key in entries has 1 to 200 characters"),
        (found(json!({"": "x"})), "a key in entries has 1 to 200 characters"),
        (found(many), "entries has 1001 entries; the maximum is 1000"),
        (found(json!({"key": 1})), "spec.entries.key"),
        (found(json!({"key": "base64:!"})), "Invalid"),
    ] {
        assert!(found.contains(says), "{says}: {found}");
    }
    let fine = found(json!({"k".repeat(200): "x", "a.b/c": "", "bin": "base64:AP8Q"}));
    assert!(!fine.contains("entries"), "{fine}");
}
