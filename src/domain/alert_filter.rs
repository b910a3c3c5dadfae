//! Alert filter: which alerts a channel delivers, by level and by name or key.
//!
//! Pure.

use super::alert_event::AlertEvent;
use super::alert_level::AlertLevel;
use super::plan::KeySelector;

/// The alerts that a channel delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertFilter {
    /// The least level.
    pub level: AlertLevel,
    /// Names of alerts and keys; empty means all.
    pub only: Vec<KeySelector>,
}

/// Everything.
impl Default for AlertFilter {
    fn default() -> AlertFilter {
        AlertFilter {
            level: AlertLevel::Info,
            only: Vec::new(),
        }
    }
}

impl AlertFilter {
    pub fn accepts(&self, event: &AlertEvent) -> bool {
        let key = event.text.labelled.as_ref().map(|it| &*it.key);
        event.level >= self.level && self.is_named(&event.alert, key)
    }

    /// Whether `only` has an alert by its name, or by the key that it is about.
    pub fn is_named(&self, alert: &str, key: Option<&str>) -> bool {
        let is_named =
            |it: &KeySelector| it.matches(alert) || key.is_some_and(|key| it.matches(key));
        self.only.is_empty() || self.only.iter().any(is_named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_named_by_itself_or_by_its_key() {
        for (only, alert, key, expected) in [
            (&[][..], "network", None, true),
            (&["network"], "network", None, true),
            (&["source:*"], "network", None, false),
            (&["source:*"], "source:meter", None, true),
            (&["source:m"], "source:meter", None, false),
            (
                &["value:*"],
                "value:house.power>30",
                Some("house.power"),
                true,
            ),
            (
                &["house.*"],
                "value:house.power>30",
                Some("house.power"),
                true,
            ),
            (&["house.*"], "source:house.x", None, false),
            (&["power"], "stale:house.power", Some("house.power"), false),
            (&["storage", "stale:*"], "stale:a", Some("a"), true),
        ] {
            let filter = AlertFilter {
                only: only.iter().map(|it| KeySelector::new(it)).collect(),
                ..AlertFilter::default()
            };
            assert_eq!(filter.is_named(alert, key), expected, "{only:?} {alert}");
        }
    }
}
