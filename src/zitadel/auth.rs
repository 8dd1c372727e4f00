//! How to log in: a personal access token is used as it is; JWT profile and client credentials are
//! exchanged for a token (`POST /oauth/v2/token`).

use std::{fmt, time::Duration};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    Error, Result,
    error::{Code, CredentialsProblem, Status},
    transport::Response,
};

/// Asks for a token that ZITADEL's own API accepts.
const SCOPE: &str = "openid urn:zitadel:iam:org:project:id:zitadel:aud";

/// How to log in.
#[derive(Clone)]
pub enum Credentials {
    /// A personal access token of a service account.
    PersonalAccessToken(SecretString),
    /// A key of a service account, for the JWT profile.
    PrivateKey(PrivateKey),
    /// Client id and secret of a service account.
    ClientCredentials {
        /// The account's client id (its user name).
        client_id: String,
        /// The secret.
        secret: SecretString,
    },
}

/// A key file as ZITADEL makes it.
#[derive(Clone)]
pub struct PrivateKey {
    key_id: String,
    user_id: String,
    key: EncodingKey,
}

impl PrivateKey {
    /// Reads `{"type": "serviceaccount", "keyId", "key": PEM, "userId"}`.
    pub fn parse(json: &str) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct File {
            key_id: String,
            user_id: Option<String>,
            key: SecretString,
        }
        let file: File = serde_json::from_str(json).map_err(|_| CredentialsProblem::NoKeyFile)?;
        let user_id = file.user_id.ok_or(CredentialsProblem::ApplicationKey)?;
        let key = EncodingKey::from_rsa_pem(file.key.expose_secret().as_bytes())
            .map_err(|_| CredentialsProblem::NoRsaKey)?;
        Ok(Self { key_id: file.key_id, user_id, key })
    }

    fn assertion(&self, audience: &str) -> Result<String> {
        #[derive(Serialize)]
        struct Claims<'a> {
            iss: &'a str,
            sub: &'a str,
            aud: &'a str,
            iat: i64,
            exp: i64,
        }
        let now = jiff::Timestamp::now().as_second();
        let claims = Claims {
            iss: &self.user_id,
            sub: &self.user_id,
            aud: audience,
            iat: now - 5,
            exp: now + 600,
        };
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map_err(|_| CredentialsProblem::CannotSign.into())
    }
}

impl Credentials {
    /// A personal access token. Fails where it is empty or could not stand in a header.
    pub fn token(token: &SecretString) -> Result<Self> {
        let trimmed = token.expose_secret().trim();
        if trimmed.is_empty() || !trimmed.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::Credentials(CredentialsProblem::NoToken));
        }
        Ok(Self::PersonalAccessToken(trimmed.into()))
    }

    /// Whether they are a token themselves, for which there is no other.
    pub(crate) fn are_a_token(&self) -> bool {
        matches!(self, Self::PersonalAccessToken(_))
    }

    /// What to do for a token.
    pub(crate) fn login(&self, issuer: &str) -> Result<Login> {
        let form = match self {
            Self::PersonalAccessToken(token) => return Ok(Login::Token(token.clone())),
            Self::PrivateKey(key) => vec![
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".into()),
                ("scope", SCOPE.into()),
                ("assertion", key.assertion(issuer)?),
            ],
            Self::ClientCredentials { client_id, secret } => vec![
                ("grant_type", "client_credentials".into()),
                ("scope", SCOPE.into()),
                ("client_id", client_id.clone()),
                ("client_secret", secret.expose_secret().to_owned()),
            ],
        };
        Ok(Login::Form(form))
    }
}

