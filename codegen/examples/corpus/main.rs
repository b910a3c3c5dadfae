//! `make corpus`: `cargo run --release -p codegen --example corpus -- DIRECTORY`.
//!
//! Generates every file of a corpus and compares with its oracle. Then it builds all modules
//! together in a scratch crate and runs that: it compares what is compiled in with what is made
//! of the same files at run time (`both_ways`). Prints tables. Exit 0 when the bar holds, 1 when
//! not, 2 when there is no corpus. The scratch crate stays in `target/corpus`.
//!
//! `--without-oracle DIRECTORY` takes any directory of OpenAPI files: those that its
//! `SOURCES.tsv` names, or each that lies in it. Files that are refused are told, not counted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use openapi::command::{Arguments, generate};
use openapi::emit::emit;
use openapi::lower::candidates::{Candidates, Wanted};
use openapi::lower::limits::Limits;
use openapi::lower::lower;
use openapi::lower::report::{Included, Report};
use openapi::lower::spec::Spec;
use openapi::operation::Method;
use scratch::{Module, Scratch};
use serde_json::Value;

mod scratch;

/// Of the oracle's JSON GETs, this much has to be in the table.
const BAR_PERCENT: f64 = 99.0;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(message) => {
            eprintln!("corpus: {message}");
            ExitCode::from(2)
        }
    }
}

struct Row {
    name: String,
    gets: usize,
    oracle_json: usize,
    in_table: usize,
    assumed: usize,
    included: usize,
    skipped: usize,
    seconds: f64,
}

/// What all files of the corpus came to.
#[derive(Default)]
struct Tally {
    /// Then nothing says which GETs there should be: every skipped one is told.
    without_oracle: bool,
    rows: Vec<Row>,
    reasons: Vec<String>,
    failures: Vec<String>,
    refused: Vec<String>,
    /// JSON GETs of files that do not generate count as not reached.
    lost: usize,
}

