//! Limits of reading a description.

use std::fs;
use std::path::{Path, PathBuf};

use openapi::lower::limits::Limits;
use openapi::lower::spec::{Failure, Spec};

/// A directory that is removed again.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let name = format!("codegen-limits-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn load(path: &Path, file_bytes: usize) -> Result<Spec, Failure> {
    let limits = Limits {
        file_bytes: file_bytes as u64,
        ..Limits::CODEGEN
    };
    Spec::load(path, limits)
}

#[test]
fn bytes_of_all_files_count_and_all_files_are_told() {
    let directory = Directory::new("files");
    let main = "openapi: 3.0.0\npaths:\n  /a: {$ref: a/a.yaml}\n  /b: {$ref: missing.yaml}\n";
    let other = "get: {responses: {200: {description: fine, $ref: '../b.yaml#/x'}}}\n";
    directory.write("main.yaml", main);
    fs::create_dir_all(directory.0.join("a")).unwrap();
    directory.write("a/a.yaml", other);
    directory.write("b.yaml", "x: 1\n");
    let path = directory.0.join("main.yaml");
    let all = main.len() + other.len() + 5;

    let spec = load(&path, all).unwrap_or_else(|failure| panic!("{failure}"));
    let found: Vec<PathBuf> = spec.files().map(Path::to_path_buf).collect();
    let names = ["main.yaml", "a/a.yaml", "missing.yaml", "b.yaml"];
    assert_eq!(found, names.map(|name| directory.0.join(name)));

    for (most, reached) in [
        (main.len() - 1, "main.yaml"),
        (all - 6, "a/a.yaml"),
        (all - 1, "b.yaml"),
    ] {
        let failure = load(&path, most).err().expect("it is too large");
        assert!(failure.is_over_limit, "{failure}");
        let text = failure
            .text
            .replace(&format!("{}/", directory.0.display()), "");
        let expected = format!(
            "main.yaml: expected an OpenAPI description of at most 0.0 MB in all of its files, \
             found more in {reached}; leave out paths that nothing calls, and what only they refer to"
        );
        assert_eq!(text, expected);
    }
    let missing = load(&directory.0.join("none.yaml"), all);
    assert!(missing.is_err_and(|failure| !failure.is_over_limit));
}

#[test]
fn what_is_no_plain_file_is_refused_at_once() {
    // A socket waits for nobody, and stands for pipes and devices.
    let directory = Directory::new("plain");
    let path = directory.0.join("api.yaml");
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    for path in [path.as_path(), Path::new("/dev/zero")] {
        let failure = load(path, 1000).err().unwrap();
        assert!(
            failure.text.contains("but it is no plain file;"),
            "{failure}"
        );
        assert!(!failure.is_over_limit);
    }
    let failure = load(Path::new("https://house.example/api.yaml"), 1000).err();
    let text = failure.unwrap().text;
    assert!(
        text.contains("but it is an address: download the file"),
        "{text}"
    );
}

/// `cargo codegen` reads what a tree of files of one's own has; a service what came with the file.
#[test]
fn a_confined_file_reaches_no_other_directory() {
    let directory = Directory::new("confined");
    let outside = directory.0.join("outside.yaml");
    let references = [
        "../outside.yaml",
        "link.yaml",
        "below/a.yaml",
        "below/%2e%2e/b.yaml",
    ];
    let references = references.into_iter().chain(outside.to_str());
    let paths: String = references
        .enumerate()
        .map(|(at, it)| format!("  /{at}: {{$ref: '{it}#/x'}}\n"))
        .collect();
    fs::create_dir_all(directory.0.join("api/below")).unwrap();
    directory.write("api/main.yaml", &format!("openapi: 3.0.0\npaths:\n{paths}"));
    for name in ["outside.yaml", "api/below/a.yaml", "api/b.yaml"] {
        directory.write(name, "x: {get: {responses: {200: {description: fine}}}}\n");
    }
    std::os::unix::fs::symlink(&outside, directory.0.join("api/link.yaml")).unwrap();
    for (is_confined, expected) in [(false, 5), (true, 2)] {
        let limits = Limits {
            is_confined,
            ..Limits::CODEGEN
        };
        let main = directory.0.join("api/main.yaml");
        let spec = Spec::load(&main, limits).unwrap_or_else(|failure| panic!("{failure}"));
        let node = spec.root().get("paths").expect("it has paths");
        let items = node.entries().iter();
        let found = items.filter(|it| spec.resolve(&it.value).is_ok()).count();
        assert_eq!(found, expected, "confined: {is_confined}");
    }
}
