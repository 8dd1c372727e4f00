//! What grants have in common, be they to users or to organizations: roles, a state, and three
//! paths below what they are addressed by.

use reqwest::Method;
use serde_json::json;

use super::wire::{self, Activity};
use crate::{
    contract::{Access, Written},
    zitadel::{Path, Result},
};

/// The paths of a grant; each takes the id of what it is below, and its own.
pub(super) struct Grant {
    pub(super) path: &'static str,
    pub(super) activate: &'static str,
    pub(super) deactivate: &'static str,
}

/// What can change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Content<'a> {
    pub(super) role_keys: Option<&'a [String]>,
    pub(super) state: Option<Activity>,
}

impl Grant {
    /// Where a grant is.
    pub(super) fn path(&self, access: &Access, id: &str) -> Result<Path> {
        Path::new(self.path, &[access.parent(), id])
    }

    /// The state of one that was created, which begins as active.
    pub(super) async fn begin(
        &self,
        access: &Access,
        id: &str,
        state: Option<Activity>,
        created: Written,
    ) -> Result<Written> {
        match state.filter(|state| *state != Activity::Active) {
            Some(state) => Ok(self.move_to(access, id, state).await?.after(created)),
            None => Ok(created),
        }
    }

    /// What is to be out of use is so before anything else of it changes.
    pub(super) async fn update(
        &self,
        access: &Access,
        id: &str,
        have: Content<'_>,
        want: Content<'_>,
    ) -> Result<Written> {
        let mut written = Written::default();
        let moves = want.state.filter(|to| have.state != Some(*to));
        if let Some(to) = moves.filter(|to| *to == Activity::Inactive) {
            written = self.move_to(access, id, to).await?;
        }
        if have.role_keys != want.role_keys {
            let (path, body) = (self.path(access, id)?, json!({"roleKeys": want.role_keys}));
            written = wire::write(access, Method::PUT, &path, &body).await?.after(written);
        }
        if let Some(to) = moves.filter(|to| *to == Activity::Active) {
            written = self.move_to(access, id, to).await?.after(written);
        }
        Ok(written)
    }

    async fn move_to(&self, access: &Access, id: &str, to: Activity) -> Result<Written> {
        let template = match to {
            Activity::Active => self.activate,
            Activity::Inactive => self.deactivate,
        };
        let path = Path::new(template, &[access.parent(), id])?;
        wire::write(access, Method::POST, &path, &json!({})).await
    }
}
