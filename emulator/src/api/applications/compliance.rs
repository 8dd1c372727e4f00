//! How far the configuration of a client is that of `OpenID` Connect 1.0.

use super::oidc::{CODE, DEVICE_CODE, IMPLICIT, NATIVE, NO_AUTHENTICATION, REFRESH, USER_AGENT};
use crate::{model::Fields, parsers::address::Address};

const NOT_COMPLIANT: &str = "Application.OIDC.V1.NotCompliant";

/// What is wrong with a configuration, or worth knowing.
#[derive(Default)]
pub(super) struct Compliance {
    /// Whether something is wrong.
    pub(super) broken: bool,
    /// The keys of ZITADEL's texts.
    pub(super) problems: Vec<&'static str>,
}

impl Compliance {
    pub(super) fn of(fields: &Fields) -> Self {
        let mut found = Self::default();
        let client = Client::of(fields);
        if !client.may(DEVICE_CODE) && client.may(REFRESH) && !client.may(CODE) {
            found.breaks("Application.OIDC.V1.GrantType.Refresh.NoAuthCode");
        }
        if client.addresses.is_empty() && (!client.may(DEVICE_CODE) || client.may(CODE)) {
            found.broken = true;
            found.problems.insert(0, "Application.OIDC.V1.NoRedirectUris");
        }
        found.look_at_addresses(&client);
        found.look_at_authentication(&client);
        if found.broken {
            found.problems.insert(0, NOT_COMPLIANT);
        }
        found
    }

    fn breaks(&mut self, problem: &'static str) {
        self.broken = true;
        self.problems.push(problem);
    }

    fn look_at_addresses(&mut self, client: &Client) {
        if client.all(|address| address.starts_with("https://")) {
            return;
        }
        match (client.may(IMPLICIT), client.may(CODE)) {
            (true, true) => {
                if client.has_custom() && client.kind != NATIVE {
                    self.breaks("Application.OIDC.V1.Implicit.RedirectUris.CustomNotAllowed");
                }
                self.look_at_plain_addresses(client);
                if !self.broken {
                    self.problems.push("Application.OIDC.V1.NotAllCombinationsAreAllowed");
                }
            }
            (true, false) => {
                if client.has_custom() {
                    self.breaks("Application.OIDC.V1.Implicit.RedirectUris.CustomNotAllowed");
                }
                if client.has_plain() && client.kind == NATIVE {
                    self.look_at_plain_addresses(client);
                } else if client.has_plain() {
                    self.breaks("Application.OIDC.V1.Implicit.RedirectUris.HttpNotAllowed");
                }
            }
            (false, true) => {
                self.look_at_plain_addresses(client);
                if client.has_custom() && client.kind != NATIVE {
                    self.breaks("Application.OIDC.V1.Code.RedirectUris.CustomOnlyForNative");
                }
            }
            (false, false) => {}
        }
    }

    /// Looks at addresses of plain HTTP.
    fn look_at_plain_addresses(&mut self, client: &Client) {
        if client.has_plain() && client.kind == USER_AGENT {
            self.breaks("Application.OIDC.V1.Code.RedirectUris.HttpOnlyForWeb");
        }
        if client.has_plain() && client.kind == NATIVE && !client.all(is_local_if_plain) {
            self.breaks("Application.OIDC.V1.Native.RedirectUris.MustBeHttpLocalhost");
        }
    }

    fn look_at_authentication(&mut self, client: &Client) {
        let problem = match client.kind {
            NATIVE => "Application.OIDC.V1.Native.AuthMethodType.NotNone",
            USER_AGENT => "Application.OIDC.V1.UserAgent.AuthMethodType.NotNone",
            _ => return,
        };
        if client.means != NO_AUTHENTICATION {
            self.breaks(problem);
        }
        // Told twice, here and at the end.
        if self.broken {
            self.problems.insert(0, NOT_COMPLIANT);
        }
    }
}

/// What of a configuration counts.
struct Client {
    addresses: Vec<String>,
    grants: Vec<i64>,
    kind: u64,
    means: u64,
}

impl Client {
    fn of(fields: &Fields) -> Self {
        let grants = fields.list("grantTypes").iter();
        Self {
            addresses: fields.texts("redirectUris"),
            grants: grants.filter_map(serde_json::Value::as_i64).collect(),
            kind: fields.number("applicationType"),
            means: fields.number("authMethodType"),
        }
    }

    fn may(&self, grant: i64) -> bool {
        self.grants.contains(&grant)
    }

    fn all(&self, is: impl Fn(&str) -> bool) -> bool {
        self.addresses.iter().all(|address| is(address))
    }

    fn has_plain(&self) -> bool {
        !self.all(|address| !address.starts_with("http://"))
    }

    fn has_custom(&self) -> bool {
        !self.all(|address| address.starts_with("http://") || address.starts_with("https://"))
    }
}

/// Whether an address is one of this machine, or not of plain HTTP. Those that name no scheme and
/// begin with no slash are none.
fn is_local_if_plain(text: &str) -> bool {
    Address::parse(text)
        .filter(|address| !address.scheme.is_empty() || text.starts_with('/'))
        .is_some_and(|address| address.scheme != "http" || address.is_local())
}

/// A problem in ZITADEL's words.
pub(super) fn text(problem: &str) -> &'static str {
    match problem.strip_prefix("Application.OIDC.V1.").unwrap_or_default() {
        "NotCompliant" => "Your configuration is not compliant and differs from OIDC 1.0 standard.",
        "NoRedirectUris" => "At least one redirect uri must be registered.",
        "NotAllCombinationsAreAllowed" => {
            "Your configuration is compliant, but not all possible combinations are allowed."
        }
        "GrantType.Refresh.NoAuthCode" => {
            "Refresh Token only allowed in combination with Authorization Code."
        }
        "Code.RedirectUris.HttpOnlyForWeb" => {
            "Grant type \"code\" only allows http scheme redirect uris for apptype \"web\"."
        }
        "Code.RedirectUris.CustomOnlyForNative" => {
            "Grant type \"code\" only allows custom redirect uris for apptype \"native\"  (e.g \
             appname:// )"
        }
        "Implicit.RedirectUris.CustomNotAllowed" => {
            "Grant type implicit doesn't allow custom redirect uris"
        }
        "Implicit.RedirectUris.HttpNotAllowed" => {
            "Grant type implicit doesn't allow http redirect uris"
        }
        "Native.AuthMethodType.NotNone" => "Native applications should have authmethodtype none.",
        "Native.RedirectUris.MustBeHttpLocalhost" => {
            "Redirect URIs must begin with your own protocol, http://127.0.0.1, http://[::1] or \
             http://localhost."
        }
        "UserAgent.AuthMethodType.NotNone" => {
            "User agent application should have authmethodtype none."
        }
        _ => "",
    }
}
