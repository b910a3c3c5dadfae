//! Templates in the options of webhooks and the ping: bodies and URLs with placeholders.

use crate::config::alert_types::WebhookMethod;
use crate::config::problem::Severity;
use crate::config::reader::TableEntry;
use crate::config::secret::Secret;
use crate::config::section::OptionReader;
use crate::domain::secret_detection::quoted_secrets;
use crate::domain::template::{TemplatePlace, TextTemplate};
use openapi::operation::nearest;

/// A body, which may hold secrets.
pub fn read_body(option: &mut OptionReader<'_, '_>) -> Option<Secret> {
    let entry = option.entry()?;
    let body = entry.text_with_dollars().or_else(|| entry.text())?;
    if body.is_empty() {
        entry.problem("body: expected a text; without `body` none is sent");
        return None;
    }
    quoted_secrets(&body).for_each(|secret| entry.add_secret(secret));
    Some(Secret::new(body))
}

pub fn read_method(option: &mut OptionReader<'_, '_>) -> Option<WebhookMethod> {
    option.choice(&WebhookMethod::ALL.map(|it| (it.name(), it)))
}

/// Reports what is wrong with a template.
pub fn check_template(
    entry: &TableEntry<'_>,
    text: &str,
    place: TemplatePlace,
    names: &[&'static str],
) {
    let key = entry.key();
    let template = match TextTemplate::parse(text, place, names) {
        Ok(template) => template,
        Err(problem) => return entry.problem(format!("{key}: {problem}")),
    };
    if place == TemplatePlace::Json
        && let Err(problem) = template.check_json()
    {
        return entry.problem(format!("{key}: {problem}"));
    }
    for word in template.literal_names() {
        let word_in_lowercase = word.to_ascii_lowercase();
        let same = other_name(&word_in_lowercase).filter(|it| names.contains(it));
        if let Some(near) = same.or_else(|| nearest(&word_in_lowercase, names.iter().copied())) {
            entry.remark(
                Severity::Note,
                format!("{key}: {{{word}}} is sent as it is; did you mean {{{near}}}?"),
            );
        }
    }
}

/// The placeholder that other programs call `word`.
fn other_name(word: &str) -> Option<&'static str> {
    Some(match word {
        "title" | "name" | "alert" | "summary" => "subject",
        "message" | "msg" | "description" | "content" => "text",
        "severity" | "priority" => "level",
        "status" | "event" | "type" => "kind",
        "state" | "val" => "value",
        "sensor" | "entity" | "metric" => "key",
        "url" | "link" => "page",
        "host" | "hostname" => "node",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::config::support::{METER, load_text};

    #[test]
    fn names_of_other_programs_are_noted() {
        for (body, expected) in [
            (
                "{message}",
                "{message} is sent as it is; did you mean {text}?",
            ),
            ("{Title}", "did you mean {subject}?"),
            ("{severity}", "did you mean {level}?"),
            ("{txet}", "did you mean {text}?"),
            ("{anything_else} {text}", ""),
        ] {
            let webhook = format!(
                "{METER}[[alert.webhook]]\nurl = \"http://a.local/\"\nbody = '{{\"a\": \"{body}\"}}'\n"
            );
            let config = load_text(&webhook, &[]).expect("it is valid");
            let found: Vec<&str> = config
                .remarks
                .iter()
                .map(|it| it.problem.message.as_str())
                .filter(|it| it.starts_with("body:"))
                .collect();
            assert_eq!(found.is_empty(), expected.is_empty(), "{body}: {found:?}");
            assert!(
                found.iter().all(|it| it.contains(expected)),
                "{body}: {found:?}"
            );
        }
    }
}
