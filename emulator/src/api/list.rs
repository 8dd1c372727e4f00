//! What all lists have in common: pages, text queries, totals.

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    errors::ApiError,
    message::message,
    proto::{Field, Message, Request, Rule, SHORT},
};

/// How a text is compared, in the order of ZITADEL's numbers. The newer interfaces prefix the same
/// names with `TEXT_FILTER_METHOD_`.
pub(crate) const TEXT_QUERY: &[&str] = &[
    "TEXT_QUERY_METHOD_EQUALS",
    "TEXT_QUERY_METHOD_EQUALS_IGNORE_CASE",
    "TEXT_QUERY_METHOD_STARTS_WITH",
    "TEXT_QUERY_METHOD_STARTS_WITH_IGNORE_CASE",
    "TEXT_QUERY_METHOD_CONTAINS",
    "TEXT_QUERY_METHOD_CONTAINS_IGNORE_CASE",
    "TEXT_QUERY_METHOD_ENDS_WITH",
    "TEXT_QUERY_METHOD_ENDS_WITH_IGNORE_CASE",
];

/// As [`TEXT_QUERY`].
pub(crate) const TEXT_FILTER: &[&str] = &[
    "TEXT_FILTER_METHOD_EQUALS",
    "TEXT_FILTER_METHOD_EQUALS_IGNORE_CASE",
    "TEXT_FILTER_METHOD_STARTS_WITH",
    "TEXT_FILTER_METHOD_STARTS_WITH_IGNORE_CASE",
    "TEXT_FILTER_METHOD_CONTAINS",
    "TEXT_FILTER_METHOD_CONTAINS_IGNORE_CASE",
    "TEXT_FILTER_METHOD_ENDS_WITH",
    "TEXT_FILTER_METHOD_ENDS_WITH_IGNORE_CASE",
];

/// Compares a text with the one a query asks for.
pub(crate) fn matches(have: &str, query: &Request, field: &str) -> bool {
    let want = query.text(field);
    let method = query.number("method");
    let (have, want) = if method % 2 == 1 {
        (have.to_lowercase(), want.to_lowercase())
    } else {
        (have.to_owned(), want.to_owned())
    };
    match method / 2 {
        0 => have == want,
        1 => have.starts_with(&want),
        2 => have.contains(&want),
        _ => have.ends_with(&want),
    }
}

/// `query` of the older interfaces, `pagination` of the newer ones.
pub(crate) static PAGE: Message = Message::new(
    "ListQuery",
    &[Field::number("offset"), Field::small_number("limit"), Field::flag("asc")],
);

/// A filter for one id, of the newer interfaces.
pub(crate) static ID: Message = Message::new("IDFilter", &[Field::text("id").rules(SHORT)]);
/// A filter for any of some ids, of the newer interfaces.
pub(crate) static IDS: Message = Message::new(
    "InIDsFilter",
    &[Field::text("ids").repeated().rules(&[Rule::Unique, Rule::EachLength(1, 200)])],
);

/// A filter for a time, of the newer interfaces.
pub(crate) static TIME: Message = Message::new(
    "TimestampFilter",
    &[
        Field::date("timestamp"),
        Field::choice(
            "method",
            &[
                "TIMESTAMP_FILTER_METHOD_EQUALS",
                "TIMESTAMP_FILTER_METHOD_AFTER",
                "TIMESTAMP_FILTER_METHOD_AFTER_OR_EQUALS",
                "TIMESTAMP_FILTER_METHOD_BEFORE",
                "TIMESTAMP_FILTER_METHOD_BEFORE_OR_EQUALS",
            ],
        ),
    ],
);

/// Whether a time passes a filter of [`TIME`], if there is one; 1970 if that tells no time.
pub(crate) fn is_then(filter: &Request, name: &str, have: Timestamp) -> bool {
    if !filter.has(name) {
        return true;
    }
    let filter = filter.message(name);
    let want = filter.date("timestamp").unwrap_or(Timestamp::UNIX_EPOCH);
    match filter.number("method") {
        1 => have > want,
        2 => have >= want,
        3 => have < want,
        4 => have <= want,
        _ => have == want,
    }
}

