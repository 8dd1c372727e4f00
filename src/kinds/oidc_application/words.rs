//! The words of OIDC applications, as they are declared and as ZITADEL has them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Form of access tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum AccessTokenType {
    /// Opaque: ZITADEL has to be asked what they mean.
    #[default]
    #[serde(alias = "OIDC_TOKEN_TYPE_BEARER")]
    Bearer,
    /// Signed: they can be verified without ZITADEL.
    #[serde(alias = "OIDC_TOKEN_TYPE_JWT")]
    Jwt,
}

/// Where an application runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum ApplicationType {
    /// On a server.
    #[default]
    #[serde(alias = "OIDC_APP_TYPE_WEB")]
    Web,
    /// In the browser.
    #[serde(alias = "OIDC_APP_TYPE_USER_AGENT")]
    UserAgent,
    /// On a device of the user.
    #[serde(alias = "OIDC_APP_TYPE_NATIVE")]
    Native,
}

/// How an application authenticates itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum AuthMethod {
    /// By a secret, in a header.
    #[default]
    #[serde(alias = "OIDC_AUTH_METHOD_TYPE_BASIC")]
    Basic,
    /// By a secret, in the form.
    #[serde(alias = "OIDC_AUTH_METHOD_TYPE_POST")]
    Post,
    /// Not at all: it proves by PKCE that it began the login.
    #[serde(alias = "OIDC_AUTH_METHOD_TYPE_NONE")]
    None,
    /// By a signature with a key.
    #[serde(alias = "OIDC_AUTH_METHOD_TYPE_PRIVATE_KEY_JWT")]
    PrivateKeyJwt,
}

/// What the authorization endpoint may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum ResponseType {
    /// A code, for which there are tokens.
    #[serde(alias = "OIDC_RESPONSE_TYPE_CODE")]
    Code,
    /// An id token.
    #[serde(alias = "OIDC_RESPONSE_TYPE_ID_TOKEN")]
    IdToken,
    /// An id token and an access token.
    #[serde(alias = "OIDC_RESPONSE_TYPE_ID_TOKEN_TOKEN")]
    IdTokenToken,
}

/// How tokens may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum GrantType {
    /// By the code that a login ends with.
    #[serde(alias = "OIDC_GRANT_TYPE_AUTHORIZATION_CODE")]
    AuthorizationCode,
    /// By the login itself.
    #[serde(alias = "OIDC_GRANT_TYPE_IMPLICIT")]
    Implicit,
    /// By a refresh token.
    #[serde(alias = "OIDC_GRANT_TYPE_REFRESH_TOKEN")]
    RefreshToken,
    /// By a code that is entered on another device.
    #[serde(alias = "OIDC_GRANT_TYPE_DEVICE_CODE")]
    DeviceCode,
    /// By another token.
    #[serde(alias = "OIDC_GRANT_TYPE_TOKEN_EXCHANGE")]
    TokenExchange,
}

impl AccessTokenType {
    pub(super) fn wire(self) -> &'static str {
        match self {
            Self::Bearer => "OIDC_TOKEN_TYPE_BEARER",
            Self::Jwt => "OIDC_TOKEN_TYPE_JWT",
        }
    }
}

impl ApplicationType {
    pub(super) fn wire(self) -> &'static str {
        match self {
            Self::Web => "OIDC_APP_TYPE_WEB",
            Self::UserAgent => "OIDC_APP_TYPE_USER_AGENT",
            Self::Native => "OIDC_APP_TYPE_NATIVE",
        }
    }
}

impl AuthMethod {
    pub(super) fn wire(self) -> &'static str {
        match self {
            Self::Basic => "OIDC_AUTH_METHOD_TYPE_BASIC",
            Self::Post => "OIDC_AUTH_METHOD_TYPE_POST",
            Self::None => "OIDC_AUTH_METHOD_TYPE_NONE",
            Self::PrivateKeyJwt => "OIDC_AUTH_METHOD_TYPE_PRIVATE_KEY_JWT",
        }
    }
}

impl ResponseType {
    pub(super) fn wire(self) -> &'static str {
        match self {
            Self::Code => "OIDC_RESPONSE_TYPE_CODE",
            Self::IdToken => "OIDC_RESPONSE_TYPE_ID_TOKEN",
            Self::IdTokenToken => "OIDC_RESPONSE_TYPE_ID_TOKEN_TOKEN",
        }
    }
}

impl GrantType {
    pub(super) fn wire(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "OIDC_GRANT_TYPE_AUTHORIZATION_CODE",
            Self::Implicit => "OIDC_GRANT_TYPE_IMPLICIT",
            Self::RefreshToken => "OIDC_GRANT_TYPE_REFRESH_TOKEN",
            Self::DeviceCode => "OIDC_GRANT_TYPE_DEVICE_CODE",
            Self::TokenExchange => "OIDC_GRANT_TYPE_TOKEN_EXCHANGE",
        }
    }
}
