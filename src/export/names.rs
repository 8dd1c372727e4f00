//! From the names of remote things to names of objects. Pure.

use std::collections::{HashMap, hash_map::Entry};

use uuid::Uuid;

/// The name of the instance's own settings. An organization's settings have the organization's
/// name, so that no organization may have this one.
pub(super) const INSTANCE: &str = "instance";

/// The names that were given, and the ids that they were given for.
#[derive(Default)]
pub(super) struct Names(HashMap<(&'static str, String), String>);

impl Names {
    /// A name that nothing else of the kind has: the organization's and the entity's own, and where
    /// that is not enough, something that follows from the id. The same entities get the same
    /// names, in whatever order others come and go, except for two that differ in special
    /// characters only.
    pub(super) fn unique(
        &mut self,
        kind: &'static str,
        organization: Option<&str>,
        name: &str,
        id: &str,
    ) -> String {
        let parts: Vec<String> =
            organization.into_iter().chain([name]).map(slug).filter(|s| !s.is_empty()).collect();
        let plain = cut(&parts.join("-"), 200);
        let is_reserved = organization.is_none() && plain == INSTANCE;
        let longer = [8, 16, 32].map(|length| with_id(&plain, kind, id, length));
        let candidates = (!slug(name).is_empty() && !is_reserved)
            .then(|| plain.clone())
            .into_iter()
            .chain(longer);
        let mut last = plain.clone();
        for candidate in candidates {
            match self.0.entry((kind, candidate.clone())) {
                Entry::Vacant(free) => {
                    free.insert(id.to_owned());
                    return candidate;
                }
                Entry::Occupied(taken) if taken.get() == id => return candidate,
                Entry::Occupied(_) => last = candidate,
            }
        }
        // The whole hash of the id is taken by another id: what is planned of it says so.
        last
    }
}

fn with_id(name: &str, kind: &str, id: &str, length: usize) -> String {
    let tail = Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).simple().to_string();
    let name = if name.is_empty() { kind.to_lowercase() } else { name.to_owned() };
    format!("{name}-{}", cut(&tail, length))
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
        let a = names.unique("Project", Some("acme"), "Shop A", "1");
        let b = names.unique("Project", Some("acme"), "Shop-A", "2");
        let c = names.unique("Project", Some("acme"), "日本", "3");
        assert_eq!(a, "acme-shop-a");
        assert!(b.starts_with("acme-shop-a-") && c.starts_with("acme-"), "{b} {c}");
        assert_eq!(kebab("PrivacyPolicy"), "privacy-policy");
    }

    #[test]
    fn a_name_that_was_made_to_collide_does_not() {
        let mut names = Names::default();
        let first = names.unique("Project", Some("acme"), "Shop", "1");
        let mut of_two = Names::default();
        of_two.unique("Project", Some("acme"), "Shop", "1");
        let second = of_two.unique("Project", Some("acme"), "shop", "2");
        let made = second.strip_prefix("acme-").unwrap();
        let third = names.unique("Project", Some("acme"), made, "3");
        let fourth = names.unique("Project", Some("acme"), "shop", "2");
        assert_eq!(third, second);
        assert!(![first, third].contains(&fourth), "{fourth}");
    }

    #[test]
    fn no_organization_has_the_name_of_the_instances_settings() {
        let mut names = Names::default();
        let name = names.unique("Organization", None, "Instance", "1");
        assert!(name.starts_with("instance-"), "{name}");
        assert_eq!(names.unique("Project", Some("a"), "Instance", "1"), "a-instance");
    }
}
