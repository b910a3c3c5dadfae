//! `main-node operations FILE`: every operation of a vendor's OpenAPI file that a source may name,
//! ready to paste with the file's `[[api]]`, and what was skipped and why.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use openapi::compact::{self, CompactApi};
use openapi::lower::candidates::Wanted;
use openapi::lower::names::Scope;
use openapi::lower::report::Report;
use openapi::lower::spec::{Failure, Spec};
use openapi::lower::{lower, module_name};
use openapi::operation::{Api, Method};

use super::configured::Configured;
use super::describe::{comment, describe};
use super::{SourceNames, lower_case};
use crate::api::client::APIS;
use crate::api::description_file::command_limits;
use crate::commands::{FAILED, is_hidden_from_service, print_out};
use crate::domain::redact::without_secrets;
use crate::domain::text::{count_noun, escape_controls, format_bytes};
use crate::domain::toml_text::{quoted, quoted_value};
use crate::limits;

/// Bytes of the name of an API.
const NAME_BYTES: usize = 36;
/// Where the configuration of the installed service is.
const INSTALLED: &str = "/etc/main-node";

/// Lists the operations of a file that have all `words` in their id, path or summary.
pub fn print(file: &str, words: &[String], configured: &Configured) -> u8 {
    match FileListing::read(file, words, configured) {
        Ok(listing) => print_out(&listing),
        Err(message) => {
            eprintln!("{}", escape_controls(&message));
            FAILED
        }
    }
}

/// What a file offers, written while it is made.
struct FileListing<'a> {
    file: &'a str,
    words: &'a [String],
    api: &'static Api,
    report: Report,
    configured: &'a Configured,
}

impl<'a> FileListing<'a> {
    fn read(
        file: &'a str,
        words: &'a [String],
        configured: &'a Configured,
    ) -> Result<FileListing<'a>, String> {
        let limits = command_limits();
        let failed = |failure: Failure| describe_failure(&failure, limits.memory_bytes);
        let spec = Spec::load(Path::new(file), limits).map_err(failed)?;
        let known = configured.api_of(Path::new(file));
        let name = match known {
            Some(api) => api.name.clone(),
            None => new_name(&module_name(&spec), configured),
        };
        let wanted = Wanted::Matching(lower_case(words));
        let (description, report) = lower(&spec, &name, &wanted).map_err(failed)?;
        drop(spec);
        let text = compact::write(&description);
        drop(description);
        let api = CompactApi::leak(text).read().map_err(|problem| {
            format!("{file}: its operations cannot be read back ({problem}): report this file")
        })?;
        Ok(FileListing {
            file,
            words,
            api,
            report,
            configured,
        })
    }

    /// All operations that could be listed without words.
    fn all(&self) -> usize {
        self.report.gets() + self.report.posts()
    }

    fn heading(&self) -> String {
        let title = format!("{} {}", self.api.title, self.api.version);
        let place = match title.trim() {
            "" => self.file.to_owned(),
            title => format!("{title} ({})", self.file),
        };
        let listed = self.api.operations.len();
        comment(&format!("{place}: {listed} of {} operations", self.all()))
    }

    /// The servers that are asked where no `base_url` is given: often a demo or a cloud, not the device at home.
    fn servers(&self) -> String {
        let operations = self.api.operations.iter();
        let mut servers: Vec<String> = operations
            .filter_map(|it| it.base_url(None).ok())
            .map(|url| without_secrets(&url))
            .collect();
        servers.sort_unstable();
        servers.dedup();
        match servers.as_slice() {
            [] => String::new(),
            [first, others @ ..] => {
                let more = match others.len() {
                    0 => String::new(),
                    count => format!(" and {}", count_noun(count, "other")),
                };
                comment(&format!(
                    "The file names the server {first}{more}: for your own, add base_url = \"http://…\" to the [[source]]."
                ))
            }
        }
    }

    /// The `[[api]]`, or where it is already.
    fn api_table(&self) -> String {
        let configuration = self.configured.shown();
        if let Some(api) = self.configured.api_of(Path::new(self.file)) {
            return comment(&format!(
                "{configuration} has this file as [[api]] {}: paste the [[source]] tables that you want.",
                quoted(&api.name)
            )) + "\n";
        }
        let spelled = self.configured.spelled(Path::new(self.file));
        let mut text = comment(&format!(
            "Paste [[api]] once into {configuration}, and the [[source]] tables that you want."
        ));
        if is_hidden(&spelled, &configuration) {
            text += &comment(&format!(
                "The service cannot read {spelled}: copy it, with the files that it refers to, to {INSTALLED} \
                 and list it there."
            ));
        }
        text + &format!(
            "\n[[api]]\nname = {}\nfile = {}\n\n",
            quoted_value(&self.api.name),
            quoted_value(&spelled)
        )
    }

    fn write_operations(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compiled_in = APIS.iter().flat_map(|api| &api.operations);
        let others: HashSet<&str> = compiled_in.map(|it| it.id.as_str()).collect();
        let mut configured = self.configured.apis.iter();
        let has_others = configured.any(|it| it.name != self.api.name);
        let mut names = SourceNames::default();
        let mut is_first_post = true;
        for operation in &self.api.operations {
            let name_api = has_others || others.contains(operation.id.as_str());
            let text = describe(operation, name_api, &names.name(operation));
            if operation.method == Method::Get {
                f.write_str(&text)?;
                continue;
            }
            if is_first_post {
                is_first_post = false;
                f.write_str(POSTS)?;
            }
            f.write_str(&commented_out(&text))?;
        }
        Ok(())
    }

    /// What is not in the list, and the last line.
    fn write_report(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.report.skipped_lines().chain(self.report.note_lines()) {
            f.write_str(&comment(&line))?;
        }
        f.write_str(&comment(&format!("{}: {}", self.file, self.summary())))
    }

    fn summary(&self) -> String {
        let report = &self.report;
        let mut parts = vec![format!(
            "{} of {} listed",
            report.count(Method::Get),
            count_noun(report.gets(), "GET")
        )];
        if report.posts() > 0 {
            parts.push(format!(
                "{} of {} listed, commented out",
                report.count(Method::Post),
                count_noun(report.posts(), "POST")
            ));
        }
        if !report.skipped.is_empty() {
            parts.push(format!("{} skipped", report.skipped.len()));
        }
        if report.other_methods > 0 {
            let count = count_noun(report.other_methods, "operation");
            parts.push(format!(
                "{count} with PUT, DELETE and the like, which are never sent"
            ));
        }
        if !report.notes.is_empty() {
            parts.push(count_noun(report.notes.len(), "note"));
        }
        parts.join("; ")
    }
}

