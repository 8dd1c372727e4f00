//! The secrets of clients.

use super::{
    super::{Call, credentials},
    At, aggregate,
    commands::permit,
    existing, missing,
};
use crate::{
    errors::ApiError,
    model::application::Kind,
    store::{Aggregate, Draft, Event},
};

/// A new secret.
pub(super) fn new() -> String {
    credentials::random_text(64)
}

/// Gives a client of a kind a new secret, be it needed or not; the former one ends.
pub(super) fn renew(call: &mut Call<'_>, at: &At, kind: Kind) -> Result<(String, Event), ApiError> {
    let application = existing(call, at, "COMMAND-2g66f")?;
    if application.configuration(kind).is_none() {
        return Err(match kind {
            Kind::Oidc => ApiError::invalid("COMMAND-Ghrh3", "Application is not type OIDC"),
            _ => ApiError::invalid("COMMAND-aeH4", "Application is not type API"),
        });
    }
    let project = aggregate(application);
    push(call, &project, &at.id, kind)
}

/// As [`renew`], whatever kind of client it is.
pub(super) fn renew_any(call: &mut Call<'_>, at: &At) -> Result<(String, Event), ApiError> {
    let application = existing(call, at, "COMMAND-Kd92s")?;
    let is = |kind: &Kind| application.configuration(*kind).is_some();
    let kind = [Kind::Api, Kind::Oidc].into_iter().find(is);
    let kind = kind.ok_or_else(|| missing("COMMAND-Kd92s"))?;
    let project = aggregate(application);
    push(call, &project, &at.id, kind)
}

fn push(
    call: &mut Call<'_>,
    project: &Aggregate,
    id: &str,
    kind: Kind,
) -> Result<(String, Event), ApiError> {
    permit(call, project)?;
    let event_type = match kind {
        Kind::Oidc => "project.application.config.oidc.secret.changed",
        _ => "project.application.config.api.secret.changed",
    };
    let secret = new();
    let draft = Draft::new(project, event_type)
        .with("appId", id)
        .with("hashedSecret", credentials::hash(&secret));
    Ok((secret, call.push(vec![draft])?))
}
