//! Lists in pages, as a stream.

use futures::{Stream, stream};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Client, Error, Result};

/// ZITADEL's maximum (`QUERY-4M0fs` above it, in v2).
const PAGE: u64 = 1000;

/// A row of a list. One that can't be read makes the others no worse.
#[derive(Debug, Clone, PartialEq)]
pub enum Row<T> {
    /// As the endpoint promises.
    Good(T),
    /// Not as the endpoint promises.
    Bad {
        /// Its id, where at least that can be read.
        id: Option<String>,
        /// What does not fit, without the content.
        what: String,
    },
}

impl<T> Row<T> {
    /// The same row of another type.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Row<U> {
        match self {
            Self::Good(row) => Row::Good(f(row)),
            Self::Bad { id, what } => Row::Bad { id, what },
        }
    }
}

/// A row that is not as its endpoint promises.
pub fn malformed(path: &str, what: String) -> Error {
    Error::Malformed { endpoint: format!("POST {path}"), what }
}

fn row<T: DeserializeOwned>(row: Value) -> Row<T> {
    let id = ["id", "userId", "key"].iter().find_map(|field| row.get(field)?.as_str());
    let id = id.map(ToOwned::to_owned);
    // serde_json's own text may quote the row.
    serde_json::from_value(row).map_or_else(
        |e| Row::Bad { id, what: format!("{:?} error in a row", e.classify()) },
        Row::Good,
    )
}

/// Walks a v1-style search (`{query: {offset, limit, asc}}` → `{result: […]}`), which the v2
/// organization search is too. Entries that others create or delete meanwhile may be missed or come
/// twice: confirm absence by id.
pub fn search<T: DeserializeOwned + Send + 'static>(
    client: &Client,
    organization: Option<&str>,
    path: &'static str,
    filters: Value,
) -> impl Stream<Item = Result<Row<T>>> + Send + 'static {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default)]
        details: Details,
        result: Option<Vec<Value>>,
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
            let page: Page = client.query(organization.as_deref(), path, &body).await?;
            let entries = page.result.unwrap_or_default();
            let count = entries.len() as u64;
            let total: Option<u64> = page.details.total_result.and_then(|t| t.parse().ok());
            // A full page may be the last one, if the total says so.
            let next = (count == PAGE && total.is_none_or(|t| t > offset + count))
                .then_some(offset + count);
            Ok::<_, Error>(Some((stream::iter(entries.into_iter().map(row).map(Ok)), next)))
        }
    });
    futures::TryStreamExt::try_flatten(pages)
}
