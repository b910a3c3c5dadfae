//! What was included, what was skipped and why, for people and for machines.
//!
//! Collects and prints; it decides nothing.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::lower::limits::{hashed, heap};
use crate::lower::tree::truncate;
use crate::operation::Method;

/// What all notes together take; more are counted and not kept.
pub const MAX_NOTE_BYTES: usize = 2_000_000;
/// A message that quotes more of its file than this is cut.
const MAX_MESSAGE: usize = 1_000;

/// What became of one file.
#[derive(Debug, Default)]
pub struct Report {
    pub file: String,
    pub name: String,
    pub included: Vec<Included>,
    pub skipped: Vec<Skipped>,
    /// GETs that the list of operations does not name.
    pub not_requested: usize,
    /// POSTs that nobody names.
    pub posts_left_out: Vec<LeftOut>,
    /// PUT and the like, which are never called.
    pub other_methods: usize,
    pub notes: Vec<Note>,
    /// Notes for which there was no room.
    pub notes_left_out: usize,
    note_bytes: usize,
    said: HashSet<(String, String)>,
}

#[derive(Debug)]
pub struct LeftOut {
    pub id: String,
    pub path: String,
    pub place: String,
}

#[derive(Debug)]
pub struct Included {
    pub method: Method,
    pub id: String,
    pub path: String,
    pub place: String,
    /// Its file is missing: that there is a GET is an assumption.
    pub assumed: bool,
}

#[derive(Debug)]
pub struct Skipped {
    pub method: Method,
    pub id: String,
    pub path: String,
    pub place: String,
    pub reason: String,
}

impl Skipped {
    /// Whether a name means it.
    pub fn is_named(&self, name: &str) -> bool {
        self.method.is_named(&self.id, &self.path, name)
    }
}

#[derive(Debug)]
pub struct Note {
    pub place: String,
    pub message: String,
}

impl Report {
    pub fn new(file: &str, name: &str) -> Report {
        Report {
            file: file.to_owned(),
            name: name.to_owned(),
            ..Report::default()
        }
    }

    /// Each thing is said once for each place.
    pub fn note(&mut self, place: String, message: String) {
        let message = truncate(&message, MAX_MESSAGE);
        let texts = 2 * (heap(place.len()) + heap(message.len()));
        let bytes = texts + 3 * size_of::<Note>() + hashed(size_of::<Note>());
        let note = (place, message);
        if self.said.contains(&note) {
            return;
        }
        if self.note_bytes + bytes > MAX_NOTE_BYTES {
            self.notes_left_out += 1;
            return;
        }
        self.note_bytes += bytes;
        if self.said.insert(note.clone()) {
            let (place, message) = note;
            self.notes.push(Note { place, message });
        }
    }

    pub fn gets(&self) -> usize {
        let skipped = self.skipped.iter().filter(|it| it.method == Method::Get);
        self.count(Method::Get) + skipped.count() + self.not_requested
    }

    /// POSTs of the file.
    pub fn posts(&self) -> usize {
        let skipped = self.skipped.iter().filter(|it| it.method == Method::Post);
        self.count(Method::Post) + skipped.count() + self.posts_left_out.len()
    }

    /// Those of a method that are included.
    pub fn count(&self, method: Method) -> usize {
        let included = self.included.iter();
        included.filter(|it| it.method == method).count()
    }

    fn assumed(&self) -> usize {
        self.included.iter().filter(|it| it.assumed).count()
    }

    /// A line for each note: once, at the first of its places.
    pub fn note_lines(&self) -> impl Iterator<Item = String> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        for it in &self.notes {
            *places.entry(&it.message).or_default() += 1;
        }
        self.notes.iter().filter_map(move |it| {
            let more = match places.remove(it.message.as_str())? {
                1 => String::new(),
                2 => " (and at one more place)".to_owned(),
                count => format!(" (and at {} more places)", count - 1),
            };
            Some(format!("{}: note: {}{more}", it.place, it.message))
        })
    }

    /// A line for each operation that was skipped, with the reason.
    pub fn skipped_lines(&self) -> impl Iterator<Item = String> {
        self.skipped.iter().map(|it| {
            format!(
                "{}: skipped: {} {} {}: {}",
                it.place,
                it.id,
                it.method.name(),
                it.path,
                it.reason
            )
        })
    }

    /// Lines for a person; the summary is the last.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for line in self.note_lines() {
            out.push_str(&line);
            out.push('\n');
        }
        if self.notes_left_out > 0 {
            let count = self.notes_left_out;
            out.push_str(&format!("{}: note: and {count} more notes\n", self.file));
        }
        for it in &self.included {
            let assumed = if it.assumed { " (assumed)" } else { "" };
            out.push_str(&format!(
                "{}: included{assumed}: {} {} {}\n",
                it.place,
                it.id,
                it.method.name(),
                it.path
            ));
        }
        for line in self.skipped_lines() {
            out.push_str(&line);
            out.push('\n');
        }
        out.push_str(&self.summary());
        out.push('\n');
        out
    }

    pub fn summary(&self) -> String {
        let mut parts = vec![format!(
            "{} of {} GETs included",
            self.count(Method::Get),
            self.gets()
        )];
        for (count, words) in [
            (self.assumed(), "of them assumed: their files are missing"),
            (self.count(Method::Post), "POSTs included"),
            (self.skipped.len(), "skipped"),
            (self.not_requested, "not requested"),
            (self.other_methods, "other methods skipped"),
            (self.notes.len(), "notes"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {words}"));
            }
        }
        if let Some(post) = self.posts_left_out.first() {
            parts.push(format!(
                "{} POSTs left out: name those that only read, as in --operations {}",
                self.posts_left_out.len(),
                post.id
            ));
        }
        format!("{}: {}: {}", self.file, self.name, parts.join(", "))
    }

    pub fn json(&self) -> Value {
        json!({
            "file": self.file,
            "api": self.name,
            "gets": self.gets(),
            "not_asked_for": self.not_requested,
            // POSTs too, as before they could be named.
            "other_methods": self.other_methods + self.posts_left_out.len(),
            "posts_left_out": self.posts_left_out.iter().map(|it| json!({
                "id": it.id, "path": it.path, "at": it.place,
            })).collect::<Vec<_>>(),
            "taken": self.included.iter().map(|it| json!({
                "id": it.id, "method": it.method.name(), "path": it.path, "at": it.place,
                "assumed": it.assumed,
            })).collect::<Vec<_>>(),
            "left_out": self.skipped.iter().map(|it| json!({
                "id": it.id, "method": it.method.name(), "path": it.path, "at": it.place,
                "reason": it.reason,
            })).collect::<Vec<_>>(),
            "notes": self.notes.iter().map(|it| json!({
                "at": it.place, "message": it.message,
            })).collect::<Vec<_>>(),
        })
    }
}
