//! Handlers that respond from memory: `/snapshot` in all its variants, and `/healthz`.
//!
//! Runs on the connection thread: the published bytes are found under a mutex that is only ever
//! held to swap an `Arc`. No database, no disk, no log line.

use std::sync::Arc;

use super::app::App;
use super::published::{self, JSON, Publication, TEXT};
use super::representation::{Representation, weak_etag};
use super::response::NO_CACHE;
use super::table::{RequestTarget, Route};
use crate::domain::snapshot::Record;
use crate::domain::snapshot_body;
use crate::limits;
use crate::monitor::http::handler::{Request, Response};
use crate::monitor::problem::ProblemDetails;

impl App {
    /// Whether the response takes no longer than other polls may wait: few
    /// records, all of them known (an unknown key gets a suggestion, which compares
    /// all keys), and nothing large to render that many will share.
    pub(super) fn is_cheap(
        &self,
        request: &Request,
        current: &Publication,
        target: &RequestTarget,
    ) -> bool {
        if target.list_len("keys") > limits::SNAPSHOT_INLINE_KEYS {
            return false;
        }
        if current.snapshot.records.len() <= limits::SNAPSHOT_INLINE_KEYS {
            return true;
        }
        let is_standing = |key: &str| current.index_of(key).is_some();
        let is_known = |key: &str| is_standing(key) || self.is_configured(key);
        match target.row.route {
            Route::SnapshotKey => is_known(&target.path_parameter),
            Route::Snapshot => match target.list("keys", is_standing) {
                Some(keys) => {
                    let forgotten = &current.snapshot.forgotten;
                    let is_fine = |key: &String| is_known(key) || forgotten.contains(key.as_str());
                    keys.iter().all(is_fine) && keys.iter().any(|key| is_known(key))
                }
                None => {
                    let is_text = target.parameter("format") == Some("text");
                    let is_full = target.parameter("full") == Some("1");
                    current.is_rendered(request, is_text, is_full)
                }
            },
            _ => true,
        }
    }

    /// `/snapshot`.
    pub(super) fn snapshot(
        &self,
        request: &Request,
        target: &RequestTarget,
        current: &Publication,
    ) -> Result<Response, ProblemDetails> {
        let (is_text, is_full) = snapshot_format(target)?;
        if !current.has_data() {
            return Ok(no_data_response());
        }
        let node = &self.context.settings.node_name;
        let is_key = |key: &str| current.index_of(key).is_some();
        if let Some(keys) = target.list("keys", is_key) {
            let records = self.select_records(current, &keys)?;
            let snapshot = &current.snapshot;
            let selected = match (is_text, is_full) {
                (true, _) => weakly_tagged(TEXT, published::text(&records)),
                (_, true) => Representation::uncompressed(
                    JSON,
                    published::full(snapshot, &records, node, &self.context.plan).into(),
                ),
                _ => {
                    let body = snapshot_body::json(snapshot, &records).into_bytes();
                    let etag = weak_etag(snapshot_body::without_timestamp(&body));
                    Representation::uncompressed(JSON, body).with_weak_etag(etag)
                }
            };
            return Ok(self.respond_to_poll(request, &selected));
        }
        let whole = match (is_text, is_full) {
            (true, _) => current.text(),
            (_, true) => current.full(node, &self.context.plan),
            _ => current.json(),
        };
        Ok(whole.map_or_else(no_data_response, |it| self.respond_to_poll(request, it)))
    }

    /// `/snapshot/<key>`.
    pub(super) fn snapshot_key(
        &self,
        request: &Request,
        target: &RequestTarget,
        current: &Publication,
    ) -> Result<Response, ProblemDetails> {
        let (is_text, is_full) = snapshot_format(target)?;
        if !current.has_data() {
            return Ok(no_data_response());
        }
        let record = self
            .find_record(current, &target.path_parameter)?
            .ok_or_else(no_reading_problem)?;
        let representation = match (is_text, is_full) {
            (true, _) => weakly_tagged(TEXT, published::text(&[record])),
            (_, true) => Representation::uncompressed(
                JSON,
                published::full_json_record(&current.snapshot, record, &self.context.plan).into(),
            ),
            _ => weakly_tagged(JSON, snapshot_body::json_record(record)),
        };
        Ok(self.respond_to_poll(request, &representation))
    }

