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

/// What there is.
#[derive(Debug, Default)]
pub struct Objects {
    /// The objects.
    pub found: Vec<Object>,
    /// Plurals of the kinds that the cluster does not know.
    pub unknown: Vec<&'static str>,
}

/// The objects of all kinds in a namespace, or in all.
///
/// # Errors
/// Where a kind that the cluster knows can't be listed: without it what is shown would be wrong.
pub async fn objects(client: &Client, namespace: Option<&str>) -> kube::Result<Objects> {
    let lists = stream::iter(REGISTRY.all().map(Names::of)).map(|names| async move {
        let api: Api<Packed> = match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &names),
            None => Api::all_with(client.clone(), &names),
        };
        let found = match api.list(&ListParams::default()).await {
            Ok(found) => found,
            Err(kube::Error::Api(e)) if e.code == 404 => {
                return Ok(Objects { unknown: vec![names.plural], ..Objects::default() });
            }
            Err(e) => return Err(e),
        };
        let objects = found.items.into_iter().map(|o| convert(o.key(names.kind), &o, None));
        Ok::<_, kube::Error>(Objects { found: objects.collect(), unknown: Vec::new() })
    });
    let join = |mut all: Objects, more: Objects| async move {
        all.found.extend(more.found);
        all.unknown.extend(more.unknown);
        Ok(all)
    };
    lists.buffered(AT_ONCE).try_fold(Objects::default(), join).await
}
