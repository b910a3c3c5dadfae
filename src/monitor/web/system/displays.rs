//! Displays: who polls `/snapshot` or gets pictures, and devices that are not configured yet.

use maud::{Markup, html};

use crate::domain::text::human_duration;
use crate::limits;
use crate::monitor::context::{DeviceRefusal, Display, RefusedDevice};
use crate::monitor::web::PageContext;
use crate::monitor::web::layout::past_time;

pub fn displays(view: &PageContext) -> Markup {
    html! {
        h2 { "Displays" }
        @if view.displays.is_empty() && view.unseen_displays.is_empty() {
            p class="quiet" { "No display has polled " code { "/snapshot" } " since start." }
        }
        @if !view.displays.is_empty() {
            table {
                thead {
                    tr {
                        th scope="col" { "Display" }
                        th scope="col" { "Address" }
                        th scope="col" { "Last poll" }
                        th scope="col" { "Interval" }
                        th scope="col" { "Request" }
                    }
                }
                tbody { @for display in view.displays { (row(view, display)) } }
            }
        }
        @if !view.unseen_displays.is_empty() {
            p class="quiet" {
                "Not seen since start: "
                @for (at, name) in view.unseen_displays.iter().enumerate() {
                    @if at > 0 { ", " }
                    a href=(view.url(&format!("/display/{name}"))) { (name) }
                }
                "."
            }
        }
        @for device in view.refused_devices.iter().rev() { (refusal(view, device)) }
    }
}

/// A device that was refused, and what to do about it.
fn refusal(view: &PageContext, device: &RefusedDevice) -> Markup {
    let when = past_time(view, device.last);
    let which = html! {
        (device.mac) @if !device.model.is_empty() { " (" (device.model) ")" }
    };
    let pair = |name: &str| -> Markup {
        html! {
            "run " code { "main-node pair " (name) } " and set it up within "
            (human_duration(limits::PAIRING_TIME)) "."
        }
    };
    html! {
        p {
            @match &device.why {
                DeviceRefusal::NotConfigured => {
                    "A TRMNL device asked to be set up " (when) ": " (which)
                    ". To show pictures on it, add to a " code { "[[display]]" } ": "
                    code { "device = \"" (device.mac) "\"" }
                },
                DeviceRefusal::KeyGivenBefore(name) => {
                    "The TRMNL device of " (name) " asked " (when) " for its key, which was given before: "
                    (which) ". If it is yours, " (pair(name))
                },
                DeviceRefusal::WrongKey(name) => {
                    "The TRMNL device of " (name) " came " (when) " with a wrong key or none: " (which)
                    ". If it is yours, set it up again; where a password is set, " (pair(name))
                },
                DeviceRefusal::NoKey(name, why) => {
                    "The TRMNL device of " (name) " asked " (when) " for its key, which cannot be made: "
                    (why) ". " (which)
                },
            }
        }
    }
}

/// Whether a `[[display]]` has this name.
fn has_picture(view: &PageContext, name: &str) -> bool {
    let mut displays = view.plan.pages.displays.iter();
    displays.any(|display| *display.name == *name)
}

/// The size of its picture, where the device says that its panel has another.
fn other_size(
    view: &PageContext,
    display: &Display,
    (width, height): (u16, u16),
) -> Option<(u16, u16)> {
    let name = display.configured.as_deref()?;
    let mut displays = view.plan.pages.displays.iter();
    let panel = displays.find(|it| *it.name == *name)?.panel;
    let picture = (panel.width, panel.height);
    // A device may name its sides as it hangs.
    let is_same = [picture, (panel.height, panel.width)].contains(&(width, height));
    (!is_same).then_some(picture)
}

fn row(view: &PageContext, display: &Display) -> Markup {
    html! {
        tr {
            th scope="row" {
                @match (display.shown_name(), display.agent.as_str()) {
                    (Some(name), _) if has_picture(view, name) => {
                        a href=(view.url(&format!("/display/{name}"))) { (name) }
                    },
                    (Some(name), _) => (name),
                    (None, "") => "unnamed",
                    (None, agent) => (agent),
                }
                @match (display.charge, &display.battery) {
                    (Some(charge), _) => {
                        " " span class="quiet" { "battery " (charge.to_text()) }
                    },
                    (None, Some(battery)) => { " " span class="quiet" { "battery " (battery) } },
                    (None, None) => {},
                }
                @match (display.rssi_dbm, &display.rssi) {
                    (Some(dbm), _) => { " " span class="quiet" { "signal " (dbm) " dBm" } },
                    (None, Some(rssi)) => { " " span class="quiet" { "signal " (rssi) } },
                    (None, None) => {},
                }
                @if let Some((width, height)) = display.size {
                    " " span class="quiet" { (width) " × " (height) " pixels" }
                    @if let Some((width, height)) = other_size(view, display, (width, height)) {
                        " " strong class="label" { "but its picture has " (width) " × " (height) }
                    }
                }
                @if let Some(model) = &display.model {
                    " " span class="quiet" { "model " (model) }
                }
                @if let Some(firmware) = &display.firmware {
                    " " span class="quiet" { "firmware " (firmware) }
                }
            }
            td data-label="Address" { (display.address) }
            td data-label="Last poll" {
                @if display.is_silent(view.now) {
                    strong class="label" { "silent" } " "
                }
                (past_time(view, display.last))
            }
            td data-label="Interval" {
                @match display.interval {
                    Some(interval) if interval.as_secs() == 0 => {
                        "under a second"
                    },
                    Some(interval) => { "every " (human_duration(interval)) },
                    None => "once",
                }
                @if let Some(next) = display.next_poll(view.now) {
                    ", next in " (human_duration(next))
                }
            }
            td data-label="Request" { code { (display.target) } }
        }
    }
}
