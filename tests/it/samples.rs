//! Specs and states of any kind, from its description and the schema of its CRD.

use std::collections::BTreeMap;

use kastellan::{
    api::{
        secret::SecretScope,
        spec::{Common, Identity},
    },
    contract::{
        Fields, IdSource, ListOrder, NaturalKey, Permissions, Place, Reference, Role, SecretInput,
    },
    kinds::REGISTRY,
};
use proptest::{prelude::*, sample::subsequence, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::{
    contract::merged,
    remote::{Entry, entry},
};

/// The Secret that holds what objects read: a value for each field.
pub(crate) const INPUT: &str = "input";

/// A certificate of `CN=test`.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBdjCCARugAwIBAgIUWoy6hM8LKkPF0bm0GDFsabyB7jAwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjcyMTAxMTRaGA8yMTI2MTEwMzIxMDEx
NFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCw2
VqkFoUbl44cdw5ZAB5NGTfsaTtZvq9UF7m6gTnstqpj+Z2hWOtHa6/8XDIJyAP10
qnY19Z153db0d+vYJ4KjUzBRMB0GA1UdDgQWBBTssFL5htV7dP+glLd+DibUbx7M
GzAfBgNVHSMEGDAWgBTssFL5htV7dP+glLd+DibUbx7MGzAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0kAMEYCIQCX/dj/lPkVSzONRKpf16qaV7BAqcELiB3l
4N8LVZLPaQIhAM1Q7HpwGHbz92+eqnr2RWxLxjLc9We6ucCq++rJmMLK
-----END CERTIFICATE-----
";

/// A kind, the form that it has, and what it is in: the instance, or what one of its references
/// names.
#[derive(Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) entry: Entry,
    pub(crate) form: Option<&'static str>,
    pub(crate) parent: Option<&'static Reference>,
}

impl std::fmt::Debug for Placed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parent = self.parent.map_or("the instance", |parent| parent.kinds[0]);
        let form = self.form.map_or_else(String::new, |form| format!(" ({form})"));
        write!(f, "{}{form} in {parent}", self.entry.kind())
    }
}

/// Every kind that declares something, in everything that it can be in; a kind of many forms has each
/// in one of these, in turn. A key declares nothing that could differ, and what takes time is not as
/// declared after one look: that has tests of its own.
pub(crate) fn placed() -> Vec<Placed> {
    let is_key = |e: &kastellan::contract::Entry| {
        e.as_entity().is_some_and(kastellan::contract::EntityDescription::is_key)
    };
    let is_meant =
        |e: &kastellan::contract::Entry| !e.is_connection() && !is_key(e) && !e.takes_time;
    let entries = REGISTRY.all().filter(is_meant).map(Entry);
    entries
        .flat_map(|entry| {
            let is_optional = entry.parents().all(|parent| !parent.required);
            let parents = entry.parents().map(Some);
            let places: Vec<_> = is_optional.then_some(None).into_iter().chain(parents).collect();
            let forms: Vec<_> = match entry.forms {
                [] => vec![None],
                forms => forms.iter().copied().map(Some).collect(),
            };
            let mut all = Vec::new();
            for (n, parent) in places.iter().enumerate() {
                for (m, form) in forms.iter().enumerate() {
                    if forms.len() <= 2 || (n + m) % places.len() == 0 {
                        all.push(Placed { entry, form: *form, parent: *parent });
                    }
                }
            }
            all
        })
        .collect()
}

impl Placed {
    /// Whether its key is its id, and can't change.
    pub(crate) fn is_keyed(self) -> bool {
        self.entry.as_entity().is_some_and(|e| e.id == IdSource::Key)
    }

    /// Whether its id is not known before it exists.
    pub(crate) fn has_server_id(self) -> bool {
        self.entry.as_entity().is_some_and(|e| e.id == IdSource::Server)
    }

    /// Whether there are many of it, each with an id.
    pub(crate) fn is_entity(self) -> bool {
        self.entry.as_entity().is_some()
    }

