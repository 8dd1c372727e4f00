//! Whether what does not show does not exist.

use std::time::Duration;

use super::error::{Error, Result};
use crate::{
    contract::{Entry, Place},
    live::Connection,
};

/// What the account may not read may exist although it does not show. Asked no longer ago than
/// `age`.
pub(super) async fn may_read(
    connection: &Connection,
    entry: Entry,
    place: &Place,
    age: Duration,
) -> Result<()> {
    let lacks = connection.lacks(entry, place, age).await?;
    if lacks.is_empty() {
        return Ok(());
    }
    connection.invalidate_collection(entry, place);
    Err(Error::MayNotRead { noun: entry.noun, lacks })
}
