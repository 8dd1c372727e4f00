//! All kinds, as the engine and the live side see them. Pure.

use super::{ConnectionKind, Entry};

/// All kinds; what others refer to comes first.
pub struct Registry {
    entries: &'static [Entry],
}

impl Registry {
    /// A registry of these kinds.
    pub const fn new(entries: &'static [Entry]) -> Self {
        Self { entries }
    }

    /// All kinds, in order.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = Entry> + Clone + 'static {
        self.entries.iter().copied()
    }

    /// How many kinds there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no kind.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A kind by its name.
    pub fn find(&self, kind: &str) -> Option<Entry> {
        self.all().find(|e| e.kind() == kind)
    }

    /// The kind of connections.
    ///
    /// # Panics
    /// Where a registry has none: no kind could reach an instance.
    #[expect(clippy::expect_used, reason = "a registry without a connection is of no use")]
    pub fn connection(&self) -> &'static dyn ConnectionKind {
        let connection = |e: Entry| match e {
            Entry::Connection(kind) => Some(kind),
            _ => None,
        };
        self.all().find_map(connection).expect("a registry has a connection kind")
    }

    /// The kind of what is at the root of places: the first entity that is in nothing and that
    /// others are in.
    pub fn root(&self) -> Option<Entry> {
        let is_parent = |e: &Entry| {
            self.all().any(|other| other.parents().any(|r| r.kinds.contains(&e.kind())))
        };
        self.all()
            .find(|e| matches!(e, Entry::Entity(_)) && e.parents().next().is_none() && is_parent(e))
    }
}
