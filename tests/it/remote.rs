//! The remote side as tests use it: things of any kind, by the kind's own calls.

use std::ops::Deref;

use futures::TryStreamExt;
use kastellan::{
    contract::{self, Fields, Remote, Row, Secrets},
    kinds::REGISTRY,
    zitadel::Result,
};

pub(crate) use kastellan::contract::{Access, Place};

use crate::samples::Placed;

/// A kind, whatever its shape.
#[derive(Clone, Copy)]
pub(crate) struct Entry(pub(crate) contract::Entry);

/// The kind with this name.
pub(crate) fn entry(kind: &str) -> Entry {
    Entry(REGISTRY.find(kind).unwrap_or_else(|| panic!("there is a kind {kind}")))
}

impl Deref for Entry {
    type Target = contract::Entry;

    fn deref(&self) -> &contract::Entry {
        &self.0
    }
}

/// What says where something is.
pub(crate) trait InPlace {
    fn place(self) -> Place;
}

impl InPlace for &Place {
    fn place(self) -> Place {
        self.clone()
    }
}

/// An organization; `None`: the instance itself.
impl InPlace for Option<&str> {
    fn place(self) -> Place {
        self.map_or_else(Place::instance, Place::organization)
    }
}

impl Entry {
    /// Creates an entity, with some secret where there has to be one, and what only counts then.
    /// Returns its id.
    pub(crate) async fn create(self, at: &Access, id: &str, want: &Fields) -> Result<String> {
        let contract::Entry::Entity(kind) = self.0 else { panic!("{:?} is no entity", self.0) };
        let initial = Placed { entry: self, form: None, parent: None }.initial();
        let want = &Fields::from(initial).overlay(want);
        let form = self.0.form(want);
        let required = self.0.inputs.iter().filter(|input| input.is_required(form, want));
        let secrets = required.map(|input| (input.field, "before".into())).collect();
        let created = kind.create(at, id, want, &secrets).await?;
        Ok(created.id.expect("the answer has an id"))
    }

    /// All entities at a place, or addressed below it.
    pub(crate) async fn list(self, at: &Access) -> Vec<Remote> {
        let contract::Entry::Entity(kind) = self.0 else { panic!("{:?} is no entity", self.0) };
        let rows: Vec<Row<Remote>> = kind.list(at).try_collect().await.unwrap();
        let read = rows.into_iter().map(|row| match row {
            Row::Read(remote) => remote,
            Row::Odd { id } => panic!("{id:?} can't be read"),
        });
        let is_there = |place: &Place| {
            place.organization == at.place.organization
                && place.parents.starts_with(&at.place.parents)
        };
        read.filter(|remote| is_there(&remote.place)).collect()
    }

    /// All that can be in what is at a place: the settings, each by itself.
    pub(crate) async fn settings(self, at: &Access) -> Vec<Remote> {
        let contract::Entry::Setting(kind) = self.0 else { panic!("{:?} is no setting", self.0) };
        let mut all = Vec::new();
        for place in kind.places(at).await.unwrap() {
            all.push(kind.read(&at.at(place)).await.unwrap());
        }
        all
    }

    /// Reads an entity by its id, or the setting.
    pub(crate) async fn read(self, at: &Access, id: &str) -> Result<Option<Remote>> {
        match self.0 {
            contract::Entry::Entity(kind) => kind.read(at, id).await,
            contract::Entry::Setting(kind) => kind.read(at).await.map(Some),
            contract::Entry::Connection(_) => Ok(None),
        }
    }

    /// Changes something to `want`, which is complete.
    pub(crate) async fn write(self, at: &Access, have: &Remote, want: &Fields) -> Result<()> {
        match self.0 {
            contract::Entry::Entity(kind) => {
                kind.update(at, have, want, &Secrets::default()).await.map(|_| ())
            }
            contract::Entry::Setting(kind) => kind.write(at, have, want).await.map(|_| ()),
            contract::Entry::Connection(_) => panic!("a connection is not written"),
        }
    }

    /// Deletes an entity, or resets a setting.
    pub(crate) async fn delete(self, at: &Access, id: &str) -> Result<()> {
        match self.0 {
            contract::Entry::Entity(kind) => kind.delete(at, id).await,
            contract::Entry::Setting(kind) => kind.reset(at).await,
            contract::Entry::Connection(_) => panic!("a connection is not deleted"),
        }
    }

    /// Somebody changes some fields of something.
    pub(crate) async fn change(self, at: &Access, id: &str, fields: &Fields) {
        let have = self.read(at, id).await.unwrap().unwrap_or_else(|| panic!("{id} exists"));
        let want = have.state.overlay(fields);
        if want != have.state {
            // ZITADEL refuses what changes nothing.
            self.write(at, &have, &want).await.unwrap();
        }
    }
}
