//! About page: version, time, storage and machine.

use maud::{Markup, html};

use super::PageContext;
use super::layout::{self, Page, Part, past_time};
use crate::domain::text::{format_bytes, human_duration};
use crate::domain::time::ClockTrust;
use crate::monitor::format::{format_local, sanitize};
use crate::sys::process;

pub fn page(view: &PageContext) -> Page {
    Page {
        title: "About".to_owned(),
        parts: vec![
            layout::status_section(view, "About"),
            Part::live("node", node(view)),
            Part::live("storage", storage(view)),
            Part::live("machine", machine()),
            Part::still("links", links(view)),
        ],
        has_own_heading: false,
    }
}

fn node(view: &PageContext) -> Markup {
    let settings = view.settings;
    let uptime = view.now.mono.since(settings.started.mono);
    html! {
        h2 { "Node" }
        dl {
            dt { "Name" } dd { (settings.node_name) }
            dt { "Version" } dd { (settings.version) " (build " ((settings.build)()) ")" }
            dt { "Started" } dd { (past_time(view, settings.started)) " (running for " (human_duration(uptime)) ")" }
            dt { "Time" } dd { (format_local(view.now.wall, &settings.timezone)) }
            dt { "Clock" }
            dd {
                @match view.now.trust {
                    ClockTrust::Trusted => "synchronised",
                    ClockTrust::Untrusted => "not synchronised since this machine started",
                    ClockTrust::Unknown => "may not be synchronised",
                }
            }
            dt { "Sources" } dd { (view.snapshot.sources.len()) }
            dt { "Records" } dd { (view.snapshot.records.len()) }
        }
    }
}

fn storage(view: &PageContext) -> Markup {
    let storage = view.storage;
    html! {
        h2 { "Storage" }
        dl {
            dt { "State" }
            dd { @match &storage.trouble { Some(trouble) => (sanitize(trouble)), None => "OK" } }
            dt { "Database" } dd { (format_bytes(storage.database_bytes)) }
            @let reach = storage.extent;
            @for (tier, since, rows) in [
                ("Raw values", reach.rows, Some(reach.row_count)),
                ("Hourly rollups", reach.hours, None),
                ("Daily rollups", reach.days, None),
            ] {
                @if let Some(since) = since {
                    dt { (tier) }
                    dd {
                        "since " (format_local(since, &view.settings.timezone))
                        @if let Some(rows) = rows { ", " (rows) " rows" }
                    }
                }
            }
            dt { "Written since start" } dd { (format_bytes(storage.written_bytes)) }
            dt { "Records stored since start" } dd { (storage.rows_stored) }
            dt { "Waiting to be stored" } dd { (storage.rows_waiting) }
            @if storage.rows_lost > 0 {
                dt { "Dropped, because too many were waiting" } dd { (storage.rows_lost) }
            }
        }
    }
}

fn machine() -> Markup {
    let (process, machine) = (process::process_info(), process::machine_info());
    html! {
        h2 { "Machine" }
        dl {
            @if let Some(resident) = process.resident_bytes {
                dt { "Memory used by main-node" } dd { (format_bytes(resident)) }
            }
            @if let Some(cpu) = process.cpu {
                dt { "CPU time since start" } dd { (human_duration(cpu)) }
            }
            @if let Some(threads) = process.threads { dt { "Threads" } dd { (threads) } }
            @if let (Some(all), Some(free)) = (machine.memory_bytes, machine.available_bytes) {
                dt { "Memory of this machine" } dd { (format_bytes(all)) ", " (format_bytes(free)) " available" }
            }
            @if let Some(celsius) = machine.celsius {
                dt { "Temperature" } dd { (format!("{celsius:.0} °C")) }
            }
        }
    }
}

fn links(view: &PageContext) -> Markup {
    html! {
        h2 { "Endpoints" }
        ul {
            li { a href=(view.url("/snapshot")) { "/snapshot" } ": the latest values, for displays" }
            li { a href=(view.url("/status")) { "/status" } ": health of sources, storage, clock and alerts" }
            li { a href=(view.url("/metrics")) { "/metrics" } ": for Prometheus" }
            li { a href=(view.url("/openapi.json")) { "/openapi.json" } ": the OpenAPI description" }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::monitor::http::handler::Handler as _;
    use crate::monitor::support::{self as testing, body, golden, request};

    #[test]
    fn shows_the_node_and_its_storage() {
        let monitor = testing::healthy().app();
        let mut all = String::new();
        // The machine's part differs from machine to machine.
        for part in ["node", "storage", "links"] {
            let response = monitor.render(&request(&format!("/web/about?fragment={part}"), &[]));
            all += body(&response);
        }
        golden("about.html", &all);
        let whole = monitor.render(&request("/web/about", &[]));
        assert!(body(&whole).contains("Memory used by main-node"));
    }
}
