use super::*;
use crate::golden::Budget;

/// `plug.local` as labels.
const NAME: &[u8] = b"\x04plug\x05local\x00";
/// A pointer to the name of the question.
const POINTER: &[u8] = b"\xc0\x0c";
const ID: u16 = 0x1234;

/// A response with one question and the records.
fn response(flags: u16, records: &[Vec<u8>]) -> Vec<u8> {
    let count = u16::try_from(records.len()).expect("few records");
    let header = [ID, flags, 1, count, 0, 0].map(u16::to_be_bytes).concat();
    [&header, NAME, &[0, 1, 0, 1], &records.concat()].concat()
}

fn record(owner: &[u8], kind: u16, class: u16, ttl_s: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("short data");
    let mut record = owner.to_vec();
    record.extend([kind, class].map(u16::to_be_bytes).concat());
    record.extend(ttl_s.to_be_bytes());
    record.extend(length.to_be_bytes());
    record.extend(data);
    record
}

fn found(message: &[u8]) -> Vec<String> {
    let found = addresses(message, ID, "plug.local");
    found
        .iter()
        .map(|it| format!("{} {}", it.address, it.ttl_s))
        .collect()
}

#[test]
fn a_question_is_that_of_rfc_1035() {
    assert_eq!(
        question(ID, "plug.local", 28).as_deref(),
        Some(&b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x04plug\x05local\0\0\x1c\0\x01"[..])
    );
    let long = format!("{}.local", "a".repeat(64));
    let longer = format!("{}local", "abcdefg.".repeat(32));
    for name in ["", ".local", "a..local", &long, &longer] {
        assert_eq!(question(ID, name, 1), None, "{name}");
    }
    assert!(question(ID, &format!("{}.local", "a".repeat(63)), 1).is_some());
}

#[test]
fn only_addresses_of_the_asked_name_are_taken() {
    let four: &[u8] = &[192, 168, 1, 20];
    let six: &[u8] = &[0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20];
    let other = b"\x05other\x05local\x00";
    let alias = b"\x05alias\xc0\x11";
    for (what, records, expected) in [
        (
            "an A record",
            vec![record(POINTER, 1, 1, 10, four)],
            vec!["192.168.1.20 10"],
        ),
        (
            "both families, the cache-flush bit, a name spelled out in capitals",
            vec![
                record(b"\x04PLUG\x05Local\x00", 1, 0x8001, 120, four),
                record(POINTER, 28, 0x8001, 120, six),
            ],
            vec!["192.168.1.20 120", "fe80::20 120"],
        ),
        ("another name", vec![record(other, 1, 1, 10, four)], vec![]),
        (
            "behind a record of another type",
            vec![
                record(POINTER, 47, 1, 10, &[1, 2, 3]),
                record(POINTER, 1, 1, 10, four),
            ],
            vec!["192.168.1.20 10"],
        ),
        (
            "an alias and its address",
            vec![
                record(POINTER, 5, 1, 10, alias),
                record(b"\x05alias\x05local\0", 1, 1, 10, four),
            ],
            vec!["192.168.1.20 10"],
        ),
        (
            "an alias that leaves the link",
            vec![
                record(POINTER, 5, 1, 10, b"\x04evil\x03com\0"),
                record(b"\x04evil\x03com\0", 1, 1, 10, four),
            ],
            vec![],
        ),
        ("taken back", vec![record(POINTER, 1, 1, 0, four)], vec![]),
        (
            "another class",
            vec![record(POINTER, 1, 3, 10, four)],
            vec![],
        ),
        (
            "an address of three bytes",
            vec![record(POINTER, 1, 1, 10, &four[..3])],
            vec![],
        ),
        (
            "this machine",
            vec![record(POINTER, 1, 1, 10, &[127, 0, 0, 1])],
            vec![],
        ),
        (
            "everybody",
            vec![record(POINTER, 1, 1, 10, &[255; 4])],
            vec![],
        ),
        (
            "a group",
            vec![record(POINTER, 1, 1, 10, &[224, 0, 0, 251])],
            vec![],
        ),
        (
            "a dot inside a label",
            vec![record(b"\x0aplug.local\0", 1, 1, 10, four)],
            vec![],
        ),
    ] {
        assert_eq!(found(&response(0x8400, &records)), expected, "{what}");
    }
}

#[test]
fn what_is_no_answer_to_the_question_is_ignored() {
    let four = record(POINTER, 1, 1, 10, &[192, 168, 1, 20]);
    let records = [four];
    for (flags, count) in [
        (0x8400, 1),
        (0x8000, 1),
        (0x8600, 1),
        (0, 0),
        (0x8403, 0),
        (0xa800, 0),
    ] {
        assert_eq!(found(&response(flags, &records)).len(), count, "{flags:x}");
    }
    let answer = response(0x8400, &records);
    assert!(addresses(&answer, ID + 1, "plug.local").is_empty());
    assert!(addresses(&answer, ID, "plu.local").is_empty());
}

#[test]
fn broken_messages_keep_what_was_read_before() {
    let four = record(POINTER, 1, 1, 10, &[192, 168, 1, 20]);
    let loop_to_itself = record(b"\xc0\x2e", 1, 1, 10, &[1, 2, 3, 4]);
    let forward = record(b"\xff\xff", 1, 1, 10, &[1, 2, 3, 4]);
    let reserved = record(b"\x80", 1, 1, 10, &[1, 2, 3, 4]);
    for broken in [loop_to_itself, forward, reserved, vec![1]] {
        let message = response(0x8400, &[four.clone(), broken.clone(), four.clone()]);
        assert_eq!(found(&message)[0], "192.168.1.20 10", "{broken:?}");
    }
    let whole = response(0x8400, &[four]);
    for length in 0..whole.len() {
        assert!(found(&whole[..length]).is_empty(), "{length}");
    }
}

#[test]
fn records_and_addresses_of_one_message_are_bounded() {
    let records: Vec<Vec<u8>> = (0..200)
        .map(|it| record(POINTER, 1, 1, 10, &[192, 168, 1, it]))
        .collect();
    let count = found(&response(0x8400, &records)).len();
    assert_eq!(count, limits::MDNS_ADDRESSES);
    // Counts that the message does not hold.
    let mut empty = response(0x8400, &[]);
    empty[6..12].fill(0xff);
    assert!(found(&empty).is_empty());
}

#[test]
fn fuzz_mdns_messages() {
    let six = record(POINTER, 28, 0x8001, 10, &[0xfe; 16]);
    let alias = record(POINTER, 5, 1, 10, b"\x05alias\xc0\x11");
    let four = record(POINTER, 1, 1, 10, &[10, 0, 0, 1]);
    let whole = response(0x8400, &[alias, four, six]);
    for seed in Budget::new(20_000).seeds() {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut message = whole.clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..message.len());
            match random.u8(..4) {
                0 => message[at] = random.u8(..),
                1 => message[at] = 0xc0,
                2 if at > 0 => message.truncate(at),
                _ => message.insert(at, random.u8(..)),
            }
        }
        let result = std::panic::catch_unwind(|| addresses(&message, ID, "plug.local").len());
        let is_bounded = result.is_ok_and(|count| count <= limits::MDNS_ADDRESSES);
        assert!(is_bounded, "FUZZ_SEED={seed}: {}", message.escape_ascii());
    }
}
