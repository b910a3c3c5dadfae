//! Keys and strings as TOML spells them, for configurations that are printed and for advice
//! that people paste.

/// A TOML basic string; JSON's escapes are a part of TOML's.
pub fn quoted(text: &str) -> String {
    // The one control character that JSON leaves as it is and TOML refuses.
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007F")
}

/// The value of an option: `$` alone would begin a variable.
pub fn quoted_value(text: &str) -> String {
    quoted(&text.replace('$', "$$"))
}

/// A JSONPath or JSON Pointer as the value of an option: in a JSONPath only `${` and `$$` have a
/// meaning of their own.
pub fn quoted_path(path: &str) -> String {
    if !path.starts_with('$') {
        return quoted_value(path);
    }
    let mut escaped = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('$') {
        escaped += &rest[..at];
        let behind = rest[at..].trim_start_matches('$');
        let dollars = rest.len() - at - behind.len();
        let is_plain = dollars == 1 && !behind.starts_with('{');
        escaped += &"$".repeat(if is_plain { 1 } else { 2 * dollars });
        rest = behind;
    }
    quoted(&(escaped + rest))
}

/// One part of a TOML key: bare where that is allowed, else quoted.
pub fn bare_or_quoted(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(is_bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// The heading of the table of a record's key: `[key."house.power"]`.
pub fn key_table(key: &str) -> String {
    format!("[key.{}]", bare_or_quoted(key))
}

/// The heading of the table of a derived key: `[derived."house.power"]`.
pub fn derived_table(key: &str) -> String {
    format!("[derived.{}]", bare_or_quoted(key))
}

/// What to write where the keys of a source collide with those of others. `is_shared`: it has a
/// prefix, which all devices of its `for` share.
pub fn prefix_advice(source: &str, is_shared: bool) -> String {
    let prefix = quoted(&format!("{source}."));
    if is_shared {
        return format!("remove `prefix` beside `for`: then {prefix} is that of this device");
    }
    format!("add prefix = {prefix} to [[source]] {}", quoted(source))
}

/// What to write where several sources give one key.
pub fn merge_advice(key: &str) -> String {
    format!(
        "say how to merge them: merge = \"priority\" (or \"latest\", \"mean\", \"median\") under {}",
        key_table(key)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_text_reads_back() {
        for name in [
            "power",
            "house.power",
            "{id}.bikes",
            "a b",
            "switch:0.apower",
            "Zähler",
            "quote\"s\\",
            "",
            "\u{1}\n\u{7f}\u{85}",
        ] {
            let text = format!("{}\nunit = {}\n", key_table(name), quoted(name));
            let table: toml::Table = text.parse().expect("it is TOML");
            let key = table["key"].get(name).expect("the key is the name");
            assert_eq!(key["unit"].as_str(), Some(name));
        }
    }
}
