//! Schemas for tests, written in the compact form.

use crate::compact::CompactApi;
use crate::schema::{Schema, SchemaRef};

/// The schemas of these lines, by number; number 0 says nothing.
pub fn schemas(lines: &str) -> Vec<&'static Schema> {
    references(lines).into_iter().map(SchemaRef::get).collect()
}

/// References to them.
pub fn references(lines: &str) -> Vec<SchemaRef> {
    let count = lines.trim().lines().count();
    let responses: Vec<String> = (0..=count)
        .map(|id| format!(r#"{{"status":"{id}","media_type":"","schema":{id}}}"#))
        .collect();
    let text = format!(
        "{}\n{{\"id\":\"all\",\"responses\":[{}]}}\n\n{}",
        r#"{"name":"test","title":"","version":"","source_file":""}"#,
        responses.join(","),
        lines.trim()
    );
    let api = CompactApi::leak(text).read().expect("it is an API");
    let responses = api.operations[0].responses.iter();
    responses.map(|it| it.schema).collect()
}
