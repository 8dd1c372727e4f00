//! Language tags as Go's `golang.org/x/text/language` reads and writes them (`Parse`, `String`):
//! any case, `_` for `-`, only subtags that are registered, long codes as short ones, and
//! without the script that a language is usually written in.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

/// The tag of no language in particular.
pub(crate) const ROOT: &str = "und";

/// IANA's registry: a kind of subtag and the subtags of that kind in each line.
const REGISTRY: &str = include_str!("../data/language_subtags.txt");

/// Tags from before there was a grammar, in lower case, and what they are today.
const OLD_TAGS: &[(&str, &str)] = &[
    ("art-lojban", "jbo"),
    ("cel-gaulish", "xtg-x-cel-gaulish"),
    ("en-gb-oed", "en-GB-oxendict"),
    ("en-us-posix", "en-US-u-va-posix"),
    ("i-ami", "ami"),
    ("i-bnn", "bnn"),
    ("i-default", "en-x-i-default"),
    ("i-enochian", "und-x-i-enochian"),
    ("i-hak", "hak"),
    ("i-klingon", "tlh"),
    ("i-lux", "lb"),
    ("i-mingo", "see-x-i-mingo"),
    ("i-navajo", "nv"),
    ("i-pwn", "pwn"),
    ("i-tao", "tao"),
    ("i-tay", "tay"),
    ("i-tsu", "tsu"),
    ("no-bok", "nb"),
    ("no-nyn", "nn"),
    ("root", ROOT),
    ("sgn-be-fr", "sfb"),
    ("sgn-be-nl", "vgt"),
    ("sgn-ch-de", "sgg"),
    ("zh-guoyu", "cmn"),
    ("zh-hakka", "hak"),
    ("zh-min", "nan-x-zh-min"),
    ("zh-min-nan", "nan"),
    ("zh-xiang", "hsn"),
];

#[derive(Default)]
struct Registry {
    languages: HashSet<&'static str>,
    /// Three letters where there are two.
    long: HashMap<&'static str, &'static str>,
    renamed: HashMap<&'static str, &'static str>,
    scripts: HashSet<&'static str>,
    /// The script that a language is written in where nothing is said.
    usual: HashMap<&'static str, &'static str>,
    /// With the two letters that three letters or digits stand for.
    regions: HashMap<&'static str, &'static str>,
    variants: HashSet<&'static str>,
}

static KNOWN: LazyLock<Registry> = LazyLock::new(|| {
    let mut known = Registry::default();
    for line in REGISTRY.lines() {
        let mut words = line.split(' ');
        let kind = words.next().unwrap_or_default();
        for word in words {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match kind {
                "language" => _ = known.languages.insert(name),
                "long" => _ = known.long.insert(name, value),
                "renamed" => _ = known.renamed.insert(name, value),
                "script" => _ = known.scripts.insert(name),
                "usual" => _ = known.usual.insert(name, value),
                "region" => _ = known.regions.insert(name, value),
                _ => _ = known.variants.insert(name),
            }
        }
    }
    known
});

