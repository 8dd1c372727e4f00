//! Addresses that a login may lead to, as Go's `net/url` reads them.

/// Whether a text is an address with a scheme and, where the scheme is the web's, with a host.
pub(crate) fn is_redirect(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let mut letters = scheme.bytes();
    let well_formed = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !text.bytes().any(|byte| byte.is_ascii_control())
        && has_whole_escapes(rest);
    let authority = rest
        .strip_prefix("//")
        .map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default())
        .unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let is_web = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
    well_formed && !host.contains([' ', '"', '<', '>', '\\']) && !(is_web && host.is_empty())
}

/// Whether each `%` in front of a query begins two hexadecimal digits.
fn has_whole_escapes(text: &str) -> bool {
    let path = text.split('?').next().unwrap_or_default();
    path.split('%').skip(1).all(|rest| {
        rest.get(..2).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_web_needs_a_host_and_other_schemes_do_not() {
        for good in ["https://app.example.com", "http://a:1/x y?%", "app:callback", "HTTPS://a"] {
            assert!(is_redirect(good), "{good}");
        }
        for wrong in ["not a uri", "/path", "https:///x", "https:x", "1a://b", "https://a/%zz"] {
            assert!(!is_redirect(wrong), "{wrong}");
        }
    }
}
