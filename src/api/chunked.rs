//! Lenient decoder of chunked bodies (RFC 9112 §7.1): the chunks of a server become strict ones.
//!
//! Pure. As curl: lines ended by LF alone, blanks and extensions after the length, trailers.

use super::response_head::{FramingError, sample};
use crate::limits;

/// Decoder of one body.
#[derive(Debug)]
pub struct ChunkDecoder {
    state: ChunkState,
    /// Bytes of framing since the last data.
    framing_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkState {
    /// The length, its digits so far.
    Length(Option<usize>),
    /// What follows the length on its line.
    Extension(usize),
    Data(usize),
    DataEnd,
    /// Lines after the last chunk; whether the current one is empty so far.
    Trailer(bool),
    Done,
}

/// Bytes of a strict chunk beside its data, and the last chunk after it.
const OVERHEAD: usize = 16 + 4 + LAST_CHUNK.len();
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

impl ChunkDecoder {
    pub fn new() -> ChunkDecoder {
        ChunkDecoder {
            state: ChunkState::Length(None),
            framing_bytes: 0,
        }
    }

    /// Whether the last chunk is written.
    pub fn is_done(&self) -> bool {
        self.state == ChunkState::Done
    }

    /// Decodes as much of `input` as fits into `room`: bytes used and bytes written.
    pub fn decode(
        &mut self,
        input: &[u8],
        room: &mut [u8],
    ) -> Result<(usize, usize), FramingError> {
        let (mut used, mut written) = (0, 0);
        if room.len() <= OVERHEAD {
            return Ok((0, 0));
        }
        while used < input.len() && self.state != ChunkState::Done {
            if let ChunkState::Data(left) = self.state {
                let space = room.len().saturating_sub(written + OVERHEAD);
                let count = left.min(input.len() - used).min(space);
                if count == 0 {
                    break;
                }
                written += write_chunk(&mut room[written..], &input[used..used + count]);
                used += count;
                self.state = match left - count {
                    0 => ChunkState::DataEnd,
                    left => ChunkState::Data(left),
                };
                continue;
            }
            let next = self.step(input[used]);
            self.framing_bytes += 1;
            // No sample: what is there depends on how the connection cuts the endless line.
            if self.framing_bytes > limits::RESPONSE_HEAD_BYTES {
                return Err(FramingError::LongChunkLine);
            }
            self.state = next.ok_or_else(|| FramingError::BadChunk(sample(&input[used..])))?;
            used += 1;
            match self.state {
                ChunkState::Data(_) => self.framing_bytes = 0,
                ChunkState::Done => written += self.finish(&mut room[written..]),
                _ => {}
            }
        }
        Ok((used, written))
    }

    /// After the end of the connection: writes the last chunk, if its length has been read.
    pub fn end(&mut self, room: &mut [u8]) -> usize {
        match self.state {
            ChunkState::Trailer(_) if room.len() >= LAST_CHUNK.len() => self.finish(room),
            _ => 0,
        }
    }

    fn finish(&mut self, room: &mut [u8]) -> usize {
        self.state = ChunkState::Done;
        room[..LAST_CHUNK.len()].copy_from_slice(LAST_CHUNK);
        LAST_CHUNK.len()
    }

    /// The state after a byte of framing; `None` if it must not be there.
    fn step(&self, byte: u8) -> Option<ChunkState> {
        let after_length = |length| match (byte, length) {
            (b'\n', 0) => ChunkState::Trailer(true),
            (b'\n', length) => ChunkState::Data(length),
            _ => ChunkState::Extension(length),
        };
        match (self.state, byte) {
            (ChunkState::Length(None), b' ' | b'\t') => Some(ChunkState::Length(None)),
            (ChunkState::Length(Some(length)), b' ' | b'\t' | b';' | b'\r' | b'\n') => {
                Some(after_length(length))
            }
            (ChunkState::Length(length), digit) => {
                let digit = char::from(digit).to_digit(16)? as usize;
                let length = length.unwrap_or(0).checked_mul(16)?.checked_add(digit)?;
                Some(ChunkState::Length(Some(length)))
            }
            (ChunkState::Extension(length), _) => Some(after_length(length)),
            (ChunkState::DataEnd, b'\n') => Some(ChunkState::Length(None)),
            (ChunkState::DataEnd, b'\r') => Some(ChunkState::DataEnd),
            (ChunkState::Trailer(true), b'\n') => Some(ChunkState::Done),
            (ChunkState::Trailer(_), b'\n') => Some(ChunkState::Trailer(true)),
            (ChunkState::Trailer(is_empty), b'\r') => Some(ChunkState::Trailer(is_empty)),
            (ChunkState::Trailer(_), _) => Some(ChunkState::Trailer(false)),
            (ChunkState::DataEnd | ChunkState::Data(_) | ChunkState::Done, _) => None,
        }
    }
}

/// Writes one strict chunk; returns its bytes.
fn write_chunk(room: &mut [u8], data: &[u8]) -> usize {
    let length = format!("{:x}\r\n", data.len());
    let mut at = 0;
    for part in [length.as_bytes(), data, b"\r\n"] {
        room[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    at
}

#[cfg(test)]
#[path = "tests/chunked.rs"]
mod tests;
