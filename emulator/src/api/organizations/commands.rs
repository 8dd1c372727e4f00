//! What changes organizations.

use serde_json::json;

use super::{
    super::{Answer, Call, Reply, change_details, creation_details, date, members, users},
    missing,
};
use crate::{
    clock::NO_DATE,
    errors::ApiError,
    message::message,
    model::organization::{Organization, State},
    store::{Aggregate, Draft, Event},
};

const NAME_TAKEN: &str = "Organisation's name or id already taken";
pub(super) const DOMAIN_TAKEN: &str = "Domain already exists";

/// The domain that an organization gets by its name.
pub(super) fn generated_domain(name: &str, instance: &str) -> Result<String, ApiError> {
    let mut label: String = name
        .replace(' ', "-")
        .chars()
        .filter(|c| c.is_alphabetic() || c.is_ascii_digit() || *c == '-')
        .collect();
    while label.len() > 63 {
        label.pop();
    }
    let label = label.strip_prefix('-').unwrap_or(&label);
    let label = label.strip_suffix('-').unwrap_or(label);
    if label.is_empty() {
        return Err(ApiError::invalid("ORG-RrfXY", "Errors.Org.Domain.EmptyString"));
    }
    Ok(format!("{label}.{instance}").to_lowercase())
}

/// The events that make an organization.
pub(crate) fn creation(id: &str, name: &str, instance: &str) -> Result<Vec<Draft>, ApiError> {
    let organization = Aggregate::organization(id);
    let domain = generated_domain(name, instance)?;
    let of_domain = |event_type| Draft::new(&organization, event_type).with("domain", &*domain);
    Ok(vec![
        Draft::new(&organization, "org.added")
            .with("name", name)
            .take("org_name", name, NAME_TAKEN),
        of_domain("org.domain.added"),
        of_domain("org.domain.verified").take("org_domain", &*domain, DOMAIN_TAKEN),
        of_domain("org.domain.primary.set"),
    ])
}

pub(super) fn existing<'a>(call: &'a Call<'_>, id: &str) -> Option<&'a Organization> {
    call.state.write.organizations.get(id).filter(|organization| organization.state.exists())
}

fn trimmed_name(call: &Call<'_>, place: &'static str) -> Result<String, ApiError> {
    let name = call.request.text("name").trim();
    if name.is_empty() {
        return Err(ApiError::invalid(place, "Errors.Invalid.Argument"));
    }
    Ok(name.to_owned())
}

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let chosen = [call.request.text("organizationId"), call.request.text("orgId")]
        .into_iter()
        .find(|id| !id.is_empty())
        .map(str::to_owned);
    let id = chosen.unwrap_or_else(|| call.state.clock.id());
    let admins = call.request.messages("admins");
    if admins.iter().any(|admin| !admin.has("userId") && !admin.has("human")) {
        return Err(ApiError::unimplemented("ORGv2-SD2r1", "userType oneOf is not implemented"));
    }
    call.permit("org.create", &id)?;
    if existing(call, &id).is_some() {
        return Err(ApiError::exists("ORG-laho2n", "Errors.Org.AlreadyExisting"));
    }
    let name = trimmed_name(call, "ORG-mruNY")?;
    let mut drafts = creation(&id, &name, &call.state.domain)?;
    let mut created = Vec::new();
    for admin in admins {
        let user = admin.text("userId").to_owned();
        if admin.has("human") {
            let person = admin.message("human");
            let (user, codes) = users::add_person(call, &id, &person, &mut drafts)?;
            drafts.push(members::addition_of_new(call, &id, &user, admin.texts("roles"))?);
            created.push(message! {
                "userId" => user,
                "emailCode" => codes.email,
                "phoneCode" => codes.phone,
            });
            continue;
        }
        let draft = members::addition_to(call, &id, &user, admin.texts("roles"))?;
        drafts.push(draft);
        created.push(json!({ "userId": user }));
    }
    let event = call.push(drafts)?;
    Ok(Reply::created(message! {
        "details" => change_details(&event),
        "organizationId" => id,
        "createdAdmins" => created,
    }))
}

pub(super) fn add_v1(call: &mut Call<'_>) -> Answer {
    let id = call.state.clock.id();
    let name = trimmed_name(call, "EVENT-Mf9sd")?;
    let mut drafts = creation(&id, &name, &call.state.domain)?;
    drafts.push(
        Draft::new(&Aggregate::organization(&id), "org.member.added")
            .with("userId", &*call.user)
            .with("roles", vec!["ORG_OWNER"]),
    );
    let event = call.push(drafts)?;
    Ok(json!({ "id": id, "details": creation_details(&event) }).into())
}

