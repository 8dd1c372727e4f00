//! What ZITADEL has to find somewhere before it believes that a thing belongs to who declares it. Pure.

/// How a thing is proved.
#[derive(Debug)]
pub struct Proof {
    /// The field of the spec that says in which way. Omitted: no proof is asked for.
    pub field: &'static str,
    /// The reported field that is true of what is proved, or needs no proof.
    pub proved: &'static str,
    /// The reported field that says in which way the proof has to be given that was asked for last.
    pub asked: &'static str,
    /// The ways, each with where the text has to be, such as `in a TXT record of`.
    pub ways: &'static [(&'static str, &'static str)],
}

impl Proof {
    /// Where the text has to be, before the name or the address.
    pub fn place(&self, way: &str) -> &'static str {
        let mut ways = self.ways.iter();
        ways.find(|(name, _)| *name == way).map_or("at", |(_, place)| place)
    }
}

/// What ZITADEL looks for. Not a secret: it is to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Where: a name, or an address.
    pub location: String,
    /// The text.
    pub token: String,
}

/// What came of a look for a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// It is proved.
    Yes,
    /// It is not there.
    No,
    /// None was asked for.
    NotAsked,
}