    fn respond_to_poll(&self, request: &Request, representation: &Representation) -> Response {
        let response = representation.respond(request, NO_CACHE);
        self.record_poll(request, response.etag());
        response
    }

    /// The records of these keys, in the configuration's order. What is configured but gave
    /// nothing yet, or was forgotten, is left out while there are others.
    fn select_records<'a>(
        &self,
        current: &'a Publication,
        keys: &[String],
    ) -> Result<Vec<&'a Record>, ProblemDetails> {
        let mut positions = Vec::new();
        let is_forgotten = |key: &&String| current.snapshot.forgotten.contains(key.as_str());
        for key in keys.iter().filter(|key| !is_forgotten(key)) {
            match current.index_of(key) {
                Some(place) => positions.push(place),
                None => drop(self.find_record(current, key)?),
            }
        }
        if positions.is_empty() {
            return Err(match keys.iter().find(is_forgotten) {
                Some(key) => self.unknown_key_problem(current, key),
                None => no_reading_problem(),
            });
        }
        positions.sort_unstable();
        positions.dedup();
        let records = &current.snapshot.records;
        Ok(positions
            .iter()
            .filter_map(|place| records.get(*place))
            .collect())
    }

    /// The record of a key; `None` for one that is configured and gave nothing yet.
    fn find_record<'a>(
        &self,
        current: &'a Publication,
        key: &str,
    ) -> Result<Option<&'a Record>, ProblemDetails> {
        match current.record(key) {
            Some(record) => Ok(Some(record)),
            None if self.is_configured(key) => Ok(None),
            None => Err(self.unknown_key_problem(current, key)),
        }
    }

    pub(super) fn healthz(&self) -> Response {
        match (self.context.stuck)() {
            None => Response {
                status: 200,
                headers: vec![
                    ("Content-Type", JSON.into()),
                    ("Cache-Control", "no-store".into()),
                    ("X-Content-Type-Options", "nosniff".into()),
                ],
                body: Arc::from(&br#"{"status":"pass"}"#[..]),
            },
            Some(stuck) => {
                let detail = format!("The node is stuck: {stuck} has made no progress.");
                ProblemDetails::new(503, detail).response()
            }
        }
    }
}

/// 503 with a body that a display can parse like any other.
fn no_data_response() -> Response {
    let body = concat!(
        r#"{"type":"about:blank","title":"Service Unavailable","status":503,"#,
        r#""detail":"No source has responded yet, and nothing is stored.","#,
        r#""timestamp":null,"records":[],"summary":{"count":0,"avg":null}}"#
    );
    let mut response = no_reading_problem().response();
    response.body = Arc::from(body.as_bytes());
    response
}

fn no_reading_problem() -> ProblemDetails {
    let seconds = limits::RETRY_WITHOUT_DATA.as_secs().to_string();
    ProblemDetails::new(
        503,
        "No reading yet. The key is configured, and its source will be fetched again.",
    )
    .with("Retry-After", seconds)
}

/// Whether text is requested, and whether all fields are.
fn snapshot_format(target: &RequestTarget) -> Result<(bool, bool), ProblemDetails> {
    let is_full = boolean_parameter(target, "full")?;
    match target.parameter("format") {
        None | Some("json") => Ok((false, is_full)),
        Some("text") => Ok((true, is_full)),
        Some(other) => {
            let detail = format!("`format` is {other:?}; expected json or text.");
            Err(ProblemDetails::new(400, detail))
        }
    }
}

fn boolean_parameter(target: &RequestTarget, name: &str) -> Result<bool, ProblemDetails> {
    match target.parameter(name) {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(other) => Err(ProblemDetails::new(
            400,
            format!("`{name}` is {other:?}; expected 0 or 1."),
        )),
    }
}

/// A representation made for one request that contains no time.
fn weakly_tagged(content_type: &'static str, body: String) -> Representation {
    let etag = weak_etag(body.as_bytes());
    Representation::uncompressed(content_type, body.into()).with_weak_etag(etag)
}
