//! A live instance as manifests. Reads ZITADEL; writes nothing.
//!
//! Exported and planned, there is nothing to do; applied to an empty instance and exported again,
//! it is the same. Entities carry their id and omit what ZITADEL sets by itself. Settings are
//! written whole, since a fresh instance may hold anything, and an organization's only where it has
//! its own. The default organization is in every instance, under an id that nobody chose: it is
//! written without one and found by its name. ZITADEL's own project in it is omitted.

mod manifest;
mod names;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

pub use manifest::Exported;
use manifest::Home;
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

impl Selection {
    fn has(&self, entry: &dyn Entry) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|k| k == entry.names().kind)
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

/// An organization, and the name of its object and its folder.
struct Labelled {
    remote: Remote,
    label: String,
}

/// Reads an instance.
pub async fn export(connection: &Connection, selection: &Selection) -> Result<Export> {
    let instance = At { client: connection.client.clone(), organization: None };
    let mut export = Export::default();
    let own = own(&instance).await?;
    let mut names = Names::default();
    let organizations: Vec<Labelled> = organizations(&instance, selection)
        .await?
        .into_iter()
        .map(|remote| {
            // Of one without a name the id has to do.
            let name = remote.state.text("name").unwrap_or("");
            let label = names.unique("Organization", None, name, &remote.id);
            Labelled { remote, label }
        })
        .collect();
    for entry in kinds::ALL.iter().copied().filter(|e| selection.has(*e)) {
        match (entry.shape(), entry.scope()) {
            (Shape::Setting, Scope::Instance | Scope::Either)
                if selection.organizations.is_empty() =>
            {
                match read_setting(entry, &instance).await {
                    Ok(Some(remote)) => {
                        let setting = Exported::setting(entry, &remote, None, selection)?;
                        export.objects.push(setting);
                    }
                    Ok(None) => {}
                    Err(e) => export.miss(entry, None, e)?,
                }
            }
            (Shape::Entity { .. }, Scope::Instance) if entry.names().kind == "Organization" => {
                for Labelled { remote, label } in &organizations {
                    let id = (remote.id != own.organization).then_some(remote.id.as_str());
                    let home = Some(Home::itself(label));
                    let entity = Exported::entity(entry, remote, id, label, home, selection)?;
                    export.objects.push(entity);
                }
            }
            _ => {}
        }
    }
    export.contents(&instance, selection, &organizations, &own, &mut names).await?;
    export.objects.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(export)
}

impl Export {
    /// Adds what is in the organizations.
    async fn contents(
        &mut self,
        instance: &At,
        selection: &Selection,
        organizations: &[Labelled],
        own: &Own,
        names: &mut Names,
    ) -> Result<()> {
        let with_organizations = kinds::find("Organization").is_some_and(|e| selection.has(e));
        let inner: Vec<&'static dyn Entry> = kinds::ALL
            .iter()
            .copied()
            .filter(|e| selection.has(*e) && e.scope() != Scope::Instance)
            .collect();
        let found =
            stream::iter(organizations).map(|o| inside(instance, o, &inner)).buffered(AT_ONCE);
        let mut found = std::pin::pin!(found);
        while let Some((Labelled { remote: organization, label }, results)) = found.next().await {
            let id = (!with_organizations).then_some(organization.id.as_str());
            let home = Some(Home::of(label, id));
            for (entry, result) in results {
                let mut remotes = match result {
                    Ok(remotes) => remotes,
                    Err(e) => {
                        self.miss(entry, Some(&organization.id), e)?;
                        continue;
                    }
                };
                remotes.retain(|r| r.id != own.project || entry.names().kind != "Project");
                remotes.sort_by(|a, b| a.id.cmp(&b.id));
                for r in &remotes {
                    let home = home.clone();
                    self.objects.push(if let Shape::Entity { natural_key, .. } = entry.shape() {
                        // Of one without a name the id has to do.
                        let natural = r.state.text(natural_key).unwrap_or("");
                        let name = names.unique(entry.names().kind, Some(label), natural, &r.id);
                        Exported::entity(entry, r, Some(&r.id), &name, home, selection)?
                    } else {
                        Exported::setting(entry, r, home, selection)?
                    });
                }
            }
        }
        Ok(())
    }

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

/// Everything of one organization, by kind. A policy that is inherited is not its own.
async fn inside<'a>(
    instance: &At,
    organization: &'a Labelled,
    entries: &[&'static dyn Entry],
) -> (&'a Labelled, Vec<(&'static dyn Entry, Result<Vec<Remote>>)>) {
    let at = At { organization: Some(organization.remote.id.clone()), ..instance.clone() };
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
    let is = |o: &Remote, asked: &str| {
        o.id == asked || o.state.text("name").is_some_and(|n| n.eq_ignore_ascii_case(asked))
    };
    let unknown = selection.organizations.iter().find(|asked| !all.iter().any(|o| is(o, asked)));
    if let Some(asked) = unknown {
        return Err(Error::Invalid(format!(
            "there is no organization with the id or name {asked:?}"
        )));
    }
    all.retain(|o| {
        selection.organizations.is_empty() || selection.organizations.iter().any(|a| is(o, a))
    });
    Ok(all)
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
async fn own(at: &At) -> Result<Own> {
    at.client
        .get(None, "/management/v1/iam")
        .await
        .doing("read which organization and project are ZITADEL's own")
}
