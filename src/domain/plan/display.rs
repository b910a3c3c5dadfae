//! Displays that are given pictures (`[[display]]`).

use std::sync::Arc;
use std::time::Duration;

use super::pages::KeySelector;
use super::panel::Panel;
use crate::domain::time_window::TimeWindow;

/// A display, what it shows and when it asks.
#[derive(Debug, Clone, PartialEq)]
pub struct DisplayPlan {
    /// The last part of its path, before the extension.
    pub name: Arc<str>,
    /// As the option `model` spells it.
    pub model: Option<&'static str>,
    pub panel: Panel,
    pub layout: PictureLayout,
    pub keys: Vec<KeySelector>,
    pub chart: Option<DisplayChart>,
    /// Keys of the sentences below.
    pub footer: Vec<KeySelector>,
    /// How often it asks.
    pub every: Duration,
    /// When it does not.
    pub quiet: Option<TimeWindow>,
    /// The TRMNL device that shows it.
    pub device: Option<MacAddress>,
}

impl DisplayPlan {
    /// The keys that it names without a pattern.
    pub fn named_keys(&self) -> impl Iterator<Item = &Arc<str>> {
        let selectors = self.keys.iter().chain(&self.footer);
        let named = selectors.filter_map(|it| match it {
            KeySelector::Key(key) => Some(key),
            KeySelector::Pattern(_) => None,
        });
        named.chain(self.chart.as_ref().map(|chart| &chart.key))
    }
}

/// How values are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PictureLayout {
    /// Cells side by side.
    #[default]
    Grid,
    /// The first value as large as can be, the others small.
    Big,
    /// A line for each value.
    List,
    /// A chart over most of the picture, values above it.
    Chart,
    /// The table of a group with `matrix`.
    Rooms,
}

impl PictureLayout {
    pub const NAMED: [(&str, PictureLayout); 5] = [
        ("grid", PictureLayout::Grid),
        ("big", PictureLayout::Big),
        ("list", PictureLayout::List),
        ("chart", PictureLayout::Chart),
        ("rooms", PictureLayout::Rooms),
    ];
}

/// The chart of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayChart {
    pub key: Arc<str>,
    /// Up to the time of the picture.
    pub span: Duration,
}

/// The hardware address of a device (EUI-48), upper case: `AA:BB:CC:DD:EE:FF`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacAddress(Arc<str>);

impl MacAddress {
    /// Reads six bytes in hexadecimal, separated by `:` or `-` or by nothing, in any case.
    pub fn parse(text: &str) -> Option<MacAddress> {
        let is_separator = |c: char| matches!(c, ':' | '-');
        let digits: String = if text.len() == 17 {
            let is_pair = |part: &str| part.len() == 2;
            text.split(is_separator)
                .all(is_pair)
                .then(|| text.replace(is_separator, ""))?
        } else {
            text.to_owned()
        };
        let is_hex = digits.len() == 12 && digits.bytes().all(|it| it.is_ascii_hexdigit());
        let pairs = digits.as_bytes().chunks(2).filter(|_| is_hex);
        let pairs: Vec<&str> = pairs.filter_map(|it| str::from_utf8(it).ok()).collect();
        is_hex.then(|| MacAddress(pairs.join(":").to_ascii_uppercase().into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for MacAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_is_read_in_its_usual_spellings() {
        for (text, expected) in [
            ("AA:BB:CC:DD:EE:FF", Some("AA:BB:CC:DD:EE:FF")),
            ("aa:bb:cc:dd:ee:0f", Some("AA:BB:CC:DD:EE:0F")),
            ("aa-bb-cc-dd-ee-0f", Some("AA:BB:CC:DD:EE:0F")),
            ("aabbccddee0f", Some("AA:BB:CC:DD:EE:0F")),
            ("aabb:ccdd:ee0f:12", None),
            ("aa:bb:cc:dd:ee", None),
            ("aa:bb:cc:dd:ee:gg", None),
            ("ää:bb:cc:dd:ee:f", None),
            ("", None),
        ] {
            let read = MacAddress::parse(text);
            assert_eq!(read.as_ref().map(MacAddress::as_str), expected, "{text}");
        }
    }
}
