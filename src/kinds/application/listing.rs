//! How applications of a kind are listed: those of all projects at once, by the application service
//! v2; where a server has none, project by project.

use std::collections::HashMap;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Application, Wire};
use crate::{
    contract::{Kind, Place, RemoteEntity, Row, Version},
    kinds::wire::{Activity, lenient, some_default},
    zitadel::{Capability, Client, Path, Result, page},
};

/// Lists in all projects, since 4.5.0.
const LIST: Capability = Capability::new("ListApplications");
const APPLICATIONS: &str = "/zitadel.application.v2.ApplicationService/ListApplications";
const PROJECTS: &str = "/zitadel.project.v2.ProjectService/ListProjects";

type Rows<A> = Vec<Row<RemoteEntity<<A as Kind>::State>>>;

/// Applications of a kind, in all projects.
pub(super) fn list<A: Application>(
    client: &Client,
) -> impl Stream<Item = Result<Row<RemoteEntity<A::State>>>> + Send + 'static {
    let client = client.clone();
    let rows = async move {
        let by_v2 = || Box::pin(by_v2::<A>(&client));
        client.with_fallback(LIST, by_v2, || Box::pin(by_v1::<A>(&client))).await
    };
    // In a box: who waits for many lists has the room of each.
    stream::once(Box::pin(rows)).map_ok(|rows| stream::iter(rows).map(Ok)).try_flatten()
}

/// An application in the service v2, which does not tell its organization.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    application_id: String,
    project_id: String,
    change_date: Option<Timestamp>,
    name: String,
    #[serde(default = "some_default", deserialize_with = "lenient")]
    state: Option<Activity>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Where a project is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Home {
    project_id: String,
    organization_id: String,
}

async fn by_v2<A: Application>(client: &Client) -> Result<Rows<A>> {
    let filter = json!({"filters": [{"typeFilter": A::CALLS.word}]});
    let listed: Vec<Row<Listed>> =
        page::rows_v2(client, APPLICATIONS, filter).try_collect().await?;
    if listed.is_empty() {
        return Ok(Vec::new());
    }
    let homes = page::rows_v2::<Home>(client, PROJECTS, json!({}));
    let homes: Vec<Row<Home>> = homes.try_collect().await?;
    let homes = homes.into_iter().filter_map(|row| match row {
        Row::Read(home) => Some((home.project_id, home.organization_id)),
        Row::Odd { .. } => None,
    });
    let homes: HashMap<String, String> = homes.collect();
    Ok(listed.into_iter().filter_map(|row| located::<A>(row, &homes)).collect())
}

/// `None`: its project does not show yet, or not any more. It is asked for by its id before it is
/// taken for absent.
fn located<A: Application>(
    row: Row<Listed>,
    homes: &HashMap<String, String>,
) -> Option<Row<RemoteEntity<A::State>>> {
    let mut listed = match row {
        Row::Read(listed) => listed,
        Row::Odd { id } => return Some(Row::Odd { id }),
    };
    let organization = homes.get(&listed.project_id)?;
    let place = Place::organization(organization.as_str()).below(listed.project_id);
    let aggregate = Some(organization.clone());
    let version = listed.change_date.map(|changed| Version { aggregate, changed });
    let configuration = listed.rest.remove(A::CALLS.field_v2).unwrap_or_default();
    let (id, name) = (listed.application_id, listed.name);
    Some(super::row::<A>(id, place, name, listed.state, configuration, version))
}

/// The lists of the management API hold applications of all kinds, of one project each.
async fn by_v1<A: Application>(client: &Client) -> Result<Rows<A>> {
    let mut found = Vec::new();
    for organization in ids(client, None, "/v2/organizations/_search").await? {
        let projects = ids(client, Some(&organization), "/management/v1/projects/_search").await?;
        for project in projects {
            let path = Path::new("/management/v1/projects/{}/apps/_search", &[&project])?;
            let place = Place::organization(organization.as_str()).below(project);
            let rows = page::rows::<Wire>(client, Some(&organization), path, json!({}));
            let rows: Vec<Row<Wire>> = rows.try_collect().await?;
            found.extend(rows.into_iter().filter_map(|row| match row {
                Row::Read(wire) => wire.is::<A>().then(|| wire.row::<A>(&place)),
                Row::Odd { id } => Some(Row::Odd { id }),
            }));
        }
    }
    Ok(found)
}

async fn ids(
    client: &Client,
    organization: Option<&str>,
    path: &'static str,
) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Listed {
        id: String,
    }
    let found = page::search::<Listed>(client, organization, path, json!({}));
    found.map_ok(|listed| listed.id).try_collect().await
}
