//! The list of projects of the service v2: granted projects are in it more than once.

use serde_json::Value;

use super::{
    super::{
        Answer, Call, grants,
        list::{self, Page},
    },
    STATES, state, view_v2,
};
use crate::{
    message::message,
    model::{Stamp, grant::Grant, project::Project},
    proto::Request,
    state::State,
    store::Position,
};

/// A project as the service v2 lists it: for itself, and once for each of its grants.
struct Listed<'a> {
    project: &'a Project,
    grant: Option<&'a Grant>,
}

impl Listed<'_> {
    fn stamp(&self) -> &Stamp {
        self.grant.map_or(&self.project.stamp, |grant| &grant.stamp)
    }

    fn position(&self) -> Position {
        self.grant.map_or(self.project.position, |grant| grant.position)
    }

    fn view(&self, state: &State) -> Value {
        let mut view = view_v2(self.project);
        if let (Some(grant), Some(view)) = (self.grant, view.as_object_mut()) {
            view.extend(grants::granted_view(state, grant));
        }
        view
    }

    fn may_be_read(&self, call: &Call<'_>) -> bool {
        let owner = &self.project.stamp.owner;
        match self.grant {
            None => call.permit_one("project.read", owner, &self.project.id).is_ok(),
            Some(grant) => [owner, &grant.grantee].into_iter().any(|organization| {
                call.permit_one("project.grant.read", organization, &self.project.id).is_ok()
            }),
        }
    }

    /// Whether it belongs to an organization in the way that the filter asks for.
    fn is_of(&self, filter: &Request) -> bool {
        let organization = filter.text("organizationId");
        let owned = self.project.stamp.owner == organization;
        let granted = self.grant.is_some_and(|grant| grant.grantee == organization);
        match filter.number("type") {
            1 => owned,
            2 => granted,
            _ => owned || granted,
        }
    }
}

fn passes(listed: &Listed<'_>, filter: &Request) -> bool {
    let project = listed.project;
    let name = filter.message("projectNameFilter");
    (!filter.has("projectNameFilter") || list::matches(project.name(), &name, "projectName"))
        && (!filter.has("organizationIdFilter")
            || listed.is_of(&filter.message("organizationIdFilter")))
        && list::is_one_of(filter, "inProjectIdsFilter", &project.id)
        && (!filter.has("stateFilter")
            || STATES.get(usize::try_from(filter.number("stateFilter")).unwrap_or_default())
                == Some(&state(project)))
}

pub(super) fn search_v2(call: &mut Call<'_>) -> Answer {
    let page = Page::of_pagination(&call.request)?;
    let filters = call.request.messages("filters");
    let read = &call.state.read;
    let organization = filters
        .iter()
        .find(|filter| filter.has("organizationIdFilter"))
        .map(|filter| filter.message("organizationIdFilter").text("organizationId").to_owned());
    let projects: Vec<_> = match &organization {
        Some(organization) => read.projects.owned_by(organization).collect(),
        None => read.projects.iter().collect(),
    };
    let projects = projects.into_iter().map(|project| Listed { project, grant: None });
    let granted = read.grants.of_projects.iter().filter_map(|grant| {
        Some(Listed { project: read.projects.get(&grant.project)?, grant: Some(grant) })
    });
    let mut rows: Vec<_> = projects
        .chain(granted)
        .filter(|listed| filters.iter().all(|filter| passes(listed, filter)))
        .collect();
    match call.request.number("sortingColumn") {
        1 => page.sort(&mut rows, |listed| (listed.project.id.clone(), listed.position())),
        3 => page.sort(&mut rows, |listed| (listed.stamp().changed, listed.position())),
        4 => page.sort(&mut rows, |listed| (listed.project.name().to_owned(), listed.position())),
        _ => page.sort(&mut rows, Listed::position),
    }
    let (rows, total) = page.cut(rows.into_iter());
    // The total counts what the caller may not see.
    let projects: Vec<_> = rows
        .into_iter()
        .filter(|listed| listed.may_be_read(call))
        .map(|listed| listed.view(call.state))
        .collect();
    Ok(message! {
        "pagination" => page.pagination(total),
        "projects" => projects,
    }
    .into())
}
