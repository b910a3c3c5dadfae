//! The committed client is what codegen makes of the committed description.

use std::path::Path;

#[test]
fn the_committed_client_is_fresh_and_the_description_gives_all_it_has() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let source = std::fs::read(root.join("openapi.yaml")).unwrap();
    let spec = openapi::lower::spec::Spec::from_bytes(
        Path::new("openapi.yaml"),
        source,
        openapi::lower::limits::Limits::CODEGEN,
    )
    .unwrap();
    let (description, report) = openapi::lower::lower(
        &spec,
        "open_meteo",
        &openapi::lower::candidates::Wanted::Gets,
    )
    .unwrap();
    assert_eq!(
        report.summary(),
        "openapi.yaml: open_meteo: 1 of 1 GETs included"
    );
    let fresh = openapi::emit::emit(&[description], "cargo codegen");
    let committed = std::fs::read_to_string(root.join("src/api/client.rs")).unwrap();
    assert!(
        committed == fresh,
        "src/api/client.rs is stale: run `cargo codegen`"
    );
}
