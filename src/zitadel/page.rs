//! Lists in pages, as a stream.

use std::{
    collections::HashSet,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    marker::PhantomData,
};

use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, SeqAccess, Visitor},
};
use serde_json::{Value, json};

use super::{
    Client, Error, Result,
    path::{Endpoint, Path},
};

/// ZITADEL's maximum (`QUERY-4M0fs` above it, in v2).
const PAGE: u64 = 1000;

/// The most pages of a list: a million entries.
pub const MAX_PAGES: u64 = 1_000;

/// The most entries of a page, if the server does not heed what was asked for.
const MAX_ENTRIES: usize = 10_000;

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row<T> {
    /// An entry of the expected form.
    Read(T),
    /// An entry of another form.
    Odd {
        /// Its `id`, `keyId`, `userId`, `applicationId` or `key`, where it has one.
        id: Option<String>,
    },
}

/// Walks a search of the older form (`{query: {offset, limit, asc}}` → `{result: […]}`), which that
/// of v2 organizations and users is too. Entries that others create or delete meanwhile may be missed or come
/// twice: confirm absence by id.
///
/// A list that does not end is an error: after [`MAX_PAGES`], and at once where there would be more
/// of them or a page repeats an earlier one. The entries that such a server does not show must not be taken for absent.
pub fn rows<T: DeserializeOwned + Send + 'static>(
    client: &Client,
    organization: Option<&str>,
    path: impl Into<Path>,
    filters: Value,
) -> impl Stream<Item = Result<Row<T>>> + Send + 'static {
    walk(client, organization, path.into(), filters, "query")
}

/// The same of the newer form: `{filters, pagination: {…}}` → `{result: […], pagination}`, where the
/// list may be named by what is in it.
pub fn rows_v2<T: DeserializeOwned + Send + 'static>(
    client: &Client,
    path: impl Into<Path>,
    filters: Value,
) -> impl Stream<Item = Result<Row<T>>> + Send + 'static {
    walk(client, None, path.into(), filters, "pagination")
}

fn walk<T: DeserializeOwned + Send + 'static>(
    client: &Client,
    organization: Option<&str>,
    path: Path,
    filters: Value,
    page: &'static str,
) -> impl Stream<Item = Result<Row<T>>> + Send + 'static {
    let walk = Walk {
        client: client.clone(),
        organization: organization.map(ToOwned::to_owned),
        path,
        filters,
        page,
        pages: 0,
        seen: HashSet::new(),
    };
    let pages = stream::try_unfold(Some(walk), |walk| async {
        match walk {
            None => Ok(None),
            Some(walk) => walk.next().await.map(Some),
        }
    });
    pages.map_ok(|rows: Vec<Row<T>>| stream::iter(rows.into_iter().map(Ok))).try_flatten()
}

/// The same, where an entry of another form is an error.
pub fn search<T: DeserializeOwned + Send + 'static>(
    client: &Client,
    organization: Option<&str>,
    path: impl Into<Path>,
    filters: Value,
) -> impl Stream<Item = Result<T>> + Send + 'static {
    let path = path.into();
    let endpoint = format!("POST {}", path.path());
    rows(client, organization, path, filters).map(move |row| match row? {
        Row::Read(entry) => Ok(entry),
        Row::Odd { .. } => Err(Error::Malformed {
            endpoint: endpoint.clone(),
            what: "an entry of another form".into(),
        }),
    })
}

/// The one thing that a search of the older form is for. An answer that says that there is one and
/// shows none is an error: it is no proof of absence.
pub async fn one<T: DeserializeOwned + Send + 'static>(
    client: &Client,
    organization: Option<&str>,
    path: &Path,
    filters: &Value,
) -> Result<Option<T>> {
    let page: Page<T> = client.query(organization, path, filters).await?;
    let total = page.details.total();
    let malformed = |what: &str| {
        let endpoint = format!("POST {}", path.path());
        Err(Error::Malformed { endpoint, what: what.into() })
    };
    match page.result.unwrap_or_default().rows.into_iter().next() {
        Some(Row::Read(found)) => Ok(Some(found)),
        Some(Row::Odd { .. }) => malformed("an entry of another form"),
        None if total.is_some_and(|total| total > 0) => malformed("an entry that is not shown"),
        None => Ok(None),
    }
}

