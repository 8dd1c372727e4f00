//! The engine and the emulated ZITADEL in this process: no sockets, no cluster. For laws that are tried many times.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use axum::{Router, body::Body};
use kastellan::{
    api::status::Status,
    engine::{
        Key, Object,
        host::{Host, Missing},
        outcome::Outcome,
        reconcile::{Engine, reconcile},
    },
    kinds,
    zitadel::{
        AddressPolicy, Client, Transport, TransportError,
        transport::{Request, Response},
    },
};
use secrecy::SecretString;
use serde_json::{Value, json};
use tower::ServiceExt;
use zitadel_emulator::{Emulator, Options};

struct InProcess(Router);

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, r: Request) -> Result<Response, TransportError> {
        let path = r.url.query().map_or_else(|| r.url.path().to_owned(), |q| format!("{}?{q}", r.url.path()));
        let mut request = axum::http::Request::builder().method(r.method).uri(path).body(Body::from(r.body)).unwrap();
        *request.headers_mut() = r.headers;
        let answer = self.0.clone().oneshot(request).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.map_err(|e| TransportError::Broken(e.to_string()))?.to_vec();
        Ok(Response { status, headers, body })
    }
}

/// A host whose objects are in memory.
#[derive(Default)]
struct MemoryHost {
    objects: Mutex<HashMap<Key, Arc<Object>>>,
    pat: String,
}

#[async_trait]
impl Host for MemoryHost {
    fn object(&self, key: &Key) -> Option<Arc<Object>> {
        self.objects.lock().unwrap().get(key).cloned()
    }
    fn dependants(&self, _: &Key) -> Vec<Key> {
        Vec::new()
    }
    fn namespace_labels(&self, _: &str) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
    async fn secret(&self, _: &str, _: &str, _: &str) -> Result<SecretString, Missing> {
        Ok(self.pat.clone().into())
    }
    async fn config_map(&self, _: &str, _: &str, _: &str) -> Result<String, Missing> {
        Err(Missing::Object)
    }
    async fn remember(&self, object: &Object, status: &Status) -> Result<(), String> {
        let mut kept = object.clone();
        kept.status = status.clone();
        self.objects.lock().unwrap().insert(kept.key.clone(), Arc::new(kept));
        Ok(())
    }
}

/// An engine, its objects and a ZITADEL.
pub(crate) struct Lab {
    pub(crate) emulator: Emulator,
    pub(crate) client: Client,
    engine: Engine,
    host: MemoryHost,
}

impl Lab {
    /// With an Instance `default` that is connected.
    pub(crate) async fn new() -> Self {
        let emulator = Emulator::new(Options::default()).unwrap();
        let router = emulator.router();
        let mut engine = Engine::new(AddressPolicy::any());
        engine.connect = Box::new(move |config| Client::with_transport(config, Box::new(InProcess(router.clone()))));
        let host = MemoryHost { pat: emulator.pat(), ..MemoryHost::default() };
        let config = kastellan::zitadel::Config {
            addresses: AddressPolicy::any(),
            ..kastellan::zitadel::Config::new(
                "http://localhost".parse().unwrap(),
                kastellan::zitadel::Credentials::token(&emulator.pat().into()).unwrap(),
            )
        };
        let client = Client::with_transport(config, Box::new(InProcess(emulator.router()))).unwrap();
        let lab = Self { emulator, client, engine, host };
        let credentials = json!({"personalAccessToken": {"secretRef": {"name": "s", "key": "k"}}});
        let outcome = lab.apply("Instance", "default", json!({"issuer": "http://localhost", "credentials": credentials})).await;
        assert!(outcome.status.is_ready(), "{outcome:?}");
        lab
    }

    /// Declares an object and reconciles it until it is Ready, or says why not.
    pub(crate) async fn apply(&self, kind: &str, name: &str, spec: Value) -> Outcome {
        let kind = kinds::find(kind).unwrap().names().kind;
        let key = Key { kind, namespace: "ns".into(), name: name.into() };
        let former = self.host.object(&key);
        let object = Object {
            uid: Some(format!("uid-{}-{name}", kind.to_lowercase())),
            generation: former.as_ref().map_or(1, |f| f.generation + 1),
            created: 0,
            is_deleting: false,
            annotations: BTreeMap::new(),
            spec,
            status: former.as_ref().map(|f| f.status.clone()).unwrap_or_default(),
            details: former.as_ref().map(|f| f.details.clone()).unwrap_or_default(),
            key: key.clone(),
        };
        self.host.objects.lock().unwrap().insert(key.clone(), Arc::new(object));
        self.look(&key).await
    }

    /// Reconciles what is declared already, as deletion where that has begun.
    pub(crate) async fn look(&self, key: &Key) -> Outcome {
        let object = self.host.object(key).unwrap();
        let outcome = reconcile(&self.engine, &self.host, &object).await;
        let mut after = (*object).clone();
        after.status = outcome.status.clone();
        after.details = outcome.details.clone().unwrap_or_default();
        self.host.objects.lock().unwrap().insert(key.clone(), Arc::new(after));
        outcome
    }
}
