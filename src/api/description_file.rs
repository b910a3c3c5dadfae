//! OpenAPI file of a vendor, read at run time: the operations that sources name, as compiled-in ones are.
//!
//! Runs on the main thread, while the configuration is read. What is too large for a service is
//! taken from its lowered form. Must not open the network.

use std::fmt;
use std::path::{Path, PathBuf};

use openapi::compact::{self, CompactApi, Description};
use openapi::lower::candidates::{Candidates, Wanted};
use openapi::lower::limits::Limits;
use openapi::lower::lower;
use openapi::lower::report::Report;
use openapi::lower::spec::{Failure, Spec};
use openapi::operation::Api;

use super::lowered_form::{self, LoweredForm};
use crate::domain::text::format_bytes;
use crate::limits;
use crate::sys::memory::affordable_bytes;
use crate::sys::sync::Mutex;

/// What OpenAPI files are read for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ApiFileUse {
    /// `serve`: within little memory, so that a larger file needs its lowered form. An API whose file
    /// cannot be used costs its sources alone.
    Service,
    /// A reload of the service: the same, but a file that cannot be used is a problem.
    Reload,
    /// A command, which may take more memory; a file that cannot be used is a problem.
    #[default]
    Command,
}

/// The file of one API.
#[derive(Debug, Clone, Copy)]
pub struct DescriptionFile<'a> {
    pub name: &'a str,
    pub path: &'a Path,
    /// Where its lowered form is, or goes.
    pub lowered_form: &'a Path,
}

/// What was read of it.
#[derive(Debug)]
pub struct LoadedApi {
    /// With the operations that were asked for.
    pub api: &'static Api,
    /// The names of all that could be asked for, for messages.
    pub names: Vec<String>,
    /// Those that were asked for and cannot be called: names, each with the reason.
    pub refused: Vec<(String, String)>,
    /// What a service needs beside its database: the file is too large for it.
    pub lowered_form: Option<LoweredForm>,
    /// Every file that was read; none of a lowered form.
    pub files: Vec<PathBuf>,
    /// Whether it was read from a lowered form, which knows only the operations that sources named.
    pub is_lowered_form: bool,
}

