//! Mail addresses as Go's `net/mail` reads them (`ParseAddress`), and the two checks that ZITADEL
//! puts behind it: the one of its request rules, and the one of its e-mail type.

/// An address and the name that stands beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) name: String,
    /// Local part, `@`, domain; without the quotes of a quoted local part.
    pub(crate) address: String,
}

/// Why a text is no address. Tells Go's message.
type Refusal = &'static str;

/// Reads one address: `a@b`, `<a@b>`, `Name <a@b>`, `a@b (Name)`, or a group of one.
///
/// # Errors
/// When the text is none, or more than one.
pub(crate) fn parse(text: &str) -> Result<Address, Refusal> {
    let mut reader = Reader { rest: text };
    let mut addresses = reader.address(true)?;
    reader.skip_comments()?;
    if !reader.rest.is_empty() {
        return Err("mail: expected single address");
    }
    match (addresses.pop(), addresses.is_empty()) {
        (Some(address), true) => Ok(address),
        (None, _) => Err("mail: empty group"),
        _ => Err("mail: group with multiple addresses"),
    }
}

/// The rule `email` of requests: an address whose lengths and host name are in order.
///
/// # Errors
/// With the reason.
pub(crate) fn check_rule(text: &str) -> Result<(), Refusal> {
    let parsed = parse(text)?;
    if parsed.address.len() > 254 {
        return Err("email addresses cannot exceed 254 characters");
    }
    let (local, host) = parsed.address.split_once('@').unwrap_or((&parsed.address, ""));
    if local.len() > 64 {
        return Err("email address local phrase cannot exceed 64 characters");
    }
    check_host(host)
}

fn check_host(host: &str) -> Result<(), Refusal> {
    if host.len() > 253 {
        return Err("hostname cannot exceed 253 characters");
    }
    let lower = host.to_lowercase();
    let labels = lower.strip_suffix('.').unwrap_or(&lower);
    for label in labels.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err("hostname part must be non-empty and cannot exceed 63 characters");
        }
        if label.starts_with('-') {
            return Err("hostname parts cannot begin with hyphens");
        }
        if label.ends_with('-') {
            return Err("hostname parts cannot end with hyphens");
        }
        if !label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
            return Err("hostname parts can only contain alphanumeric characters or hyphens");
        }
    }
    Ok(())
}