    /// Whether there is one of it in each place, always.
    pub(crate) fn is_setting(self) -> bool {
        self.entry.as_entity().is_none()
    }

    /// Whether it is a key: it declares nothing that could differ.
    pub(crate) fn is_key(self) -> bool {
        self.entry.as_entity().is_some_and(kastellan::contract::EntityDescription::is_key)
    }

    /// The field that people know it by; of a setting, and of what only connects others, none.
    pub(crate) fn natural_key(self) -> Option<&'static str> {
        self.entry.as_entity().and_then(|e| e.natural_key.field())
    }

    /// Whether its id follows from what it is called, or from what it connects.
    pub(crate) fn has_chosen_id(self) -> bool {
        self.entry.as_entity().is_some_and(|e| e.id == IdSource::Chosen)
    }

    /// What the kind says that the account needs here.
    pub(crate) fn permissions(self) -> &'static Permissions {
        let (place, _) = self.located(|_, _| "id".into());
        let found = self.entry.permissions_at(&place);
        found.unwrap_or_else(|| panic!("{self:?}: it is not said which permissions it needs"))
    }

    /// What it is in, outermost first: objects named `home`.
    pub(crate) fn parents(self) -> Vec<Object> {
        chain(self.parent, "home")
    }

    /// What has to be declared first: what it is in, and what it refers to besides, named `guest`.
    pub(crate) fn surroundings(self) -> Vec<Object> {
        let mut objects = self.parents();
        for reference in self.referred() {
            objects.extend(chain(Some(reference), "guest"));
        }
        for parent in self.parents() {
            let parent = Self { entry: entry(parent.kind), form: None, parent: None };
            for reference in parent.referred() {
                objects.extend(chain(Some(reference), "guest"));
            }
        }
        // Roles that it may name.
        let role = entry("ProjectRole");
        let of = role.parents().next().unwrap();
        let projects = objects.iter().filter(|o| o.kind == "Project");
        let roles: Vec<Object> = projects
            .map(|project| {
                let spec = json!({of.field: {"name": project.name}, "key": "home"});
                Object { kind: role.kind(), name: project.name, spec }
            })
            .collect();
        if self.managed().contains_key("roleKeys") {
            objects.extend(roles);
        }
        let order = |kind: &str| REGISTRY.all().position(|e| e.kind() == kind);
        objects.sort_by_key(|o| (order(o.kind), o.name != "home"));
        objects.dedup_by_key(|o| (o.kind, o.name));
        objects
    }

    /// What it has to refer to besides what it is in.
    pub(crate) fn referred(self) -> impl Iterator<Item = &'static Reference> {
        self.entry.references.iter().filter(|r| r.role != Role::Parent && r.required)
    }

    /// The part of its spec that says what it is in, and what it connects.
    pub(crate) fn scope(self) -> Value {
        let mut scope = place_in(self.parent);
        for reference in self.referred() {
            scope[reference.field] = json!({"name": "guest"});
        }
        for (field, key) in self.keys() {
            scope[field] = json!(key);
        }
        scope = merged(scope, &self.initial());
        for secret in self.secrets() {
            let path = secret.reference.split('.').rev();
            let reference = json!({"name": INPUT, "key": secret.field});
            let reference = path.fold(reference, |inner, step| json!({step: inner}));
            scope = merged(scope, &reference);
        }
        scope
    }

    /// The fields that tell it from others at its place, with what they say.
    fn keys(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.entry.keyed_by.iter().map(|field| match *field {
            "type" => ("type", "PasswordReset"),
            "language" => ("language", "de"),
            other => panic!("no value is known for {other}"),
        })
    }

    /// Its place in what is at this one.
    pub(crate) fn below(self, place: Place) -> Place {
        self.keys().fold(place, |place, (_, key)| place.below(key))
    }

    /// What its spec says of its creation.
    pub(crate) fn initial(self) -> Value {
        if self.entry.initial.is_empty() {
            return json!({});
        }
        let mut found = BTreeMap::new();
        leaves("", &self.schema(), &mut found);
        let is_initial = |path: &str| self.entry.initial.iter().any(|of| path.starts_with(of));
        let is_secret =
            |path: &str| self.entry.inputs.iter().any(|i| path.starts_with(i.reference));
        found.retain(|path, _| is_initial(path) && !is_secret(path));
        let values = found.into_iter().map(|(path, schema)| {
            let [value, _] = self.values(&path, &schema);
            (path, value)
        });
        Fields::from_map(values.collect()).to().unwrap()
    }

    /// The schema of its spec.
    fn schema(self) -> Value {
        let crd = serde_json::to_value(self.entry.crd()).unwrap();
        crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap().clone()
    }

    /// The secrets without which it can't be created.
    pub(crate) fn secrets(self) -> impl Iterator<Item = &'static SecretInput> {
        let none = Fields::default();
        self.entry
            .inputs
            .iter()
            .filter(move |input| self.form.is_some() && input.is_required(self.form, &none))
    }

    /// The place of what is in `home`, and the fields that say what it connects, once it is known
    /// which ids the surroundings have.
    pub(crate) fn located(self, id: impl Fn(&str, &str) -> String) -> (Place, Fields) {
        let mut place = Place::instance();
        for Object { kind, name, .. } in self.parents() {
            place = place_below(kind, &place, &id(kind, name));
        }
        let mut fields = json!({});
        for reference in self.referred() {
            let guest = id(reference.kinds[0], "guest");
            if reference.role == Role::Below {
                place = place.below(&guest);
            }
            fields[reference.id_field] = json!(guest);
        }
        (self.below(place), Fields::from(fields))
    }

    /// The fields that can be managed and that can change, with their schemas: what its spec has
    /// beyond what all specs share.
    pub(crate) fn managed(self) -> BTreeMap<String, Value> {
        let mut spec = self.schema();
        let fields = spec["properties"].as_object_mut().unwrap();
        let shared = [
            schemars::schema_for!(Common),
            schemars::schema_for!(Identity),
            schemars::schema_for!(SecretScope),
        ];
        let shared = shared.map(|schema| serde_json::to_value(schema).unwrap());
        fields.retain(|field, _| {
            let is_shared = shared.iter().any(|of| of["properties"].get(field).is_some());
            let references = self.entry.references.iter();
            let is_reference =
                references.flat_map(Reference::fields).any(|of_reference| of_reference == field);
            let is_key = self.entry.keyed_by.contains(&field.as_str());
            let is_fixed = is_key || (!self.has_chosen_id() && self.natural_key() == Some(field));
            // Providers have to exist first.
            let mut lists = self.entry.reference_lists.iter().flat_map(Reference::fields);
            let is_initial = self.entry.initial.contains(&field.as_str());
            let is_beside =
                field == "allowedNamespaces" || is_initial || lists.any(|of| of == field);
            !(is_shared || is_reference || is_fixed || is_beside)
        });
        let mut found = BTreeMap::new();
        leaves("", &spec, &mut found);
        // Of several forms it has one.
        found.retain(|path, _| {
            let form = self.entry.forms.iter().find(|form| path.split('.').next() == Some(**form));
            form.is_none_or(|form| self.form == Some(*form))
        });
        for secret in self.entry.inputs {
            found.retain(|path, _| !path.starts_with(secret.reference));
        }
        // Files come from elsewhere, and options are no part of the state.
        let files = self.entry.files.iter().map(|file| file.field);
        for field in files.chain(self.entry.options.iter().copied()) {
            found.retain(|path, _| path.split('.').next() != Some(field));
        }
        // It goes with one version alone, and how to log in with another provider.
        found.retain(|path, _| {
            *path != "loginVersion.baseUri"
                && *path != "smtp.authentication"
                && !path.starts_with("smtp.xoauth2")
        });
        found
    }

    /// Whether every spec has this field.
    pub(crate) fn requires(self, path: &str) -> bool {
        let schema = self.schema();
        let mut at = &schema;
        let mut steps = path.split('.');
        let requires = |at: &Value, step: &str| {
            at["required"].as_array().is_some_and(|all| all.iter().any(|name| name == step))
        };
        steps.all(|step| {
            let is_required = requires(at, step) || self.form == Some(step);
            at = &at["properties"][step];
            is_required
        })
    }

    /// A complete state.
    pub(crate) fn complete(self) -> impl Strategy<Value = Fields> {
        self.managed()
            .into_iter()
            .map(|(path, schema)| self.value(&path, &schema).prop_map(move |v| (path.clone(), v)))
            .collect::<Vec<_>>()
            .prop_map(|all| Fields::from_map(all.into_iter().collect()))
    }

    /// Some of the fields, with any values.
    pub(crate) fn some(self) -> impl Strategy<Value = Fields> {
        let fields: Vec<String> = self.managed().into_keys().collect();
        let required: Vec<String> =
            fields.iter().filter(|path| self.requires(path)).cloned().collect();
        let n = fields.len();
        (self.complete(), subsequence(fields, 1..=n)).prop_map(move |(all, keep)| {
            let kept =
                all.iter().filter(|(path, _)| keep.contains(path) || required.contains(path));
            Fields::from_map(kept.map(|(path, v)| (path.clone(), v.clone())).collect())
        })
    }

    /// Two values of a field; the first is not what ZITADEL sets by itself.
    pub(crate) fn values(self, path: &str, schema: &Value) -> [Value; 2] {
        let mut runner = TestRunner::deterministic();
        let strategy = self.value(path, schema);
        let defaults = self.entry.as_entity().map(|e| e.defaults).unwrap_or_default();
        let is_default = |v: &Value| {
            let is_named = defaults.iter().any(|(of, default)| *of == path && v == default);
            is_named || [json!(false), json!(""), json!([])].contains(v)
        };
        let mut draw = || strategy.new_tree(&mut runner).unwrap().current();
        let first = std::iter::repeat_with(&mut draw).find(|v| !is_default(v)).unwrap();
        let second = std::iter::repeat_with(&mut draw).find(|v| *v != first).unwrap();
        [first, second]
    }

    /// Whether the order of this list means nothing.
    pub(crate) fn is_set(self, path: &str) -> bool {
        self.entry.lists.iter().any(|l| l.path == path && l.order == ListOrder::Set)
    }
}

