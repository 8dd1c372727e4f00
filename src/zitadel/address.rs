//! Which addresses may be connected to.
//!
//! Who may edit an `Instance` can have its token sent to any host, and read a little of what the
//! host answers. So that this does not reach what only the operator can reach (cloud metadata,
//! sidecars on loopback), such addresses are refused unless they are named.
//!
//! # Without a list
//! Any host may be connected to whose address is not *internal*: loopback, link-local, multicast,
//! unspecified, reserved, or the metadata service of a cloud, in any form that IPv6 has for an IPv4
//! address. Names are resolved here and judged by each address that they resolve to. Private
//! addresses (`10.0.0.0/8`, …) are allowed: this is where ZITADEL runs in a cluster.
//!
//! # With a list
//! A host is allowed exactly if the list names it, wherever the name resolves to.
//!
//! # Proxies
//! A proxy resolves the names that it is asked for, and nobody here sees to what. With a list,
//! where the name alone decides, the proxy of the environment (`HTTPS_PROXY`, `HTTP_PROXY`,
//! `ALL_PROXY`, `NO_PROXY`) is used. Without a list it is not: connections are direct, and the log
//! says so once. The proxy's own host is chosen by whoever runs the operator and need not be in the
//! list.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use url::Host;

pub(super) const NOT_ALLOWED: &str = "address not allowed";

/// Names of metadata services, in case they resolve to something that is not known here.
const INTERNAL_NAMES: [&str; 4] =
    ["metadata.google.internal", "metadata.goog", "metadata", "instance-data.ec2.internal"];

/// The addresses that may be connected to.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    allowed: Arc<[Allowed]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    Any,
    Address(IpAddr),
    Host(String),
    /// With the dot in front.
    Below(String),
}

impl Allowed {
    fn parse(text: &str) -> Self {
        let text = text.trim();
        if text == "*" {
            return Self::Any;
        }
        if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse() {
            return Self::Address(address);
        }
        match text.strip_prefix('*') {
            Some(suffix) if suffix.starts_with('.') => Self::Below(canonical(suffix)),
            _ => Self::Host(canonical(text)),
        }
    }
}

impl AddressPolicy {
    /// `allowed`: host names (`*.example.com` for all below), IP addresses, or `*` for any. See the
    /// [module](self) for what an empty list allows.
    pub fn new(allowed: impl IntoIterator<Item = String>) -> Self {
        Self { allowed: allowed.into_iter().map(|text| Allowed::parse(&text)).collect() }
    }

    /// No limit at all: for the command line, where who types the address is who owns the token.
    pub fn any() -> Self {
        Self::new(["*".to_owned()])
    }

    /// Whether names are judged by themselves, not by what they resolve to. Only then may a proxy
    /// resolve them.
    pub(super) fn judges_by_name(&self) -> bool {
        !self.allowed.is_empty()
    }

    fn allows_name(&self, name: &str) -> bool {
        let name = canonical(name);
        if self.allowed.is_empty() {
            return !INTERNAL_NAMES.contains(&name.as_str());
        }
        self.allowed.iter().any(|allowed| match allowed {
            Allowed::Any => true,
            Allowed::Address(_) => false,
            Allowed::Host(host) => *host == name,
            Allowed::Below(suffix) => name.ends_with(suffix),
        })
    }

    fn allows_address(&self, address: IpAddr) -> bool {
        if self.allowed.is_empty() {
            return !is_internal(address);
        }
        self.allowed.iter().any(|allowed| match allowed {
            Allowed::Any => true,
            Allowed::Address(ip) => *ip == address,
            Allowed::Host(_) | Allowed::Below(_) => false,
        })
    }

    /// Whether the host of this URL may be connected to, as far as its text tells. Without a list,
    /// names are judged again when they are resolved.
    pub fn allows(&self, url: &Url) -> bool {
        match url.host() {
            None => false,
            Some(Host::Domain(name)) => self.allows_name(name),
            Some(Host::Ipv4(address)) => self.allows_address(address.into()),
            Some(Host::Ipv6(address)) => self.allows_address(address.into()),
        }
    }

    /// Resolves names for connections: those of targets, and of `proxies`.
    pub(super) fn resolver(&self, proxies: &[String]) -> Resolver {
        Resolver { policy: self.clone(), proxies: proxies.iter().map(|h| canonical(h)).collect() }
    }
}

/// The resolver of a client.
pub(super) struct Resolver {
    policy: AddressPolicy,
    proxies: Vec<String>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let is_allowed = self.policy.allows_name(name.as_str())
            || self.proxies.contains(&canonical(name.as_str()));
        let any_address = self.policy.judges_by_name();
        Box::pin(async move {
            if !is_allowed {
                return Err(NOT_ALLOWED.into());
            }
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let usable: Vec<SocketAddr> =
                found.filter(|a| any_address || !is_internal(a.ip())).collect();
            if usable.is_empty() {
                return Err(NOT_ALLOWED.into());
            }
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}

/// Lower case, without the dot of a fully qualified name.
fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Whether an address is reachable from here only, or no address of a host at all.
fn is_internal(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_internal_v4(address),
        IpAddr::V6(address) => is_internal_v6(address),
    }
}

fn is_internal_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        // "This network", loopback, link-local (metadata of AWS, Google, Azure), multicast and
        // reserved.
        [0 | 127 | 224.., ..] | [169, 254, ..]
        // IETF protocol assignments, among them Oracle's metadata (192.0.0.192).
        | [192, 0, 0, _]
        // Metadata of Alibaba; wire server of Azure.
        | [100, 100, 100, 200] | [168, 63, 129, 16] => true,
        _ => false,
    }
}