/// What is left of a text.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        self.rest.strip_prefix(wanted).is_some_and(|rest| {
            self.rest = rest;
            true
        })
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// White space and comments.
    fn skip_comments(&mut self) -> Result<(), Refusal> {
        self.skip_space();
        while self.take('(') {
            self.comment()?;
            self.skip_space();
        }
        Ok(())
    }

    /// A comment whose opening parenthesis is read already.
    fn comment(&mut self) -> Result<String, Refusal> {
        let mut depth = 1;
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => {
                    text.extend(chars.next().map(|(_, escaped)| escaped));
                    continue;
                }
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.rest = self.rest.get(at + 1..).unwrap_or_default();
                return Ok(text);
            }
            text.push(c);
        }
        self.rest = "";
        Err("mail: misformatted parenthetical comment")
    }

    fn address(&mut self, may_be_group: bool) -> Result<Vec<Address>, Refusal> {
        self.skip_space();
        if self.rest.is_empty() {
            return Err("mail: no address");
        }
        if let Ok(address) = self.spec() {
            self.skip_space();
            let name = if self.take('(') {
                let words: Vec<_> = self
                    .comment()?
                    .split([' ', '\t'])
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned)
                    .collect();
                words.join(" ")
            } else {
                String::new()
            };
            return Ok(vec![Address { name, address }]);
        }
        let name = if self.peek() == Some('<') { String::new() } else { self.phrase()? };
        self.skip_space();
        if may_be_group && self.take(':') {
            return self.group();
        }
        if !self.take('<') {
            return Err(if name.chars().all(|c| is_atom(c, true)) {
                "mail: missing '@' or angle-addr"
            } else {
                "mail: no angle-addr"
            });
        }
        let address = self.spec()?;
        if !self.take('>') {
            return Err("mail: unclosed angle-addr");
        }
        Ok(vec![Address { name, address }])
    }

    /// The members of a group whose colon is read already.
    fn group(&mut self) -> Result<Vec<Address>, Refusal> {
        let mut group = Vec::new();
        self.skip_space();
        if self.take(';') {
            self.skip_comments()?;
            return Ok(group);
        }
        loop {
            self.skip_space();
            group.extend(self.address(false)?);
            self.skip_comments()?;
            if self.take(';') {
                self.skip_comments()?;
                return Ok(group);
            }
            if !self.take(',') {
                return Err("mail: expected comma");
            }
        }
    }

    /// Local part and domain. Reads nothing when it refuses.
    fn spec(&mut self) -> Result<String, Refusal> {
        let before = self.rest;
        let spec = self.local_part().and_then(|local| {
            if !self.take('@') {
                return Err("mail: missing @ in addr-spec");
            }
            self.skip_space();
            let domain = match self.peek() {
                None => return Err("mail: no domain in addr-spec"),
                Some('[') => self.domain_literal()?,
                Some(_) => self.atom(false)?.to_owned(),
            };
            Ok(format!("{local}@{domain}"))
        });
        if spec.is_err() {
            self.rest = before;
        }
        spec
    }

    fn local_part(&mut self) -> Result<String, Refusal> {
        self.skip_space();
        match self.peek() {
            None => Err("mail: no addr-spec"),
            Some('"') => {
                let quoted = self.quoted()?;
                if quoted.is_empty() {
                    return Err("mail: empty quoted string in addr-spec");
                }
                Ok(quoted)
            }
            Some(_) => self.atom(false).map(str::to_owned),
        }
    }

    fn phrase(&mut self) -> Result<String, Refusal> {
        let mut words: Vec<String> = Vec::new();
        loop {
            if !words.is_empty() {
                self.skip_comments()?;
            }
            self.skip_space();
            let word = match self.peek() {
                None => break,
                Some('"') => self.quoted(),
                Some(_) => self.atom(true).map(str::to_owned),
            };
            match word {
                Ok(word) => words.push(word),
                Err(_) if words.is_empty() => return Err("mail: missing word in phrase"),
                Err(_) => break,
            }
        }
        Ok(words.join(" "))
    }

    fn quoted(&mut self) -> Result<String, Refusal> {
        let mut text = String::new();
        let mut escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            let space = c == ' ' || c == '\t';
            if escaped && !is_visible(c) && !space {
                return Err("mail: bad character in quoted-string");
            }
            match c {
                _ if escaped => escaped = false,
                '"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Ok(text);
                }
                '\\' => {
                    escaped = true;
                    continue;
                }
                c if is_visible(c) || space => {}
                _ => return Err("mail: bad character in quoted-string"),
            }
            text.push(c);
        }
        Err("mail: unclosed quoted-string")
    }

    /// Letters, digits, most punctuation, and dots; `lax` about where the dots stand.
    fn atom(&mut self, lax: bool) -> Result<&'a str, Refusal> {
        let end = self.rest.find(|c| !is_atom(c, true)).unwrap_or(self.rest.len());
        let (atom, rest) = self.rest.split_at(end);
        if atom.is_empty() {
            return Err("mail: invalid string");
        }
        self.rest = rest;
        match atom {
            _ if lax => Ok(atom),
            atom if atom.starts_with('.') => Err("mail: leading dot in atom"),
            atom if atom.contains("..") => Err("mail: double dot in atom"),
            atom if atom.ends_with('.') => Err("mail: trailing dot in atom"),
            atom => Ok(atom),
        }
    }

    /// An IP address in brackets.
    fn domain_literal(&mut self) -> Result<String, Refusal> {
        self.take('[');
        let (literal, rest) = self.rest.split_once(']').ok_or("mail: unclosed domain-literal")?;
        if literal.chars().any(|c| c == '[' || c == '\\' || !is_visible(c)) {
            return Err("mail: bad character in domain-literal");
        }
        if literal.parse::<std::net::IpAddr>().is_err() {
            return Err("mail: invalid IP address in domain-literal");
        }
        self.rest = rest;
        Ok(format!("[{literal}]"))
    }
}

fn is_atom(c: char, dots: bool) -> bool {
    match c {
        '.' => dots,
        '(' | ')' | '<' | '>' | '[' | ']' | ':' | ';' | '@' | '\\' | ',' | '"' => false,
        c => is_visible(c),
    }
}