/// Why a file gives no operations: a sentence with its place and what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable(pub String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl DescriptionFile<'_> {
    /// Reads the operations with these names (`operationId`, `GET /path`); names of other APIs are
    /// left out. What is read stays for the life of the process.
    pub fn read(&self, wanted: &[String], usage: ApiFileUse) -> Result<LoadedApi, Unusable> {
        let failure = match self.lower(wanted, service_limits()) {
            Ok(lowered) => return lowered.load(self),
            Err(failure) => failure,
        };
        if !failure.is_over_limit {
            return Err(Unusable(failure.text));
        }
        match usage {
            ApiFileUse::Service | ApiFileUse::Reload => self.read_lowered_form(),
            ApiFileUse::Command => {
                let lowered = self.lower(wanted, command_limits());
                let lowered = lowered.map_err(|failure| Unusable(failure.text))?;
                let text = lowered.text.clone();
                let loaded = lowered.load(self)?;
                let form = LoweredForm::new(self.lowered_form, &loaded.files, &text);
                let form = form.map_err(Unusable)?;
                Ok(LoadedApi {
                    lowered_form: Some(form),
                    ..loaded
                })
            }
        }
    }

    fn read_lowered_form(&self) -> Result<LoadedApi, Unusable> {
        let text = lowered_form::read(self.lowered_form).map_err(|problem| {
            Unusable(format!(
                "{} is too large to be read by the service itself, and {problem}",
                self.path.display()
            ))
        })?;
        let api = self.load(text)?;
        Ok(LoadedApi {
            api,
            names: api.operations.iter().map(|it| it.id.clone()).collect(),
            refused: Vec::new(),
            lowered_form: None,
            files: Vec::new(),
            is_lowered_form: true,
        })
    }

    fn lower(&self, wanted: &[String], limits: Limits) -> Result<Lowered, Failure> {
        let spec = Spec::load(self.path, limits)?;
        let mut report = Report::default();
        let candidates = Candidates::find(&spec, &mut report);
        let mut chosen = Vec::new();
        let mut refused = Vec::new();
        for name in wanted.iter().filter(|name| candidates.knows(name)) {
            match candidates.check_name(&spec, name) {
                Ok(()) => chosen.push(name.clone()),
                Err(failure) => refused.push((name.clone(), failure.text)),
            }
        }
        let names = candidates.ids().map(str::to_owned).collect();
        drop(candidates);
        let (description, report) = if chosen.is_empty() {
            (self.without_operations(), Report::default())
        } else {
            lower(&spec, self.name, &Wanted::Named(chosen.clone()))?
        };
        for skipped in &report.skipped {
            let text = format!(
                "{}: {} cannot be called: {}",
                skipped.place, skipped.id, skipped.reason
            );
            let is_meant = |name: &&String| skipped.is_named(name);
            let meant = chosen.iter().filter(is_meant);
            refused.extend(meant.map(|name| (name.clone(), text.clone())));
        }
        Ok(Lowered {
            text: compact::write(&description),
            names,
            refused,
            files: spec.files().map(Path::to_path_buf).collect(),
        })
    }

    fn without_operations(&self) -> Description {
        let api = Api {
            name: self.name.to_owned(),
            source_file: self.path.display().to_string(),
            ..Api::default()
        };
        Description {
            api,
            ..Description::default()
        }
    }

    /// The operations of a compact text, for the life of the process. Reloads that are refused read the
    /// same files again and again, so equal texts are kept once.
    fn load(&self, text: String) -> Result<&'static Api, Unusable> {
        static KEPT: Mutex<Vec<(&str, &CompactApi)>> = Mutex::new(Vec::new());
        let mut kept = KEPT.lock();
        let bytes: usize = kept.iter().map(|it| it.0.len()).sum();
        let api = match kept.iter().find(|it| it.0 == text) {
            Some((_, api)) => *api,
            None if bytes + text.len() > limits::API_TEXT_BYTES => {
                return Err(Unusable(format!(
                    "{}: the operations that sources name take {}, and {} of at most {} are in use by other \
                     OpenAPI files and by earlier reloads: name fewer operations, or begin anew with \
                     `systemctl restart main-node`",
                    self.path.display(),
                    format_bytes(text.len() as u64),
                    format_bytes(bytes as u64),
                    format_bytes(limits::API_TEXT_BYTES as u64),
                )));
            }
            None => {
                let text: &'static str = String::leak(text);
                let api: &'static CompactApi = Box::leak(Box::new(CompactApi::plain(text)));
                kept.push((text, api));
                api
            }
        };
        api.read().map_err(|problem| {
            Unusable(format!(
                "{}: its operations cannot be read back ({problem}): report this file",
                self.path.display()
            ))
        })
    }
}

/// A file's operations in their compact form.
struct Lowered {
    text: String,
    names: Vec<String>,
    refused: Vec<(String, String)>,
    /// Every file that was read.
    files: Vec<PathBuf>,
}

impl Lowered {
    fn load(self, file: &DescriptionFile<'_>) -> Result<LoadedApi, Unusable> {
        let api = file.load(self.text)?;
        Ok(LoadedApi {
            api,
            names: self.names,
            refused: self.refused,
            lowered_form: None,
            files: self.files,
            is_lowered_form: false,
        })
    }
}

fn service_limits() -> Limits {
    Limits {
        file_bytes: limits::API_FILE_BYTES,
        // The same wherever it is read, so that `check` finds what the service finds.
        memory_bytes: limits::API_MEMORY_BYTES,
        is_confined: true,
    }
}

/// Of a command run by hand.
pub fn command_limits() -> Limits {
    Limits {
        file_bytes: limits::COMMAND_API_FILE_BYTES,
        memory_bytes: affordable_bytes(limits::COMMAND_API_MEMORY_BYTES),
        is_confined: true,
    }
}
