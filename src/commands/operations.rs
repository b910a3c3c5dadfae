//! `main-node operations`: lists the operations of a vendor's OpenAPI file, or the compiled-in ones,
//! each ready to paste as `[[source]]`.

mod configured;
mod credentials;
mod describe;
mod file;
mod source_table;

use std::fmt;
use std::path::Path;

use openapi::lower::names::Scope;
use openapi::operation::{Api, Operation};

use self::configured::Configured;
pub use self::credentials::variable as variable_name;
use self::describe::{comment, describe};
pub use self::source_table::{BASE_URL, source_table};
use super::{FAILED, USAGE_ERROR, installed_service, print_out, switch_to_owner};
use crate::api::client::APIS;
use crate::config::environment::Environment;
use crate::config::example::source_name;
use crate::config::{self, Overrides};

/// Endings of OpenAPI files.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// Lists the operations of the file that `words` name, or else the compiled-in ones.
pub fn operations(overrides: &Overrides, words: &[String]) -> u8 {
    let is_known = |word: &str| {
        let mut known = APIS.iter().flat_map(|api| &api.operations);
        known.any(|it| has_words(it, &[word.to_lowercase()]))
    };
    let split = split_file(words, &|word| Path::new(word).is_file(), &is_known);
    let configured = || Configured::read(overrides);
    match split {
        Ok((None, words)) => print_out(&format_args!(
            "{}{}",
            list(&APIS, &words),
            configured().comments()
        )),
        Ok((Some(file), words)) => {
            let configured = configured();
            match file::print(file, &words, &configured) {
                0 if configured.api_of(Path::new(file)).is_some() => {
                    write_lowered_form(overrides, file)
                }
                status => status,
            }
        }
        Err(problem) => {
            eprintln!("{problem}");
            USAGE_ERROR
        }
    }
}

/// Writes what the service needs of a file that is too large for it. A configuration with problems
/// changes nothing here: `check` reports them.
fn write_lowered_form(overrides: &Overrides, file: &str) -> u8 {
    let environment = Environment::of_process().with_service(installed_service(overrides));
    let Ok(config) = config::load(overrides, environment, &APIS) else {
        return 0;
    };
    let file = Path::new(file).canonicalize().ok();
    let mut apis = config.apis.iter();
    let api = apis.find(|api| api.file.canonicalize().ok() == file);
    let Some(form) = api.and_then(|api| api.lowered_form.as_ref()) else {
        return 0;
    };
    switch_to_owner(&config.database);
    match form.write() {
        Ok(()) => {
            eprintln!("{}", form.written());
            0
        }
        Err(problem) => {
            eprintln!("{problem}");
            FAILED
        }
    }
}

/// The OpenAPI file among the arguments, if one is, and the words to filter by: a path in an
/// address, such as `/v1/forecast`, is a word where no file has that name.
fn split_file<'a>(
    words: &'a [String],
    is_there: &dyn Fn(&str) -> bool,
    is_known: &dyn Fn(&str) -> bool,
) -> Result<(Option<&'a str>, Vec<String>), String> {
    let has_ending = |word: &str| {
        let ending = Path::new(word).extension().and_then(|it| it.to_str());
        ending.is_some_and(|it| ENDINGS.iter().any(|known| it.eq_ignore_ascii_case(known)))
    };
    let has_slash = |word: &str| word.contains('/');
    let is_file =
        |word: &str| has_ending(word) || (has_slash(word) && (is_there(word) || !is_known(word)));
    let Some(at) = words.iter().position(|word| is_file(word)) else {
        return Ok((None, words.to_vec()));
    };
    let file = words[at].as_str();
    let mut others = words.to_vec();
    others.remove(at);
    let is_second = |word: &&String| (has_ending(word) || has_slash(word)) && is_there(word);
    match others.iter().find(is_second) {
        Some(second) => Err(format!(
            "expected one OpenAPI file, found {file} and {second}: run the command for each"
        )),
        None => Ok((Some(file), others)),
    }
}

/// Whether an operation has all of these words, in lower case, in its id, path or summary.
fn has_words(operation: &Operation, words: &[String]) -> bool {
    let text = format!(
        "{} {} {} {}",
        operation.api, operation.id, operation.path, operation.summary
    );
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word))
}

fn lower_case(words: &[String]) -> Vec<String> {
    words.iter().map(|word| word.to_lowercase()).collect()
}

/// The compiled-in operations that have all `words` in their id, path or summary.
pub fn list<'a>(apis: &'a [&'static Api], words: &'a [String]) -> CompiledIn<'a> {
    CompiledIn { apis, words }
}

/// The list of compiled-in operations, made while it is written.
pub struct CompiledIn<'a> {
    apis: &'a [&'static Api],
    words: &'a [String],
}

impl fmt::Display for CompiledIn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = lower_case(self.words);
        let mut names = SourceNames::default();
        let mut count = 0;
        for api in self.apis {
            let wanted = || api.operations.iter().filter(|it| has_words(it, &words));
            let found = wanted().count();
            count += found;
            if found == 0 {
                continue;
            }
            let (title, version, file) = (&api.title, &api.version, &api.source_file);
            let all = api.operations.len();
            let heading = format!("{title} {version} ({file}): {found} of {all} operations");
            writeln!(f, "{}", comment(&heading))?;
            let several = self.apis.len() > 1;
            for operation in wanted() {
                f.write_str(&describe(operation, several, &names.name(operation)))?;
            }
        }
        if count == 0 {
            let all: usize = self.apis.iter().map(|api| api.operations.len()).sum();
            f.write_str(&comment(&format!(
                "none of the {all} compiled-in operations has {:?} in its id, path or summary",
                self.words.join(" ")
            )))?;
        }
        Ok(())
    }
}

/// Names of the sources of one list: each its own, so that all of them can be pasted.
#[derive(Default)]
struct SourceNames(Scope);

impl SourceNames {
    fn name(&mut self, operation: &Operation) -> String {
        self.0.unique(source_name(&operation.id))
    }
}

#[cfg(test)]
#[path = "operations/tests/operations.rs"]
mod tests;