/// An object that something else needs.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
    pub(crate) spec: Value,
}

/// What a reference leads to, with what that is in, outermost first.
fn chain(reference: Option<&'static Reference>, name: &'static str) -> Vec<Object> {
    let (mut objects, mut reference, mut name) = (Vec::new(), reference, name);
    while let Some(of) = reference {
        let kind = entry(of.kinds[0]);
        reference = kind.parents().next();
        let mut spec = place_in(reference);
        match kind.as_entity().map(|e| e.natural_key) {
            Some(NaturalKey::Field(field)) => {
                spec[field] = json!(if name == "home" { "Home" } else { "Guest" });
            }
            _ => {
                for referred in (Placed { entry: kind, form: None, parent: None }).referred() {
                    spec[referred.field] = json!({"name": "guest"});
                }
            }
        }
        objects.push(Object { kind: kind.kind(), name, spec });
        name = "home";
    }
    objects.reverse();
    objects
}

fn place_in(parent: Option<&Reference>) -> Value {
    parent.map_or_else(|| json!({}), |parent| json!({parent.field: {"name": "home"}}))
}

/// The place of what is in the thing with this id, which is itself at `place`.
pub(crate) fn place_below(kind: &str, place: &Place, id: &str) -> Place {
    if REGISTRY.root() == REGISTRY.find(kind) { Place::organization(id) } else { place.below(id) }
}