impl Tally {
    /// Generates one file and compares it with the oracle's GETs; returns what is compiled.
    fn add(&mut self, name: &str, path: &Path, gets: &Value) -> Option<Module> {
        let started = Instant::now();
        let arguments = Arguments {
            files: vec![path.display().to_string()],
            ..Arguments::default()
        };
        let gets = gets.as_array().map_or(&[][..], Vec::as_slice);
        let gets = gets.iter().filter(|get| get["class"] == "json");
        let generated = match generate(&arguments) {
            Ok(generated) => generated,
            Err(failure) => {
                let json = gets.count();
                self.refused.push(format!(
                    "{name}: {failure} (its {json} JSON GETs count as 0)"
                ));
                self.lost += json;
                return None;
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        let report = &generated.reports[0];
        let mut row = Row {
            name: name.to_owned(),
            gets: report.gets(),
            oracle_json: 0,
            in_table: 0,
            assumed: 0,
            included: report.included.len(),
            skipped: report.skipped.len(),
            seconds,
        };
        for get in gets {
            row.oracle_json += 1;
            let path = get["path"].as_str().unwrap_or("");
            let plain = path.split('#').next().unwrap_or("");
            let same = |it: &str| it == path || it == plain;
            if let Some(included) = report.included.iter().find(|it| same(&it.path)) {
                row.in_table += 1;
                row.assumed += usize::from(included.assumed);
            } else if let Some(out) = report.skipped.iter().find(|it| same(&it.path)) {
                let reason = format!("{name}: GET {path}: skipped: {}", out.reason);
                self.reasons.push(reason);
            } else {
                let failure = format!("{name}: GET {path}: neither included nor skipped");
                self.failures.push(failure);
            }
        }
        if self.without_oracle {
            let told = report.skipped.iter().map(|it| {
                let (method, path, reason) = (it.method.name(), &it.path, &it.reason);
                format!("{name}: {method} {path}: skipped: {reason}")
            });
            self.reasons.extend(told);
        }
        self.rows.push(row);
        match every_operation(path, report) {
            Ok(text) => Some(Module {
                name: name.to_owned(),
                path: path.to_owned(),
                text,
            }),
            Err(message) => {
                self.failures.push(format!("{name}: {message}"));
                None
            }
        }
    }
}

/// Generates the GETs and every POST that can be, by their names.
fn every_operation(path: &Path, gets: &Report) -> Result<String, String> {
    let spec = Spec::load(path, Limits::CODEGEN).map_err(|it| it.to_string())?;
    let found = Candidates::find(&spec, &mut Report::default());
    let all = found.gets.into_iter().chain(found.posts);
    let wanted = Wanted::Named(all.map(|it| it.id).collect());
    let (description, report) =
        lower(&spec, &gets.name, &wanted).map_err(|it| format!("with its POSTs: {it}"))?;
    let is_get = |it: &&Included| it.method == Method::Get;
    let ids = |report: &Report| -> Vec<String> {
        let gets = report.included.iter().filter(is_get);
        gets.map(|it| it.id.clone()).collect()
    };
    if ids(&report) != ids(gets) {
        return Err("the GETs that are named are not those that are generated".to_owned());
    }
    Ok(emit(&[description], "make corpus"))
}

/// What there is to read, and what should come of it.
struct Corpus {
    /// Name and file.
    files: Vec<(String, PathBuf)>,
    oracle: Option<Value>,
}

impl Corpus {
    fn find() -> Result<Corpus, String> {
        let mut arguments: Vec<String> = std::env::args().skip(1).collect();
        let given = arguments.len();
        arguments.retain(|it| it != "--without-oracle");
        let has_oracle = arguments.len() == given;
        let [directory] = &arguments[..] else {
            return Err(
                "expected the corpus' directory (with specs/, SOURCES.tsv, oracle.json) as \
                 argument, or --without-oracle and any directory of OpenAPI files"
                    .to_owned(),
            );
        };
        let directory = PathBuf::from(directory);
        let directory = fs::canonicalize(&directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
        let read = |name: &str| {
            fs::read_to_string(directory.join(name))
                .map_err(|error| format!("{}: {error}", directory.join(name).display()))
        };
        let oracle = if has_oracle {
            let oracle = serde_json::from_str(&read("oracle.json")?);
            Some(oracle.map_err(|error| format!("oracle.json: {error}"))?)
        } else {
            None
        };
        let files = match read("SOURCES.tsv") {
            Ok(sources) => listed(&sources, &directory.join("specs")),
            Err(message) if has_oracle => return Err(message),
            Err(_) => found_in(&directory)?,
        };
        Ok(Corpus { files, oracle })
    }
}

fn listed(sources: &str, specs: &Path) -> Vec<(String, PathBuf)> {
    let lines = sources.lines().skip(1);
    let fields = lines.filter_map(|line| {
        let mut fields = line.split('\t');
        Some((fields.next()?.to_owned(), specs.join(fields.next()?)))
    });
    fields.collect()
}

fn found_in(directory: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default();
        let is_api = path.extension().is_some_and(|it| {
            it.eq_ignore_ascii_case("json")
                || it.eq_ignore_ascii_case("yaml")
                || it.eq_ignore_ascii_case("yml")
        });
        if is_api {
            files.push((name.to_string_lossy().into_owned(), path));
        }
    }
    files.sort();
    Ok(files)
}

fn run() -> Result<bool, String> {
    let corpus = Corpus::find()?;
    let scratch = Scratch::new()?;
    let mut tally = Tally {
        without_oracle: corpus.oracle.is_none(),
        ..Tally::default()
    };
    let mut modules = Vec::new();
    for (name, path) in &corpus.files {
        let gets = corpus
            .oracle
            .as_ref()
            .map_or(&Value::Null, |it| &it[name]["gets"]);
        modules.extend(tally.add(name, path, gets));
    }
    let Tally {
        rows,
        reasons,
        failures,
        refused,
        lost,
        ..
    } = tally;
    print_table(&rows);
    for line in &reasons {
        println!("{line}");
    }
    let mut holds = failures.is_empty();
    if corpus.oracle.is_some() {
        let percent = print_percent(&rows, lost);
        holds &= refused.is_empty() && percent >= BAR_PERCENT;
    }
    let files = corpus.files.len();
    println!("{} of {files} files generate", rows.len());
    for refusal in &refused {
        println!("REFUSED {refusal}");
    }
    for failure in &failures {
        println!("FAILED {failure}");
    }
    holds &= scratch.compare(&modules)?;
    Ok(holds)
}

fn print_percent(rows: &[Row], lost: usize) -> f64 {
    let (json, table, assumed) = rows.iter().fold((lost, 0, 0), |sum, row| {
        (
            sum.0 + row.oracle_json,
            sum.1 + row.in_table,
            sum.2 + row.assumed,
        )
    });
    let percent = 100.0 * table as f64 / (json as f64).max(1.0);
    println!(
        "{table} of {json} JSON GETs in the table ({percent:.2} %), {assumed} of them assumed \
         because the corpus lacks their files"
    );
    percent
}

fn print_table(rows: &[Row]) {
    println!(
        "{:<22.22} {:>5} {:>6} {:>6} {:>8} {:>6} {:>9} {:>8}",
        "file", "GETs", "JSON", "included", "assumed", "table", "skipped", "seconds"
    );
    for row in rows {
        println!(
            "{:<22.22} {:>5} {:>6} {:>6} {:>8} {:>6} {:>9} {:>8.2}",
            row.name,
            row.gets,
            row.oracle_json,
            row.in_table,
            row.assumed,
            row.included,
            row.skipped,
            row.seconds
        );
    }
}
