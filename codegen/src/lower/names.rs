//! Words of a file to Rust names: keywords, digits, symbols, other scripts, collisions.
//!
//! Stable: the same words give the same names, whatever stands around them; only where two
//! would be equal does the later one get a number.

use std::collections::HashMap;

/// Names given in one scope.
#[derive(Default)]
pub struct Scope {
    /// With the number that the next equal name tries first.
    taken: HashMap<String, u32>,
}

impl Scope {
    /// With names that are not to be given: what the generated code itself uses.
    pub fn without(reserved: &[&str]) -> Scope {
        Scope {
            taken: reserved.iter().map(|it| ((*it).to_owned(), 2)).collect(),
        }
    }

    /// The name, with a number behind it where it is taken.
    pub fn unique(&mut self, name: String) -> String {
        let Some(first) = self.taken.get(&name).copied() else {
            self.taken.insert(name.clone(), 2);
            return name;
        };
        let ends_in_digit = name.ends_with(|it: char| it.is_ascii_digit());
        let separator = if ends_in_digit { "_" } else { "" };
        let mut number = first;
        let unique = loop {
            let candidate = format!("{name}{separator}{number}");
            number += 1;
            if !self.taken.contains_key(&candidate) {
                break candidate;
            }
        };
        self.taken.insert(name, number);
        self.taken.insert(unique.clone(), 2);
        unique
    }
}

/// `getForecast`, `relative-humidity` → `get_forecast`, `relative_humidity`.
pub fn snake(text: &str) -> String {
    let name = words(text).join("_");
    let name = if name.is_empty() {
        "unnamed".to_owned()
    } else {
        name
    };
    if name.starts_with(|it: char| it.is_ascii_digit()) {
        format!("n{name}")
    } else {
        name
    }
}

/// A snake-case name that may stand as an identifier.
pub fn identifier(name: &str) -> String {
    match name {
        "self" | "super" | "crate" | "_" => format!("{name}_"),
        _ if KEYWORDS.contains(&name) => format!("r#{name}"),
        _ => name.to_owned(),
    }
}

/// `GetForecast`.
pub fn pascal(text: &str) -> String {
    let mut name = String::new();
    for word in words(text) {
        // `v1`, `2` behind a digit would run together.
        let digit = |it: Option<char>| it.is_some_and(|it| it.is_ascii_digit());
        if digit(name.chars().next_back()) && digit(word.chars().next()) {
            name.push('N');
        }
        let mut characters = word.chars();
        name.extend(characters.next().map(|it| it.to_ascii_uppercase()));
        name.push_str(characters.as_str());
    }
    match name.chars().next() {
        None => "Unnamed".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("N{name}"),
        Some(_) => name,
    }
}

/// The words of a name, in ASCII lower case.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let characters: Vec<char> = text.chars().take(200).collect();
    for (at, &character) in characters.iter().enumerate() {
        if character.is_ascii_alphanumeric() {
            let before = at.checked_sub(1).map(|at| characters[at]);
            let after = characters.get(at + 1);
            let lower = |it: Option<&char>| it.is_some_and(char::is_ascii_lowercase);
            // `IDs`, `URLs` are one word; `HTTPServer` is two.
            let plural = after == Some(&'s') && !lower(characters.get(at + 2));
            let starts = character.is_ascii_uppercase()
                && before.is_some_and(|before| {
                    before.is_ascii_lowercase()
                        || before.is_ascii_digit()
                        || (before.is_ascii_uppercase() && lower(after) && !plural)
                });
            if starts {
                push(&mut words, &mut word);
            }
            word.push(character.to_ascii_lowercase());
        } else if let Some(latin) = latin(character) {
            word.push_str(latin);
        } else if character.is_alphanumeric() {
            push(&mut words, &mut word);
            words.push(format!("u{:x}", u32::from(character)));
        } else {
            push(&mut words, &mut word);
        }
    }
    push(&mut words, &mut word);
    if words.is_empty() {
        words = characters.iter().take(4).map(|it| symbol(*it)).collect();
    }
    words
}

