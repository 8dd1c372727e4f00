//! What ZITADEL reads with Go's libraries: addresses, mail addresses, language tags, dates, time
//! spans, XML and certificates, letter by letter as these read them.

pub(crate) mod address;
pub(crate) mod certificate;
pub(crate) mod duration;
pub(crate) mod language;
pub(crate) mod mail;
pub(crate) mod timestamp;
pub(crate) mod xml;
