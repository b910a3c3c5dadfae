//! OpenAPI files of the configuration (`[[api]]`), and every API that a source may name: those and
//! the compiled-in ones.

use std::path::{Path, PathBuf};

use openapi::operation::{Api, Operation, nearest};

use super::option::is_source_name;
use super::problem::Severity;
use super::reader::{TableEntry, TableReader};
use super::section::{ConfigOption, path, print_options, read_options, text};
use crate::api::description_file::{ApiFileUse, DescriptionFile, LoadedApi};
use crate::api::lowered_form::LoweredForm;
use crate::domain::toml_text::{quoted, quoted_value};

/// One `[[api]]`.
#[derive(Debug, Clone, Default)]
pub struct ApiFile {
    pub name: String,
    pub file: PathBuf,
    /// Every file that it was read from.
    pub files: Vec<PathBuf>,
    /// What the service needs beside its database, where the file is too large for it.
    pub lowered_form: Option<LoweredForm>,
}

type ApiOption = ConfigOption<ApiFile>;

pub static OPTIONS: [ApiOption; 2] = [
    ApiOption::new(
        "name",
        "text",
        "required",
        "\"evcc\"",
        "What sources call this API: `api = \"evcc\"`.",
        |api: &mut ApiFile, option| {
            api.name = option.text().unwrap_or_default();
        },
        |api: &ApiFile| text(&api.name),
    ),
    ApiOption::new(
        "file",
        "path",
        "required",
        "\"evcc.yaml\"",
        "The OpenAPI file: OpenAPI 3 or Swagger 2.0, in YAML or JSON, with the `.yaml`, `.yml` and `.json` files in its directory, or below that, that it refers to. The service must be able to read it. `main-node operations FILE` lists what it offers.",
        |api: &mut ApiFile, option| {
            api.file = option.path().unwrap_or_default();
        },
        |api: &ApiFile| path(&api.file),
    ),
];

pub fn print_apis(out: &mut String, apis: &[ApiFile]) {
    for api in apis {
        out.push_str("\n[[api]]\n");
        print_options(out, &OPTIONS, api);
    }
}

/// Every API that a source may name.
pub struct Apis<'a> {
    compiled_in: &'a [&'static Api],
    files: Vec<FileApi>,
    usage: ApiFileUse,
}

/// An API of a file.
struct FileApi {
    name: String,
    file: PathBuf,
    /// `Err` says why none of its operations can be used.
    loaded: Result<LoadedApi, String>,
}

impl<'a> Apis<'a> {
    /// Reads `[[api]]` and the operations of the files that sources name. `database` is what their
    /// lowered forms are beside.
    pub fn read(
        root: &mut TableReader<'_>,
        compiled_in: &'a [&'static Api],
        usage: ApiFileUse,
        (directory, database): (&Path, &Path),
    ) -> (Apis<'a>, Vec<ApiFile>) {
        let mut apis = Apis {
            compiled_in,
            files: Vec::new(),
            usage,
        };
        let mut read: Vec<ApiFile> = Vec::new();
        for entry in root.get("api").iter().flat_map(TableEntry::tables) {
            let Some(mut api) = read_api(&entry, directory) else {
                continue;
            };
            if apis.names().any(|name| name == api.name) {
                entry.problem(format!(
                    "there is another API called {}: give this one another name",
                    quoted(&api.name)
                ));
                continue;
            }
            let wanted = wanted_operations(root, &api.name);
            let loaded = load(&api, &wanted, usage, database);
            if let Ok(loaded) = &loaded {
                api.lowered_form.clone_from(&loaded.lowered_form);
                api.files.clone_from(&loaded.files);
            }
            if let Err(problem) = &loaded {
                match usage {
                    ApiFileUse::Service => entry.remark(Severity::Problem, problem),
                    ApiFileUse::Reload | ApiFileUse::Command => entry.problem(problem),
                }
            }
            apis.files.push(FileApi {
                name: api.name.clone(),
                file: api.file.clone(),
                loaded,
            });
            read.push(api);
        }
        (apis, read)
    }

    /// The operation that a source names. Problems are reported.
    pub fn find(
        &self,
        item: &TableEntry<'_>,
        api: Option<&TableEntry<'_>>,
    ) -> Option<&'static Operation> {
        let name = item.text()?;
        let wanted = match api {
            None => None,
            Some(api) => {
                let wanted = api.text()?;
                if !self.names().any(|known| known == wanted) {
                    let known: Vec<&str> = self.names().collect();
                    api.expected(&format!("one of the APIs: {}", known.join(", ")));
                    return None;
                }
                Some(wanted)
            }
        };
        let is_wanted = |known: &str| wanted.as_ref().is_none_or(|name| known == name);
        let operations = || {
            let apis = self.loaded().filter(|api| is_wanted(&api.name));
            apis.flat_map(|api| &api.operations)
        };
        let found: Vec<&'static Operation> = operations().filter(|it| it.is_named(&name)).collect();
        match found.as_slice() {
            [one] => return Some(*one),
            [] => {}
            several => {
                let names: Vec<&str> = several.iter().map(|it| it.api.as_str()).collect();
                item.problem(format!(
                    "several APIs have an operation {name:?}: say which with api = \"…\" ({})",
                    names.join(", ")
                ));
                return None;
            }
        }
        self.report_unknown(item, &name, wanted.as_deref());
        None
    }

    /// Says why no API has the operation: the one `wanted`, or any.
    fn report_unknown(&self, item: &TableEntry<'_>, name: &str, wanted: Option<&str>) {
        let is_wanted = |known: &str| wanted.is_none_or(|name| known == name);
        let files = || self.files.iter().filter(|file| is_wanted(&file.name));
        for file in files() {
            match &file.loaded {
                Ok(loaded) => {
                    if let Some((_, reason)) = loaded.refused.iter().find(|it| it.0 == name) {
                        item.problem(reason.clone());
                        return;
                    }
                }
                // Reported already, at its table.
                Err(_) if self.usage != ApiFileUse::Service => return,
                Err(problem) => {
                    item.problem(problem.clone());
                    return;
                }
            }
        }
        let too_large = |file: &&FileApi| file.loaded.as_ref().is_ok_and(|it| it.is_lowered_form);
        let hint = match files().find(too_large) {
            Some(file) => format!(
                "{} is too large for the service, so run {COMMAND}, which prepares what sources name",
                file.file.display()
            ),
            None => self.nearest_operation(name, wanted),
        };
        item.problem(format!("there is no operation {name:?}; {hint}"));
    }

    /// A name that may have been meant, or where the names are listed.
    fn nearest_operation(&self, name: &str, wanted: Option<&str>) -> String {
        let is_wanted = |known: &str| wanted.is_none_or(|name| known == name);
        let files = || self.files.iter().filter(|file| is_wanted(&file.name));
        let of_files = files().filter_map(|it| it.loaded.as_ref().ok());
        let of_files = of_files.flat_map(|it| it.names.iter().map(String::as_str));
        let compiled_in = self.compiled_in.iter().filter(|api| is_wanted(&api.name));
        let compiled_in =
            compiled_in.flat_map(|api| api.operations.iter().map(|it| it.id.as_str()));
        if let Some(near) = nearest(name, compiled_in.chain(of_files)) {
            return format!("did you mean {}?", quoted_value(near));
        }
        let files: Vec<String> = files().map(|it| it.file.display().to_string()).collect();
        match files.as_slice() {
            [] => "`main-node operations` lists what is compiled in".to_owned(),
            [file] => format!("`main-node operations {file}` lists what there is"),
            files => format!(
                "`main-node operations FILE` lists what there is in each: {}",
                files.join(", ")
            ),
        }
    }

    /// Whether what a file says can cost a source, and not the node: the service is starting, and the
    /// source names an operation of a file.
    pub fn can_refuse(&self, source: &mut TableReader<'_>) -> bool {
        if self.usage != ApiFileUse::Service || self.files.is_empty() {
            return false;
        }
        let written = |entry: Option<TableEntry<'_>>| Some(entry?.value().as_str()?.to_owned());
        let Some(name) = written(source.get("operation")) else {
            return false;
        };
        match written(source.get("api")) {
            Some(api) => self.files.iter().any(|it| it.name == api),
            None => {
                let mut operations = self.compiled_in.iter().flat_map(|it| &it.operations);
                !operations.any(|it| it.is_named(&name))
            }
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let compiled_in = self.compiled_in.iter().map(|it| it.name.as_str());
        compiled_in.chain(self.files.iter().map(|it| it.name.as_str()))
    }

    fn loaded(&self) -> impl Iterator<Item = &'static Api> {
        let of_files = self.files.iter();
        let of_files = of_files.filter_map(|it| Some(it.loaded.as_ref().ok()?.api));
        self.compiled_in.iter().copied().chain(of_files)
    }
}

