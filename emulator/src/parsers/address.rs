//! Addresses as Go's `net/url` takes them apart.

use std::net::IpAddr;

/// A URL, or a reference to one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// In lower case; empty for a reference without one.
    pub(crate) scheme: String,
    /// With its port.
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) fragment: String,
}

impl Address {
    /// Reads an address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.chars().any(|c| c.is_ascii_control()) {
            return None;
        }
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (scheme, rest) = scheme(text)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (mut host, mut path) = ("", rest);
        if !rest.starts_with('/') {
            if !scheme.is_empty() {
                // What follows the scheme is opaque.
                path = "";
            } else if rest.split('/').next().is_some_and(|first| first.contains(':')) {
                return None;
            }
        } else if let Some(behind) = rest.strip_prefix("//")
            && (!scheme.is_empty() || !behind.starts_with('/'))
        {
            let (authority, _) = behind.split_once('/').unwrap_or((behind, ""));
            path = behind.get(authority.len()..).unwrap_or_default();
            host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        }
        let escaped = [path, fragment].into_iter().all(is_escaped);
        (escaped && is_host(host)).then(|| Self {
            scheme: scheme.to_ascii_lowercase(),
            host: host.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            fragment: fragment.to_owned(),
        })
    }

    /// The host without its port, and without the brackets of an IPv6 address.
    pub(crate) fn host_name(&self) -> &str {
        if let Some((name, _)) = self.host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            return name;
        }
        self.host.rsplit_once(':').map_or(&*self.host, |(name, _)| name)
    }

    /// Whether the host is this machine, by its name or by a loopback address.
    pub(crate) fn is_local(&self) -> bool {
        let name = self.host_name();
        name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Whether the host is this machine, or does not resolve. No name is looked up: those that are
    /// reserved for what is nowhere do not resolve.
    pub(crate) fn is_nowhere(&self) -> bool {
        let name = self.host_name();
        let nowhere = ["invalid", "test", "localhost"];
        let resolves = match name.parse::<IpAddr>() {
            Ok(ip) => !ip.is_unspecified(),
            Err(_) => name.rsplit_once('.').is_some_and(|(_, last)| !nowhere.contains(&last)),
        };
        self.is_local() || !resolves
    }

    /// Whether this is an origin: a scheme and a host alone.
    pub(crate) fn is_origin(&self) -> bool {
        let rest = [&self.path, &self.query, &self.fragment];
        !self.scheme.is_empty() && !self.host.is_empty() && rest.iter().all(|part| part.is_empty())
    }

    /// Scheme and host, be they there or not.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.host)
    }
}

/// Splits the scheme off, if there is one.
fn scheme(text: &str) -> Option<(&str, &str)> {
    for (at, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return None,
            ':' => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => break,
        }
    }
    Some(("", text))
}

/// Whether each percent sign begins a byte.
fn is_escaped(text: &str) -> bool {
    text.split('%').skip(1).all(|part| {
        part.get(..2).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}

/// Whether a host is made of what Go allows in one, with a port of digits.
fn is_host(host: &str) -> bool {
    let port = match host.strip_prefix('[') {
        Some(inside) => match inside.split_once(']') {
            Some((_, port)) => port.to_owned(),
            None => return false,
        },
        None => host.rsplit_once(':').map_or_else(String::new, |(_, port)| format!(":{port}")),
    };
    let is_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let allowed = |c: char| {
        !c.is_ascii() || c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:[]<>\"%".contains(c)
    };
    is_port && is_escaped(host) && host.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Option<String> {
        Address::parse(text).map(|address| address.origin())
    }

    #[test]
    fn origins_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("https://app.example.com/cb?x=1#y", Some("https://app.example.com")),
            ("HTTP://user@App:80/", Some("http://App:80")),
            ("https://*.example.com/cb", Some("https://*.example.com")),
            ("com.example.app://cb", Some("com.example.app://cb")),
            ("mailto:a@b", Some("mailto://")),
            ("not a uri", Some("://")),
            ("//host/path", Some("://host")),
            ("", Some("://")),
            ("https://a b/", None),
            ("https://a:b/", None),
            ("https://a/%zz", None),
            ("a:b\n", None),
            (":a", None),
            ("1:a", None),
        ] {
            assert_eq!(origin(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_origin_has_nothing_behind_its_host() {
        let is_origin = |text| Address::parse(text).is_some_and(|address| address.is_origin());
        assert!(is_origin("https://o1.example.com:8443"));
        for text in ["https://o1.example.com/", "https://o/x", "https://o?x", "nope", ""] {
            assert!(!is_origin(text), "{text}");
        }
    }

    #[test]
    fn this_machine_has_several_names() {
        let is_local = |text| Address::parse(text).is_some_and(|address| address.is_local());
        for text in ["http://localhost:3000/cb", "http://127.0.0.1", "http://[::1]:80/"] {
            assert!(is_local(text), "{text}");
        }
        assert!(!is_local("http://app.example.com"));
    }
}
