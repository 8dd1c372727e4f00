//! What ZITADEL reads with Go's libraries: mail addresses and language tags, letter by letter as
//! these read them.

pub(crate) mod language;
pub(crate) mod mail;
