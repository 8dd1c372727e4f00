//! Events of Kubernetes (`events.k8s.io`): one for each change that was made, each failure that
//! begins or ends.
//!
//! Not by kube's recorder: it makes a series of all that have the same reason and keeps the note of
//! the first alone, and what was changed by whom is in the note.

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, api::PostParams};

use super::host::KubeHost;
use crate::{
    api::{self, MANAGER},
    contract::Object,
    engine::events::EventRecord,
};

/// Publishes what happened to an object; `reporter` is this process.
pub(super) async fn publish(
    host: &KubeHost,
    reporter: &str,
    object: &Object,
    event: &EventRecord,
) -> Result<(), kube::Error> {
    let now = Timestamp::now();
    // Names have 253 characters at most, and the time makes this one unlike all others.
    let name = format!(
        "{}.{:x}",
        object.key.name.chars().take(220).collect::<String>(),
        now.as_nanosecond()
    );
    let event = Event {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(object.key.namespace.clone()),
            ..ObjectMeta::default()
        },
        action: Some(event.reason.to_string()),
        reason: Some(event.reason.to_string()),
        type_: Some(if event.reason.is_warning() { "Warning" } else { "Normal" }.into()),
        // The API server takes 1,024 bytes.
        note: Some(
            event.message.get(..event.message.floor_char_boundary(1000)).unwrap_or_default().into(),
        ),
        event_time: Some(MicroTime(now)),
        regarding: Some(ObjectReference {
            api_version: Some(api::api_version()),
            kind: Some(object.key.kind.into()),
            namespace: Some(object.key.namespace.clone()),
            name: Some(object.key.name.clone()),
            uid: object.uid.clone(),
            ..ObjectReference::default()
        }),
        reporting_controller: Some("kastellan.dev/operator".into()),
        reporting_instance: Some(reporter.into()),
        ..Event::default()
    };
    let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    let _permit = host.permit().await;
    let api = Api::<Event>::namespaced(host.client.clone(), &object.key.namespace);
    api.create(&params, &event).await.map(|_| ())
}