fn push(words: &mut Vec<String>, word: &mut String) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

fn latin(character: char) -> Option<&'static str> {
    Some(match character {
        'ä' | 'Ä' | 'æ' | 'Æ' => "ae",
        'ö' | 'Ö' | 'œ' | 'Œ' => "oe",
        'ü' | 'Ü' => "ue",
        'ß' => "ss",
        'à' | 'á' | 'â' | 'ã' | 'å' | 'À' | 'Á' | 'Â' | 'Ã' | 'Å' => "a",
        'ç' | 'Ç' | 'č' | 'Č' | 'ć' | 'Ć' => "c",
        'è' | 'é' | 'ê' | 'ë' | 'È' | 'É' | 'Ê' | 'Ë' | 'ě' | 'ę' => "e",
        'ì' | 'í' | 'î' | 'ï' | 'Ì' | 'Í' | 'Î' | 'Ï' => "i",
        'ñ' | 'Ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'Ò' | 'Ó' | 'Ô' | 'Õ' | 'Ø' => "o",
        'š' | 'Š' | 'ś' => "s",
        'ù' | 'ú' | 'û' | 'Ù' | 'Ú' | 'Û' | 'ů' => "u",
        'ý' | 'ÿ' => "y",
        'ž' | 'Ž' | 'ź' | 'ż' => "z",
        'ł' | 'Ł' => "l",
        _ => return None,
    })
}

/// A name that is nothing but symbols has their names.
fn symbol(character: char) -> String {
    let name = match character {
        '+' => "plus",
        '-' => "minus",
        '<' => "less",
        '>' => "greater",
        '=' => "equal",
        '!' => "not",
        '@' => "at",
        '#' => "hash",
        '$' => "dollar",
        '%' => "percent",
        '&' => "and",
        '*' => "star",
        '/' => "slash",
        '.' => "dot",
        ',' => "comma",
        ':' => "colon",
        ';' => "semicolon",
        '?' => "question",
        '_' => "underscore",
        '|' => "pipe",
        '~' => "tilde",
        '^' => "caret",
        ' ' => "space",
        _ => return format!("u{:x}", u32::from(character)),
    };
    name.to_owned()
}

const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_every_kind_become_names() {
        for (text, snaked, pascaled) in [
            ("getForecast", "get_forecast", "GetForecast"),
            ("temperature_2m", "temperature_2m", "Temperature2m"),
            ("HTTPServer", "http_server", "HttpServer"),
            ("userIDs", "user_ids", "UserIds"),
            (
                "repos/list-for-org",
                "repos_list_for_org",
                "ReposListForOrg",
            ),
            ("filter[name]", "filter_name", "FilterName"),
            ("$filter", "filter", "Filter"),
            ("2fa", "n2fa", "N2fa"),
            ("größe", "groesse", "Groesse"),
            ("温度", "u6e29_u5ea6", "U6e29U5ea6"),
            ("+1", "n1", "N1"),
            ("-", "minus", "Minus"),
            ("", "unnamed", "Unnamed"),
            ("v1.2", "v1_2", "V1N2"),
        ] {
            assert_eq!(snake(text), snaked, "{text}");
            assert_eq!(pascal(text), pascaled, "{text}");
        }
    }

    #[test]
    fn keywords_are_escaped_and_equal_names_numbered() {
        assert_eq!(identifier("type"), "r#type");
        assert_eq!(identifier("self"), "self_");
        let mut scope = Scope::without(&["String"]);
        assert_eq!(scope.unique("String".to_owned()), "String2");
        assert_eq!(scope.unique("A".to_owned()), "A");
        assert_eq!(scope.unique("A".to_owned()), "A2");
        assert_eq!(scope.unique("A2".to_owned()), "A2_2");
    }
}
