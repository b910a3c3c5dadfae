//! `make corpus`: `cargo run --release -p codegen --example corpus -- DIRECTORY`.
//!
//! Generates every file of a corpus, compares with its oracle, type-checks all modules
//! together in a scratch crate, prints a table. Exit 0 when the bar holds, 1 when not, 2 when
//! there is no corpus. With `--keep` the scratch crate stays for looking at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use openapi::command::{Arguments, generate};
use serde_json::Value;

/// Of the oracle's JSON GETs, this much has to be in the table.
const BAR_PERCENT: f64 = 99.0;

/// What generated code stands on.
const RUNTIME: &[&str] = &[
    "api/basic_auth.rs",
    "api/request.rs",
    "api/request/serialize.rs",
    "domain/percent.rs",
];

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
    rows: Vec<Row>,
    reasons: Vec<String>,
    failures: Vec<String>,
    /// JSON GETs of files that do not generate count as not reached.
    lost: usize,
    refused_files: usize,
}

impl Tally {
    /// Generates one file and compares it with the oracle's GETs; returns the generated text.
    fn add(&mut self, name: &str, path: &Path, gets: &Value) -> Option<String> {
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
                self.failures.push(format!(
                    "{name}: {failure} (its {json} JSON GETs count as 0)"
                ));
                self.lost += json;
                self.refused_files += 1;
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
        self.rows.push(row);
        Some(generated.text)
    }
}

fn run() -> Result<bool, String> {
    let directory = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("CORPUS").ok());
    let directory = PathBuf::from(directory.ok_or(
        "expected the corpus' directory (with specs/, SOURCES.tsv, oracle.json) as argument",
    )?);
    let read = |name: &str| {
        fs::read_to_string(directory.join(name))
            .map_err(|error| format!("{}: {error}", directory.join(name).display()))
    };
    let oracle: Value = serde_json::from_str(&read("oracle.json")?)
        .map_err(|error| format!("oracle.json: {error}"))?;
    let sources = read("SOURCES.tsv")?;
    let scratch = Scratch::new()?;
    let mut tally = Tally::default();
    for line in sources.lines().skip(1) {
        let mut fields = line.split('\t');
        let (Some(name), Some(file)) = (fields.next(), fields.next()) else {
            continue;
        };
        let path = directory.join("specs").join(file);
        if let Some(text) = tally.add(name, &path, &oracle[name]["gets"]) {
            scratch.add(name, &text)?;
        }
    }
    let Tally {
        rows,
        reasons,
        failures,
        lost,
        refused_files,
    } = tally;
    print_table(&rows);
    for line in &reasons {
        println!("{line}");
    }
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
    let files = rows.len() + refused_files;
    let started = Instant::now();
    let compiled = scratch.check(&rows)?;
    println!(
        "{} of {files} files generate; the modules {} together in {:.0} s",
        rows.len(),
        if compiled {
            "type-check"
        } else {
            "DO NOT type-check"
        },
        started.elapsed().as_secs_f64()
    );
    for failure in &failures {
        println!("FAILED {failure}");
    }
    Ok(failures.is_empty() && compiled && percent >= BAR_PERCENT)
}

fn print_table(rows: &[Row]) {
    println!(
        "{:<22} {:>5} {:>6} {:>6} {:>8} {:>6} {:>9} {:>8}",
        "file", "GETs", "JSON", "included", "assumed", "table", "skipped", "seconds"
    );
    for row in rows {
        println!(
            "{:<22} {:>5} {:>6} {:>6} {:>8} {:>6} {:>9} {:>8.2}",
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

/// A crate with main-node's runtime and every generated module.
struct Scratch {
    root: PathBuf,
    workspace: PathBuf,
}

impl Scratch {
    fn new() -> Result<Scratch, String> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = workspace.join("target").join("corpus");
        let make = |path: &Path| fs::create_dir_all(path).map_err(|error| error.to_string());
        make(&root.join("src").join("api"))?;
        for file in RUNTIME {
            let text = fs::read_to_string(workspace.join("src").join(file))
                .map_err(|error| format!("src/{file}: {error}"))?;
            // Their tests have a home of their own and stay there.
            let text = text.split("\n#[cfg(test)]").next().unwrap_or("");
            let path = root.join("src").join(file);
            make(path.parent().unwrap_or(&root))?;
            fs::write(path, text).map_err(|error| error.to_string())?;
        }
        fs::copy(workspace.join("Cargo.lock"), root.join("Cargo.lock"))
            .map_err(|error| error.to_string())?;
        let manifest = format!(
            "[package]\nname = \"corpus\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [workspace]\n\n[dependencies]\ncodegen = {{ path = {:?}, default-features = false }}\n\
             base64 = {{ version = \"0.23\", default-features = false, features = [\"alloc\"] }}\n\
             percent-encoding = {{ version = \"2\", default-features = false, features = [\"alloc\"] }}\n\
             serde_json = {{ version = \"1\", features = [\"arbitrary_precision\"] }}\n\
             ureq = {{ version = \"3.5\", default-features = false, features = [\"rustls\", \"gzip\"] }}\n",
            env!("CARGO_MANIFEST_DIR")
        );
        fs::write(root.join("Cargo.toml"), manifest).map_err(|error| error.to_string())?;
        Ok(Scratch { root, workspace })
    }

    fn add(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self
            .root
            .join("src")
            .join("api")
            .join(format!("{}.rs", module(name)));
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn check(&self, rows: &[Row]) -> Result<bool, String> {
        let mut main =
            "#![deny(warnings)]\n#![allow(dead_code)]\nmod domain {\n    pub mod percent;\n}\nmod api {\n    pub mod basic_auth;\n    pub mod request;\n"
                .to_owned();
        let mut calls = String::new();
        for row in rows {
            let module = module(&row.name);
            main.push_str(&format!("    pub mod {module};\n"));
            calls.push_str(&format!(
                "    println!(\"{{}}\", api::{module}::CALLS.len());\n"
            ));
        }
        main.push_str(&format!("}}\nfn main() {{\n{calls}}}\n"));
        fs::write(self.root.join("src").join("main.rs"), main)
            .map_err(|error| error.to_string())?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["check", "--quiet"])
            .current_dir(&self.root)
            .env(
                "CARGO_TARGET_DIR",
                self.workspace.join("target").join("corpus-check"),
            )
            .status()
            .map_err(|error| format!("cargo check: {error}"))?;
        Ok(status.success())
    }
}

fn module(name: &str) -> String {
    format!("spec_{}", openapi::lower::names::snake(name))
}
