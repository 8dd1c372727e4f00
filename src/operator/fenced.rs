//! A client of Kubernetes that writes only while this process may.

use axum::http::{Method, Request};
use kube::{Client, client::Body};
use tower::{BoxError, service_fn};

use crate::zitadel::Fence;

/// The same client, whose requests that change something pass the fence.
pub(super) fn fenced(client: Client, fence: Fence) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let (client, fence) = (client.clone(), fence.clone());
        async move {
            let reads = [Method::GET, Method::HEAD].contains(request.method());
            let send = client.send(request);
            let answer = if reads { send.await } else { fence.guard(send).await? };
            answer.map_err(BoxError::from)
        }
    });
    Client::new(service, namespace)
}
