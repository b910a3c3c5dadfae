//! Displays that ask: who polls `/snapshot` or gets pictures, how often, with which ETag, and what
//! they say of their battery and signal.
//!
//! In memory and bounded; a short mutex, taken by the connection thread once a poll and by
//! workers that render a page. What a display sends about itself is shown, never trusted.

use std::borrow::Cow;
use std::time::Duration;

use crate::domain::battery::Battery;
use crate::domain::compact_sort::CompactSort;
use crate::domain::plan::DisplayPlan;
use crate::domain::time::Moment;
use crate::limits;
use crate::monitor::context::Display;
use crate::monitor::http::handler::Request;
use crate::sys::sync::Mutex;

#[derive(Default)]
pub struct Displays(Mutex<Vec<Display>>);

impl Displays {
    /// Records a poll of `/snapshot` and the ETag of its response.
    pub fn record_poll(&self, request: &Request, etag: &str, now: Moment) {
        self.record(None, request, Some(etag), now);
    }

    /// Records that a configured display asked, and how long it was told to sleep. However its
    /// address changes, it is one.
    pub fn record_display(
        &self,
        plan: &DisplayPlan,
        sleep: Duration,
        request: &Request,
        now: Moment,
    ) {
        self.record(Some((plan, sleep)), request, None, now);
    }

    /// Records which picture a configured display shows, by its ETag.
    pub fn record_picture(&self, name: &str, etag: &str) {
        self.change(name, |display| etag.clone_into(&mut display.etag));
    }

    /// Records that a configured display has sent a log.
    pub fn record_log(&self, name: &str, now: Moment) {
        self.change(name, |display| display.last_log = Some(now));
    }

    /// The charge of a configured display's battery, as it said last.
    pub fn charge(&self, name: &str) -> Option<Battery> {
        let displays = self.0.lock();
        let mut known = displays.iter();
        known
            .find(|it| it.configured.as_deref() == Some(name))?
            .charge
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Display)) {
        let mut displays = self.0.lock();
        let mut known = displays.iter_mut();
        if let Some(display) = known.find(|it| it.configured.as_deref() == Some(name)) {
            change(display);
        }
    }

    fn record(
        &self,
        plan: Option<(&DisplayPlan, Duration)>,
        request: &Request,
        etag: Option<&str>,
        now: Moment,
    ) {
        let agent = bounded_line(request.header("user-agent").unwrap_or_default());
        let mut displays = self.0.lock();
        let known = displays.iter().position(|display| match plan {
            Some((plan, _)) => display.configured.as_ref() == Some(&plan.name),
            None => {
                let is_same = display.address == request.peer && display.agent == agent;
                display.configured.is_none() && is_same
            }
        });
        let at = known.unwrap_or_else(|| {
            if displays.len() >= limits::TRACKED_DISPLAYS {
                let age =
                    |at: &usize| (displays[*at].configured.is_some(), displays[*at].last.mono);
                let silent = (0..displays.len()).min_by_key(age);
                displays.swap_remove(silent.unwrap_or(0));
            }
            displays.push(Display::new(request.peer, now));
            displays.len() - 1
        });
        let display = &mut displays[at];
        if display.polls > 0 {
            let gap = display.silence(now);
            display.interval = Some(match display.interval {
                // Weighted 3:1 to the earlier mean, so that one late poll changes little.
                Some(habit) => (habit * 3 + gap) / 4,
                None => gap,
            });
        }
        display.polls += 1;
        display.last = now;
        display.address = request.peer;
        if display.agent != agent {
            display.agent = agent.into_owned();
        }
        if display.target != request.target {
            display.target = bounded_line(&request.target).into_owned();
        }
        if let Some(etag) = etag.filter(|etag| display.etag != *etag) {
            etag.clone_into(&mut display.etag);
        }
        read_telemetry(request, display);
        if let Some((plan, sleep)) = plan {
            display.configured = Some(plan.name.clone());
            display.every = plan.every;
            display.sleep = Some(sleep);
            read_device_telemetry(request, display);
        }
    }

    /// All that are remembered, the newest poll first.
    pub fn list(&self) -> Vec<Display> {
        let displays = self.0.lock();
        let mut list = displays.clone();
        drop(displays);
        list.compact_sort_by_key(|display| std::cmp::Reverse((display.last.mono, display.address)));
        list
    }
}

/// Takes what a display says of itself in headers `X-Display-…`. What is no plausible number is left
/// out; what is not sent stays as it was.
fn read_telemetry(request: &Request, display: &mut Display) {
    set_text(&mut display.name, request.header("x-display-name"));
    if let Some(battery) = request.header("x-display-battery") {
        set_text(&mut display.battery, Some(battery));
        display.charge = Battery::parse(battery).or(display.charge);
    }
    if let Some(rssi) = request.header("x-display-rssi") {
        set_text(&mut display.rssi, Some(rssi));
        display.rssi_dbm = parse_rssi(rssi);
    }
}

/// The same of a configured display: in the headers of TRMNL's firmware too.
fn read_device_telemetry(request: &Request, display: &mut Display) {
    set_text(&mut display.firmware, request.header("fw-version"));
    set_text(&mut display.model, request.header("model"));
    set_text(&mut display.battery, request.header("battery-voltage"));
    if let Some(rssi) = request.header("rssi") {
        set_text(&mut display.rssi, Some(rssi));
        display.rssi_dbm = parse_rssi(rssi);
    }
    let number = |name| request.header(name)?.trim().parse::<f64>().ok();
    // KOReader says per cent there.
    let measured = request.header("battery-voltage").and_then(Battery::parse);
    // What the device reckons itself goes before a line through two volts.
    let charged = number("percent-charged").and_then(Battery::of_percent);
    let charged = charged.map(|it| Battery {
        volts: measured.and_then(|it| it.volts),
        ..it
    });
    display.charge = charged.or(measured).or(display.charge);
    let pixels = |name| request.header(name)?.trim().parse::<u16>().ok();
    display.size = pixels("width").zip(pixels("height")).or(display.size);
}

fn set_text(place: &mut Option<String>, sent: Option<&str>) {
    if let Some(sent) = sent {
        *place = Some(bounded_line(sent).into_owned());
    }
}

/// `-61`, `-61 dBm`; 0 is what a board without a measurement says.
fn parse_rssi(text: &str) -> Option<f64> {
    let number = text.trim().trim_end_matches("dBm").trim_end();
    let dbm = number.parse().ok()?;
    (-150.0..0.0).contains(&dbm).then_some(dbm)
}

/// A header value of a client, cut to one short line.
pub fn bounded_line(value: &str) -> Cow<'_, str> {
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
