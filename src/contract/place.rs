//! Where something is in ZITADEL. Pure.

use std::sync::Arc;

use super::Leaving;
use crate::zitadel::{Client, identity::AccountIdentity};

/// Where something is: the instance, an organization, or below things in an organization. The key
/// of collections, claims and bindings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Id of the organization; `None`: the instance itself.
    pub organization: Option<String>,
    /// Ids of what it is in below the organization, from the outside in: of a role its project.
    pub parents: Vec<String>,
}

impl Place {
    /// The instance itself.
    pub fn instance() -> Self {
        Self::default()
    }

    /// An organization.
    pub fn organization(id: impl Into<String>) -> Self {
        Self { organization: Some(id.into()), parents: Vec::new() }
    }

    /// What is below the thing with this id, which is in this place.
    #[must_use]
    pub fn below(&self, id: impl Into<String>) -> Self {
        let mut place = self.clone();
        place.parents.push(id.into());
        place
    }

    /// Whether this is the thing with this id, or somewhere below it.
    pub fn is_within(&self, id: &str) -> bool {
        self.organization.as_deref() == Some(id) || self.parents.iter().any(|p| p == id)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.organization {
            None => f.write_str("the instance"),
            Some(id) if self.parents.is_empty() => write!(f, "organization {id}"),
            Some(id) => write!(f, "organization {id}, below {}", self.parents.join(", ")),
        }
    }
}

/// Where a call goes, and by which client.
#[derive(Clone)]
pub struct Access {
    /// The client of the instance.
    pub client: Client,
    /// As whom the client acts.
    pub account: Arc<AccountIdentity>,
    /// What is on its way out, for what is about to be done; `None`: it is only planned, or read.
    pub leaving: Option<Arc<Leaving>>,
    /// Where in the instance.
    pub place: Place,
}

impl Access {
    /// By a client of which it is not known whose it is.
    pub fn anonymous(client: Client, place: Place) -> Self {
        Self { client, account: Arc::default(), leaving: None, place }
    }

    /// Whether somebody stays where these go: those count as gone that began to go before. What goes is
    /// noted, if it is about to.
    pub fn would_leave<'a>(&self, going: &[&str], staying: impl Iterator<Item = &'a str>) -> bool {
        if going.is_empty() {
            return true;
        }
        let staying: Vec<&str> = staying.collect();
        let Some(leaving) = &self.leaving else { return !staying.is_empty() };
        let gone: Vec<String> = going.iter().flat_map(|id| leaving.begin(id)).collect();
        let stays = staying.iter().any(|id| !gone.iter().any(|gone| gone == id));
        if !stays {
            for id in going {
                leaving.stay(id);
            }
        }
        stays
    }

    /// The organization's id; `None`: the instance itself.
    pub fn organization(&self) -> Option<&str> {
        self.place.organization.as_deref()
    }

    /// The id of what this place is directly below.
    ///
    /// # Panics
    /// For kinds without a parent reference: nothing of theirs is below anything.
    #[expect(clippy::expect_used, reason = "a kind that asks declares a parent reference")]
    pub fn parent(&self) -> &str {
        self.place.parents.last().expect("a place below a parent")
    }

    /// The same client, at another place.
    #[must_use]
    pub fn at(&self, place: Place) -> Self {
        Self { place, ..self.clone() }
    }
}
