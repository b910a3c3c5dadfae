//! Many devices (`for`): one source for each entry of a `[[source]]`, named by its key.

use std::ops::Range;
use std::rc::Rc;

use toml::de::DeValue;

use super::{SourceInputs, read_source};
use crate::config::device::Device;
use crate::config::option::is_source_name;
use crate::config::problem::{Remark, Severity};
use crate::config::reader::{PositionedProblem, TableEntry};
use crate::config::types::{KeySpans, SourceConfig, SourceTarget};
use crate::limits;

/// A source of an entry of `[[source]]`, and where its name stands.
pub struct NamedSource {
    pub source: SourceConfig,
    pub keys: KeySpans,
    pub name_span: Range<usize>,
}

/// The sources of one `[[source]]`: one without `for`, else one for each device.
pub fn read_entry(entry: &TableEntry<'_>, inputs: SourceInputs<'_>) -> Vec<NamedSource> {
    let Some(mut table) = entry.table("[[source]]") else {
        return Vec::new();
    };
    let Some(list) = table.get("for") else {
        let found = read_source(table, inputs);
        let named = found.map(|(source, keys)| NamedSource {
            source,
            keys,
            name_span: entry.span(),
        });
        return named.into_iter().collect();
    };
    if let Some(follow) = table.get("follow") {
        follow.problem("`for` belongs to `url` or `operation`: write one [[source]] for each node");
        return Vec::new();
    }
    if !matches!(list.value(), DeValue::Table(_)) {
        list.expected("a table such as { plug1 = \"192.168.1.20\", plug2 = \"192.168.1.21\" }");
        return Vec::new();
    }
    let devices = read_devices(&list);
    if let Some(prefix) = table.get("prefix") {
        check_prefix(&prefix, devices.len());
    }
    read_each(entry, &list, &devices, inputs)
}

fn check_prefix(prefix: &TableEntry<'_>, devices: usize) {
    let text = prefix.value().as_str().unwrap_or_default();
    if text.contains("{device}") {
        prefix.problem(
            "`prefix` has no {device}: remove it, and each device has its name and a dot as prefix",
        );
    } else if devices > 1 {
        prefix.remark(
            Severity::Note,
            "all devices of `for` have this prefix, and so the same keys: without it each has its \
             name as prefix",
        );
    }
}

fn read_devices(list: &TableEntry<'_>) -> Vec<(Rc<Device>, Range<usize>)> {
    let entries = list.entries();
    if entries.is_empty() {
        list.problem("`for` has no entry: write for = { NAME = \"ADDRESS\", … }");
    }
    if entries.len() > limits::DEVICES_PER_SOURCE {
        let (most, found) = (limits::DEVICES_PER_SOURCE, entries.len());
        list.problem(format!(
            "expected at most {most} devices, found {found}: write a second [[source]]"
        ));
        return Vec::new();
    }
    let mut devices = Vec::new();
    for entry in entries {
        let name = entry.key().to_owned();
        if !is_source_name(&name) {
            let message = format!(
                "expected a name of 1 to 40 letters, digits, spaces or -_., found {name:?}"
            );
            list.reader().problem(&entry.key_span(), message);
        } else if let Some(value) = entry.text_as("a text in quotes") {
            devices.push((Rc::new(Device::new(name, value)), entry.key_span()));
        }
    }
    devices
}

/// Reads the source once for each device. What is wrong with all of them is reported once,
/// what is wrong with some names the device.
fn read_each(
    entry: &TableEntry<'_>,
    list: &TableEntry<'_>,
    devices: &[(Rc<Device>, Range<usize>)],
    inputs: SourceInputs<'_>,
) -> Vec<NamedSource> {
    let reader = list.reader();
    let mut sources = Vec::new();
    let mut problems: Vec<(&str, Vec<PositionedProblem>)> = Vec::new();
    let mut remarks: Vec<Remark> = reader.take_remarks();
    for (device, span) in devices {
        let before = reader.take_problems();
        let table = entry.table("[[source]]").map(|it| it.with_device(device));
        let found = table.and_then(|table| read_source(table, inputs));
        problems.push((&device.name, reader.take_problems()));
        reader.put_back_problems(before);
        for remark in reader.take_remarks() {
            if !remarks.contains(&remark) {
                remarks.push(remark);
            }
        }
        if let Some((mut source, keys)) = found {
            source.location = reader.location(span);
            let name_span = span.clone();
            sources.push(NamedSource {
                source,
                keys,
                name_span,
            });
        }
    }
    reader.put_back_remarks(remarks);
    let is_fine = problems.iter().all(|(_, found)| found.is_empty());
    // Of a source whose OpenAPI file gives no operation, not every option was looked at.
    let is_known = |it: &NamedSource| !matches!(it.source.target, SourceTarget::Unavailable { .. });
    let is_complete = sources.len() == devices.len() && sources.iter().all(is_known);
    if is_fine && is_complete && devices.iter().any(|(device, _)| !device.is_used()) {
        reader.problem(
            &list.key_span(),
            "no {device} in `url`, `base_url`, `params`, `headers` or `body`: all devices would be \
             asked the same; write it where they differ, such as url = \"http://{device}/status\"",
        );
    }
    let is_only = list.entries().len() == 1;
    report(list, &problems, is_only);
    sources
}

fn report(list: &TableEntry<'_>, problems: &[(&str, Vec<PositionedProblem>)], names_device: bool) {
    let mut common: Vec<&PositionedProblem> = Vec::new();
    for (name, found) in problems {
        for problem in found {
            let is_common =
                !names_device && problems.iter().all(|(_, other)| other.contains(problem));
            let (start, message) = (problem.start, &problem.message);
            if !is_common {
                let message = format!("for the device {name:?}: {message}");
                list.reader().problem(&(start..start), message);
            } else if !common.contains(&problem) {
                common.push(problem);
                list.reader().problem(&(start..start), message.clone());
            }
        }
    }
}