fn is_internal_v6(address: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_internal_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // IPv4-compatible (with :: and ::1), mapped, translated, NAT64, 6to4.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
        // NAT64 of local use, whose place for the IPv4 address varies; Teredo.
        [0x64, 0xff9b, 1, ..] | [0x2001, 0, ..]
        // Metadata of AWS and of Google.
        | [0xfd00, 0xec2, ..] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => true,
        _ => address.is_unicast_link_local() || address.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(list: &[&str]) -> AddressPolicy {
        AddressPolicy::new(list.iter().map(ToString::to_string))
    }

    fn allows(list: &[&str], url: &str) -> bool {
        policy(list).allows(&url.parse().unwrap())
    }

    #[test]
    fn without_a_list_all_but_internal_addresses_are_allowed() {
        for (url, ok) in [
            ("https://auth.example.com", true),
            ("http://10.0.0.7:8080", true),
            ("http://192.168.1.1", true),
            ("http://100.100.100.201", true),
            ("http://[fd00::7]:8080", true),
            ("http://[2001:db8::1]", true),
            ("http://[64:ff9b::10.0.0.7]", true),
            ("http://[2002:a00:7::]", true),
            ("http://127.0.0.1:8080", false),
            ("http://127.1", false),
            ("http://0x7f000001", false),
            ("http://2130706433", false),
            ("http://127.0.0.1.", false),
            ("http://0.0.0.0", false),
            ("http://0.1.2.3", false),
            ("http://169.254.169.254", false),
            ("http://224.0.0.1", false),
            ("http://240.0.0.1", false),
            ("http://255.255.255.255", false),
            ("http://100.100.100.200", false),
            ("http://192.0.0.192", false),
            ("http://168.63.129.16", false),
            ("http://metadata.google.internal", false),
            ("http://METADATA.google.internal.", false),
            ("http://metadata.goog", false),
            ("http://metadata", false),
            ("http://instance-data.ec2.internal", false),
            ("http://[::]", false),
            ("http://[::1]:8080", false),
            ("http://[::127.0.0.1]", false),
            ("http://[::ffff:127.0.0.1]", false),
            ("http://[::ffff:169.254.169.254]", false),
            ("http://[::ffff:100.100.100.200]", false),
            ("http://[::ffff:0:127.0.0.1]", false),
            ("http://[64:ff9b::169.254.169.254]", false),
            ("http://[64:ff9b:1::a00:7]", false),
            ("http://[2002:a9fe:a9fe::1]", false),
            ("http://[2001::1]", false),
            ("http://[fe80::1]", false),
            ("http://[febf::1]", false),
            ("http://[ff02::1]", false),
            ("http://[fd00:ec2::254]", false),
            ("http://[fd00:ec2::23]", false),
            ("http://[fd20:ce::254]", false),
        ] {
            assert_eq!(allows(&[], url), ok, "{url}");
        }
    }

    #[test]
    fn with_a_list_nothing_else_is_allowed() {
        let list = ["127.0.0.1", "[fd00:ec2:0::254]", "*.example.com", "Auth.Example.org."];
        for (url, ok) in [
            ("http://127.0.0.1:8080", true),
            ("http://[fd00:ec2::254]", true),
            ("https://a.example.com", true),
            ("https://a.b.EXAMPLE.com.", true),
            ("https://auth.example.org", true),
            ("https://example.com", false),
            ("https://badexample.com", false),
            ("https://a.example.com.evil.example", false),
            ("https://example.org", false),
            ("http://10.0.0.7", false),
            ("http://[::ffff:127.0.0.1]", false),
        ] {
            assert_eq!(allows(&list, url), ok, "{url}");
        }
        assert!(allows(&["*"], "http://[::1]"));
    }

    #[tokio::test]
    async fn names_are_judged_by_what_they_resolve_to_unless_they_are_listed() {
        for (list, proxies, ok) in [
            (&[][..], &[][..], false),
            (&["localhost"], &[], true),
            (&["auth.example.com"], &[], false),
            (&["auth.example.com"], &["LocalHost"], true),
            (&["127.0.0.1"], &[], false),
        ] {
            let resolver =
                policy(list).resolver(&proxies.iter().map(ToString::to_string).collect::<Vec<_>>());
            let found = resolver.resolve("localhost".parse().unwrap()).await;
            match found {
                Ok(_) => assert!(ok, "{list:?}"),
                Err(e) => assert!(!ok && e.to_string() == NOT_ALLOWED, "{list:?}: {e}"),
            }
        }
    }
}
