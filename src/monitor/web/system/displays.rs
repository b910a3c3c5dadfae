//! Displays: who polls `/snapshot`.

use maud::{Markup, html};

use crate::domain::text::human_duration;
use crate::monitor::web::PageContext;
use crate::monitor::web::layout::past_time;

pub fn displays(view: &PageContext) -> Markup {
    html! {
        h2 { "Displays" }
        @if view.displays.is_empty() {
            p class="quiet" { "No display has polled " code { "/snapshot" } " since start." }
        } @else {
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
                tbody {
                    @for display in view.displays {
                        tr {
                            th scope="row" {
                                @match (&display.name, display.agent.as_str()) {
                                    (Some(name), _) => (name),
                                    (None, "") => "unnamed",
                                    (None, agent) => (agent),
                                }
                                @if let Some(battery) = &display.battery {
                                    " " span class="quiet" { "battery " (battery) }
                                }
                                @if let Some(rssi) = &display.rssi {
                                    " " span class="quiet" { "RSSI " (rssi) }
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
                            }
                            td data-label="Request" { code { (display.target) } }
                        }
                    }
                }
            }
        }
    }
}
