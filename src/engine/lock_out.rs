//! The guard against locking everybody out.

use super::error::{Error, Result, WhileDoing};
use crate::contract::{Access, Entry, Fields, Object};

/// Refuses to lock somebody out, unless the object insists. `want`: what it becomes; `None`: it is
/// deleted.
pub(super) async fn refuse(
    entry: Entry,
    object: &Object,
    access: &Access,
    id: Option<&str>,
    want: Option<&Fields>,
) -> Result<()> {
    if object.allows_lock_out() {
        return Ok(());
    }
    let who = entry.locks_out(access, id, want).await;
    who.doing("find out who needs")?.map_or(Ok(()), |who| Err(Error::LockOut { who }))
}
