//! ZITADEL's own applications.

use serde_json::Map;

use super::commands::additions;
use crate::{
    model::application::Kind,
    state::State,
    store::{Aggregate, Draft},
};

/// The events that make ZITADEL's own applications, in its own project: its interfaces and its
/// console, whose client signs in at these addresses.
pub(crate) fn setup(state: &mut State, project: &Aggregate, hosts: &[&str]) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for name in ["Management-API", "Admin-API", "Auth-API"] {
        let (id, client) = (state.clock.id(), state.clock.id());
        let configuration = Map::from_iter([
            ("clientId".to_owned(), client.into()),
            ("authMethodType".to_owned(), 1.into()),
        ]);
        drafts.extend(additions(project, &id, name, Kind::Api, configuration));
    }
    let at = |path: &str| -> Vec<String> {
        hosts.iter().map(|host| format!("http://{host}/ui/console/{path}")).collect()
    };
    let (id, client) = (state.clock.id(), state.clock.id());
    let configuration = Map::from_iter([
        ("clientId".to_owned(), client.as_str().into()),
        ("redirectUris".to_owned(), at("auth/callback").into()),
        ("responseTypes".to_owned(), vec![0].into()),
        ("grantTypes".to_owned(), vec![0].into()),
        ("applicationType".to_owned(), 1.into()),
        ("authMethodType".to_owned(), 2.into()),
        ("postLogoutRedirectUris".to_owned(), at("signedout").into()),
        ("devMode".to_owned(), true.into()),
    ]);
    drafts.extend(additions(project, &id, "Management Console", Kind::Oidc, configuration));
    drafts.push(
        Draft::new(&state.instance(), "instance.iam.console.set")
            .with("clientId", client)
            .with("appId", id),
    );
    drafts
}
