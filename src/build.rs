//! The build script of main-node: what the binary carries compressed.
//!
//! Writes to `OUT_DIR` and nowhere else. The same commit gives the same bytes: no path and no
//! date is in them.

#[path = "build/assets.rs"]
mod assets;
#[path = "build/notices.rs"]
mod notices;
#[path = "build/time_zones.rs"]
mod time_zones;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(variable("OUT_DIR"));
    watch(&root, &["src/build.rs", "src/build"]);
    notices::write(&root, &out);
    assets::write(&root, &out);
    time_zones::write(&out);
}

/// Has cargo run this again when one of these files changes.
fn watch(root: &Path, files: &[&str]) {
    for file in files {
        println!("cargo::rerun-if-changed={}", root.join(file).display());
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for build scripts"))
}

/// Licences are not all in UTF-8.
fn read(file: &Path) -> String {
    String::from_utf8_lossy(&read_bytes(file)).into_owned()
}

fn read_bytes(file: &Path) -> Vec<u8> {
    fs::read(file).unwrap_or_else(|error| panic!("{} cannot be read: {error}", file.display()))
}

fn write(file: &Path, bytes: &[u8]) {
    fs::write(file, bytes)
        .unwrap_or_else(|error| panic!("{} cannot be written: {error}", file.display()));
}

/// With neither time nor name in it: flate2 writes none unless told.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("memory takes what is written to it")
}
