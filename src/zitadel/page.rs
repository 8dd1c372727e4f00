//! Lists in pages, as a stream.

use futures::{Stream, stream};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Client, Result};

/// ZITADEL's maximum (`QUERY-4M0fs` above it, in v2).
const PAGE: u64 = 1000;

/// Walks a v1-style search (`{query: {offset, limit, asc}}` → `{result: […]}`), which the v2
/// organization search is too. Entries that others create or delete meanwhile may be missed or come
/// twice: confirm absence by id.
pub fn search<T: DeserializeOwned + Send + 'static>(
    client: &Client,
    organization: Option<&str>,
    path: &'static str,
    filters: Value,
) -> impl Stream<Item = Result<T>> + Send + 'static {
    #[derive(Deserialize)]
    struct Page<T> {
        #[serde(default)]
        details: Details,
        result: Option<Vec<T>>,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase")]
    struct Details {
        /// uint64 is a string in ZITADEL's JSON.
        total_result: Option<String>,
    }
    let (client, organization) = (client.clone(), organization.map(ToOwned::to_owned));
    let pages = stream::try_unfold(Some(0u64), move |offset| {
        let (client, organization, mut body) =
            (client.clone(), organization.clone(), filters.clone());
        async move {
            let Some(offset) = offset else { return Ok(None) };
            if let Some(body) = body.as_object_mut() {
                body.insert(
                    "query".into(),
                    json!({"offset": offset.to_string(), "limit": PAGE, "asc": true}),
                );
            }
            let page: Page<T> = client.query(organization.as_deref(), path, &body).await?;
            let entries = page.result.unwrap_or_default();
            let count = entries.len() as u64;
            let total: Option<u64> = page.details.total_result.and_then(|t| t.parse().ok());
            // A full page may be the last one, if the total says so.
            let next = (count == PAGE && total.is_none_or(|t| t > offset + count))
                .then_some(offset + count);
            Ok::<_, super::Error>(Some((stream::iter(entries.into_iter().map(Ok)), next)))
        }
    });
    futures::TryStreamExt::try_flatten(pages)
}
