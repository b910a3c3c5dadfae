//! Names of alerts that `only` of a channel gives, and that no alert of the configuration has.

use openapi::operation::nearest;

use super::alert_types::{Notifications, WebhookForm};
use super::problem::Severity;
use super::reader::ConfigReader;
use super::types::{KeySpans, SourceConfig};
use crate::domain::alert::{AlertRules, DisplayRule};
use crate::domain::alert_filter::AlertFilter;
use crate::domain::plan::{DisplayPlan, KeySelector};
use crate::domain::text::format_duration;
use crate::domain::toml_text::quoted;

/// Alerts about the node itself.
const NODE_ALERTS: [&str; 4] = ["network", "storage", "database", "clock"];

/// Reports what `only` of a channel names in vain.
pub fn warn_alert_names(
    reader: &ConfigReader<'_>,
    sources: &[(SourceConfig, KeySpans)],
    rules: &AlertRules,
    notifications: &Notifications,
) {
    let names = alert_names(sources, rules, notifications);
    let mail = notifications.mail.iter();
    let mail = mail.map(|it| ("[mail]".to_owned(), &it.filter));
    let tables = notifications.webhooks.iter();
    let tables = tables.filter(|it| it.form == WebhookForm::Table);
    let webhooks = tables.map(|it| {
        let table = format!("[[alert.webhook]] {}", quoted(&it.name));
        (table, &it.filter)
    });
    for (table, filter) in mail.chain(webhooks) {
        for unknown in unknown_names(filter, &names) {
            reader.remark_at(Severity::Note, &table, unknown);
        }
    }
}

/// Reports rules of displays that alert all the time, or of a display that is called otherwise.
pub fn warn_display_rules(reader: &ConfigReader<'_>, displays: &[DisplayPlan], rules: &AlertRules) {
    for rule in &rules.displays {
        let table = format!("[[alert.display]] {}", quoted(&rule.name));
        let found = displays.iter().find(|it| it.name == rule.name);
        let Some(display) = found else {
            let near = nearest(&rule.name, displays.iter().map(|it| &*it.name));
            if let Some(near) = near {
                let message = format!(
                    "no [[display]] has this name; did you mean {}?",
                    quoted(near)
                );
                reader.remark_at(Severity::Note, &table, message);
            }
            continue;
        };
        if let Some(silent_for) = rule.silent_for.filter(|it| *it <= display.every) {
            let (silent_for, every) = (format_duration(silent_for), format_duration(display.every));
            let message = format!(
                "silent_for = \"{silent_for}\" alerts between two requests of the display, which asks every {every}: make it longer"
            );
            reader.remark_at(Severity::Problem, &table, message);
        }
    }
}

/// The names in `only` that choose nothing.
fn unknown_names(filter: &AlertFilter, names: &[String]) -> Vec<String> {
    let is_unknown = |it: &&KeySelector| !names.iter().any(|name| it.matches(name));
    let unknown = filter.only.iter().filter(is_unknown);
    unknown
        .map(|selector| {
            let text = selector.to_string();
            let near = nearest(&text, names.iter().map(String::as_str));
            let hint = near.map_or_else(String::new, |near| {
                format!("; did you mean {}?", quoted(near))
            });
            let text = quoted(&text);
            format!(
                "only: {text} chooses no alert: none has this name, or a key of this name{hint}"
            )
        })
        .collect()
}

/// Names of all alerts that the configuration can raise, and keys that they are about.
fn alert_names(
    sources: &[(SourceConfig, KeySpans)],
    rules: &AlertRules,
    notifications: &Notifications,
) -> Vec<String> {
    let mut names: Vec<String> = NODE_ALERTS.map(str::to_owned).into();
    for (source, _) in sources {
        names.push(format!("source:{}", source.plan.name));
        if rules.schema_drift {
            names.push(format!("schema:{}", source.plan.name));
        }
    }
    for alert in rules.key_alerts() {
        names.extend([alert.name.to_string(), alert.key.to_string()]);
    }
    names.extend(rules.displays.iter().flat_map(DisplayRule::alerts));
    // A channel that cannot deliver raises an alert of its name.
    let webhooks = notifications.webhooks.iter();
    names.extend(webhooks.map(|it| it.name.clone()));
    names.extend(notifications.mail.as_ref().map(|_| "mail".to_owned()));
    names
}

#[cfg(test)]
mod tests {
    use crate::config::problem::Severity;
    use crate::config::support::{METER, load_text};

    fn notes(only: &str) -> Vec<String> {
        let text = format!(
            "{METER}[[alert.value]]\nkey = \"power\"\nabove = 30\n[[alert.stale]]\nkey = \"gas\"\n\
             [[alert.display]]\nname = \"hall\"\nsilent_for = \"1h\"\n\
             [[alert.webhook]]\nname = \"phone\"\nurl = \"http://a.lan/x\"\nonly = {only}\n"
        );
        let config = load_text(&text, &[]).expect("it is valid");
        let notes = config.remarks.iter();
        let notes = notes.filter(|it| it.severity == Severity::Note);
        notes.map(|it| it.problem.to_string()).collect()
    }

    #[test]
    fn a_name_that_chooses_no_alert_is_noted() {
        for only in [
            "\"network\"",
            "[\"storage\", \"clock\", \"database\"]",
            "\"source:meter\"",
            "\"schema:m*\"",
            "[\"power\", \"value:power>30\", \"value:*\", \"pow*\"]",
            "[\"gas\", \"stale:gas\"]",
            "\"display:hall\"",
            "\"phone\"",
            "\"*\"",
        ] {
            assert_eq!(notes(only), Vec::<String>::new(), "{only}");
        }
        for (only, expected) in [
            (
                "\"source:metre\"",
                "\"source:metre\" chooses no alert: none has this name, or a key of this name; did you mean \"source:meter\"?",
            ),
            (
                "[\"network\", \"humidity\"]",
                "\"humidity\" chooses no alert: none has this name, or a key of this name",
            ),
            (
                "\"value:gas*\"",
                "\"value:gas*\" chooses no alert: none has this name, or a key of this name",
            ),
            (
                "\"mail\"",
                "\"mail\" chooses no alert: none has this name, or a key of this name",
            ),
        ] {
            let expected = format!("[[alert.webhook]] \"phone\": only: {expected}");
            assert_eq!(notes(only), [expected], "{only}");
        }
    }
}
