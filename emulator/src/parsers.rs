//! What ZITADEL reads with Go's libraries: mail addresses, language tags and dates, letter by letter
//! as these read them.

pub(crate) mod language;
pub(crate) mod mail;
pub(crate) mod timestamp;