pub(super) fn rename(call: &mut Call<'_>, id: &str, check: bool) -> Result<Event, ApiError> {
    let name = trimmed_name(call, "EVENT-Mf9sd")?;
    let organization = existing(call, id).ok_or_else(|| missing("ORG-1MRds"))?.clone();
    if check {
        call.permit("org.write", id)?;
    }
    if organization.name == name {
        return Err(ApiError::precondition("ORG-4VSdf", "Organisation not changed"));
    }
    let aggregate = Aggregate::organization(id);
    let mut drafts = vec![
        Draft::new(&aggregate, "org.changed")
            .with("name", &*name)
            .release("org_name", organization.name.clone())
            .take("org_name", &*name, NAME_TAKEN),
    ];
    let former = generated_domain(&organization.name, &call.state.domain)?;
    if organization.domains.contains_key(&former) {
        let now = generated_domain(&name, &call.state.domain)?;
        let of_domain = |event_type| Draft::new(&aggregate, event_type).with("domain", &*now);
        drafts.push(of_domain("org.domain.added"));
        drafts.push(of_domain("org.domain.verified").take("org_domain", &*now, DOMAIN_TAKEN));
        if organization.primary_domain == former {
            drafts.push(of_domain("org.domain.primary.set"));
        }
        drafts.push(
            Draft::new(&aggregate, "org.domain.removed")
                .with("domain", &*former)
                .release("org_domain", &*former),
        );
    }
    call.push(drafts)
}

pub(super) fn set_active(call: &mut Call<'_>, id: &str, active: bool) -> Result<Event, ApiError> {
    let place = if active { "ORG-Dgf3g" } else { "ORG-oL9nT" };
    let state = existing(call, id).ok_or_else(|| missing(place))?.state;
    call.permit("org.write", id)?;
    let (same, refusal, event_type) = if active {
        (State::Active, ("EVENT-bfnrh", "Organisation is already active"), "org.reactivated")
    } else {
        (State::Inactive, ("EVENT-Dbs2g", "Organisation is already deactivated"), "org.deactivated")
    };
    if state == same {
        return Err(ApiError::precondition(refusal.0, refusal.1));
    }
    call.push(vec![Draft::new(&Aggregate::organization(id), event_type)])
}

/// Removes an organization, if it exists. What is in it is left without an event.
fn remove(call: &mut Call<'_>, id: &str, check: bool) -> Result<Option<Event>, ApiError> {
    if id == call.state.write.instance.default_organization() {
        return Err(ApiError::precondition(
            "COMMA-wG9p1",
            "Default Organisation must not be deleted",
        ));
    }
    // ZITADEL's own project lives in the first organization for ever.
    let own = call.state.write.instance.fields.text("projectId");
    if call.state.write.projects.get(own).is_some_and(|project| project.stamp.owner == id) {
        return Err(ApiError::precondition(
            "COMMA-AF3JW",
            "Organisation with ZITADEL project should not be deleted",
        ));
    }
    let Some(organization) = existing(call, id) else {
        return Ok(None);
    };
    let name = organization.name.clone();
    if check {
        call.permit("org.delete", id)?;
    }
    let draft = Draft::new(&Aggregate::organization(id), "org.removed")
        .release("org_name", name)
        .release_all();
    call.push(vec![draft]).map(Some)
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let id = call.param("id").to_owned();
    let date = match remove(call, &id, true)? {
        Some(event) => date(&event),
        None => NO_DATE.to_owned(),
    };
    Ok(json!({ "deletionDate": date }).into())
}

pub(super) fn remove_v1(call: &mut Call<'_>, id: &str) -> Answer {
    let event = remove(call, id, false)?.ok_or_else(|| missing("COMMA-aps2n"))?;
    Ok(json!({ "details": change_details(&event) }).into())
}

pub(super) fn set_default(call: &mut Call<'_>) -> Answer {
    let id = call.param("id").to_owned();
    if call.state.write.instance.default_organization() == id {
        return Err(ApiError::precondition("INST-SDfw2", "Instance not changed"));
    }
    // An inactive organization counts as none here.
    if existing(call, &id).is_none_or(|organization| organization.state != State::Active) {
        return Err(ApiError::precondition("INSTA-Wfe21", "Organisation not found"));
    }
    let draft = Draft::new(&call.state.instance(), "instance.default.org.set").with("orgId", id);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}
