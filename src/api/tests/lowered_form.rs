//! Lowered form: read back whole, or refused with the reason.

use std::fs;

use super::*;
use crate::golden::scratch;

#[test]
fn a_lowered_form_is_good_until_a_file_of_it_changes() {
    let directory = scratch("lowered-form");
    let (form, file) = (directory.join("n.api-a.jsonl"), directory.join("a.yaml"));
    let missing = directory.join("missing.yaml");
    fs::write(&file, "openapi: 3.0.0").expect("written");
    let files = [file.clone(), missing.clone()];
    let lowered = LoweredForm::new(&form, &files, "{}\n\n{}\nä").expect("it is small");
    let why = read(&form).expect_err("it is not written yet");
    assert!(why.ends_with("n.api-a.jsonl is missing"), "{why}");
    lowered.write().expect("written");
    assert_eq!(read(&form).as_deref(), Ok("{}\n\n{}\nä"));

    let whole = fs::read_to_string(&form).expect("it is there");
    let (header, text) = whole.split_once('\n').expect("two parts");
    for (content, expected) in [
        (String::new(), "is damaged"),
        ("{}".to_owned(), "is damaged"),
        ("{}\n".to_owned(), "is damaged"),
        (header.to_owned(), "is damaged"),
        (whole[..whole.len() - 3].to_owned(), "is damaged"),
        (
            format!("{header}\n{}", text.replace("{}", "[]")),
            "is damaged",
        ),
        (format!("{whole}x"), "is damaged"),
        (
            whole.replace("\"format\":1", "\"format\":2"),
            "another version of main-node",
        ),
        (
            "{\"format\":7}\n".to_owned(),
            "another version of main-node",
        ),
    ] {
        fs::write(&form, &content).expect("written");
        let why = read(&form).expect_err(&content);
        assert!(why.ends_with(expected), "{content}: {why}");
    }
    fs::write(&form, [0xff, b'\n']).expect("written");
    assert!(
        read(&form)
            .expect_err("no text")
            .ends_with("it is not UTF-8")
    );
    let large = fs::File::create(&form).expect("created");
    large.set_len(100_000_000).expect("a sparse file");
    assert!(
        read(&form)
            .expect_err("too large")
            .contains("it has more than")
    );

    lowered.write().expect("written");
    fs::write(&missing, "a: 1").expect("written");
    let why = read(&form).expect_err("a file is new");
    assert!(why.contains("missing.yaml has changed since"), "{why}");
    fs::remove_file(&missing).expect("removed");
    fs::write(&file, "openapi: 3.0.1").expect("written");
    let why = read(&form).expect_err("a file has changed");
    assert!(why.contains("a.yaml has changed since"), "{why}");
    fs::remove_dir_all(directory).expect("its own directory");
}
