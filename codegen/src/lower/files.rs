//! Files of a description, read within a limit and decoded.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use crate::lower::limits::heap;
use crate::lower::tree::{Position, Warning};

/// Why a file is not read.
pub enum ReadError {
    /// It has more bytes than are left.
    TooLarge,
    Other(String),
}

/// A plain file of at most `most` bytes: opening a pipe, or reading a device, could wait for ever.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, ReadError> {
    let described = |error: std::io::Error| {
        ReadError::Other(match error.kind() {
            ErrorKind::NotFound if path.to_string_lossy().contains("://") => {
                "it is an address: download the file, and name that".to_owned()
            }
            ErrorKind::NotFound => "the file does not exist".to_owned(),
            ErrorKind::PermissionDenied => "permission is denied".to_owned(),
            ErrorKind::IsADirectory => "it is a directory".to_owned(),
            _ => format!("reading it failed: {error}"),
        })
    };
    let about = fs::metadata(path).map_err(described)?;
    if !about.is_file() && !about.is_dir() {
        return Err(ReadError::Other("it is no plain file".to_owned()));
    }
    let file = fs::File::open(path).map_err(described)?;
    // So that a plain file is read without growing, which would take twice its size.
    let length = file.metadata().map_err(described)?.len().min(most);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0).saturating_add(1));
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(described)?;
    if bytes.len() as u64 > most {
        return Err(ReadError::TooLarge);
    }
    Ok(bytes)
}

/// Bytes that reading a file would take.
pub fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |about| about.len())
}

/// What a `$ref` names has to be a plain file, as the description itself.
pub fn read_referenced(path: &Path, most: u64) -> Result<Vec<u8>, ReadError> {
    match fs::metadata(path) {
        Ok(about) if about.is_file() => read(path, most),
        Ok(_) => Err(ReadError::Other("it is no plain file".to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(ReadError::Other("there is no such file".to_owned()))
        }
        Err(error) => Err(ReadError::Other(error.to_string())),
    }
}

/// What `decode` holds at most of the heap, the bytes included.
pub fn memory_to_decode(bytes: &Vec<u8>) -> usize {
    let is_utf16 = bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]);
    let text = if is_utf16 {
        // Two bytes are three at most, and the text grows.
        bytes.len() / 2 * 9
    } else if std::str::from_utf8(bytes).is_err() {
        // A broken byte is three, likewise.
        bytes.len() * 9
    } else {
        0
    };
    heap(bytes.capacity()) + heap(text)
}

/// The text of a file in UTF-8 or, by its byte-order mark, UTF-16.
pub fn decode(mut bytes: Vec<u8>, file: u32, warnings: &mut Vec<Warning>) -> String {
    if bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
        bytes.drain(..3);
        return match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
    }
    let utf16 = |bytes: &[u8], one: fn([u8; 2]) -> u16| -> String {
        let units = bytes.chunks_exact(2).map(|pair| one([pair[0], pair[1]]));
        char::decode_utf16(units)
            .map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    };
    match bytes.as_slice() {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => String::from_utf8(bytes).unwrap_or_else(|error| {
            let message = "not all of the file is UTF-8; what is not is shown as `\u{fffd}`";
            warnings.push(Warning {
                place: Position {
                    file,
                    line: 1,
                    column: 1,
                },
                message: message.to_owned(),
            });
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }),
    }
}

/// `a/./b/../c` → `a/c`, without asking the disk.
pub fn normalize(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}
