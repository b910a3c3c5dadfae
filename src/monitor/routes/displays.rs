//! Polling displays: who polls `/snapshot`, how often, and with which ETag.
//!
//! In memory and bounded; a short mutex, taken by the connection thread once a poll and by
//! workers that render a page. What a display sends about itself is shown, never trusted.

use std::borrow::Cow;

use crate::domain::time::Moment;
use crate::limits;
use crate::monitor::context::Display;
use crate::monitor::http::handler::Request;
use crate::sys::sync::Mutex;

#[derive(Default)]
pub struct Displays(Mutex<Vec<Display>>);

impl Displays {
    /// Records a poll and the ETag of its response.
    pub fn record_poll(&self, request: &Request, etag: &str, now: Moment) {
        let agent = bounded_line(request.header("user-agent").unwrap_or_default());
        let mut displays = self.0.lock();
        let known = displays
            .iter_mut()
            .position(|display| display.address == request.peer && display.agent == agent);
        let at = known.unwrap_or_else(|| {
            if displays.len() >= limits::TRACKED_DISPLAYS {
                let silent = (0..displays.len()).min_by_key(|at| displays[*at].last.mono);
                displays.swap_remove(silent.unwrap_or(0));
            }
            displays.push(Display {
                address: request.peer,
                agent: agent.into_owned(),
                name: None,
                battery: None,
                rssi: None,
                first: now,
                last: now,
                polls: 0,
                interval: None,
                target: String::new(),
                etag: String::new(),
            });
            displays.len() - 1
        });
        let display = &mut displays[at];
        if display.polls > 0 {
            let gap = now.mono.since(display.last.mono);
            display.interval = Some(match display.interval {
                // Weighted 3:1 to the earlier mean, so that one late poll changes little.
                Some(habit) => (habit * 3 + gap) / 4,
                None => gap,
            });
        }
        display.polls += 1;
        display.last = now;
        if display.target != request.target {
            display.target = bounded_line(&request.target).into_owned();
        }
        if display.etag != etag {
            etag.clone_into(&mut display.etag);
        }
        for (header, place) in [
            ("x-display-name", &mut display.name),
            ("x-display-battery", &mut display.battery),
            ("x-display-rssi", &mut display.rssi),
        ] {
            if let Some(value) = request.header(header) {
                *place = Some(bounded_line(value).into_owned());
            }
        }
    }

    /// All that are remembered, the newest poll first.
    pub fn list(&self) -> Vec<Display> {
        let displays = self.0.lock();
        let mut list = displays.clone();
        drop(displays);
        list.sort_by_key(|display| std::cmp::Reverse((display.last.mono, display.address)));
        list
    }

    pub fn count(&self) -> usize {
        self.0.lock().len()
    }
}

/// A header value of a client, cut to one short line.
fn bounded_line(value: &str) -> Cow<'_, str> {
    if value.len() <= limits::DISPLAY_CHARS && !value.chars().any(char::is_control) {
        return Cow::Borrowed(value);
    }
    let mut cut: String = value
        .chars()
        .take(limits::DISPLAY_CHARS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if value.chars().nth(limits::DISPLAY_CHARS).is_some() {
        cut.pop();
        cut.push('…');
    }
    cut.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::support::{moment, request};
    use std::time::Duration;

    fn poll(displays: &Displays, address: &str, agent: &str, at_s: u64) {
        let mut request = request(
            "/snapshot",
            &[("user-agent", agent), ("x-display-battery", "80%")],
        );
        request.peer = address.parse().expect("an address");
        displays.record_poll(&request, "\"1\"", moment(at_s));
    }

    #[test]
    fn a_display_is_known_by_its_address_and_agent() {
        let displays = Displays::default();
        for at in [0, 10, 20, 31] {
            poll(&displays, "192.168.0.9", "matrix", at);
        }
        poll(&displays, "192.168.0.9", "curl", 31);
        let list = displays.list();
        assert_eq!(list.len(), 2);
        let matrix = list
            .iter()
            .find(|display| display.agent == "matrix")
            .expect("it polled");
        assert_eq!(matrix.polls, 4);
        assert_eq!(matrix.interval, Some(Duration::from_millis(10_250)));
        assert_eq!(matrix.etag, "\"1\"");
        assert_eq!(matrix.battery.as_deref(), Some("80%"));
        assert!(!matrix.is_silent(moment(60)));
        assert!(matrix.is_silent(moment(100)));
    }

    #[test]
    fn a_full_table_evicts_the_display_that_has_been_silent_longest() {
        let displays = Displays::default();
        for agent in 0..1_000_u64 {
            poll(&displays, "10.0.0.1", &format!("agent {agent}"), agent);
        }
        let list = displays.list();
        assert_eq!(list.len(), limits::TRACKED_DISPLAYS);
        assert_eq!(list[0].agent, "agent 999");
        assert!(list.iter().all(|display| display.polls == 1));
    }

    #[test]
    fn display_headers_are_cut_to_one_short_line() {
        assert_eq!(bounded_line("a\tb"), "a b");
        assert_eq!(
            bounded_line(&"x".repeat(1_000)).chars().count(),
            limits::DISPLAY_CHARS
        );
    }
}
