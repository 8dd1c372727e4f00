//! As much of XML as it takes to tell what a document is: its root and the attributes of that, and
//! whether all elements are closed.

/// The outermost element of a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Root {
    /// The name without its prefix.
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
}

impl Root {
    /// An attribute without a prefix; empty where it is not there.
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }
}

/// Reads a document up to the end of its root. What is behind that is not looked at.
pub(crate) fn root(document: &str) -> Option<Root> {
    let mut root = None;
    let mut open: Vec<&str> = Vec::new();
    let mut rest = document;
    while let Some((_, tag)) = rest.split_once('<') {
        if let Some(end) = aside(tag) {
            rest = tag.get(end..)?;
            continue;
        }
        let end = end_of_tag(tag)?;
        let inside = tag.get(..end)?;
        rest = tag.get(end + 1..)?;
        if let Some(name) = inside.strip_prefix('/') {
            (open.pop()? == name.trim_end()).then_some(())?;
        } else {
            let (inside, closed) = match inside.strip_suffix('/') {
                Some(inside) => (inside, true),
                None => (inside, false),
            };
            let (name, attributes) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
            let attributes = read_attributes(attributes)?;
            if root.is_none() {
                let local = name.rsplit_once(':').map_or(name, |(_, local)| local);
                root = Some(Root { name: local.to_owned(), attributes });
            }
            if name.is_empty() {
                return None;
            }
            if !closed {
                open.push(name);
            }
        }
        if open.is_empty() {
            return root;
        }
    }
    None
}

/// The length of a comment, an instruction, a declaration or a section of text.
fn aside(tag: &str) -> Option<usize> {
    [("!--", "-->"), ("?", "?>"), ("![CDATA[", "]]>"), ("!", ">")].iter().find_map(
        |(begin, end)| {
            let inside = tag.strip_prefix(begin)?;
            Some(begin.len() + inside.find(end)? + end.len())
        },
    )
}

/// Where a tag ends: at the first bracket outside of quotes.
fn end_of_tag(tag: &str) -> Option<usize> {
    let mut quote = None;
    tag.char_indices().find_map(|(at, c)| {
        match quote {
            Some(begun) if begun == c => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '>' => return Some(at),
            _ => {}
        }
        None
    })
}

fn read_attributes(text: &str) -> Option<Vec<(String, String)>> {
    let mut attributes = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, behind) = rest.split_once('=')?;
        let behind = behind.trim_start();
        let quote = behind.chars().next().filter(|c| *c == '"' || *c == '\'')?;
        let (value, behind) = behind.get(1..)?.split_once(quote)?;
        attributes.push((name.trim_end().to_owned(), unescaped(value)));
        rest = behind.trim_start();
    }
    Some(attributes)
}

fn unescaped(text: &str) -> String {
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, c)| text.replace(entity, c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_tells_its_root() {
        let document = "<?xml version=\"1.0\"?><!-- <x> --><md:A xmlns:md='u' id=\"a&amp;>b\">\
                        <md:B c='/'/><C>text</C></md:A>";
        let found = root(document).map(|root| (root.name.clone(), root.attribute("id").to_owned()));
        assert_eq!(found, Some(("A".to_owned(), "a&>b".to_owned())));
        assert_eq!(root("<A/>").map(|root| root.name), Some("A".to_owned()));
    }

    #[test]
    fn what_is_no_document_has_no_root() {
        for text in ["hello", "", "<A>", "<A></B>", "<A b></A>", "<A b=c/>", "<>", "</A>"] {
            assert_eq!(root(text), None, "{text}");
        }
    }
}