/// Whether an id passes a filter of [`ID`], if there is one.
pub(crate) fn is(filter: &Request, name: &str, have: &str) -> bool {
    !filter.has(name) || filter.message(name).text("id") == have
}

/// Whether an id passes a filter of [`IDS`], if there is one.
pub(crate) fn is_one_of(filter: &Request, name: &str, have: &str) -> bool {
    !filter.has(name) || filter.message(name).list("ids").iter().any(|id| id.as_str() == Some(have))
}

/// A request that holds nothing but a page.
pub(crate) static LIST: Message = Message::new("ListRequest", &[Field::message("query", &PAGE)]);

/// Which part of a list is wanted.
pub(crate) struct Page {
    offset: usize,
    limit: Option<usize>,
    pub(crate) ascending: bool,
}

impl Page {
    /// A page of the older interfaces, which know no greatest limit.
    pub(crate) fn of(request: &Request) -> Self {
        let query = request.message("query");
        let limit = usize::try_from(query.number("limit")).unwrap_or(usize::MAX);
        Self {
            offset: usize::try_from(query.number("offset")).unwrap_or(usize::MAX),
            limit: (limit > 0).then_some(limit),
            ascending: query.flag("asc"),
        }
    }

    /// A page of the newer interfaces: 100 entries if nothing is said.
    ///
    /// # Errors
    /// 400 for more than 1,000.
    pub(crate) fn of_pagination(request: &Request) -> Result<Self, ApiError> {
        let pagination = request.message("pagination");
        let limit = match pagination.number("limit") {
            0 => 100,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        if limit > 1_000 {
            return Err(ApiError::invalid("QUERY-4M0fs", "Limit exceeded"));
        }
        Ok(Self {
            offset: usize::try_from(pagination.number("offset")).unwrap_or(usize::MAX),
            limit: Some(limit),
            ascending: pagination.flag("asc"),
        })
    }

    /// The entries of this page, and how many there are in all. A page past the end tells no
    /// total, as ZITADEL counts over the rows of the page.
    pub(crate) fn cut<T>(&self, rows: impl Iterator<Item = T>) -> (Vec<T>, usize) {
        let mut total = 0;
        let mut page = Vec::new();
        for (index, row) in rows.enumerate() {
            total += 1;
            if index >= self.offset && self.limit.is_none_or(|limit| page.len() < limit) {
                page.push(row);
            }
        }
        if page.is_empty() { (page, 0) } else { (page, total) }
    }

    /// Sorts by a key in the direction of the page.
    pub(crate) fn sort<T, K: Ord>(&self, rows: &mut [T], key: impl FnMut(&T) -> K) {
        rows.sort_by_cached_key(key);
        if !self.ascending {
            rows.reverse();
        }
    }

    /// `pagination` of an answer.
    pub(crate) fn pagination(&self, total: usize) -> Value {
        message! {
            "totalResult" => count(total),
            "appliedLimit" => self.limit.map(|limit| limit.to_string()),
        }
    }
}

/// `pagination` of those answers that tell the limit that was asked for, not the one that counted.
pub(crate) fn asked_pagination(request: &Request, total: usize) -> Value {
    let asked = request.message("pagination").number("limit");
    message! {
        "totalResult" => count(total),
        "appliedLimit" => (asked > 0).then(|| asked.to_string()),
    }
}

/// A total as text; none when there is nothing.
pub(crate) fn count(total: usize) -> Option<String> {
    (total > 0).then(|| total.to_string())
}

/// `details` of a list of the older interfaces.
pub(crate) fn details(total: usize, seen: &str) -> Value {
    message! { "totalResult" => count(total), "viewTimestamp" => seen }
}