impl Placed {
    /// Any value of a field that ZITADEL takes here.
    fn value(self, path: &str, schema: &Value) -> BoxedStrategy<Value> {
        let roles = match (path, self.parent.map(|parent| parent.kinds[0])) {
            ("roles", None) => ["IAM_OWNER", "IAM_OWNER_VIEWER"],
            ("roles", Some("Organization")) => ["ORG_OWNER", "ORG_OWNER_VIEWER"],
            ("roles", Some("Project")) => ["PROJECT_OWNER", "PROJECT_OWNER_VIEWER"],
            ("roles", Some(_)) => ["PROJECT_GRANT_OWNER", "PROJECT_GRANT_OWNER_VIEWER"],
            // A text has some words of its own, whichever are declared.
            _ if self.entry.kind() == "MessageText" => {
                return "[A-Za-z]{1,12} \\{\\{\\.Code\\}\\}".prop_map(Value::from).boxed();
            }
            // A map has one entry at least: one without is not there.
            _ if self.entry.maps.iter().any(|map| path == format!("{map}.alpha")) => {
                return "[A-Za-z]{1,12}".prop_map(Value::from).boxed();
            }
            ("roleKeys", _) => {
                return subsequence(vec!["home"], 0..=1).prop_map(|keys| json!(keys)).boxed();
            }
            _ => {
                let lists = self.entry.lists.iter();
                let stays = lists.filter(|l| !l.can_be_emptied).any(|l| l.path == path);
                let fits = move |value: &Value| !(stays && *value == json!([]));
                return value(path, schema).prop_filter("a list that is not emptied", fits).boxed();
            }
        };
        subsequence(roles.to_vec(), 1..=2).prop_shuffle().prop_map(|roles| json!(roles)).boxed()
    }
}

