//! The input of an import: what kind of file it is by its first bytes, and reading it as a stream.
//!
//! Never written. Standard input and pipes are read as streams.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

use crate::domain::text::{ellipsis, escape_controls};
use crate::limits;
use crate::sys::os_error::reason;

/// Bytes by which the kind of the input is told.
const HEAD_BYTES: u64 = 4_096;

pub enum Input {
    /// An SQLite file, with its first bytes.
    Sqlite {
        head: Vec<u8>,
    },
    /// Lines of text, from the first character on.
    Csv(Lines),
    JsonLines(Lines),
}

/// A text that is read once, line by line.
pub struct Lines {
    /// The first line, as far as the first bytes have it.
    pub first: Vec<u8>,
    pub reader: MeteredReader,
    pub meter: Rc<Meter>,
    /// Bytes in all, where that is known.
    pub bytes: Option<u64>,
}

/// Counts bytes, and ends a line that does not.
#[derive(Default)]
pub struct Meter {
    read: Cell<u64>,
    /// Bytes up to the end of the last record.
    at_record: Cell<u64>,
}

impl Meter {
    pub fn bytes(&self) -> u64 {
        self.read.get()
    }

    /// A record has ended.
    pub fn end_record(&self) {
        self.at_record.set(self.read.get());
    }
}

pub struct MeteredReader {
    inner: Box<dyn Read>,
    meter: Rc<Meter>,
}

impl Read for MeteredReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let since = self.meter.read.get() - self.meter.at_record.get();
        if since > limits::IMPORT_LINE_BYTES {
            return Err(io::Error::other(format!(
                "it has more than {} bytes without an end of the line or of a quoted field; is a \
                 closing quote missing?",
                limits::IMPORT_LINE_BYTES
            )));
        }
        let read = self.inner.read(buffer)?;
        self.meter.read.set(self.meter.read.get() + read as u64);
        Ok(read)
    }
}

/// Opens the input. The error is a text to follow a colon.
pub fn open(path: &Path) -> Result<Input, String> {
    let mut file = File::open(path).map_err(|error| reason(&error))?;
    let metadata = file.metadata().map_err(|error| reason(&error))?;
    if metadata.is_dir() {
        return Err("it is a directory; name a file in it".to_owned());
    }
    let bytes = metadata.is_file().then_some(metadata.len());
    let mut head = Vec::new();
    let read = file.by_ref().take(HEAD_BYTES).read_to_end(&mut head);
    read.map_err(|error| reason(&error))?;
    classify(head, Box::new(file), bytes)
}

/// By its first bytes.
fn classify(mut head: Vec<u8>, inner: Box<dyn Read>, bytes: Option<u64>) -> Result<Input, String> {
    if head.starts_with(b"SQLite format 3\0") {
        return match bytes {
            Some(_) => Ok(Input::Sqlite { head }),
            None => Err("an SQLite file cannot be read from a pipe; name the file".to_owned()),
        };
    }
    if let Some((_, advice)) = UNREADABLE.iter().find(|(begin, _)| head.starts_with(begin)) {
        return Err((*advice).to_owned());
    }
    if head.starts_with(b"\xef\xbb\xbf") {
        head.drain(..3);
    }
    let begin = head.trim_ascii_start();
    let Some(first) = begin.first() else {
        return Err(match bytes {
            Some(0) | None => "it is empty".to_owned(),
            Some(_) => format!("{EXPECTED}, found blanks"),
        });
    };
    if *first == b'[' {
        return Err("it is a JSON list; make a line of each object with `jq -c '.[]'`".to_owned());
    }
    if head.contains(&0) {
        let found = head[..head.len().min(12)].escape_ascii();
        return Err(format!(
            "{EXPECTED}, found a file that begins with \"{found}\""
        ));
    }
    let is_json = *first == b'{';
    let first = head
        .split(|byte| *byte == b'\n')
        .find(|line| !line.trim_ascii().is_empty());
    let first = first.unwrap_or_default().to_vec();
    let meter = Rc::new(Meter::default());
    let lines = Lines {
        first,
        reader: MeteredReader {
            inner: Box::new(Cursor::new(head).chain(inner)),
            meter: Rc::clone(&meter),
        },
        meter,
        bytes,
    };
    Ok(if is_json {
        Input::JsonLines(lines)
    } else {
        Input::Csv(lines)
    })
}

const EXPECTED: &str = "expected an SQLite file, CSV or JSON lines";

const COMPRESSED: &str = "it is compressed; unpack it first, or as a pipe: \
     `zcat FILE | main-node import -` (zstdcat, xzcat or bzcat for .zst, .xz or .bz2)";
const UTF_16: &str = "it is UTF-16; save it as UTF-8, or as a pipe: \
     `iconv -f UTF-16 -t UTF-8 FILE | main-node import -`";

/// Files that people have, by their first bytes, and what to do with them.
const UNREADABLE: [(&[u8], &str); 8] = [
    (b"\x1f\x8b", COMPRESSED),
    (b"\x28\xb5\x2f\xfd", COMPRESSED),
    (b"\xfd7zXZ", COMPRESSED),
    (b"BZh", COMPRESSED),
    (
        b"PK\x03\x04",
        "it is a spreadsheet or a ZIP archive; save the sheet as CSV, or unpack the archive",
    ),
    (
        b"\xd0\xcf\x11\xe0",
        "it is a spreadsheet; save it as CSV in UTF-8",
    ),
    (b"\xff\xfe", UTF_16),
    (b"\xfe\xff", UTF_16),
];

/// The first characters of something from elsewhere, for a message.
pub fn sample(found: &str) -> String {
    escape_controls(&ellipsis(found, limits::POINTER_CHARS))
}
