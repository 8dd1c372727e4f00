//! What requests and answers have in another form than specs: bytes and words. What is in no such
//! form is left as it is.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

/// Words of a field: ours and ZITADEL's.
pub(super) type Words = &'static [(&'static str, &'static str)];

/// Gives a text the form of bytes.
pub(super) fn encode_text(fields: &mut Map<String, Value>, name: &str) {
    change(fields, name, |text| Some(STANDARD.encode(text)));
}

/// Gives bytes the form of a text.
pub(super) fn decode_text(fields: &mut Map<String, Value>, name: &str) {
    change(fields, name, |bytes| String::from_utf8(STANDARD.decode(bytes).ok()?).ok());
}

/// Replaces our word by ZITADEL's.
pub(super) fn encode_word(fields: &mut Map<String, Value>, name: &str, words: Words) {
    let theirs = |word: &str| words.iter().find(|(ours, _)| *ours == word).map(|(_, word)| *word);
    change(fields, name, |word| theirs(word).map(ToOwned::to_owned));
}

fn change(fields: &mut Map<String, Value>, name: &str, to: impl FnOnce(&str) -> Option<String>) {
    if let Some(changed) = fields.get(name).and_then(Value::as_str).and_then(to) {
        fields.insert(name.into(), changed.into());
    }
}
