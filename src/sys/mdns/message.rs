//! DNS messages (RFC 1035) as far as multicast DNS needs them: a question for the addresses of one
//! name, and the addresses in an answer.
//!
//! Pure. An answer is a stranger's packet: what is broken in it ends the reading, and what was read
//! before counts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits;

const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_AAAA: u16 = 28;
const CLASS_IN: u16 = 1;
/// The top bit of a class: a responder's "this is all", a querier's "answer by unicast".
const CLASS_MASK: u16 = 0x7fff;
/// Response, opcode and response code of a header's flags.
const FLAGS_MASK: u16 = 0xf80f;
const FLAGS_RESPONSE: u16 = 0x8000;
/// Bytes of a name and of one label (RFC 1035, 2.3.4).
const NAME_BYTES: usize = 255;
const LABEL_BYTES: usize = 63;

/// The types of addresses, one question each: simple devices answer only the first of a message.
pub const ADDRESS_TYPES: [u16; 2] = [TYPE_A, TYPE_AAAA];

/// An address that an answer gives to the name that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRecord {
    pub address: IpAddr,
    pub ttl_s: u32,
}

/// A message that asks for the addresses of `name` of one type; `None` if it cannot be a name.
pub fn question(id: u16, name: &str, address_type: u16) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(64);
    // No flags, one question.
    for field in [id, 0, 1, 0, 0, 0] {
        message.extend_from_slice(&field.to_be_bytes());
    }
    let header = message.len();
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok()?;
        if label.is_empty() || label.len() > LABEL_BYTES {
            return None;
        }
        message.push(length);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    if message.len() - header > NAME_BYTES {
        return None;
    }
    message.extend_from_slice(&address_type.to_be_bytes());
    message.extend_from_slice(&CLASS_IN.to_be_bytes());
    Some(message)
}

/// The addresses of `name`, or of a name that the message calls its canonical one; empty if the
/// message is no answer to the question with that id.
pub fn addresses(message: &[u8], id: u16, name: &str) -> Vec<AddressRecord> {
    let mut reader = MessageReader { message, at: 0 };
    let records = reader.records(id).unwrap_or_default();
    let mut names = vec![name.to_ascii_lowercase()];
    for record in &records {
        if let RecordData::Alias(target) = &record.data
            && names.contains(&record.owner)
            && target.ends_with(".local")
        {
            names.push(target.clone());
        }
    }
    let found = records.iter().filter_map(|record| match record.data {
        // A time to live of 0 takes the record back (RFC 6762, 10.1).
        RecordData::Address(address) if record.ttl_s > 0 => {
            let ttl_s = record.ttl_s;
            let is_asked = names.contains(&record.owner) && is_host(address);
            is_asked.then_some(AddressRecord { address, ttl_s })
        }
        RecordData::Address(_) | RecordData::Alias(_) => None,
    });
    found.take(limits::MDNS_ADDRESSES).collect()
}

/// Whether a device can have that address: this machine's own loopback is not another's.
fn is_host(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(it) if it.is_broadcast());
    let address = address.to_canonical();
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_broadcast)
}

struct ResourceRecord {
    /// In lower case, without a final dot.
    owner: String,
    ttl_s: u32,
    data: RecordData,
}

enum RecordData {
    Address(IpAddr),
    Alias(String),
}

struct MessageReader<'a> {
    message: &'a [u8],
    at: usize,
}

impl MessageReader<'_> {
    /// Addresses and aliases of a response with that id, as far as they can be read.
    fn records(&mut self, id: u16) -> Option<Vec<ResourceRecord>> {
        let is_ours = self.u16()? == id;
        let is_response = self.u16()? & FLAGS_MASK == FLAGS_RESPONSE;
        if !is_ours || !is_response {
            return None;
        }
        let questions = self.u16()?;
        let records = u32::from(self.u16()?) + u32::from(self.u16()?) + u32::from(self.u16()?);
        for _ in 0..questions {
            self.name()?;
            self.take(4)?;
        }
        let mut found = Vec::new();
        for _ in 0..records {
            match self.record() {
                Some(Some(record)) if found.len() < limits::MDNS_RECORDS => found.push(record),
                Some(_) => {}
                None => break,
            }
        }
        Some(found)
    }

    /// The next record; `Some(None)` for one of another type.
    fn record(&mut self) -> Option<Option<ResourceRecord>> {
        let owner = self.name()?;
        let (kind, class) = (self.u16()?, self.u16()? & CLASS_MASK);
        let ttl_s = u32::from(self.u16()?) << 16 | u32::from(self.u16()?);
        let length = usize::from(self.u16()?);
        let start = self.at;
        let data = self.take(length)?;
        let data = match kind {
            TYPE_A => <[u8; 4]>::try_from(data)
                .ok()
                .map(|it| RecordData::Address(Ipv4Addr::from(it).into())),
            TYPE_AAAA => <[u8; 16]>::try_from(data)
                .ok()
                .map(|it| RecordData::Address(Ipv6Addr::from(it).into())),
            TYPE_CNAME => {
                let message = self.message;
                let name = MessageReader { message, at: start }.name();
                name.map(RecordData::Alias)
            }
            _ => None,
        };
        let data = data.filter(|_| class == CLASS_IN);
        Some(data.map(|data| ResourceRecord { owner, ttl_s, data }))
    }

    /// A name with its compression pointers, each of which must lead backwards (RFC 1035, 4.1.4).
    fn name(&mut self) -> Option<String> {
        let mut name = Vec::new();
        // Behind the first pointer goes on what follows the name.
        let mut behind = None;
        let mut segment = self.at;
        loop {
            let length = usize::from(self.u8()?);
            match length {
                0 => break,
                1..=LABEL_BYTES => {
                    let label = self.take(length)?;
                    if !name.is_empty() {
                        name.push(b'.');
                    }
                    name.extend_from_slice(label);
                    // A dot inside a label would make two of it.
                    if label.contains(&b'.') || name.len() > NAME_BYTES {
                        return None;
                    }
                }
                0xc0.. => {
                    let target = (length & 0x3f) << 8 | usize::from(self.u8()?);
                    behind = behind.or(Some(self.at));
                    if target >= segment {
                        return None;
                    }
                    segment = target;
                    self.at = target;
                }
                _ => return None,
            }
        }
        self.at = behind.unwrap_or(self.at);
        Some(String::from_utf8(name).ok()?.to_ascii_lowercase())
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.message.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }
}

#[cfg(test)]
#[path = "tests/message.rs"]
mod tests;
