//! All objects of a cluster as they are right now, for those who only look.

use futures::{StreamExt, TryStreamExt, stream};
use kube::{Api, Client, api::ListParams};

use super::{
    packed::{Names, Packed},
    stores::convert,
};
use crate::{contract::Object, kinds::REGISTRY};

/// Lists at once.
const AT_ONCE: usize = 8;

/// The objects of all kinds in a namespace, or in all.
///
/// # Errors
/// Where one kind can't be listed: without it what is shown would be wrong.
pub async fn objects(client: &Client, namespace: Option<&str>) -> kube::Result<Vec<Object>> {
    let lists = stream::iter(REGISTRY.all().map(Names::of)).map(|names| async move {
        let api: Api<Packed> = match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &names),
            None => Api::all_with(client.clone(), &names),
        };
        let found = api.list(&ListParams::default()).await?;
        let objects = found.items.into_iter().map(|o| convert(o.key(names.kind), &o, None));
        Ok::<_, kube::Error>(objects.collect::<Vec<_>>())
    });
    let found: Vec<Vec<Object>> = lists.buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}
