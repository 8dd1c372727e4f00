//! Label selectors as `kubectl` writes them: `team=a,tier in (gold,silver),!legacy`. Pure.

use kube::core::{Expression, Selector};

/// Reads a selector. `Err`: what is wrong with it.
pub fn selector(text: &str) -> Result<Selector, String> {
    let requirements = requirements(text)?;
    requirements.into_iter().map(expression).collect()
}

/// The parts between commas that are not in parentheses.
fn requirements(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut rest) = (Vec::new(), text);
    loop {
        let open = rest.find('(').unwrap_or(rest.len());
        let comma = match rest.find(',') {
            Some(comma) if comma > open => {
                let close = rest.find(')').ok_or_else(|| format!("`{rest}` has no `)`"))?;
                rest.get(close..).and_then(|after| after.find(',')).map(|n| close + n)
            }
            other => other,
        };
        let Some((part, more)) = comma.and_then(|comma| rest.split_at_checked(comma)) else {
            parts.push(rest.trim());
            return Ok(parts);
        };
        parts.push(part.trim());
        rest = more.get(1..).unwrap_or_default();
    }
}

fn expression(text: &str) -> Result<Expression, String> {
    if let Some(missing) = text.strip_prefix('!') {
        return Ok(Expression::DoesNotExist(key(missing)?));
    }
    if let Some((name, wanted)) = text.split_once("!=") {
        return Ok(Expression::NotEqual(key(name)?, value(wanted)?));
    }
    if let Some((name, wanted)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Expression::Equal(key(name)?, value(wanted)?));
    }
    let Some((before, list)) = text.split_once('(') else {
        return Ok(Expression::Exists(key(text)?));
    };
    let list = list.strip_suffix(')').ok_or_else(|| format!("`{text}` does not end with `)`"))?;
    let values = list.split(',').map(value).collect::<Result<_, _>>()?;
    match before.split_whitespace().collect::<Vec<_>>().as_slice() {
        [name, "in"] => Ok(Expression::In(key(name)?, values)),
        [name, "notin"] => Ok(Expression::NotIn(key(name)?, values)),
        _ => Err(format!("`{text}` is none of `KEY in (…)` and `KEY notin (…)`")),
    }
}

fn key(text: &str) -> Result<String, String> {
    let text = text.trim();
    let (prefix, name) = text.rsplit_once('/').unwrap_or(("a", text));
    if is_label(prefix, 253) && is_label(name, 63) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` can't be the name of a label"))
    }
}

fn value(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || is_label(text, 63) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` can't be the value of a label"))
    }
}

/// Letters, digits, and between them `-`, `_` and `.`.
fn is_label(text: &str, longest: usize) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let ends = [text.chars().next(), text.chars().next_back()];
    let has_ends = ends.into_iter().all(|c| c.is_some_and(|c| c.is_ascii_alphanumeric()));
    has_ends && text.len() <= longest && text.chars().all(is_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kube::core::SelectorExt;

    use super::*;

    fn selects(text: &str, labels: &[(&str, &str)]) -> bool {
        let labels: BTreeMap<String, String> =
            labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        selector(text).unwrap().matches(&labels)
    }

    #[test]
    fn each_form_selects_what_kubectl_selects() {
        let (eu, us, none) = ([("a.b/shard", "eu")], [("a.b/shard", "us")], []);
        for (text, selected) in [
            ("a.b/shard=eu", [true, false, false]),
            ("a.b/shard == eu", [true, false, false]),
            ("a.b/shard!=eu", [false, true, true]),
            ("a.b/shard in (eu, ap)", [true, false, false]),
            ("a.b/shard notin (eu,ap)", [false, true, true]),
            ("a.b/shard", [true, true, false]),
            ("!a.b/shard", [false, false, true]),
            ("a.b/shard, a.b/shard notin (us,ap), a.b/shard!=ap", [true, false, false]),
            ("a.b/shard=", [false, false, false]),
        ] {
            let found = [selects(text, &eu), selects(text, &us), selects(text, &none)];
            assert_eq!(found, selected, "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_said() {
        for (text, why) in [
            ("", "name of a label"),
            ("a=b,", "name of a label"),
            ("a b", "name of a label"),
            ("-a=b", "name of a label"),
            ("a=b c", "value of a label"),
            ("a in (b", "does not end with `)`"),
            ("a in (b,c", "has no `)`"),
            ("a on (b)", "is none of"),
            ("a in (b) c", "does not end"),
        ] {
            let e = selector(text).unwrap_err();
            assert!(e.contains(why), "{text:?}: {e}");
        }
    }
}
