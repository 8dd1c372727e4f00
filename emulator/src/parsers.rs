//! What ZITADEL reads with Go's libraries: mail addresses, language tags, dates, durations and URLs,
//! letter by letter as these read them.

pub(crate) mod duration;
pub(crate) mod language;
pub(crate) mod mail;
pub(crate) mod timestamp;
pub(crate) mod uri;
