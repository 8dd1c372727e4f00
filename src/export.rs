//! A live instance as manifests. Reads ZITADEL; writes nothing.
//!
//! Exported and planned, there is nothing to do; applied to an empty instance and exported again,
//! it is the same. Entities carry their id and omit what ZITADEL sets by itself. Settings are
//! written whole, since a fresh instance may hold anything, and an organization's only where it has
//! its own. The default organization is in every instance, under an id that nobody chose: it is
//! written without one and found by its name. ZITADEL's own project in it is omitted, and so is the
//! account that exports.

mod assembly;
pub mod difference;
mod manifest;
mod names;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

pub(crate) use assembly::{Assembly, home_of};
pub use manifest::Exported;

use crate::{
    contract::{
        Access, Breadth, EntityDescription, Entry, IdSource, Place, Registry, Remote, Row,
        entry::ErasedSetting,
    },
    live::Connection,
    zitadel::{self, Code},
};

/// Places that are read at once; the connection has a limit of its own.
const AT_ONCE: usize = 8;

/// What to export.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Kinds; empty: all, of a live instance without those that are about people.
    pub kinds: Vec<String>,
    /// Organizations by id or name, with what is in them; empty: all, and the instance's settings.
    pub organizations: Vec<String>,
    /// Namespace that is written into the manifests.
    pub namespace: Option<String>,
}

impl Selection {
    pub(crate) fn has(&self, entry: Entry) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|k| k == entry.kind())
    }

    /// The same of a live instance: those that are about people have to be named.
    fn wants(&self, entry: Entry) -> bool {
        let is_personal = entry.as_entity().is_some_and(|entity| entity.is_personal);
        self.has(entry) && !(is_personal && self.kinds.is_empty())
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Export {
    /// Manifests, in a stable order.
    pub objects: Vec<Exported>,
    /// What could not be read, and why.
    pub missing: Vec<String>,
}

/// Why an instance could not be exported.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ExportError {
    /// A call failed.
    #[error("could not read {what}: {source}")]
    Read {
        /// What was to be read.
        what: &'static str,
        /// How the call failed.
        source: zitadel::Error,
    },
    /// There is no organization like this.
    #[error("there is no organization with the id or name {0:?}")]
    NoOrganization(String),
    /// A manifest can't be written as YAML.
    #[error("{name} can't be written as YAML: {problem}")]
    Yaml {
        /// Name of the object.
        name: String,
        /// Why not.
        problem: String,
    },
}

pub(crate) type Result<T> = std::result::Result<T, ExportError>;

/// Reads an instance.
pub async fn export(
    registry: &'static Registry,
    connection: &Connection,
    selection: &Selection,
) -> Result<Export> {
    let own = own(connection).await?;
    let mut assembly = Assembly::new(registry, selection.namespace.clone());
    assembly.omit_id(&own.organization);
    let mut exporter =
        Exporter { registry, connection, selection, own, assembly, missing: Vec::new() };
    // Nobody can read a key again: a manifest of one would only have another one issued.
    for entry in registry.all().filter(|e| !e.is_connection() && !e.is_key()) {
        exporter.kind(entry).await?;
    }
    Ok(Export { objects: exporter.assembly.end(), missing: exporter.missing })
}

struct Exporter<'a> {
    registry: &'static Registry,
    connection: &'a Connection,
    selection: &'a Selection,
    own: Own,
    assembly: Assembly,
    missing: Vec<String>,
}

