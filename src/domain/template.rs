//! Templates of webhooks, pings and displays: a text with placeholders such as `{subject}`.
//!
//! Pure. What fills a placeholder is escaped for its place, so that it cannot change what stands
//! around it. Only a known name between braces is a placeholder; every other brace is text.

use std::fmt;

use super::percent;
use super::text::format_number;

/// Where a text with placeholders stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplatePlace {
    /// Inside of quotes what fills is escaped; outside numbers and truth values stay what they are,
    /// nothing becomes `null`, and text is quoted.
    Json,
    /// Percent-encoded. Scheme, login and host have no placeholders.
    Url,
    /// A body of `application/x-www-form-urlencoded`: percent-encoded.
    Form,
    /// A header field: control characters, line breaks among them, are left out.
    Header,
    /// XML or HTML: markup is escaped.
    Xml,
    /// Plain text: nothing is escaped.
    Text,
}

impl TemplatePlace {
    /// The place of a request body, by its `Content-Type`, and if there is none by how it begins.
    pub fn of_body(content_type: Option<&str>, body: &str) -> TemplatePlace {
        let Some(content_type) = content_type else {
            // A text may begin with a placeholder, or with a name in brackets.
            let inner = body.trim_start_matches(|c: char| c.is_whitespace() || "[{".contains(c));
            let is_json =
                inner.len() < body.trim_start().len() && inner.starts_with(['"', '}', ']']);
            return if is_json {
                TemplatePlace::Json
            } else {
                TemplatePlace::Text
            };
        };
        let media_type = content_type.split(';').next().unwrap_or_default();
        match media_type.trim().to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => TemplatePlace::Form,
            "text/html" => TemplatePlace::Xml,
            it if it.ends_with("/json") || it.ends_with("+json") => TemplatePlace::Json,
            it if it.ends_with("/xml") || it.ends_with("+xml") => TemplatePlace::Xml,
            _ => TemplatePlace::Text,
        }
    }
}

impl TemplatePlace {
    /// The `Content-Type` of a body, where none is configured.
    pub fn content_type(self) -> &'static str {
        match self {
            TemplatePlace::Json => "application/json",
            TemplatePlace::Form => "application/x-www-form-urlencoded",
            TemplatePlace::Xml => "application/xml",
            TemplatePlace::Url | TemplatePlace::Header | TemplatePlace::Text => {
                "text/plain; charset=utf-8"
            }
        }
    }
}

/// What fills a placeholder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TemplateValue<'a> {
    Text(&'a str),
    Number(f64),
    Boolean(bool),
    /// Empty; outside of quotes in JSON `null`.
    Absent,
}

impl<'a> TemplateValue<'a> {
    /// A reading as text: a number if it is one.
    pub fn parse(text: &'a str) -> TemplateValue<'a> {
        let number = serde_json::from_str::<f64>(text.trim());
        match number.ok().filter(|number| number.is_finite()) {
            Some(number) => TemplateValue::Number(number),
            None if text.is_empty() => TemplateValue::Absent,
            None => TemplateValue::Text(text),
        }
    }
}

/// A text with placeholders. It may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct TextTemplate {
    place: TemplatePlace,
    parts: Vec<TextPart>,
}

impl fmt::Debug for TextTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextTemplate({:?}, ***)", self.place)
    }
}

#[derive(Clone, PartialEq, Eq)]
enum TextPart {
    Literal(String),
    Placeholder {
        name: &'static str,
        /// In JSON: whether it is inside of quotes.
        is_quoted: bool,
    },
}

/// A placeholder in a place that must not depend on what is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateProblem {
    name: &'static str,
}

impl fmt::Display for TemplateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{{}}} cannot be in the scheme, the login or the host: write these out, and use \
             placeholders behind them",
            self.name
        )
    }
}

/// Where a JSON text is no JSON once its placeholders are filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonTemplateProblem {
    pub line: usize,
    pub column: usize,
    reason: String,
}

impl fmt::Display for JsonTemplateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "it is not valid JSON at line {}, column {}: {}",
            self.line, self.column, self.reason
        )
    }
}

