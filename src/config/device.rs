//! Devices of a `[[source]]` with `for`: the value that stands for `{device}`.

use std::cell::Cell;

/// What stands for the value of a device in the texts of its source.
const PLACEHOLDER: &str = "{device}";

/// Options in whose texts [`PLACEHOLDER`] is filled in.
const OPTIONS_WITH_DEVICE: [&str; 8] = [
    "url", "base_url", "params", "headers", "body", "auth", "login", "form",
];

/// One entry of `for`.
#[derive(Debug)]
pub struct Device {
    /// Its key: the name of its source.
    pub name: String,
    value: String,
    is_used: Cell<bool>,
}

impl Device {
    pub fn new(name: String, value: String) -> Device {
        Device {
            name,
            value,
            is_used: Cell::new(false),
        }
    }

    /// `text` with the value of the device in the place of every `{device}`.
    pub fn fill(&self, text: &str) -> String {
        if text.contains(PLACEHOLDER) {
            self.is_used.set(true);
        }
        text.replace(PLACEHOLDER, &self.value)
    }

    /// Whether a text of the source had the placeholder.
    pub fn is_used(&self) -> bool {
        self.is_used.get()
    }
}

/// Whether `{device}` in the texts of an option means the device.
pub fn has_device_placeholder(option: &str) -> bool {
    OPTIONS_WITH_DEVICE.contains(&option)
}
