//! The scratch crate: every generated module, main-node's runtime and the comparison.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Instant;

use openapi::lower::names::snake;

/// One file that was generated.
pub struct Module {
    pub name: String,
    pub path: PathBuf,
    pub text: String,
}

pub struct Scratch {
    root: PathBuf,
    workspace: PathBuf,
}

/// The runtime and the comparison are a crate of their own: they are optimised, and built once.
/// The generated modules are neither; `main.rs` holds a table of them.
const MANIFEST: &str = r#"[package]
name = "corpus"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
runtime = { path = "runtime" }
codegen = { path = CODEGEN, default-features = false, features = ["lower"] }
ureq = { version = "3.5", default-features = false }

[profile.dev]
debug = false
incremental = false

[profile.dev.package.runtime]
opt-level = 2

[profile.dev.package."*"]
opt-level = 2
"#;

const RUNTIME_MANIFEST: &str = r#"[package]
name = "runtime"
version = "0.0.0"
edition = "2024"

[dependencies]
codegen = { path = CODEGEN, default-features = false, features = ["lower"] }
base64 = { version = "0.23", default-features = false, features = ["alloc"] }
percent-encoding = { version = "2", default-features = false, features = ["alloc"] }
serde = { version = "1", features = ["derive"] }
serde_json = { version = "1", features = ["arbitrary_precision"] }
ureq = { version = "3.5", default-features = false }
"#;

const RUNTIME: &str = r#"#![deny(warnings)]
pub mod api {
    #[path = WORKSPACE/src/api/basic_auth.rs"]
    pub mod basic_auth;
    #[path = WORKSPACE/src/api/request.rs"]
    pub mod request;
}
pub mod domain {
    #[path = WORKSPACE/src/domain/percent.rs"]
    pub mod percent;
}
#[path = WORKSPACE/codegen/examples/corpus/both_ways/mod.rs"]
pub mod both_ways;
"#;

impl Scratch {
    pub fn new() -> Result<Scratch, String> {
        let codegen = Path::new(env!("CARGO_MANIFEST_DIR"));
        let workspace = codegen.join("..");
        let root = workspace.join("target").join("corpus");
        // What an earlier corpus left there would be compiled too.
        if root.exists() {
            fs::remove_dir_all(&root).map_err(|error| failed(&root, &error))?;
        }
        let scratch = Scratch { root, workspace };
        let quoted = format!("{codegen:?}");
        scratch.write("Cargo.toml", &MANIFEST.replace("CODEGEN", &quoted))?;
        let manifest = RUNTIME_MANIFEST.replace("CODEGEN", &quoted);
        scratch.write("runtime/Cargo.toml", &manifest)?;
        let quoted = format!("{:?}", scratch.workspace);
        let runtime = RUNTIME.replace("WORKSPACE", quoted.trim_end_matches('"'));
        scratch.write("runtime/src/lib.rs", &runtime)?;
        fs::copy(
            scratch.workspace.join("Cargo.lock"),
            scratch.root.join("Cargo.lock"),
        )
        .map_err(|error| failed(&scratch.root.join("Cargo.lock"), &error))?;
        Ok(scratch)
    }

    /// Builds all modules together and runs the comparison; whether both ways are equal.
    pub fn compare(&self, modules: &[Module]) -> Result<bool, String> {
        let mut main = "#![deny(warnings)]\nuse runtime::both_ways::{CompiledIn, table};\n\
             mod api {\n    pub use runtime::api::request;\n"
            .to_owned();
        let mut table = String::new();
        for (number, Module { name, path, text }) in modules.iter().enumerate() {
            // Two files may have one name in snake case.
            let module = format!("spec_{number}_{}", snake(name));
            self.write(&format!("src/api/{module}.rs"), text)?;
            let _ = writeln!(main, "    pub mod {module};");
            let _ = writeln!(
                table,
                "        CompiledIn {{ name: {name:?}, path: {:?}, apis: &api::{module}::APIS, \
                 calls: api::{module}::CALLS }},",
                path.display().to_string()
            );
        }
        let _ = write!(
            main,
            "}}\nfn main() -> std::process::ExitCode {{\n    table::run(&[\n{table}    ])\n}}\n"
        );
        self.write("src/main.rs", &main)?;
        let started = Instant::now();
        let target = self.workspace.join("target").join("corpus-check");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet"])
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &target)
            .status();
        if !ended("cargo build", built)?.success() {
            println!("FAILED the modules do not compile");
            return Ok(false);
        }
        let count = modules.len();
        let seconds = started.elapsed().as_secs_f64();
        println!("{count} modules compile together in {seconds:.0} s");
        let compared = Command::new(target.join("debug").join("corpus")).status();
        Ok(ended("the comparison", compared)?.success())
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.root.join(name);
        let directory = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
        fs::write(&path, text).map_err(|error| failed(&path, &error))
    }
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn ended(what: &str, status: std::io::Result<ExitStatus>) -> Result<ExitStatus, String> {
    status.map_err(|error| format!("{what}: {error}"))
}