/// What prepares a file that is too large for the service.
const COMMAND: &str = "`main-node check` and then `systemctl reload main-node`";

fn read_api(entry: &TableEntry<'_>, directory: &Path) -> Option<ApiFile> {
    let mut table = entry.table("[[api]]")?;
    let mut api = ApiFile::default();
    read_options(&OPTIONS, &mut table, directory, &mut api);
    let mut is_complete = true;
    for option in ["name", "file"] {
        if table.get(option).is_none() {
            table.problem(format!(
                "an [[api]] needs a {option}: name = \"evcc\", file = \"evcc.yaml\""
            ));
            is_complete = false;
        }
    }
    if let Some(name) = table.get("name")
        && !api.name.is_empty()
        && !is_file_name(&api.name)
    {
        name.expected("a name of letters, digits, - and _");
        is_complete = false;
    }
    table.finish();
    (is_complete && !api.name.is_empty() && api.file != Path::new("")).then_some(api)
}

/// Its lowered form is named by it.
fn is_file_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    is_source_name(name) && name.chars().all(is_allowed)
}

/// The operations that sources name and that this API may have. Problems are reported where sources
/// are read.
fn wanted_operations(root: &mut TableReader<'_>, api: &str) -> Vec<String> {
    let reader = root.reader();
    let earlier = reader.take_problems();
    let mut wanted: Vec<String> = Vec::new();
    let sources = root.get("source");
    for source in sources.iter().flat_map(TableEntry::tables) {
        let Some(mut source) = source.table("[[source]]") else {
            continue;
        };
        let named = source.get("api").and_then(|it| it.text());
        let operation = source.get("operation").and_then(|it| it.text());
        if let Some(operation) = operation
            && named.is_none_or(|named| named == api)
            && !wanted.contains(&operation)
        {
            wanted.push(operation);
        }
    }
    reader.take_problems();
    reader.put_back_problems(earlier);
    wanted
}

fn load(
    api: &ApiFile,
    wanted: &[String],
    usage: ApiFileUse,
    database: &Path,
) -> Result<LoadedApi, String> {
    let lowered_form = database.with_extension(format!("api-{}.jsonl", api.name));
    let file = DescriptionFile {
        name: &api.name,
        path: &api.file,
        lowered_form: &lowered_form,
    };
    file.read(wanted, usage).map_err(|problem| match usage {
        ApiFileUse::Service | ApiFileUse::Reload => format!("{problem}: run {COMMAND}"),
        ApiFileUse::Command => problem.to_string(),
    })
}

#[cfg(test)]
#[path = "tests/api_files.rs"]
mod tests;