impl Exporter<'_> {
    /// Everything of a kind, at all places that it can be in. What others are in comes before them.
    async fn kind(&mut self, entry: Entry) -> Result<()> {
        let is_parent = self.registry.all().any(|e| {
            let mut parents = e.parents();
            parents.any(|r| r.kinds.contains(&entry.kind()))
        });
        let is_personal = entry.as_entity().is_some_and(|entity| entity.is_personal);
        let is_wanted = self.selection.wants(entry);
        // What people have goes with them.
        if !is_wanted && (is_personal || !is_parent) {
            return Ok(());
        }
        let places: Vec<Place> = self.places(entry);
        let lists = places.into_iter();
        let connection = self.connection;
        let found = stream::iter(lists)
            .map(|place| async move { (read(connection, entry, &place).await, place) })
            .buffered(AT_ONCE);
        let found: Vec<(Result<Vec<Row<Remote>>>, Place)> = found.collect().await;
        for (rows, place) in found {
            let mut remotes = Vec::new();
            match rows {
                Ok(rows) => {
                    for row in rows {
                        match row {
                            Row::Read(remote) => remotes.push(remote),
                            Row::Odd { id } => self.odd(entry, &place, id.as_deref()),
                        }
                    }
                }
                Err(e) => self.miss(entry, &place, e)?,
            }
            if self.registry.root() == Some(entry) {
                self.select_organizations(&mut remotes)?;
            }
            remotes.retain(|r| {
                r.id().is_none_or(|id| id != self.own.project && id != self.connection.account.id)
                    && self.assembly.has_home(&home_of(entry, &r.place))
            });
            let entity = entry.as_entity();
            remotes.retain(|remote| !entity.is_some_and(|entity| entity.has_come_along(remote)));
            remotes.sort_by(|a, b| (&a.place, &a.subject).cmp(&(&b.place, &b.subject)));
            let nameless = if is_wanted { nameless(entry, &remotes) } else { Vec::new() };
            for remote in &remotes {
                if nameless.contains(&remote.id()) {
                    let (kind, id) = (entry.kind(), remote.id().unwrap_or_default());
                    let what = format!("{kind} {id}: nothing tells it from others of its kind");
                    self.missing.push(what);
                    continue;
                }
                let home = self.assembly.reference_to(&home_of(entry, &remote.place));
                // Nothing can name it by an id.
                if home.is_some_and(|(field, _)| field.is_empty()) && is_wanted {
                    let id = remote.id().unwrap_or_default();
                    let what = format!("{} {id}: export what it is in too", entry.kind());
                    self.missing.push(what);
                    continue;
                }
                self.assembly.add(entry, remote, is_wanted)?;
            }
        }
        Ok(())
    }

    /// The places at which a kind has to be listed or read.
    fn places(&self, entry: Entry) -> Vec<Place> {
        let everything = self.selection.organizations.is_empty();
        let is_root = self.registry.root() == Some(entry);
        let breadth = entry.as_entity().map(|e| e.listed_by);
        if breadth == Some(Breadth::Instance) {
            return vec![Place::instance()];
        }
        if breadth == Some(Breadth::Organization) {
            let homes = self.assembly.places().filter(|p| p.organization.is_some());
            return homes.filter(|p| p.parents.is_empty()).cloned().collect();
        }
        let parents: Vec<_> = entry.parents().collect();
        let at_instance = parents.iter().all(|r| !r.required) && (everything || is_root);
        let root = self.registry.root().map(|r| r.kind());
        let below_root = parents.iter().any(|r| root.is_some_and(|root| r.kinds.contains(&root)));
        let is_meant = |place: &&Place| match (&place.organization, place.parents.is_empty()) {
            (None, _) => at_instance,
            (Some(_), true) => below_root,
            (Some(_), false) => {
                let kind = self.assembly.kind_of(place);
                parents.iter().any(|r| kind.is_some_and(|kind| r.kinds.contains(&kind)))
            }
        };
        self.assembly.places().filter(is_meant).cloned().collect()
    }

    /// The organizations that were asked for.
    fn select_organizations(&self, all: &mut Vec<Remote>) -> Result<()> {
        let asked = &self.selection.organizations;
        let is = |o: &Remote, asked: &str| {
            let name = o.state.text("name");
            o.id() == Some(asked) || name.is_some_and(|n| n.eq_ignore_ascii_case(asked))
        };
        if let Some(asked) = asked.iter().find(|asked| !all.iter().any(|o| is(o, asked))) {
            return Err(ExportError::NoOrganization(asked.clone()));
        }
        all.retain(|o| asked.is_empty() || asked.iter().any(|a| is(o, a)));
        Ok(())
    }

    /// What the account may not read is missing; anything else is a failure.
    fn miss(&mut self, entry: Entry, place: &Place, e: ExportError) -> Result<()> {
        match &e {
            ExportError::Read { source, .. } if source.code() == Some(Code::PermissionDenied) => {
                self.missing.push(format!("{} of {place}: {source}", entry.kind()));
                Ok(())
            }
            // An older server has none.
            ExportError::Read { source, .. }
                if source.is_missing_endpoint() && !entry.since.is_empty() =>
            {
                Ok(())
            }
            _ => Err(e),
        }
    }

    fn odd(&mut self, entry: Entry, place: &Place, id: Option<&str>) {
        let id = id.map_or_else(String::new, |id| format!(" {id}"));
        self.missing.push(format!("{}{id} of {place}: it can't be read", entry.kind()));
    }
}

/// Everything that one call covers.
async fn read(connection: &Connection, entry: Entry, place: &Place) -> Result<Vec<Row<Remote>>> {
    let access = connection.access(place.clone());
    let read = match entry {
        Entry::Entity(kind) => kind.list(&access).try_collect().await,
        Entry::Setting(kind) => settings(kind, &access).await,
        Entry::Connection(_) => Ok(Vec::new()),
    };
    read.map_err(|source| ExportError::Read { what: entry.plural, source })
}

/// All settings of a kind that are in what is at a place.
async fn settings(
    kind: &'static dyn ErasedSetting,
    access: &Access,
) -> zitadel::Result<Vec<Row<Remote>>> {
    let places = stream::iter(kind.places(access).await?);
    let read = places.map(|place| async { kind.read(&access.at(place)).await.map(Row::Read) });
    read.buffered(AT_ONCE).try_collect().await
}

/// The ids of those that a manifest could not name: they are found by a name that they do not have, or
/// that others have too.
fn nameless(entry: Entry, remotes: &[Remote]) -> Vec<Option<&str>> {
    let is_found_by_name =
        |e: &&EntityDescription| e.id == IdSource::Server && e.natural_key.field().is_some();
    let Some(entity) = entry.as_entity().filter(is_found_by_name) else { return Vec::new() };
    let name = |remote: &Remote| {
        let name = entity.natural_key.of(&remote.state).unwrap_or_default().to_lowercase();
        (remote.place.clone(), entry.form(&remote.state), name)
    };
    let is_nameless = |remote: &&Remote| {
        let name_of_it = name(remote);
        name_of_it.2.is_empty() || remotes.iter().filter(|r| name(r) == name_of_it).count() > 1
    };
    remotes.iter().filter(is_nameless).map(Remote::id).collect()
}

/// What is in every instance.
#[derive(Deserialize)]
struct Own {
    /// The default organization.
    #[serde(rename = "defaultOrgId")]
    organization: String,
    /// ZITADEL's own project, in the default organization.
    #[serde(rename = "iamProjectId")]
    project: String,
}

/// Asks by `GetIAM` of the management API: any account may, also the owner of an organization, to
/// whom the admin API does not tell the default organization.
async fn own(connection: &Connection) -> Result<Own> {
    let what = "which organization and project are ZITADEL's own";
    let answer = connection.client.get(None, "/management/v1/iam").await;
    answer.map_err(|source| ExportError::Read { what, source })
}
