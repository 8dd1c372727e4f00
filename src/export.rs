//! A live instance as manifests. Reads ZITADEL; writes nothing.
//!
//! Exported and planned, there is nothing to do; applied to an empty instance and exported again,
//! it is the same. Entities carry their id and leave out what ZITADEL sets by itself. Settings are
//! written whole, since a fresh instance may hold anything, and an organization's only where it has
//! its own. The default organization is in every instance, under an id that nobody chose: it is
//! written without one and found by its name. ZITADEL's own project in it is left out.

mod manifest;
mod names;

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

pub use manifest::Exported;
use names::Names;

use crate::{
    engine::{
        connection::Connection,
        error::{Doing, Error, Result},
        kind::{At, Entry, Remote, Scope, Shape},
    },
    kinds,
    zitadel::Code,
};

/// Organizations that are read at once; the connection has a limit of its own.
const AT_ONCE: usize = 8;
/// ZITADEL's own project, in the default organization.
const OWN_PROJECT: &str = "ZITADEL";

/// What to export.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Kinds; empty: all.
    pub kinds: Vec<String>,
    /// Organizations by id or name, with what is in them; empty: all, and the instance's settings.
    pub organizations: Vec<String>,
    /// Namespace that is written into the manifests.
    pub namespace: Option<String>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Export {
    /// Manifests, in a stable order.
    pub objects: Vec<Exported>,
    /// What could not be read, and why.
    pub missing: Vec<String>,
}

/// Reads an instance.
pub async fn export(connection: &Connection, selection: &Selection) -> Result<Export> {
    let wanted = |e: &&dyn Entry| {
        selection.kinds.is_empty() || selection.kinds.iter().any(|k| k == e.names().kind)
    };
    let instance = At { client: connection.client.clone(), organization: None };
    let mut export = Export::default();
    let default = default_organization(&instance).await?;
    let organizations = organizations(&instance, selection).await?;
    let with_organizations = kinds::find("Organization").is_some_and(|e| wanted(&e));
    let mut names = Names::default();
    let mut labels = BTreeMap::new();
    for o in &organizations {
        labels.insert(
            o.id.clone(),
            names.unique("Organization", "", o.state.text("name").unwrap_or_default(), &o.id),
        );
    }
    for entry in kinds::ALL.iter().copied().filter(wanted) {
        match (entry.shape(), entry.scope()) {
            (Shape::Setting, Scope::Instance | Scope::Either)
                if selection.organizations.is_empty() =>
            {
                match read_setting(entry, &instance).await {
                    Ok(Some(remote)) => {
                        export.objects.push(Exported::setting(entry, &remote, None, selection))
                    }
                    Ok(None) => {}
                    Err(e) => export.miss(entry, None, e)?,
                }
            }
            (Shape::Entity { .. }, Scope::Instance) if entry.names().kind == "Organization" => {
                for o in &organizations {
                    let id = (Some(&o.id) != default.as_ref()).then_some(o.id.as_str());
                    let name = labels.get(&o.id).cloned().unwrap_or_default();
                    export.objects.push(Exported::entity(
                        entry,
                        o,
                        id,
                        &name,
                        Some(manifest::Home::itself(&name)),
                        selection,
                    ));
                }
            }
            _ => {}
        }
    }
    let inner: Vec<&'static dyn Entry> = kinds::ALL
        .iter()
        .copied()
        .filter(wanted)
        .filter(|e| e.scope() != Scope::Instance)
        .collect();
    let found =
        stream::iter(&organizations).map(|o| inside(&instance, o, &inner)).buffered(AT_ONCE);
    let mut found = std::pin::pin!(found);
    while let Some((organization, results)) = found.next().await {
        let label = labels.get(&organization.id).cloned().unwrap_or_default();
        let home =
            manifest::Home::of(&label, (!with_organizations).then_some(organization.id.as_str()));
        for (entry, result) in results {
            let mut remotes = match result {
                Ok(remotes) => remotes,
                Err(e) => {
                    export.miss(entry, Some(&organization.id), e)?;
                    continue;
                }
            };
            remotes.sort_by(|a, b| a.id.cmp(&b.id));
            for r in remotes {
                if entry.shape() == Shape::Setting {
                    export.objects.push(Exported::setting(
                        entry,
                        &r,
                        Some(home.clone()),
                        selection,
                    ));
                } else if !(is_own_project(entry, &r) && Some(&organization.id) == default.as_ref())
                {
                    let name =
                        names.unique(entry.names().kind, &label, natural_name(entry, &r), &r.id);
                    export.objects.push(Exported::entity(
                        entry,
                        &r,
                        Some(&r.id),
                        &name,
                        Some(home.clone()),
                        selection,
                    ));
                }
            }
        }
    }
    export.objects.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(export)
}

