//! A fresh instance: what is there before the first call.

use crate::{
    api::{applications, credentials, messages, organizations, policies::label, users, web_keys},
    emulator::{Error, Options},
    keys::{KeyFile, Pair},
    model::{policy, web_key::Config},
    proto::Request,
    state::State,
    store::{Aggregate, Draft, Editor},
};

/// When the first credentials expire.
pub(crate) const FAR: &str = "9999-12-31T23:59:59Z";

/// The events that give a user roles in the instance and in an organization.
pub(crate) fn memberships(
    state: &State,
    user: &str,
    organization: &str,
    roles: &[&str],
) -> Vec<Draft> {
    let (of_instance, of_organization): (Vec<&str>, Vec<&str>) =
        roles.iter().partition(|role| role.starts_with("IAM_"));
    let mut drafts = Vec::new();
    if !of_instance.is_empty() {
        drafts.push(
            Draft::new(&state.instance(), "instance.member.added")
                .with("userId", user)
                .with("roles", of_instance),
        );
    }
    if !of_organization.is_empty() {
        drafts.push(
            Draft::new(&Aggregate::organization(organization), "org.member.added")
                .with("userId", user)
                .with("roles", of_organization),
        );
    }
    drafts
}

/// Sets an instance up, and tells the key file that was given.
pub(crate) fn fresh(options: &Options, pat: &str) -> Result<(State, Option<String>), Error> {
    let file: Option<KeyFile> =
        options.key_file.as_deref().map(serde_json::from_str).transpose()?;
    let mut state = State::new(&options.domain);
    let organization = state.clock.id();
    let project = state.clock.id();
    let token = state.clock.id();
    state.admin = match &file {
        Some(file) => file.user_id.clone(),
        None => state.clock.id(),
    };
    let instance = state.instance();
    let admin = Aggregate::new("user", &*state.admin, &*organization);
    let mut request = Request::default();
    request.0.insert("userName".to_owned(), "admin-sa".into());
    request.0.insert("name".to_owned(), "admin-sa".into());
    let suffix: String = credentials::random_text(6).to_lowercase();
    let generated = format!("zitadel-{suffix}.{}", options.domain);
    let mut drafts = vec![
        Draft::new(&instance, "instance.added").with("name", "ZITADEL"),
        Draft::new(&instance, "instance.default.language.set").with("language", "en"),
        Draft::new(&instance, "instance.secret.generator.added")
            .with("generatorType", 7)
            .with("length", 64)
            .with("includeLowerLetters", true)
            .with("includeUpperLetters", true)
            .with("includeDigits", true),
    ];
    for kind in policy::KINDS {
        let [added, _] = kind.instance_events;
        let initial = (kind.initial)().as_object().cloned().unwrap_or_default();
        drafts.push(Draft::new(&instance, added).payload(initial));
    }
    drafts.push(label::activation(&instance));
    drafts.extend(messages::initial(&instance));
    drafts.extend([
        Draft::new(&instance, "instance.policy.login.secondfactor.added").with("mfaType", 1),
        Draft::new(&instance, "instance.policy.login.secondfactor.added").with("mfaType", 2),
        Draft::new(&instance, "instance.policy.login.multifactor.added").with("mfaType", 1),
    ]);
    if let Ok(events) = organizations::creation(&organization, "ZITADEL", &state.domain) {
        drafts.extend(events);
    }
    let zitadel = Aggregate::new("project", &*project, &*organization);
    drafts.extend([
        Draft::new(&instance, "instance.default.org.set").with("orgId", &*organization),
        Draft::new(&zitadel, "project.added").with("name", "ZITADEL").take(
            "project_names",
            format!("{organization}:ZITADEL"),
            "Project already exists on organization",
        ),
        Draft::new(&instance, "instance.iam.project.set").with("projectId", &*project),
        Draft::new(&instance, "instance.domain.added")
            .with("domain", generated.as_str())
            .with("generated", true),
        Draft::new(&instance, "instance.domain.added").with("domain", &*options.domain),
        Draft::new(&instance, "instance.domain.primary.set").with("domain", &*options.domain),
        users::creation(&state, &state.admin, &organization, &request),
        credentials::token_added(&admin, &token, FAR),
    ]);
    let hosts = [&*generated, &*options.domain];
    drafts.extend(applications::setup(&mut state, &zitadel, &hosts));
    if let Some(file) = &file {
        let pair = Pair::from_private(&file.key)?;
        let expires = &file.expiration_date;
        drafts.push(credentials::key_added(&admin, &file.key_id, expires, &pair.public));
    }
    drafts.extend(memberships(&state, &state.admin, &organization, &["IAM_OWNER", "ORG_OWNER"]));
    // One that signs, and one to come.
    let [signing, next] = [state.clock.id(), state.clock.id()];
    let config = Config::Rsa { bits: 2048, hash: 256 };
    drafts.extend([
        web_keys::addition(&state, &signing, config),
        web_keys::event(&state, &signing, "web_key.activated"),
        web_keys::addition(&state, &next, config),
    ]);
    let _ = state.push(&Editor::server(), drafts);
    let id = state.admin.clone();
    // The token of a setup has no scopes.
    credentials::register_token(&mut state, pat, &id, &token, &[]);
    Ok((state, options.key_file.clone()))
}
