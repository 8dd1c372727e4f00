//! Which addresses may be connected to.
//!
//! Who may edit an `Instance` can have its token sent to any host. So that this does not reach what
//! only the operator can reach (cloud metadata, sidecars on loopback), those addresses are refused
//! unless they are named.

use std::{net::IpAddr, net::SocketAddr, sync::Arc};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

pub(super) const NOT_ALLOWED: &str = "address not allowed";

/// The addresses that may be connected to.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    allowed: Arc<[String]>,
}

impl AddressPolicy {
    /// `allowed`: host names (`*.example.com` for all below), IP addresses, or `*` for any. Empty:
    /// whatever is neither loopback nor link-local. What is named is allowed wherever it points to;
    /// with a list, nothing else is.
    pub fn new(allowed: impl IntoIterator<Item = String>) -> Self {
        Self { allowed: allowed.into_iter().map(|h| h.to_ascii_lowercase()).collect() }
    }

    /// No limit at all: for the command line, where who types the address is who owns the token.
    pub fn any() -> Self {
        Self::new(["*".to_owned()])
    }

    fn names(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        self.allowed.iter().any(|a| {
            a == "*"
                || *a == host
                || a.strip_prefix('*')
                    .is_some_and(|suffix| suffix.starts_with('.') && host.ends_with(suffix))
        })
    }

    /// Whether the host of this URL may be connected to, as far as its text tells; names are judged
    /// again when resolved.
    pub fn allows(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(ip) => self.names(host) || (self.allowed.is_empty() && !is_local(ip)),
            Err(_) => self.allowed.is_empty() || self.names(host),
        }
    }
}

/// Loopback, link-local (cloud metadata lives there), or no address of a host at all.
fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
        }
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => is_local(IpAddr::V4(ip)),
            None => {
                ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_unicast_link_local()
                    || ip.is_multicast()
            }
        },
    }
}

impl Resolve for AddressPolicy {
    fn resolve(&self, name: Name) -> Resolving {
        let (named, open) = (self.names(name.as_str()), self.allowed.is_empty());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let usable: Vec<SocketAddr> =
                found.filter(|a| named || (open && !is_local(a.ip()))).collect();
            if usable.is_empty() {
                return Err(NOT_ALLOWED.into());
            }
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(list: &[&str], url: &str) -> bool {
        AddressPolicy::new(list.iter().map(ToString::to_string)).allows(&url.parse().unwrap())
    }

    #[test]
    fn without_a_list_all_but_local_addresses_are_allowed() {
        for (url, ok) in [
            ("https://auth.example.com", true),
            ("http://10.0.0.7:8080", true),
            ("http://127.0.0.1:8080", false),
            ("http://169.254.169.254", false),
            ("http://[::1]:8080", false),
            ("http://[::ffff:127.0.0.1]", false),
            ("http://0.0.0.0", false),
        ] {
            assert_eq!(allows(&[], url), ok, "{url}");
        }
    }

    #[test]
    fn with_a_list_nothing_else_is_allowed() {
        for (url, ok) in [
            ("http://127.0.0.1:8080", true),
            ("https://a.example.com", true),
            ("https://example.com", false),
            ("https://badexample.com", false),
            ("http://10.0.0.7", false),
        ] {
            assert_eq!(allows(&["127.0.0.1", "*.example.com"], url), ok, "{url}");
        }
    }
}
