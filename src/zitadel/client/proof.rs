//! Whether a secret is right, found out without the client's own credentials.

use reqwest::{Method, header::ACCEPT};
use secrecy::{ExposeSecret, SecretString};

use super::{Client, INTROSPECTION_ENDPOINT, JSON, OWN_USER_ENDPOINT, TOKEN_ENDPOINT};
use crate::zitadel::{Error, Result, auth, retry::Safety, token::Token, transport::Response};

impl Client {
    /// Whether this is the secret of a client that can be used. It is tried by asking what a token
    /// means, which leaves no trace.
    pub async fn accepts_client(&self, client_id: &str, secret: &SecretString) -> Result<bool> {
        let form = [
            ("client_id", client_id.to_owned()),
            ("client_secret", secret.expose_secret().to_owned()),
            ("token", "none".to_owned()),
        ];
        is_accepted(self.submit(&self.form(INTROSPECTION_ENDPOINT, &form)?, auth::refusal).await)
    }

    /// Whether this is the secret of an account that can be used. It is tried by a login.
    pub async fn accepts_account(&self, client_id: &str, secret: &SecretString) -> Result<bool> {
        let form = [
            ("grant_type", "client_credentials".to_owned()),
            ("scope", "openid".to_owned()),
            ("client_id", client_id.to_owned()),
            ("client_secret", secret.expose_secret().to_owned()),
        ];
        is_accepted(self.submit(&self.form(TOKEN_ENDPOINT, &form)?, auth::refusal).await)
    }

    /// The id of the user whose token this is; `None`: it opens nothing.
    pub async fn user_of(&self, token: &SecretString) -> Result<Option<String>> {
        #[derive(serde::Deserialize)]
        struct Answer {
            user: User,
        }
        #[derive(serde::Deserialize)]
        struct User {
            id: String,
        }
        let mut call = self.0.exchange.call(Method::GET, OWN_USER_ENDPOINT)?;
        call.headers.insert(ACCEPT, JSON);
        self.admit().await?;
        let token = Token::fixed(token.clone());
        match self.watch(Safety::Read, &call, self.authorized(&call, &token, 1)).await {
            Ok(answer) => {
                let answer: Answer = serde_json::from_slice(&answer.body)
                    .map_err(|_| call.malformed("no user with an id"))?;
                Ok(Some(answer.user.id))
            }
            Err(e) if e.is_unauthenticated() => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn is_accepted(answer: Result<Response>) -> Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(Error::TokenRefused { .. }) => Ok(false),
        Err(e) => Err(e),
    }
}
