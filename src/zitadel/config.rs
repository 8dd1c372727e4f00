//! Where an instance is and how to log in.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::Url;

use super::{AddressPolicy, Credentials, Fence, Requests};

/// Where an instance is and how to log in.
#[derive(Clone)]
pub struct Config {
    /// The external URL: audience of tokens, and the host that selects the instance.
    pub issuer: Url,
    /// Where to connect, if not at the issuer.
    pub address: Option<Url>,
    /// How to log in.
    pub credentials: Credentials,
    /// PEM certificates to trust besides the system's.
    pub ca: Option<Vec<u8>>,
    /// Calls at once; at least 1.
    pub max_concurrency: usize,
    /// Deadline of one exchange, from the connection to the last byte of the answer. After as long
    /// a call is not tried again.
    pub timeout: Duration,
    /// What may be connected to; holds for issuer and address alike.
    pub addresses: AddressPolicy,
    /// Counts what is sent.
    pub requests: Arc<Requests>,
    /// Until when anything may be written.
    pub fence: Fence,
}

impl Config {
    /// A configuration with the defaults: no other address, no CA, four calls at once, 30 s, any
    /// address that is not internal.
    pub fn new(issuer: Url, credentials: Credentials) -> Self {
        Self {
            issuer,
            address: None,
            credentials,
            ca: None,
            max_concurrency: 4,
            timeout: Duration::from_secs(30),
            addresses: AddressPolicy::default(),
            requests: Arc::default(),
            fence: Fence::default(),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("issuer", &self.issuer.host_str())
            .field("address", &self.address.as_ref().and_then(Url::host_str))
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