/// Printable ASCII, and everything beyond ASCII.
fn is_visible(c: char) -> bool {
    ('!'..='~').contains(&c) || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name and the address, or why there is none.
    fn read(text: &str) -> Result<(String, String), Refusal> {
        parse(text).map(|parsed| (parsed.name, parsed.address))
    }

    #[test]
    fn addresses_are_read_as_go_reads_them() {
        for (text, name, address) in [
            ("a@example.com", "", "a@example.com"),
            ("  a@example.com\t", "", "a@example.com"),
            ("<a@example.com>", "", "a@example.com"),
            ("Ada <a@example.com>", "Ada", "a@example.com"),
            ("Ada Byron <a@example.com>", "Ada Byron", "a@example.com"),
            ("\"Byron, Ada\" <a@example.com>", "Byron, Ada", "a@example.com"),
            ("A. Byron <a@example.com>", "A. Byron", "a@example.com"),
            ("a@example.com (Ada  Byron)", "Ada Byron", "a@example.com"),
            ("Ada (of (London)) <a@example.com>", "Ada", "a@example.com"),
            ("a@example.com (x) (y)", "x", "a@example.com"),
            ("group: a@example.com;", "", "a@example.com"),
            ("\"a b\"@example.com", "", "a b@example.com"),
            ("\"a\\\"b\"@example.com", "", "a\"b@example.com"),
            ("a+tag@example.com", "", "a+tag@example.com"),
            ("!#$%&'*+-/=?^_`{|}~@x", "", "!#$%&'*+-/=?^_`{|}~@x"),
            ("ü@münchen.example", "", "ü@münchen.example"),
            ("a@ example.com", "", "a@example.com"),
            ("a@[127.0.0.1]", "", "a@[127.0.0.1]"),
            ("a@-x", "", "a@-x"),
        ] {
            assert_eq!(read(text), Ok((name.to_owned(), address.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_as_go_refuses_it() {
        for (text, reason) in [
            ("", "mail: no address"),
            ("  ", "mail: no address"),
            ("nobody", "mail: missing '@' or angle-addr"),
            ("no body", "mail: no angle-addr"),
            ("@x", "mail: missing word in phrase"),
            ("a@", "mail: missing '@' or angle-addr"),
            ("a b@x", "mail: no angle-addr"),
            ("a @x", "mail: missing '@' or angle-addr"),
            (".a@x", "mail: missing '@' or angle-addr"),
            ("a.@x", "mail: missing '@' or angle-addr"),
            ("a..b@x", "mail: missing '@' or angle-addr"),
            ("a@x..y", "mail: missing '@' or angle-addr"),
            ("a@x.", "mail: missing '@' or angle-addr"),
            ("<a@x", "mail: unclosed angle-addr"),
            ("<>", "mail: invalid string"),
            ("a@x, b@x", "mail: expected single address"),
            ("a@x b", "mail: expected single address"),
            ("a@x\n", "mail: expected single address"),
            ("\na@x", "mail: missing word in phrase"),
            ("a@x (open", "mail: misformatted parenthetical comment"),
            ("(x) a@x", "mail: missing word in phrase"),
            ("\"\"@x", "mail: missing '@' or angle-addr"),
            ("\"a@x", "mail: missing word in phrase"),
            ("\"a\u{7}\"@x", "mail: missing word in phrase"),
            ("a@[x]", "mail: missing '@' or angle-addr"),
            ("group:;", "mail: empty group"),
            ("group: a@x, b@x;", "mail: group with multiple addresses"),
            ("group: a@x b@x;", "mail: expected comma"),
        ] {
            assert_eq!(read(text).err(), Some(reason), "{text:?}");
        }
    }

    #[test]
    fn the_rule_of_requests_checks_lengths_and_host_names() {
        let long = |n| "a".repeat(n);
        for text in [
            "a@example.com",
            "Ada <a@example.com>",
            "a@EXAMPLE.com",
            "ü@example.com",
            "a@x",
            "a@1.2",
            "a@x--y",
            &format!("{}@x", long(64)),
            &format!("a@{}", long(63)),
        ] {
            assert_eq!(check_rule(text), Ok(()), "{text}");
        }
        for (text, reason) in [
            ("a@-x", "hostname parts cannot begin with hyphens"),
            ("a@x-", "hostname parts cannot end with hyphens"),
            (
                "a@münchen.example",
                "hostname parts can only contain alphanumeric characters or hyphens",
            ),
            ("a@x_y", "hostname parts can only contain alphanumeric characters or hyphens"),
            ("a@[127.0.0.1]", "hostname parts can only contain alphanumeric characters or hyphens"),
            ("\"a@b\"@x", "hostname parts can only contain alphanumeric characters or hyphens"),
            (&*format!("{}@x", long(65)), "email address local phrase cannot exceed 64 characters"),
            (
                &*format!("a@{}", long(64)),
                "hostname part must be non-empty and cannot exceed 63 characters",
            ),
            (
                &*format!("a@{}", vec![long(60); 5].join(".")),
                "email addresses cannot exceed 254 characters",
            ),
            ("nobody", "mail: missing '@' or angle-addr"),
        ] {
            assert_eq!(check_rule(text).err(), Some(reason), "{text}");
        }
    }
}