impl Export {
    /// What the account may not read is missing; anything else is a failure.
    fn miss(&mut self, entry: &dyn Entry, organization: Option<&str>, e: Error) -> Result<()> {
        match &e {
            Error::Zitadel { source, .. } if source.code() == Some(Code::PermissionDenied) => {
                let of = organization
                    .map_or_else(|| "the instance".to_owned(), |o| format!("organization {o}"));
                self.missing.push(format!("{} of {of}: {e}", entry.names().kind));
                Ok(())
            }
            _ => Err(e),
        }
    }
}

fn is_own_project(entry: &dyn Entry, remote: &Remote) -> bool {
    entry.names().kind == "Project" && remote.state.text("name") == Some(OWN_PROJECT)
}

fn natural_name<'a>(entry: &dyn Entry, remote: &'a Remote) -> &'a str {
    match entry.shape() {
        Shape::Entity { natural_key, .. } => remote.state.text(natural_key).unwrap_or_default(),
        _ => "",
    }
}

/// Everything of one organization, by kind. A policy that is inherited is none of its own.
async fn inside<'a>(
    instance: &At,
    organization: &'a Remote,
    entries: &[&'static dyn Entry],
) -> (&'a Remote, Vec<(&'static dyn Entry, Result<Vec<Remote>>)>) {
    let at = At { organization: Some(organization.id.clone()), ..instance.clone() };
    let mut found = Vec::new();
    for entry in entries.iter().copied() {
        let result = match entry.shape() {
            Shape::Setting => {
                read_setting(entry, &at).await.map(|r| r.into_iter().filter(|r| r.own).collect())
            }
            _ => {
                entry.list(&at).try_collect().await.doing(&format!("list {}", entry.names().plural))
            }
        };
        found.push((entry, result));
    }
    (organization, found)
}

async fn read_setting(entry: &dyn Entry, at: &At) -> Result<Option<Remote>> {
    entry.read(at, "").await.doing(&format!("read {}", entry.noun()))
}

/// The organizations that were asked for, by name.
async fn organizations(at: &At, selection: &Selection) -> Result<Vec<Remote>> {
    let Some(entry) = kinds::find("Organization") else { return Ok(Vec::new()) };
    let mut all: Vec<Remote> =
        entry.list(at).try_collect().await.doing("list the organizations")?;
    all.sort_by(|a, b| a.id.cmp(&b.id));
    for asked in &selection.organizations {
        let is = |o: &Remote| {
            o.id == *asked || o.state.text("name").is_some_and(|n| n.eq_ignore_ascii_case(asked))
        };
        if !all.iter().any(is) {
            return Err(Error::Invalid(format!(
                "there is no organization with the id or name {asked:?}"
            )));
        }
    }
    let wanted = |o: &Remote| {
        selection
            .organizations
            .iter()
            .any(|a| o.id == *a || o.state.text("name").is_some_and(|n| n.eq_ignore_ascii_case(a)))
    };
    all.retain(|o| selection.organizations.is_empty() || wanted(o));
    Ok(all)
}

/// The default organization's id; an account that may not ask gets along without.
async fn default_organization(at: &At) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Answer {
        org: Found,
    }
    #[derive(Deserialize)]
    struct Found {
        id: String,
    }
    match at.client.get::<Answer>(None, "/admin/v1/orgs/default").await {
        Ok(answer) => Ok(Some(answer.org.id)),
        Err(e) if e.code() == Some(Code::PermissionDenied) || e.is_missing_endpoint() => Ok(None),
        Err(e) => Err(e).doing("read the default organization"),
    }
}
