//! A description as it lies on the disk: its files, read, and references between them.
//!
//! Owns which files are read (the named one and what it refers to, never the network) and where
//! a `$ref` leads. It knows nothing of operations or schemas.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::lower::files::{self, ReadError, normalize};
use crate::lower::limits::{Limits, Memory, heap, megabytes};
use crate::lower::tree::{MAX_WARNINGS, Node, ParseError, Position, Warning};
use crate::lower::{candidates, json, yaml};

use confinement::Confinement;
pub use references::reference_of;
use references::{collect_files, percent_decoded, reference_memory};

mod confinement;
mod references;

/// Files that one description may be spread over.
const MAX_FILES: usize = 2_000;
/// A warning has a few hundred bytes at most.
const WARNINGS: usize = MAX_WARNINGS * 1_000;
/// A path of a file, known by its text and in two lists, and why it cannot be read.
const PATH: usize = 1_000;

/// Why nothing can be made of a file.
#[derive(Debug)]
pub struct Failure {
    /// Whole: expected, found, what to do.
    pub text: String,
    /// The file may be right: it takes more than `Limits` allow here.
    pub is_over_limit: bool,
}

impl Failure {
    pub fn new(text: String) -> Failure {
        Failure {
            text,
            is_over_limit: false,
        }
    }

    fn over_limit(text: String) -> Failure {
        Failure {
            text,
            is_over_limit: true,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.text)
    }
}

pub struct Spec {
    limits: Limits,
    /// What all of it takes, and what is made of it.
    pub memory: Memory,
    anchor_steps: Cell<usize>,
    bytes_read: u64,
    files: Vec<File>,
    /// All that were wanted, in the order in which they were.
    paths: Vec<PathBuf>,
    by_path: HashMap<PathBuf, Result<u32, String>>,
    confinement: Option<Confinement>,
    pub warnings: Vec<Warning>,
}

struct File {
    shown: String,
    directory: PathBuf,
    root: Node,
}

impl Spec {
    /// Reads a description: the file and all that its references name.
    pub fn load(path: &Path, limits: Limits) -> Result<Spec, Failure> {
        match files::read(path, limits.file_bytes) {
            Ok(bytes) => Spec::from_bytes(path, bytes, limits),
            Err(ReadError::TooLarge) => Err(too_large(path, path, limits)),
            Err(ReadError::Other(reason)) => Err(Failure::new(format!(
                "{}: expected an OpenAPI file (YAML or JSON), but {reason}; \
                 check the path, or put your vendor's file there",
                path.display()
            ))),
        }
    }

