//! The finalizer: what may write to ZITADEL has one before it does, what only observes has none.
//!
//! By a JSON patch with a test: a server-side apply of a finalizer would recreate an object that was
//! deleted meanwhile.

use kube::ResourceExt;
use serde_json::json;

use super::{host::KubeHost, packed::Packed};
use crate::{
    api::{
        FINALIZER,
        spec::{is_suspended, only_observes},
    },
    contract::{Inputs, Object},
    kinds::REGISTRY,
};

/// Whether the object has it.
pub(super) fn is_on(o: &Packed) -> bool {
    o.finalizers().iter().any(|f| f == FINALIZER)
}

/// Sets or removes it, as the spec says.
pub(super) async fn adjust(
    host: &KubeHost,
    o: &Packed,
    object: &Object,
) -> Result<(), kube::Error> {
    // What can't be read causes no call, and the API server may refuse every change of it.
    let entry = REGISTRY.find(object.key.kind);
    let is_readable = entry
        .is_some_and(|e| e.desired(&object.spec, &object.key.name, &Inputs::default()).is_ok());
    if object.is_deleting || is_suspended(&object.spec) || !is_readable {
        return Ok(());
    }
    let wants = !only_observes(&object.spec);
    match (wants, is_on(o)) {
        (true, false) => add(host, o, object).await,
        (false, true) => remove(host, o, object).await,
        _ => Ok(()),
    }
}

async fn add(host: &KubeHost, o: &Packed, object: &Object) -> Result<(), kube::Error> {
    let add = if o.finalizers().is_empty() {
        json!({"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]})
    } else {
        json!({"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER})
    };
    let test =
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": o.resource_version()});
    host.patch_metadata(&object.key, vec![test, add]).await
}

/// Removes it, if it is on.
pub(super) async fn remove(
    host: &KubeHost,
    o: &Packed,
    object: &Object,
) -> Result<(), kube::Error> {
    let Some(index) = o.finalizers().iter().position(|f| f == FINALIZER) else { return Ok(()) };
    let path = format!("/metadata/finalizers/{index}");
    let changes = vec![
        json!({"op": "test", "path": path, "value": FINALIZER}),
        json!({"op": "remove", "path": path}),
    ];
    host.patch_metadata(&object.key, changes).await
}