impl TextTemplate {
    /// Placeholders are the `names` between braces.
    pub fn parse(
        text: &str,
        place: TemplatePlace,
        names: &[&'static str],
    ) -> Result<TextTemplate, TemplateProblem> {
        let mut parts = Vec::new();
        let mut json = JsonScanner::default();
        let (mut begin, mut from) = (0, 0);
        while let Some(at) = text[from..].find('{').map(|at| from + at) {
            let Some(name) = name_at(&text[at..], names) else {
                from = at + 1;
                continue;
            };
            if place == TemplatePlace::Url && !has_authority(&text[..at]) {
                return Err(TemplateProblem { name });
            }
            json.scan(&text[begin..at]);
            if at > begin {
                parts.push(TextPart::Literal(text[begin..at].to_owned()));
            }
            let is_quoted = json.is_in_string;
            parts.push(TextPart::Placeholder { name, is_quoted });
            from = at + name.len() + 2;
            begin = from;
        }
        if begin < text.len() {
            parts.push(TextPart::Literal(text[begin..].to_owned()));
        }
        Ok(TextTemplate { place, parts })
    }

    /// Whether the placeholder `{name}` is in it.
    pub fn uses(&self, name: &str) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, TextPart::Placeholder { name: used, .. } if *used == name))
    }

    /// The text; a placeholder without a value is absent.
    pub fn fill(&self, values: &[(&str, TemplateValue<'_>)]) -> String {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                TextPart::Literal(text) => filled += text,
                TextPart::Placeholder { name, is_quoted } => {
                    let value = values.iter().find(|(known, _)| known == name);
                    let value = value.map_or(TemplateValue::Absent, |(_, value)| *value);
                    filled += &escape(value, self.place, *is_quoted);
                }
            }
        }
        filled
    }

    /// Whether it is JSON whatever its placeholders are filled with.
    pub fn check_json(&self) -> Result<(), JsonTemplateProblem> {
        // A text full of what JSON gives a meaning to, a number, and nothing.
        for sample in [
            TemplateValue::Text("\"\\{}"),
            TemplateValue::Number(-0.5),
            TemplateValue::Absent,
        ] {
            self.check_json_with(sample)?;
        }
        Ok(())
    }

    /// Words between braces that are text: among them may be a misspelt placeholder.
    pub fn literal_names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for part in &self.parts {
            let TextPart::Literal(text) = part else {
                continue;
            };
            for rest in text.split('{').skip(1) {
                let Some((name, _)) = rest.split_once('}') else {
                    continue;
                };
                let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
                if !name.is_empty() && name.bytes().all(is_word) {
                    names.push(name);
                }
            }
        }
        names
    }

    fn check_json_with(&self, sample: TemplateValue<'_>) -> Result<(), JsonTemplateProblem> {
        // The text as it is written beside the filled one, for the place of an error.
        let (mut written, mut filled) = (String::new(), String::new());
        let mut begins = Vec::new();
        for part in &self.parts {
            begins.push((filled.len(), written.len(), part));
            match part {
                TextPart::Literal(text) => {
                    written += text;
                    filled += text;
                }
                TextPart::Placeholder { name, is_quoted } => {
                    written += &format!("{{{name}}}");
                    filled += &escape(sample, self.place, *is_quoted);
                }
            }
        }
        let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&filled) else {
            return Ok(());
        };
        let lines = filled.split_inclusive('\n');
        let before = lines.take(error.line().saturating_sub(1)).map(str::len);
        let at = (before.sum::<usize>() + error.column()).saturating_sub(1);
        let (begin, at) = match begins.iter().rfind(|(filled, ..)| *filled <= at) {
            Some((filled, written, TextPart::Literal(_))) => (*written, at - filled),
            Some((_, written, TextPart::Placeholder { .. })) => (*written, 0),
            None => (0, 0),
        };
        let mut end = (begin + at).min(written.len());
        while !written.is_char_boundary(end) {
            end -= 1;
        }
        let before = &written[..end];
        let line = before.rsplit('\n').next().unwrap_or_default();
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        Err(JsonTemplateProblem {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            reason: reason.to_owned(),
        })
    }
}

/// The placeholder with which `text` begins.
fn name_at(text: &str, names: &[&'static str]) -> Option<&'static str> {
    let text = text.strip_prefix('{')?;
    let is_next = |name: &&&'static str| {
        let rest = text.strip_prefix(**name);
        rest.is_some_and(|rest| rest.starts_with('}'))
    };
    names.iter().find(is_next).copied()
}

/// Whether scheme and host of a URL are over.
fn has_authority(begin: &str) -> bool {
    let rest = begin.split_once("://").map(|(_, rest)| rest);
    rest.is_some_and(|rest| rest.contains(['/', '?', '#']))
}

/// Follows the quotes of JSON.
#[derive(Default)]
struct JsonScanner {
    is_in_string: bool,
    is_escaped: bool,
}

impl JsonScanner {
    fn scan(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = self.is_in_string,
                b'"' => self.is_in_string = !self.is_in_string,
                _ => {}
            }
        }
    }
}

fn escape(value: TemplateValue<'_>, place: TemplatePlace, is_quoted: bool) -> String {
    let text = match value {
        TemplateValue::Text(text) => text.to_owned(),
        TemplateValue::Number(number) => format_number(number),
        TemplateValue::Boolean(is_true) => is_true.to_string(),
        TemplateValue::Absent => String::new(),
    };
    match place {
        TemplatePlace::Json => match value {
            TemplateValue::Absent if !is_quoted => "null".to_owned(),
            TemplateValue::Text(text) => {
                let quoted = serde_json::Value::from(text).to_string();
                if is_quoted {
                    quoted[1..quoted.len() - 1].to_owned()
                } else {
                    quoted
                }
            }
            TemplateValue::Number(_) | TemplateValue::Boolean(_) | TemplateValue::Absent => text,
        },
        // Dots alone would be a step up in the path.
        TemplatePlace::Url if text.bytes().all(|byte| byte == b'.') => text.replace('.', "_"),
        TemplatePlace::Url | TemplatePlace::Form => percent::encode(&text),
        TemplatePlace::Header => text.chars().filter(|c| !c.is_control()).collect(),
        TemplatePlace::Xml => maud::html! { (text) }.into_string().replace('\'', "&#39;"),
        TemplatePlace::Text => text,
    }
}

#[cfg(test)]
#[path = "tests/template.rs"]
mod tests;