    /// What `load` makes of a file with these bytes.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>, limits: Limits) -> Result<Spec, Failure> {
        let mut spec = Spec {
            limits,
            memory: Memory::new(limits.memory_bytes),
            anchor_steps: Cell::new(0),
            bytes_read: 0,
            files: Vec::new(),
            paths: vec![path.to_path_buf()],
            by_path: HashMap::new(),
            confinement: (limits.is_confined).then(|| Confinement::to_directory_of(path)),
            warnings: Vec::new(),
        };
        spec.memory.take(
            WARNINGS + PATH + path.as_os_str().len() * 4,
            Position::default(),
        );
        spec.add(path, bytes)?.map_err(Failure::new)?;
        spec.by_path.insert(normalize(path), Ok(0));
        spec.check()?;
        spec.load_referenced_files()?;
        candidates::count_memory(&spec);
        spec.check_memory()?;
        Ok(spec)
    }

    /// The files that it was made of, the named one first, as they were asked of the disk; also
    /// those that a reference names and that could not be read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().map(PathBuf::as_path)
    }

    pub fn root(&self) -> &Node {
        &self.files[0].root
    }

    pub fn main_file(&self) -> &str {
        &self.files[0].shown
    }

    /// `file:line:column`.
    pub fn place(&self, place: Position) -> String {
        let file = self
            .files
            .get(place.file as usize)
            .map_or("?", |file| file.shown.as_str());
        format!("{file}:{}:{}", place.line, place.column)
    }

    /// A node in words, for messages. What a `$ref` names may be no description at all, but a file
    /// of secrets: of its texts and numbers only the kind is told.
    pub fn describe(&self, node: &Node) -> String {
        if node.place.file == 0 {
            node.describe()
        } else {
            node.describe_kind()
        }
    }

    /// Why the limit of memory is exceeded, if it is.
    pub fn check_memory(&self) -> Result<(), Failure> {
        let Some(place) = self.memory.exceeded_at() else {
            return Ok(());
        };
        // The file that is being read is not in the list yet.
        let shown = match self.files.get(place.file as usize) {
            Some(file) => file.shown.clone(),
            None => self
                .paths
                .last()
                .map_or_else(String::new, |it| it.display().to_string()),
        };
        Err(Failure::over_limit(format!(
            "{shown}:{}:{}: expected an OpenAPI description that takes at most {} of memory, \
             found that it takes more from here on; leave out paths that nothing calls, and what \
             only they refer to",
            place.line,
            place.column,
            megabytes(self.limits.memory_bytes as u64),
        )))
    }

    /// Reads one more file. The outer failure is that of all of it.
    fn add(&mut self, path: &Path, bytes: Vec<u8>) -> Result<Result<u32, String>, Failure> {
        self.bytes_read = self.bytes_read.saturating_add(bytes.len() as u64);
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        let shown = path.display().to_string();
        let place = Position {
            file: number,
            line: 1,
            column: 1,
        };
        let before = self.memory.used();
        if !self.memory.take(files::memory_to_decode(&bytes), place) {
            self.check_memory()?;
        }
        let text = files::decode(bytes, number, &mut self.warnings);
        let with_text = before + heap(text.capacity());
        self.memory.give_back(self.memory.used() - with_text);
        let read = self.parse(&text, number);
        drop(text);
        self.check_memory()?;
        let root = match read {
            Ok(root) => root,
            Err(broken) => {
                self.memory.give_back(self.memory.used() - before);
                return Ok(Err(format!(
                    "{shown}:{broken}; fix this place, or download the file again"
                )));
            }
        };
        self.memory.give_back(with_text - before);
        let directory = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        self.files.push(File {
            shown,
            directory,
            root,
        });
        Ok(Ok(number))
    }

    fn parse(&mut self, text: &str, number: u32) -> Result<Node, ParseError> {
        let (warnings, memory) = (&mut self.warnings, &self.memory);
        if !text.trim_start().starts_with(['{', '[']) {
            return yaml::read(text, number, warnings, memory);
        }
        let (used, known) = (memory.used(), warnings.len());
        json::read(text, number, warnings, memory).or_else(|broken| {
            if broken.is_over_limit {
                return Err(broken);
            }
            // YAML's flow style looks like JSON too.
            memory.give_back(memory.used() - used);
            warnings.truncate(known);
            yaml::read(text, number, warnings, memory).map_err(|_| broken)
        })
    }

    fn check(&self) -> Result<(), Failure> {
        let root = self.root();
        let at = self.place(root.place);
        if !root.is_map() {
            return Err(Failure::new(format!(
                "{at}: expected an OpenAPI description (an object with `openapi:` or \
                 `swagger:`, and `paths:`), found {}; is this the right file?",
                root.describe()
            )));
        }
        let version = root
            .text_of("openapi")
            .or_else(|| root.text_of("swagger"))
            .unwrap_or("");
        if version.starts_with('1') {
            return Err(Failure::new(format!(
                "{at}: expected OpenAPI 3 or Swagger 2.0, found version {version}; \
                 convert the file to OpenAPI 3 first"
            )));
        }
        match root.entry("paths") {
            Some(paths) if !paths.value.entries().is_empty() => Ok(()),
            Some(paths) => Err(Failure::new(format!(
                "{}: expected `paths` to hold at least one path, found {}; \
                 add the paths to fetch from",
                self.place(paths.place),
                paths.value.describe()
            ))),
            None => Err(Failure::new(format!(
                "{at}: expected `paths`, found only {}; is this an OpenAPI file?",
                describe_keys(root)
            ))),
        }
    }

    /// Reads every file that some `$ref` names, and what those name.
    fn load_referenced_files(&mut self) -> Result<(), Failure> {
        let mut next = 0;
        while next < self.files.len() {
            let mut wanted = Vec::new();
            let root = &self.files[next].root;
            collect_files(root, &mut wanted, &mut HashSet::new(), &self.memory);
            self.check_memory()?;
            let wanted: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
            for reference in &wanted {
                let reference = percent_decoded(reference);
                let path = normalize(&self.files[next].directory.join(&reference));
                if self.by_path.contains_key(&path) {
                    continue;
                }
                let place = self.files[next].root.place;
                self.memory.take(PATH + path.as_os_str().len() * 6, place);
                let confinement = self.confinement.as_ref();
                let read = match confinement.and_then(|it| it.refuse_name(&reference, &path)) {
                    Some(reason) => Err(reason),
                    None => self.read_referenced(&path, place)?,
                };
                self.by_path.insert(path, read);
            }
            let collected = wanted.iter().map(|it| reference_memory(it)).sum();
            self.memory.give_back(collected);
            next += 1;
        }
        Ok(())
    }

    /// Reads a file that may be named, at `place`. The outer failure is that of all of it.
    fn read_referenced(
        &mut self,
        path: &Path,
        place: Position,
    ) -> Result<Result<u32, String>, Failure> {
        let left = self.limits.file_bytes.saturating_sub(self.bytes_read);
        let bytes = usize::try_from(files::size(path).min(left)).unwrap_or(usize::MAX);
        self.memory.take(heap(bytes), place);
        self.check_memory()?;
        self.memory.give_back(heap(bytes));
        self.paths.push(path.to_path_buf());
        if self.files.len() >= MAX_FILES {
            return Ok(Err(format!("it would be file number {MAX_FILES}")));
        }
        let confinement = self.confinement.as_ref();
        if let Some(reason) = confinement.and_then(|it| it.refuse_target(path)) {
            return Ok(Err(reason));
        }
        match files::read_referenced(path, left) {
            Ok(bytes) => self.add(path, bytes),
            Err(ReadError::Other(reason)) => Ok(Err(reason)),
            Err(ReadError::TooLarge) => Err(too_large(&self.paths[0], path, self.limits)),
        }
    }
}

fn too_large(main: &Path, reached: &Path, limits: Limits) -> Failure {
    Failure::over_limit(format!(
        "{}: expected an OpenAPI description of at most {} in all of its files, found more in {}; \
         leave out paths that nothing calls, and what only they refer to",
        main.display(),
        megabytes(limits.file_bytes),
        reached.display()
    ))
}

fn describe_keys(node: &Node) -> String {
    let keys: Vec<String> = node
        .entries()
        .iter()
        .take(5)
        .map(|entry| format!("`{}`", entry.key))
        .collect();
    if keys.is_empty() {
        "an empty object".to_owned()
    } else {
        keys.join(", ")
    }
}