/// Reads a tag, and writes it in its canonical form; none if it is not well-formed, or names what
/// is not registered.
pub(crate) fn parse(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase().replace('_', "-");
    if let Some((_, now)) = OLD_TAGS.iter().find(|(old, _)| *old == lower) {
        return Some((*now).to_owned());
    }
    let subtags: Vec<&str> = lower.split('-').collect();
    let well_formed = |subtag: &&str| {
        (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if !subtags.iter().all(well_formed) {
        return None;
    }
    let mut rest = Subtags(&subtags);
    if rest.peek() == Some("x") {
        return rest.extensions().map(|extensions| extensions.join("-"));
    }
    let mut language = known_language(rest.take()?)?;
    while let Some(extended) = rest.take_if(|subtag| subtag.len() == 3 && is_alphabetic(subtag)) {
        language = known_language(extended)?;
    }
    let script = rest.take_if(|subtag| subtag.len() == 4 && is_alphabetic(subtag));
    if script.is_some_and(|script| !is_script(script)) {
        return None;
    }
    let mut region = match rest.take_if(|subtag| (2..=3).contains(&subtag.len())) {
        Some(subtag) => Some(known_region(subtag)?.to_uppercase()),
        None => None,
    };
    let mut variants = Vec::new();
    while let Some(variant) = rest.take_if(|subtag| subtag.len() >= 4) {
        variants.push(KNOWN.variants.get(variant).map(|variant| (*variant).to_owned())?);
    }
    let extensions = rest.extensions()?;
    let script = script.filter(|script| KNOWN.usual.get(&*language) != Some(script));
    if language == "mo" && region.is_none() {
        region = Some("MD".to_owned());
    }
    while let Some(now) = KNOWN.renamed.get(&*language) {
        (*now).clone_into(&mut language);
    }
    let parts = std::iter::once(language)
        .chain(script.map(title))
        .chain(region)
        .chain(variants)
        .chain(extensions);
    Some(parts.collect::<Vec<_>>().join("-"))
}

/// The subtags that are still to be read.
struct Subtags<'a>(&'a [&'a str]);

impl<'a> Subtags<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.0.first().copied()
    }

    fn take(&mut self) -> Option<&'a str> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn take_if(&mut self, wanted: impl Fn(&str) -> bool) -> Option<&'a str> {
        self.peek().filter(|subtag| wanted(subtag)).and_then(|_| self.take())
    }

    /// All that is left: extensions, each a letter and what it says; `x` takes the rest.
    fn extensions(&mut self) -> Option<Vec<String>> {
        let mut read = Vec::new();
        while let Some(letter) = self.take() {
            if letter.len() > 1 {
                return None;
            }
            read.push(letter.to_owned());
            let before = read.len();
            while let Some(subtag) = self.take_if(|subtag| letter == "x" || subtag.len() > 1) {
                read.push(subtag.to_owned());
            }
            if read.len() == before {
                return None;
            }
        }
        Some(read)
    }
}

fn is_alphabetic(subtag: &str) -> bool {
    subtag.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// A language's shortest code.
fn known_language(subtag: &str) -> Option<String> {
    let registered = KNOWN.languages.contains(subtag) || ("qaa"..="qtz").contains(&subtag);
    let short = KNOWN.long.get(subtag).copied().or(registered.then_some(subtag))?;
    ((2..=3).contains(&subtag.len()) && is_alphabetic(subtag)).then(|| short.to_owned())
}

fn is_script(subtag: &str) -> bool {
    KNOWN.scripts.contains(subtag) || ("qaaa"..="qabx").contains(&subtag)
}

/// A region's code of two letters, where it has one.
fn known_region(subtag: &str) -> Option<&str> {
    if subtag.len() == 2 && (("qm"..="qz").contains(&subtag) || ("xa"..="xz").contains(&subtag)) {
        return Some(subtag);
    }
    match KNOWN.regions.get(subtag).copied()? {
        "" => Some(subtag),
        short => Some(short),
    }
}

fn title(script: &str) -> String {
    let mut letters = script.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_written_in_their_canonical_form() {
        for (text, tag) in [
            ("en", "en"),
            ("EN", "en"),
            ("En", "en"),
            ("eng", "en"),
            ("DEU", "de"),
            ("tlh", "tlh"),
            ("de-ch", "de-CH"),
            ("de_CH", "de-CH"),
            ("DE-ch", "de-CH"),
            ("de-latn", "de"),
            ("de-Latn-DE", "de-DE"),
            ("de-Cyrl", "de-Cyrl"),
            ("zh-hans", "zh-Hans"),
            ("zh-HANT-tw", "zh-Hant-TW"),
            ("sr-latn-rs", "sr-Latn-RS"),
            ("es-419", "es-419"),
            ("en-usa", "usa"),
            ("en-Latn-usa", "en-US"),
            ("en-840", "en-US"),
            ("zh-yue", "yue"),
            ("in", "id"),
            ("iw", "he"),
            ("mo", "ro-MD"),
            ("mo-RO", "ro-RO"),
            ("sl-rozaj", "sl-rozaj"),
            ("de-1996", "de-1996"),
            ("de-u-co-phonebk", "de-u-co-phonebk"),
            ("de-x-any", "de-x-any"),
            ("x-any", "x-any"),
            ("und", ROOT),
            ("root", ROOT),
            ("i-klingon", "tlh"),
            ("I-DEFAULT", "en-x-i-default"),
            ("qaa", "qaa"),
        ] {
            assert_eq!(parse(text).as_deref(), Some(tag), "{text}");
        }
    }

    #[test]
    fn what_is_malformed_or_not_registered_is_no_tag() {
        for text in [
            "",
            "e",
            "!!",
            "xx",
            "zz",
            "ger",
            "german",
            "de-",
            "-de",
            "de--ch",
            "de-ch-",
            "de ch",
            "de-CHE1",
            "de-zz9",
            "de-abcd",
            "de-abcde",
            "de-u",
            "de-x",
            "x",
            "a-de",
            "de-CH-AT",
            "de-abcdefghi",
            "dé",
            "d1",
            "1de",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
