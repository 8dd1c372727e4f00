//! The configuration of OIDC applications as ZITADEL has it. Pure.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    OidcApplicationState,
    words::{AccessTokenType, ApplicationType, AuthMethod, GrantType, ResponseType},
};
use crate::kinds::{
    application::login::{self, LoginVersion},
    lifetime::Lifetime,
    wire::Activity,
};

/// A configuration in an answer, which omits what is the zero value.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "ZITADEL's fields")]
pub(in crate::kinds) struct Configuration {
    redirect_uris: Vec<String>,
    post_logout_redirect_uris: Vec<String>,
    additional_origins: Vec<String>,
    response_types: Vec<ResponseType>,
    grant_types: Vec<GrantType>,
    #[serde(alias = "applicationType")]
    app_type: ApplicationType,
    auth_method_type: AuthMethod,
    access_token_type: AccessTokenType,
    access_token_role_assertion: bool,
    id_token_role_assertion: bool,
    id_token_userinfo_assertion: bool,
    clock_skew: Lifetime,
    #[serde(alias = "developmentMode")]
    dev_mode: bool,
    skip_native_app_success_page: bool,
    back_channel_logout_uri: String,
    login_version: login::Wire,
    client_id: String,
    compliance_problems: Vec<Problem>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    #[serde(default)]
    key: String,
}

impl Configuration {
    /// Where it differs from the standard, once each. That it does so at all needs no word.
    fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = Vec::new();
        for Problem { key } in &self.compliance_problems {
            let word = key.strip_prefix("Application.OIDC.V1.").unwrap_or(key);
            if word != "NotCompliant" && !problems.iter().any(|known| known == word) {
                problems.push(word.to_owned());
            }
        }
        problems
    }
}

/// What was read.
pub(super) fn state(
    name: String,
    state: Option<Activity>,
    read: Configuration,
) -> OidcApplicationState {
    let compliance_problems = Some(read.problems());
    OidcApplicationState {
        name: Some(name),
        redirect_uris: Some(read.redirect_uris),
        post_logout_redirect_uris: Some(read.post_logout_redirect_uris),
        additional_origins: Some(read.additional_origins),
        response_types: Some(read.response_types),
        grant_types: Some(read.grant_types),
        application_type: Some(read.app_type),
        auth_method: Some(read.auth_method_type),
        access_token_type: Some(read.access_token_type),
        access_token_role_assertion: Some(read.access_token_role_assertion),
        id_token_role_assertion: Some(read.id_token_role_assertion),
        id_token_userinfo_assertion: Some(read.id_token_userinfo_assertion),
        clock_skew: Some(read.clock_skew),
        dev_mode: Some(read.dev_mode),
        skip_native_app_success_page: Some(read.skip_native_app_success_page),
        back_channel_logout_uri: Some(read.back_channel_logout_uri),
        login_version: Some(read.login_version.into()),
        state,
        client_id: Some(read.client_id),
        compliance_problems,
    }
}

/// The configuration; two of its fields are named differently in the service v2.
pub(super) fn configuration(
    state: &OidcApplicationState,
    application_type: &str,
    dev_mode: &str,
) -> Map<String, Value> {
    let responses = state.response_types.iter().flatten().map(|t| t.wire());
    let grants = state.grant_types.iter().flatten().map(|t| t.wire());
    let fields = [
        ("redirectUris", json!(state.redirect_uris)),
        ("postLogoutRedirectUris", json!(state.post_logout_redirect_uris)),
        ("additionalOrigins", json!(state.additional_origins)),
        ("responseTypes", responses.collect::<Vec<_>>().into()),
        ("grantTypes", grants.collect::<Vec<_>>().into()),
        (application_type, json!(state.application_type.map(ApplicationType::wire))),
        ("authMethodType", json!(state.auth_method.map(AuthMethod::wire))),
        ("accessTokenType", json!(state.access_token_type.map(AccessTokenType::wire))),
        ("accessTokenRoleAssertion", json!(state.access_token_role_assertion)),
        ("idTokenRoleAssertion", json!(state.id_token_role_assertion)),
        ("idTokenUserinfoAssertion", json!(state.id_token_userinfo_assertion)),
        ("clockSkew", json!(state.clock_skew.map(Lifetime::wire))),
        (dev_mode, json!(state.dev_mode)),
        ("skipNativeAppSuccessPage", json!(state.skip_native_app_success_page)),
        ("backChannelLogoutUri", json!(state.back_channel_logout_uri)),
        ("loginVersion", json!(state.login_version.as_ref().map(LoginVersion::wire))),
    ];
    fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn problems_are_told_once_and_in_a_word() {
        let keys = ["NotCompliant", "NotCompliant", "NoRedirectUris", "NoRedirectUris"];
        let keys = keys.map(|key| json!({"key": format!("Application.OIDC.V1.{key}")}));
        let read = |problems| {
            let read = json!({"clockSkew": "0s", "complianceProblems": problems});
            serde_json::from_value::<Configuration>(read).unwrap().problems()
        };
        assert_eq!(read(json!(keys)), ["NoRedirectUris"]);
        assert_eq!(read(json!([{"key": "Other"}, {}])), ["Other", ""]);
    }
}
