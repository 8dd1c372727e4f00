//! `Restrictions`: registration of organizations by anybody, languages. `GET` and `PUT
//! /admin/v1/restrictions`, which keeps what is omitted.

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::wire::{Answer, Details};
use crate::{
    api::spec::Common,
    contract::{
        Access, CheckError, Description, EventFilter, EventPlace, EventSubject, Inputs, Kind, List,
        Permissions, RemoteSetting, Setting, SpecError, Version, Written,
    },
    zitadel::Result,
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Restrictions {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    state: RestrictionsState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestrictionsState {
    /// Whether the public page on which anybody registers an organization is closed. Omitted: not
    /// managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    disallow_public_org_registration: Option<bool>,
    /// Languages of the login and of messages, such as `en`; their order means nothing. The
    /// instance's default language must be among them. `[]`: all that ZITADEL supports. Omitted:
    /// not managed.
    #[schemars(length(max = 100), inner(length(min = 2, max = 35)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_languages: Option<Vec<String>>,
}

impl Kind for Restrictions {
    type State = RestrictionsState;
    const DESCRIPTION: Description = Description {
        kind: "Restrictions",
        plural: "restrictions",
        short: "zrestrictions",
        about: "Restrictions of the instance: public registration of organizations, allowed \
                languages.",
        noun: "the set of restrictions",
        events: &[EventFilter {
            aggregate: "restrictions",
            types: &["restrictions.set"],
            creates: &["restrictions.set"],
            removes: &[],
            place: EventPlace::Instance,
            subject: EventSubject::Setting,
        }],
        lists: &[List::set("allowedLanguages")],
        permissions: &[Permissions::in_instance(&[
            "iam.restrictions.read",
            "iam.restrictions.write",
        ])],
        ..Description::EMPTY
    };

    fn desired(&self, _: &str, _: &Inputs) -> std::result::Result<RestrictionsState, SpecError> {
        Ok(self.state.clone())
    }
}

impl Setting for Restrictions {
    async fn read(access: &Access) -> Result<RemoteSetting<RestrictionsState>> {
        #[derive(Deserialize)]
        struct Read {
            #[serde(default)]
            details: Details,
            #[serde(flatten)]
            state: RestrictionsState,
        }
        let read: Read = access.client.get(None, "/admin/v1/restrictions").await?;
        let state = RestrictionsState {
            disallow_public_org_registration: Some(
                read.state.disallow_public_org_registration.unwrap_or_default(),
            ),
            allowed_languages: Some(read.state.allowed_languages.unwrap_or_default()),
        };
        let version = read.details.version().or_else(|| Some(Version::never()));
        Ok(RemoteSetting { state, own: true, version })
    }

    async fn write(
        access: &Access,
        _: &RemoteSetting<RestrictionsState>,
        want: &RestrictionsState,
    ) -> Result<Written> {
        let body = json!({
            "disallowPublicOrgRegistration": want.disallow_public_org_registration,
            "allowedLanguages": {"list": want.allowed_languages},
        });
        let answer: Answer =
            access.client.write(Method::PUT, None, "/admin/v1/restrictions", &body).await?;
        Ok(answer.written())
    }

    async fn check(
        access: &Access,
        want: &RestrictionsState,
    ) -> std::result::Result<(), CheckError> {
        #[derive(Deserialize)]
        struct Default {
            language: String,
        }
        let Some(allowed) = want.allowed_languages.as_deref().filter(|l| !l.is_empty()) else {
            return Ok(());
        };
        let wrong = |what: String| Err(SpecError::new("allowedLanguages", what).into());
        let languages = supported_languages(access).await?;
        let unknown: Vec<&str> =
            allowed.iter().filter(|l| !languages.contains(l)).map(String::as_str).collect();
        if !unknown.is_empty() {
            return wrong(format!(
                "ZITADEL does not support {}; it supports {}",
                unknown.join(", "),
                languages.join(", ")
            ));
        }
        let Default { language } = access.client.get(None, "/admin/v1/languages/default").await?;
        if !allowed.contains(&language) {
            return wrong(format!(
                "the instance's default language {language} must be among them; add it, or change \
                 the default language first"
            ));
        }
        Ok(())
    }
}

/// The languages that ZITADEL has words for.
pub(super) async fn supported_languages(access: &Access) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Supported {
        languages: Vec<String>,
    }
    let Supported { languages } = access.client.get(None, "/admin/v1/languages").await?;
    Ok(languages)
}