fn leaves(path: &str, schema: &Value, into: &mut BTreeMap<String, Value>) {
    // Of a map, some of the keys that it can have.
    if schema["additionalProperties"].is_object() {
        for key in ["alpha", "beta", "gamma"] {
            into.insert(format!("{path}.{key}"), schema["additionalProperties"].clone());
        }
        return;
    }
    let Some(properties) = schema["properties"].as_object() else {
        into.insert(path.to_owned(), schema.clone());
        return;
    };
    for (name, schema) in properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        leaves(&path, schema, into);
    }
}

/// Any value of a field that ZITADEL takes, from the field's schema, or by its name where the
/// schema says too little.
fn value(path: &str, schema: &Value) -> BoxedStrategy<Value> {
    if let Some(choices) = schema["enum"].as_array() {
        return prop::sample::select(choices.clone()).boxed();
    }
    if path == "grantTypes" {
        // Whatever the response types are, they have their grants.
        let more = subsequence(vec!["RefreshToken", "DeviceCode", "TokenExchange"], 0..=3);
        let all = |more: Vec<&'static str>| [vec!["AuthorizationCode", "Implicit"], more].concat();
        return more.prop_map(move |more| json!(all(more))).boxed();
    }
    if let Some(choices) = schema["items"]["enum"].as_array() {
        let least = usize::from(schema["minItems"].as_f64() >= Some(1.0));
        let n = choices.len();
        return subsequence(choices.clone(), least..=n)
            .prop_shuffle()
            .prop_map(Value::from)
            .boxed();
    }
    if let Some(values) = of_provider(path, schema) {
        return values;
    }
    match (path, schema["type"].as_str()) {
        (path, _) if path.ends_with("Lifetime") => {
            (1..100_u32).prop_map(|hours| json!(format!("{hours}h"))).boxed()
        }
        (_, Some("boolean")) => any::<bool>().prop_map(Value::from).boxed(),
        (_, Some("integer")) => {
            let bound = |name: &str, or: i64| {
                schema[name].as_f64().map_or(or, |bound| format!("{bound}").parse().unwrap())
            };
            (bound("minimum", 0)..=bound("maximum", 1_000)).prop_map(Value::from).boxed()
        }
        ("supportEmail", _) => {
            prop_oneof![Just(json!("")), "[a-z]{1,5}@[a-z]{1,5}\\.example".prop_map(Value::from)]
                .boxed()
        }
        ("allowedLanguages", _) => prop_oneof![
            Just(json!([])),
            subsequence(vec!["de", "fr", "it"], 0..=3).prop_map(|mut l| {
                l.push("en");
                json!(l)
            })
        ]
        .boxed(),
        ("clockSkew", _) => {
            prop::sample::select(vec!["0s", "500ms", "1s", "5s"]).prop_map(Value::from).boxed()
        }
        ("metadata.xml" | "saml.metadataXml", _) => {
            let document =
                |id| format!("<EntityDescriptor entityID=\"{id}\"></EntityDescriptor>\n");
            let documents = ["a", "b"].map(document).to_vec();
            prop::sample::select(documents).prop_map(Value::from).boxed()
        }
        (_, Some("string"))
            if schema["pattern"].as_str().is_some_and(|p| p.starts_with("^https?://")) =>
        {
            "https://[a-z]{1,8}\\.example".prop_map(Value::from).boxed()
        }
        (_, Some("string")) if schema["pattern"].as_str().is_some_and(|p| p.starts_with("^(#")) => {
            "#[0-9a-f]{6}".prop_map(Value::from).boxed()
        }
        ("smtp.host", _) => "[a-z]{1,8}\\.example:[0-9]{2,4}".prop_map(Value::from).boxed(),
        ("http.endpoint", _) => {
            "https://203\\.0\\.113\\.7/[a-z]{1,8}".prop_map(Value::from).boxed()
        }
        ("backChannelLogoutUri", _) => {
            prop::sample::select(vec!["", "https://203.0.113.7/a", "https://203.0.113.7/b"])
                .prop_map(Value::from)
                .boxed()
        }
        (
            "embeddedIframe.allowedOrigins"
            | "redirectUris"
            | "postLogoutRedirectUris"
            | "additionalOrigins",
            _,
        ) => {
            subsequence(vec!["https://a.example", "https://b.example", "https://c.example"], 0..=3)
                .prop_shuffle()
                .prop_map(|l| json!(l))
                .boxed()
        }
        ("email" | "initial.email", _) => {
            "[a-z]{1,8}@[a-z]{1,5}\\.example".prop_map(Value::from).boxed()
        }
        ("phone" | "initial.phone", _) => "\\+4179[0-9]{7}".prop_map(Value::from).boxed(),
        (path, _) if path.ends_with("preferredLanguage") => {
            prop::sample::select(vec!["de", "fr", "pt-BR"]).prop_map(Value::from).boxed()
        }
        (_, Some("string")) if schema["minLength"].as_f64() >= Some(1.0) => {
            "[A-Za-z]{1,12}".prop_map(Value::from).boxed()
        }
        (_, Some("string")) => prop_oneof![
            Just(json!("")),
            "https://[a-z]{1,5}\\.example/\\{\\{\\.Lang\\}\\}".prop_map(Value::from)
        ]
        .boxed(),
        (_, other) => panic!("no values are known for {path} of type {other:?}"),
    }
}

