//! Bytes that mean nothing, and more than is taken.

use super::*;
use crate::db::test_support::Dice;

/// Starts of files of every kind, which the dice change.
fn seeds() -> Vec<Vec<u8>> {
    let case = Case::new();
    let path = case.sqlite(
        "CREATE TABLE records (id INTEGER PRIMARY KEY, timestamp TEXT, key TEXT, value REAL, meta JSON);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
         INSERT INTO records SELECT i, '2025-10-30 20:00:00', 't' || i, i, '{\"unit\": \"W\"}' FROM n",
    );
    let own = case.directory.path("own.db");
    own_database::filled(&own);
    vec![
        std::fs::read(path).expect("it can be read"),
        std::fs::read(own).expect("it can be read"),
        b"timestamp,key,value,unit,text,clock,seconds,count,min,max,last,meta\n\
          2025-10-30T20:00:00Z,t,1,W,,,,,,,,\n\
          2025-10-30T20:00:00Z,\"t\",,W,\"a\",,,,,,,\"{\"\"a\"\":1}\"\n\
          2025-10-30T20:00:00Z,t,1.5,W,,,3600,2,1,2,2,\n"
            .to_vec(),
        b"{\"timestamp\":\"2025-10-30T20:00:00Z\",\"key\":\"t\",\"value\":1,\"meta\":{\"a\":[1]}}\n\
          {\"timestamp\":1761854400,\"key\":\"t\",\"value\":1.5,\"seconds\":3600,\"count\":2,\"min\":1,\"max\":2,\"last\":2}\n"
            .to_vec(),
        Vec::new(),
    ]
}

#[test]
fn bytes_that_mean_nothing_give_an_error_or_a_report() {
    let mut dice = Dice(0x5eed_1234_5678_9abc);
    let seeds = seeds();
    let case = Case::new();
    for round in 0..600 {
        let mut bytes = seeds[round % seeds.len()].clone();
        if bytes.is_empty() {
            bytes = (0..dice.below(300))
                .map(|_| dice.below(256) as u8)
                .collect();
        }
        for _ in 0..dice.below(20) {
            let at = dice.below(bytes.len().max(1) as u64) as usize;
            match dice.below(4) {
                0 => bytes.truncate(at.max(20)),
                1 if at < bytes.len() => {
                    bytes.remove(at);
                }
                2 => bytes.insert(
                    at.min(bytes.len()),
                    b",;\"\n{}\0\xff'="[dice.below(10) as usize],
                ),
                _ if at < bytes.len() => bytes[at] = dice.below(256) as u8,
                _ => {}
            }
        }
        let input = case.write("input", &bytes);
        match case.stage(&input) {
            Ok(staged) => {
                let report = staged.report;
                let skipped: u64 = report.skipped.iter().map(|it| it.count).sum();
                let kept = report.staged.rows + report.staged.hours + report.staged.days;
                assert!(kept + skipped <= report.read, "round {round}: {report}");
            }
            Err(StageError::Input { detail, .. }) => assert!(!detail.is_empty()),
            Err(error) => panic!("round {round}: {error}"),
        }
        assert_eq!(case.directory.names(), ["input"], "round {round}");
    }
}

#[test]
fn more_keys_than_are_taken_are_counted() {
    let case = Case::new();
    let mut csv = "timestamp,key,value\n".to_owned();
    for key in 0..limits::IMPORT_KEYS + 5 {
        csv += &format!("2025-10-30,key {key},1\n");
    }
    csv += "2025-10-31,key 0,1\n";
    let (report, _) = case.staged(&case.write("a.csv", csv));
    assert_eq!(reasons(&report), [(SkipReason::TooManyKeys, 5)]);
    assert_eq!(report.staged.keys, limits::IMPORT_KEYS as u64);
    assert_eq!(report.staged.rows, limits::IMPORT_KEYS as u64 + 1);
}

#[test]
fn long_texts_units_and_metas_are_bounded() {
    let case = Case::new();
    let text = "ä".repeat(200);
    let meta = format!("{{\"a\":\"{}\"}}", "x".repeat(4_000));
    let line = serde_json::json!({
        "timestamp": "2025-10-30", "key": "t", "unit": "u".repeat(40), "text": text,
    });
    let other = serde_json::json!({"timestamp": "2025-10-30", "key": "u", "value": 1});
    let lines = format!(
        "{line}\n{}\n",
        other
            .to_string()
            .replace('}', &format!(",\"meta\":{meta}}}"))
    );
    let (report, staged) = case.staged(&case.write("a.jsonl", lines));
    assert_eq!(
        staged,
        [
            format!("1 t [{}]", "u".repeat(limits::UNIT_BYTES)),
            "2 u []".to_owned(),
            format!(
                "2025-10-30T00:00:00Z t = NULL {{\"text\":\"{}\"}}",
                "ä".repeat(128)
            ),
            "2025-10-30T00:00:00Z u = 1.0".to_owned(),
        ]
    );
    assert_eq!(report.notes.len(), 2, "{report}");
}
