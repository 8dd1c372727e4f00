//! JSON with positions: ZITADEL says where in a body a value is wrong, and refuses a field that is
//! named twice, so the body is not simply deserialized.

use serde_json::{Map, Number, Value};

/// A value and where it begins, in bytes.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: usize,
    pub(crate) json: Json,
}

/// A JSON value whose objects keep their fields in order, repeated ones included.
#[derive(Debug)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// Why a text is no JSON.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Nothing but white space.
    Empty,
    /// The text ends too early.
    Truncated,
    /// An unexpected character, and where it stands.
    Unexpected(char, usize),
}

/// How deep values may be nested, as in protobuf's own reader.
const DEPTH: usize = 100;

/// Reads the first value of a text, and says where it ends.
pub(crate) fn parse(text: &str) -> Result<(Node, usize), Broken> {
    let mut reader = Reader { text, at: 0 };
    reader.skip_space();
    if reader.peek().is_none() {
        return Err(Broken::Empty);
    }
    let node = reader.value(0)?;
    Ok((node, reader.at))
}

/// The first thing after white space, if there is any.
pub(crate) fn trailing(text: &str, end: usize) -> Option<char> {
    text.get(end..).and_then(|rest| rest.chars().find(|c| !c.is_ascii_whitespace()))
}

impl Node {
    /// The value as it is written in an error message.
    pub(crate) fn plain(&self) -> Value {
        match &self.json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(value) => Value::Number(value.clone()),
            Json::Text(value) => Value::String(value.clone()),
            Json::List(nodes) => nodes.iter().map(Self::plain).collect(),
            Json::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, node)| (name.clone(), node.plain()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn unexpected(&self) -> Broken {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => Broken::Unexpected(found, self.at),
            None => Broken::Truncated,
        }
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Broken> {
        if self.peek() == Some(wanted) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Broken> {
        if depth > DEPTH {
            return Err(self.unexpected());
        }
        self.skip_space();
        let at = self.at;
        let json = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Json::Text(self.string()?),
            Some(b't') => self.word("true", Json::Bool(true))?,
            Some(b'f') => self.word("false", Json::Bool(false))?,
            Some(b'n') => self.word("null", Json::Null)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return Err(self.unexpected()),
        };
        Ok(Node { at, json })
    }

    fn word(&mut self, word: &str, json: Json) -> Result<Json, Broken> {
        for byte in word.bytes() {
            self.expect(byte)?;
        }
        Ok(json)
    }

    fn number(&mut self) -> Result<Json, Broken> {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        self.text
            .get(start..self.at)
            .and_then(|digits| serde_json::from_str(digits).ok())
            .map(Json::Number)
            .ok_or_else(|| self.unexpected())
    }

    fn string(&mut self) -> Result<String, Broken> {
        let start = self.at;
        self.expect(b'"')?;
        loop {
            match self.peek() {
                None => return Err(Broken::Truncated),
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        self.text
            .get(start..self.at)
            .and_then(|quoted| serde_json::from_str(quoted).ok())
            .ok_or(Broken::Unexpected('"', start))
    }

    fn list(&mut self, depth: usize) -> Result<Json, Broken> {
        let mut nodes = Vec::new();
        self.expect(b'[')?;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::List(nodes));
        }
        loop {
            nodes.push(self.value(depth + 1)?);
            self.skip_space();
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.expect(b']')?;
            return Ok(Json::List(nodes));
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Broken> {
        let mut fields = Vec::new();
        self.expect(b'{')?;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(fields));
        }
        loop {
            self.skip_space();
            let name = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            fields.push((name, self.value(depth + 1)?));
            self.skip_space();
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.expect(b'}')?;
            return Ok(Json::Object(fields));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_where_they_begin() {
        let (node, end) = parse(r#"{"a": [1, "x"], "b": true}"#).unwrap_or_else(|e| {
            unreachable!("{e:?}");
        });
        let Json::Object(fields) = node.json else { unreachable!() };
        let places: Vec<_> = fields.iter().map(|(name, node)| (name.as_str(), node.at)).collect();
        assert_eq!(places, [("a", 6), ("b", 21)]);
        assert_eq!(end, 26);
    }

    #[test]
    fn broken_texts_are_told_apart() {
        let broken = |text| parse(text).err();
        assert_eq!(broken("  "), Some(Broken::Empty));
        assert_eq!(broken(r#"{"a": tru"#), Some(Broken::Truncated));
        assert_eq!(broken(r#"{"a": nope}"#), Some(Broken::Unexpected('o', 7)));
        assert_eq!(trailing("{} x", 2), Some('x'));
    }
}