impl fmt::Display for FileListing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_empty = self.api.operations.is_empty();
        if is_empty && self.report.skipped.is_empty() && !self.words.is_empty() {
            return f.write_str(&comment(&format!(
                "none of the {} operations of {} has {:?} in its id, path or summary",
                self.all(),
                self.file,
                self.words.join(" ")
            )));
        }
        f.write_str(&self.heading())?;
        if !is_empty {
            f.write_str(&self.servers())?;
            f.write_str(&self.api_table())?;
        }
        self.write_operations(f)?;
        self.write_report(f)
    }
}

const POSTS: &str = "\
# POST operations. main-node sends a POST only because a [[source]] names it, and only you know which of
# these just read, such as a search: take the # away in front of those that you want.

";

/// The lines of a table as comments: a pasted list must not send what changes something.
fn commented_out(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    for line in text.lines() {
        if !line.is_empty() && !line.starts_with('#') {
            out.push('#');
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// A name for `[[api]]` that nothing else has.
fn new_name(module: &str, configured: &Configured) -> String {
    let cut = &module[..module.len().min(NAME_BYTES)];
    let compiled_in = APIS.iter().map(|api| api.name.as_str());
    let configured = configured.apis.iter().map(|api| api.name.as_str());
    let taken: Vec<&str> = compiled_in.chain(configured).collect();
    Scope::without(&taken).unique(cut.trim_end_matches('_').to_owned())
}

/// Whether the installed service does not see a file.
fn is_hidden(spelled: &str, configuration: &str) -> bool {
    Path::new(configuration).starts_with(INSTALLED) && is_hidden_from_service(Path::new(spelled))
}

fn describe_failure(failure: &Failure, memory_bytes: usize) -> String {
    let text = &failure.text;
    if failure.is_over_limit && memory_bytes < limits::COMMAND_API_MEMORY_BYTES {
        return format!(
            "{text}; this machine has {} for it: where more memory is free, more can be read",
            format_bytes(memory_bytes as u64)
        );
    }
    text.clone()
}

#[cfg(test)]
#[path = "tests/file.rs"]
mod tests;