impl<T> Row<T> {
    /// The same row of another type.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Row<U> {
        match self {
            Self::Read(row) => Row::Read(f(row)),
            Self::Odd { id } => Row::Odd { id },
        }
    }
}

/// How many entries a list has; `None`: it does not say.
pub async fn count(
    client: &Client,
    organization: Option<&str>,
    endpoint: &(impl Endpoint + ?Sized),
    queries: &Value,
) -> Result<Option<u64>> {
    #[derive(Deserialize)]
    struct Counted {
        details: Option<Details>,
    }
    let body = json!({"query": {"limit": 1}, "queries": queries});
    let counted: Counted = client.query(organization, endpoint, &body).await?;
    // None at all is what is omitted; half an answer says nothing.
    let Some(details) = counted.details else { return Ok(None) };
    Ok(details.total_result.map_or(Some(0), |total| total.parse().ok()))
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Page<T> {
    #[serde(default, alias = "pagination")]
    details: Details,
    #[serde(alias = "keys", alias = "applications", alias = "projects")]
    result: Option<Entries<T>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Details {
    /// uint64 is a string in ZITADEL's JSON.
    total_result: Option<String>,
}

impl Details {
    fn total(&self) -> Option<u64> {
        self.total_result.as_ref()?.parse().ok()
    }
}

struct Walk {
    client: Client,
    organization: Option<String>,
    path: Path,
    filters: Value,
    /// The field that says which page.
    page: &'static str,
    pages: u64,
    /// Hashes of the pages.
    seen: HashSet<u64>,
}

impl Walk {
    /// The next page, and the walk behind it if there is more.
    async fn next<T: DeserializeOwned>(mut self) -> Result<(Vec<Row<T>>, Option<Self>)> {
        let endpoint = || format!("POST {}", self.path.path());
        if self.pages >= MAX_PAGES {
            return Err(Error::TooManyPages { endpoint: endpoint(), limit: MAX_PAGES });
        }
        let offset = self.pages * PAGE;
        if let Some(body) = self.filters.as_object_mut() {
            let query = json!({"offset": offset.to_string(), "limit": PAGE, "asc": true});
            body.insert(self.page.into(), query);
        }
        let page: Page<T> =
            self.client.query(self.organization.as_deref(), &self.path, &self.filters).await?;
        let Entries { rows, hash } = page.result.unwrap_or_default();
        let total = page.details.total();
        // ZITADEL takes what the account may not see out of a page that it has cut before: a short
        // page, or an empty one, is the last only if the total says no more.
        let is_last = match total {
            Some(total) => total <= offset + PAGE,
            None => (rows.len() as u64) < PAGE,
        };
        if !rows.is_empty() && !self.seen.insert(hash) {
            let what = "a page that repeats an earlier one".into();
            return Err(Error::Malformed { endpoint: endpoint(), what });
        }
        if total.is_some_and(|total| total > MAX_PAGES * PAGE) {
            return Err(Error::TooManyPages { endpoint: endpoint(), limit: MAX_PAGES });
        }
        self.pages += 1;
        Ok((rows, (!is_last).then_some(self)))
    }
}

/// The entries of a page, read one by one, and a hash of what they held.
struct Entries<T> {
    rows: Vec<Row<T>>,
    hash: u64,
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), hash: 0 }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: DeserializeOwned> Visitor<'de> for Reader<T> {
            type Value = Entries<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entries<T>, A::Error> {
                let (mut rows, mut hasher) = (Vec::new(), DefaultHasher::new());
                while let Some(entry) = list.next_element::<Value>()? {
                    if rows.len() >= MAX_ENTRIES {
                        return Err(serde::de::Error::custom("too many entries"));
                    }
                    entry.hash(&mut hasher);
                    let named = ["id", "keyId", "userId", "applicationId", "key"]
                        .iter()
                        .find_map(|f| entry.get(f)?.as_str());
                    let id = named.map(ToOwned::to_owned);
                    rows.push(T::deserialize(entry).map_or(Row::Odd { id }, Row::Read));
                }
                Ok(Entries { rows, hash: hasher.finish() })
            }
        }
        deserializer.deserialize_seq(Reader(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zitadel::fake::{Fake, answer};

    const PATH: &str = "/management/v1/projects/_search";

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Thing {
        id: String,
    }

    /// A server that gives the n-th page.
    fn server(page: impl Fn(usize) -> Value + Send + Sync + 'static) -> (Client, Fake) {
        Fake::client(move |fake, _| answer(200, page(fake.paths().len() - 1)))
    }

    async fn list(client: &Client) -> Result<Vec<Thing>> {
        search(client, None, PATH, json!({})).try_collect().await
    }

    fn full(n: usize) -> Vec<Value> {
        (0..1000).map(|i| json!({"id": format!("{n}-{i}")})).collect()
    }

    #[tokio::test]
    async fn pages_are_walked_until_one_is_not_full_or_the_total_is_reached() {
        for (total, last, asked, count) in [
            (None, full(1)[..7].to_vec(), 2, 1007),
            (None, Vec::new(), 2, 1000),
            (Some("2000"), full(1), 2, 2000),
            (Some("1000"), full(1), 1, 1000),
            (Some("no number"), Vec::new(), 2, 1000),
        ] {
            let (client, fake) = server(move |n| {
                json!({
                    "details": {"totalResult": total},
                    "result": if n == 0 { full(0) } else { last.clone() },
                })
            });
            assert_eq!(list(&client).await.unwrap().len(), count);
            assert_eq!(fake.paths().len(), asked, "{total:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_always_shows_the_same_is_not_asked_for_ever() {
        for period in [1, 2] {
            let (client, fake) = server(move |n| json!({"result": full(n % period)}));
            let error = list(&client).await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{error}");
            assert_eq!(fake.paths().len(), period + 1);
        }
    }

    #[tokio::test]
    async fn pages_from_which_was_taken_what_the_account_may_not_see_end_no_list() {
        let pages = [json!([]), json!(full(1)[..3]), json!(null), json!([{"id": "last"}])];
        let (client, fake) = server(move |n| {
            let result = pages.get(n).cloned().unwrap_or_default();
            json!({"details": {"totalResult": "3001"}, "result": result})
        });
        let found = list(&client).await.unwrap();
        assert_eq!(found.last(), Some(&Thing { id: "last".into() }));
        assert_eq!((found.len(), fake.paths().len()), (4, 4));
    }

    #[tokio::test]
    async fn without_a_total_an_empty_page_ends_a_list() {
        for page in [json!({}), json!({"result": []}), json!({"result": null})] {
            let (client, fake) = server(move |_| page.clone());
            assert_eq!(list(&client).await, Ok(Vec::new()));
            assert_eq!(fake.paths().len(), 1);
        }
    }

    #[tokio::test]
    async fn a_total_beyond_what_can_be_listed_is_an_error_at_once() {
        for total in ["1000001", "18446744073709551615"] {
            let (client, fake) = server(move |_| json!({"details": {"totalResult": total}}));
            assert!(matches!(list(&client).await, Err(Error::TooManyPages { .. })));
            assert_eq!(fake.paths().len(), 1);
        }
    }

    #[tokio::test]
    async fn a_list_without_end_is_an_error() {
        let (client, _) = server(|_| json!({}));
        let walk = Walk {
            client,
            organization: None,
            path: PATH.into(),
            page: "query",
            filters: json!({}),
            pages: MAX_PAGES,
            seen: HashSet::new(),
        };
        let Err(error) = walk.next::<Thing>().await else { panic!("went on") };
        assert_eq!(
            error,
            Error::TooManyPages { endpoint: format!("POST {PATH}"), limit: MAX_PAGES }
        );
    }

    #[tokio::test]
    async fn a_page_of_many_entries_is_an_error() {
        let (client, _) = server(|_| json!({"result": vec![json!({}); MAX_ENTRIES + 1]}));
        assert!(matches!(list(&client).await, Err(Error::Malformed { .. })));
    }

    #[tokio::test]
    async fn an_odd_entry_costs_no_other() {
        let page = json!({"result": [{"id": "1"}, {"id": 2}, {"id": "3", "name": {}}, "4"]});
        let (client, _) = server(move |_| page.clone());
        let found: Vec<Row<Thing>> =
            rows(&client, None, PATH, json!({})).try_collect().await.unwrap();
        let read = |id: &str| Row::Read(Thing { id: id.into() });
        let odd = || Row::Odd { id: None };
        assert_eq!(found, [read("1"), odd(), read("3"), odd()]);
        assert!(list(&client).await.is_err());
    }
}
