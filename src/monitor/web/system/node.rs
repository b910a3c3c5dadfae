//! The node itself: version, time, storage and machine.

use maud::{Markup, html};

use crate::domain::health::{BackupState, MaintenanceStatus};
use crate::domain::text::{capitalised, format_bytes, human_duration};
use crate::domain::time::ClockTrust;
use crate::monitor::format::{format_local, sanitize};
use crate::monitor::web::PageContext;
use crate::monitor::web::layout::past_time;
use crate::sys::process;

pub fn node(view: &PageContext) -> Markup {
    let settings = view.settings;
    let uptime = view.now.mono.since(settings.started.mono);
    html! {
        h2 { "Node" }
        dl {
            dt { "Name" } dd { (settings.node_name) }
            dt { "Version" } dd { (settings.version) " (build " ((settings.build)()) ")" }
            dt { "Started" } dd { (past_time(view, settings.started)) " (running for " (human_duration(uptime)) ")" }
            @if let Some(file) = &settings.installation.config_file {
                dt { "Configuration" } dd { (sanitize(&file.display().to_string())) }
            }
            @if let Some(refused) = view.refused_configuration {
                dt { "Not reloaded" }
                dd { (past_time(view, refused.at)) ul { @for problem in &refused.problems { li { (sanitize(problem)) } } } }
            }
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

pub fn storage(view: &PageContext) -> Markup {
    let storage = view.storage;
    html! {
        h2 { "Storage" }
        dl {
            dt { "State" }
            dd { @match &storage.trouble { Some(trouble) => (sanitize(trouble)), None => "OK" } }
            @if let Some(volatile) = &storage.volatile {
                dt { "Not kept" } dd { (sanitize(volatile)) }
            }
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
            @if let Some(backup) = &storage.backup { (backups(view, backup)) }
            dt { "Written since start" } dd { (format_bytes(storage.written_bytes)) }
            dt { "Records stored since start" } dd { (storage.rows_stored) }
            dt { "Waiting to be stored" } dd { (storage.rows_waiting) }
            @if let Some(task) = &storage.maintenance {
                dt { (capitalised(&task.task)) }
                dd { (maintenance(task)) }
            }
            @if storage.rows_lost > 0 {
                dt { "Dropped, because too many were waiting" } dd { (storage.rows_lost) }
            }
        }
    }
}

fn backups(view: &PageContext, backup: &BackupState) -> Markup {
    let local = |wall| format_local(wall, &view.settings.timezone);
    html! {
        dt { "Backups" }
        dd {
            "in " (sanitize(&backup.directory)) ": "
            @match backup.last {
                Some(last) => { "the newest is of " (local(last)) }
                None => "none yet",
            }
            @if let Some(next) = backup.next { ", the next is due " (local(next)) }
            @if let Some(error) = &backup.error { br; (sanitize(error)) }
        }
    }
}

/// How far an import, a rename or a forget has come, or what the last one did.
fn maintenance(task: &MaintenanceStatus) -> String {
    let subject = sanitize(&task.subject);
    let result = &task.result;
    match &task.error {
        Some(error) => format!("{subject}: {}; {result}", sanitize(error)),
        None if task.is_finished => format!("{subject}: {result}"),
        None if task.total > 0 => {
            format!("{subject}: {} of {}; {result}", task.done, task.total)
        }
        None => format!("{subject}: under way; {result}"),
    }
}

pub fn machine() -> Markup {
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

pub fn links(view: &PageContext) -> Markup {
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
