//! `Restrictions`: registration of organizations by anybody, languages. `GET` and `PUT
//! /admin/v1/restrictions`, which keeps what is left out.

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::wire::{Answer, Details};
use crate::{
    api::{
        crd::{Names, Rule},
        spec::Common,
    },
    engine::{
        Error,
        error::{self, Doing},
        kind::{At, Events, Kind, Remote, Scope, Setting, Version, Written},
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
    /// Whether the public page on which anybody registers an organization is closed. Left out: not
    /// managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    disallow_public_org_registration: Option<bool>,
    /// Languages of the login and of messages, such as `en`; their order means nothing. The
    /// instance's default language must be among them. `[]`: all that ZITADEL supports. Left out:
    /// not managed.
    #[schemars(length(max = 100), inner(length(min = 2, max = 35)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_languages: Option<Vec<String>>,
}

impl Kind for Restrictions {
    type State = RestrictionsState;
    const NAMES: Names =
        Names { kind: "Restrictions", plural: "restrictions", short: &["zrestrictions"] };
    const ABOUT: &'static str =
        "Restrictions of the instance: public registration of organizations, allowed languages.";
    const SCOPE: Scope = Scope::Instance;
    const EVENTS: &'static [Events] =
        &[Events { aggregate: "restrictions", prefix: "restrictions." }];
    // Not a set of the schema: server-side apply would drop `[]`, which is a declaration.
    const RULES: &'static [Rule] = &[Rule {
        rule: "!has(self.allowedLanguages) || self.allowedLanguages.all(x, self.allowedLanguages.exists_one(y, x == y))",
        message: "allowedLanguages: name each language once",
    }];
    const SETS: &'static [&'static str] = &["allowedLanguages"];

    fn desired(&self, _: &str) -> RestrictionsState {
        self.state.clone()
    }
}

impl Setting for Restrictions {
    const NOUN: &'static str = "the set of restrictions";

    async fn read(at: &At) -> Result<Remote<RestrictionsState>> {
        #[derive(Deserialize)]
        struct Read {
            #[serde(default)]
            details: Details,
            #[serde(flatten)]
            state: RestrictionsState,
        }
        let read: Read = at.client.get(None, "/admin/v1/restrictions").await?;
        let state = RestrictionsState {
            disallow_public_org_registration: Some(
                read.state.disallow_public_org_registration.unwrap_or_default(),
            ),
            allowed_languages: Some(read.state.allowed_languages.unwrap_or_default()),
        };
        let version = read.details.version().or_else(|| Some(Version::never()));
        Ok(Remote {
            id: read.details.resource_owner,
            organization: None,
            state,
            own: true,
            version,
        })
    }

    async fn write(
        at: &At,
        _: &Remote<RestrictionsState>,
        want: &RestrictionsState,
    ) -> Result<Written> {
        let body = json!({
            "disallowPublicOrgRegistration": want.disallow_public_org_registration,
            "allowedLanguages": {"list": want.allowed_languages},
        });
        let answer: Answer =
            at.client.write(Method::PUT, None, "/admin/v1/restrictions", &body).await?;
        Ok(answer.written())
    }

    async fn check(at: &At, want: &RestrictionsState) -> error::Result<()> {
        #[derive(Deserialize)]
        struct Supported {
            languages: Vec<String>,
        }
        #[derive(Deserialize)]
        struct Default {
            language: String,
        }
        let Some(allowed) = want.allowed_languages.as_deref().filter(|l| !l.is_empty()) else {
            return Ok(());
        };
        let Supported { languages } = at
            .client
            .get(None, "/admin/v1/languages")
            .await
            .doing("read the supported languages")?;
        let unknown: Vec<&str> =
            allowed.iter().filter(|l| !languages.contains(l)).map(String::as_str).collect();
        if !unknown.is_empty() {
            return Err(Error::Invalid(format!(
                "allowedLanguages: ZITADEL does not support {}; it supports {}",
                unknown.join(", "),
                languages.join(", ")
            )));
        }
        let Default { language } = at
            .client
            .get(None, "/admin/v1/languages/default")
            .await
            .doing("read the default language")?;
        if !allowed.contains(&language) {
            return Err(Error::Invalid(format!(
                "allowedLanguages: the instance's default language {language} must be among them; add it, or change the default language first"
            )));
        }
        Ok(())
    }
}