/// How credentials become a token.
pub(crate) enum Login {
    /// They are one.
    Token(SecretString),
    /// The form for the token endpoint.
    Form(Vec<(&'static str, String)>),
}

/// What an answer of the token endpoint other than 2xx means. Of its body only OAuth's error codes
/// are repeated (RFC 6749, 5.2): the descriptions of a strange server may hold what was sent.
///
/// 400 and 401 refuse the credentials, unless the code says that the server failed or, with 400,
/// there is none: a proxy answers so too. 404 is a host that selects no instance.
pub(crate) fn refusal(answer: &Response, retry_after: Option<Duration>) -> Error {
    #[derive(Default, Deserialize)]
    struct Body {
        error: Option<String>,
    }
    let body: Body = serde_json::from_slice(&answer.body).unwrap_or_default();
    let status = Status::parse(answer.status, retry_after, b"", "");
    let error = match (answer.status, body.error.as_deref()) {
        (400 | 401, Some("server_error" | "temporarily_unavailable")) => {
            return Error::Status(Status { code: Code::Unavailable, ..status });
        }
        (400 | 401, Some("invalid_request")) => "invalid_request",
        (400 | 401, Some("invalid_grant")) => "invalid_grant",
        (400 | 401, Some("invalid_scope")) => "invalid_scope",
        (400 | 401, Some("unauthorized_client")) => "unauthorized_client",
        (400 | 401, Some("unsupported_grant_type")) => "unsupported_grant_type",
        (400, Some("invalid_client")) | (401, _) => "invalid_client",
        (400, Some(_)) => "unknown error",
        _ => return Error::Status(status),
    };
    Error::TokenRefused { error }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PersonalAccessToken(_) => f.write_str("PersonalAccessToken"),
            Self::PrivateKey(key) => key.fmt(f),
            Self::ClientCredentials { client_id, .. } => f
                .debug_struct("ClientCredentials")
                .field("client_id", client_id)
                .finish_non_exhaustive(),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey")
            .field("key_id", &self.key_id)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_file_is_refused_without_repeating_it() {
        for text in [
            "",
            "{}",
            "s3cret",
            r#"{"keyId":"1","userId":"2","key":"s3cret"}"#,
            r#"{"keyId":"1","key":"s3cret"}"#,
        ] {
            let Err(e) = PrivateKey::parse(text) else { panic!("accepted: {text}") };
            assert!(!e.to_string().contains("s3cret"), "{e}");
        }
    }

    #[test]
    fn only_answers_of_oauth_refuse_credentials() {
        for (status, body, refused, transient) in [
            (400, r#"{"error":"invalid_grant","error_description":"s3cret"}"#, true, false),
            (400, r#"{"error":"invalid_request"}"#, true, false),
            (400, r#"{"error":"s3cret"}"#, true, false),
            (401, r#"{"error":"invalid_client"}"#, true, false),
            (401, "s3cret", true, false),
            (400, r#"{"error":"server_error"}"#, false, true),
            (400, "<html>s3cret</html>", false, false),
            (403, r#"{"error":"invalid_grant"}"#, false, false),
            (404, r#"{"code":5,"message":"s3cret"}"#, false, false),
            (429, "", false, true),
            (503, r#"{"code":14,"message":"s3cret"}"#, false, true),
        ] {
            let headers = reqwest::header::HeaderMap::new();
            let error = refusal(&Response { status, headers, body: body.into() }, None);
            assert_eq!(matches!(error, Error::TokenRefused { .. }), refused, "{status} {body}");
            assert_eq!(error.is_transient(), transient, "{status} {body}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn credentials_do_not_print_themselves() {
        let pat = Credentials::token(&"s3cret".into()).unwrap();
        let client = Credentials::ClientCredentials {
            client_id: "bot".into(),
            secret: "s3cret".to_owned().into(),
        };
        for credentials in [pat, client] {
            let config = crate::zitadel::Config::new(
                "https://auth.example.com".parse().unwrap(),
                credentials.clone(),
            );
            for text in
                [format!("{credentials:?}"), format!("{credentials:#?}"), format!("{config:?}")]
            {
                assert!(!text.contains("s3cret"), "{text}");
            }
        }
    }

    #[test]
    fn an_empty_token_is_refused() {
        assert!(Credentials::token(&" \n".into()).is_err());
        assert!(Credentials::token(&"abc\n".into()).is_ok());
    }
}