/// The same of the fields of an identity provider that have a form of their own.
fn of_provider(path: &str, schema: &Value) -> Option<BoxedStrategy<Value>> {
    let one_of = |values: Vec<&'static str>| prop::sample::select(values).prop_map(Value::from);
    let some_of = |values: Vec<&'static str>| {
        let least = usize::from(schema["minItems"].as_f64() >= Some(1.0));
        subsequence(values, least..=3).prop_shuffle().prop_map(|l| json!(l))
    };
    Some(match path {
        "azureAd.tenant" => {
            one_of(vec!["common", "organizations", "consumers", "9d0f7c1e"]).boxed()
        }
        "ldap.timeout" => one_of(vec!["0s", "500ms", "10s", "2m"]).boxed(),
        "ldap.servers" => {
            some_of(vec!["ldap://a.example", "ldaps://b.example:636", "ldaps://c.example"]).boxed()
        }
        "ldap.rootCa" => one_of(vec!["", CERTIFICATE]).boxed(),
        "ldap.userObjectClasses" | "ldap.userFilters" => some_of(vec!["uid", "mail", "cn"]).boxed(),
        "apple.teamId" | "apple.keyId" => "[A-Z0-9]{10}".prop_map(Value::from).boxed(),
        path if path.ends_with(".scopes") => some_of(vec!["openid", "profile", "email"]).boxed(),
        _ => return None,
    })
}
