//! From the names of remote things to names of objects. Pure.

use std::collections::{HashMap, hash_map::Entry};

use uuid::Uuid;

/// The names that were given.
#[derive(Default)]
pub(super) struct Names(HashMap<(&'static str, String), String>);

impl Names {
    /// A name that nothing else of the kind has: the organization's and the thing's own, and where
    /// that is not enough, something that follows from the id. The same things get the same names,
    /// in whatever order others come and go, but for two that only differ in signs.
    pub(super) fn unique(
        &mut self,
        kind: &'static str,
        organization: &str,
        name: &str,
        id: &str,
    ) -> String {
        let parts: Vec<String> =
            [organization, name].into_iter().map(slug).filter(|s| !s.is_empty()).collect();
        let wanted = parts.join("-");
        let wanted =
            if slug(name).is_empty() { with_id(&wanted, kind, id) } else { cut(&wanted, 200) };
        match self.0.entry((kind, wanted.clone())) {
            Entry::Vacant(free) => {
                free.insert(id.to_owned());
                wanted
            }
            Entry::Occupied(taken) if taken.get() == id => wanted,
            Entry::Occupied(_) => with_id(&wanted, kind, id),
        }
    }
}

fn with_id(name: &str, kind: &str, id: &str) -> String {
    let tail = Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).simple().to_string();
    let name = if name.is_empty() { kind.to_lowercase() } else { name.to_owned() };
    format!("{}-{}", cut(&name, 200), cut(&tail, 8))
}

/// What Kubernetes allows in names: lower case letters, digits and single hyphens between.
pub(super) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    cut(&slug, 63)
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect::<String>().trim_end_matches('-').to_owned()
}

/// `PrivacyPolicy` as a file name: `privacy-policy`.
pub(super) fn kebab(kind: &str) -> String {
    let mut text = String::new();
    for c in kind.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_such_as_kubernetes_allows() {
        for (name, slug_) in
            [("ACME Shop", "acme-shop"), ("  Ä-B!! ", "b"), ("日本", ""), ("a--b", "a-b")]
        {
            assert_eq!(slug(name), slug_, "{name}");
        }
    }

    #[test]
    fn names_that_look_alike_are_told_apart() {
        let mut names = Names::default();
        let a = names.unique("Project", "acme", "Shop A", "1");
        let b = names.unique("Project", "acme", "Shop-A", "2");
        let c = names.unique("Project", "acme", "日本", "3");
        assert_eq!(a, "acme-shop-a");
        assert!(b.starts_with("acme-shop-a-") && c.starts_with("acme-"), "{b} {c}");
        assert_eq!(kebab("PrivacyPolicy"), "privacy-policy");
    }
}
