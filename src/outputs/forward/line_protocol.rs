//! InfluxDB line protocol: a row as a line of measurement, tags, field and time.
//!
//! Pure. <https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/>

use std::fmt::Write;

use crate::config::{ForwardConfig, TimePrecision};
use crate::domain::reading::Value;

/// What all lines of an output have in common.
pub struct LineFormat {
    measurement: String,
    forecast_measurement: String,
    /// `,node=…` and the configured tags.
    tags: String,
    /// Units of the timestamps in a second.
    per_second: i64,
}

/// A value with its key and time.
pub struct LinePoint<'a> {
    pub key: &'a str,
    pub value: &'a Value,
    /// Since 1970.
    pub second: i64,
    /// The clock that stamped it was not trusted.
    pub untrusted: bool,
    pub is_forecast: bool,
}

impl LineFormat {
    pub fn new(config: &ForwardConfig, node: &str) -> LineFormat {
        let own = config.tags.iter();
        let own = own.map(|(name, value)| (name.as_str(), value.as_str()));
        let mut tags = String::new();
        for (name, value) in [("node", node)].into_iter().chain(own) {
            tags.push(',');
            push_escaped(&mut tags, name, &[',', '=', ' ']);
            tags.push('=');
            push_escaped(&mut tags, value, &[',', '=', ' ']);
        }
        let measurement = |name: &str| {
            let mut escaped = String::new();
            push_escaped(&mut escaped, name, &[',', ' ']);
            escaped
        };
        LineFormat {
            measurement: measurement(&config.measurement),
            forecast_measurement: measurement(&format!("{}_forecast", config.measurement)),
            tags,
            per_second: match config.precision {
                TimePrecision::Seconds => 1,
                TimePrecision::Milliseconds => 1_000,
                TimePrecision::Microseconds => 1_000_000,
                TimePrecision::Nanoseconds => 1_000_000_000,
            },
        }
    }

    /// Appends a line with its end.
    pub fn push(&self, out: &mut String, point: &LinePoint<'_>) {
        out.push_str(if point.is_forecast {
            &self.forecast_measurement
        } else {
            &self.measurement
        });
        // A tag with an empty value is refused.
        if !point.key.is_empty() {
            out.push_str(",key=");
            push_escaped(out, point.key, &[',', '=', ' ']);
        }
        out.push_str(&self.tags);
        match point.value {
            Value::Number(_) => {
                out.push_str(" value=");
                // Writing to a String cannot fail.
                let _ = write!(out, "{}", point.value);
            }
            Value::Text(text) => push_text(out, text),
        }
        if point.untrusted {
            out.push_str(",untrusted=true");
        }
        let time = point.second.saturating_mul(self.per_second);
        // As above.
        let _ = writeln!(out, " {time}");
    }
}

/// A string field; a line end within the quotes is part of it.
fn push_text(out: &mut String, text: &str) {
    out.push_str(" text=\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// Measurement or tag. It has no escape for a backslash, a line end or another control character:
/// they are percent-encoded, as main-node writes a dot in a name.
fn push_escaped(out: &mut String, text: &str, escaped: &[char]) {
    for c in text.chars() {
        if c.is_control() || c == '\\' {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
            continue;
        }
        if escaped.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
}

#[cfg(test)]
#[path = "tests/line_protocol.rs"]
mod tests;
