//! Lowered form of an OpenAPI file, beside the database: the operations that sources name, in their
//! compact form, of a file that is too large for a service to read itself.
//!
//! A command writes it (`check`), a service reads it: a line of JSON with what it was made of, then
//! the compact text. It is good only as long as no file that it was made of has changed.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::domain::text::hexadecimal;
use crate::limits;
use crate::sys::os_error::reason;
use crate::sys::private_file::Replacement;

/// Of the header and of the compact text: another program may write another.
const FORMAT: u32 = 1;

/// What a command writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoweredForm {
    pub path: PathBuf,
    content: String,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct FormHeader {
    format: u32,
    files: Vec<SourceFile>,
    /// Bytes and SHA-256 of what follows the line.
    bytes: usize,
    sha256: String,
}

/// A file that it was made of.
#[derive(Debug, Serialize, Deserialize)]
struct SourceFile {
    path: PathBuf,
    /// `None` where it was missing.
    sha256: Option<String>,
}

impl LoweredForm {
    /// Of the compact `text` that was made of `files`.
    pub fn new(path: &Path, files: &[PathBuf], text: &str) -> Result<LoweredForm, String> {
        let source_file = |file: &PathBuf| {
            let path = std::path::absolute(file).unwrap_or_else(|_| file.clone());
            let sha256 = digest_of(&path)?;
            Ok(SourceFile { path, sha256 })
        };
        let files = files.iter().map(source_file);
        let header = FormHeader {
            format: FORMAT,
            files: files.collect::<Result<_, String>>()?,
            bytes: text.len(),
            sha256: digest(text.as_bytes()).map_err(|error| error.to_string())?,
        };
        let header = serde_json::to_string(&header).map_err(|error| error.to_string())?;
        Ok(LoweredForm {
            path: path.to_owned(),
            content: format!("{header}\n{text}"),
        })
    }

    /// What to tell a person once it is written.
    pub fn written(&self) -> String {
        format!(
            "{} has the operations that sources name of an OpenAPI file that is too large for the service to \
             read itself: after a change of that file, or of what sources name, run `main-node check` \
             again",
            self.path.display()
        )
    }

    /// Writes it, whole or not at all. `Err` says what to do.
    pub fn write(&self) -> Result<(), String> {
        let bytes = self.content.len() as u64;
        let written = Replacement::prepare(&self.path, "new", bytes)
            .and_then(|replacement| replacement.commit(self.content.as_bytes()));
        written.map_err(|error| {
            format!(
                "{} cannot be written: {}. The service needs it, since it cannot read so large an \
                 OpenAPI file itself",
                self.path.display(),
                reason(&error)
            )
        })
    }
}

/// The compact text of a lowered form. `Err` is a clause: why it cannot be used.
pub fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let content = match read_bounded(path) {
        Ok(content) => content,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(format!("its lowered form {shown} is missing"));
        }
        Err(error) => {
            return Err(format!(
                "its lowered form {shown} cannot be read: {}",
                reason(&error)
            ));
        }
    };
    let damaged = || format!("its lowered form {shown} is damaged");
    let (header, text) = content.split_once('\n').ok_or_else(damaged)?;
    let format: Format = serde_json::from_str(header).map_err(|_| damaged())?;
    if format.format != FORMAT {
        return Err(format!(
            "its lowered form {shown} was written by another version of main-node"
        ));
    }
    let header: FormHeader = serde_json::from_str(header).map_err(|_| damaged())?;
    let is_whole = text.len() == header.bytes
        && digest(text.as_bytes()).is_ok_and(|digest| digest == header.sha256);
    if !is_whole {
        return Err(damaged());
    }
    for file in &header.files {
        if digest_of(&file.path)? != file.sha256 {
            return Err(format!(
                "{} has changed since its lowered form {shown} was written",
                file.path.display()
            ));
        }
    }
    Ok(text.to_owned())
}

/// Read of every format.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let most = limits::API_TEXT_BYTES + limits::LOWERED_FORM_HEADER_BYTES;
    let mut content = Vec::new();
    let mut file = open_plain(path)?.take(most as u64 + 1);
    file.read_to_end(&mut content)?;
    if content.len() > most {
        return Err(io::Error::other(format!("it has more than {most} bytes")));
    }
    String::from_utf8(content).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// Opening a pipe, or reading a device, could wait for ever.
fn open_plain(path: &Path) -> io::Result<File> {
    if path.metadata()?.is_file() {
        File::open(path)
    } else {
        Err(io::Error::other("it is no plain file"))
    }
}

/// SHA-256 of a file, `None` if there is none.
fn digest_of(path: &Path) -> Result<Option<String>, String> {
    let digest = open_plain(path).and_then(digest);
    match digest {
        Ok(digest) => Ok(Some(digest)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!(
            "{} cannot be read: {}",
            path.display(),
            reason(&error)
        )),
    }
}

fn digest(mut input: impl Read) -> io::Result<String> {
    let mut context = Context::new(&SHA256);
    let mut buffer = [0; 16 * 1024];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(hexadecimal(context.finish().as_ref())),
            Ok(read) => context.update(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
#[path = "tests/lowered_form.rs"]
mod tests;
