//! Answers that are rendered when asked for: status, metrics, history, pages, files.
//!
//! Runs on the pool's workers; reading history may wait for the database.

use std::sync::Arc;

use super::app::{App, NO_CACHE, ok_response};
use super::published::{JSON, Publication, TEXT};
use super::representation::{Representation, accepts_gzip, gzip, quality_values};
use super::table::{RequestTarget, Route};
use super::{history, metrics, process, status};
use crate::domain::health::Storage;
use crate::domain::time::Moment;
use crate::limits;
use crate::monitor::context::HistoryFailure;
use crate::monitor::http::handler::{Request, Response};
use crate::monitor::problem::{self, ProblemDetails, history_unavailable};
use crate::monitor::status_text::{self, NodeStatus};
use crate::monitor::web::{self, PageContext};
use crate::sys::budget::Budget;
use crate::sys::thread::panics;

const IMMUTABLE: &str = "public, max-age=31536000, immutable";

impl App {
    pub(super) fn render(
        &self,
        request: &Request,
        target: &RequestTarget,
        budget: &Budget,
    ) -> Response {
        let answer = match target.route {
            Route::Home => Ok(Response {
                status: 302,
                headers: vec![
                    ("Location", "/web".into()),
                    ("Content-Type", TEXT.into()),
                    ("Cache-Control", NO_CACHE.into()),
                ],
                body: Arc::from(&b"/web\n"[..]),
            }),
            Route::Status => Ok(self.status()),
            Route::Metrics => Ok(self.metrics(request)),
            Route::History => self.history(target, budget),
            Route::Overview | Route::Key | Route::Source | Route::Alerts | Route::About => {
                self.page(target, budget)
            }
            Route::Style => asset(&self.assets.style, request, target, &web::style_name()),
            Route::Script => asset(&self.assets.script, request, target, &web::script_name()),
            Route::OpenApi => Ok(self.assets.openapi.respond(request, NO_CACHE)),
            Route::Robots => Ok(ok_response(
                TEXT,
                NO_CACHE,
                b"User-agent: *\nDisallow: /\n".to_vec(),
            )),
            Route::Favicon => self.favicon(target),
            // The gate opens the stream itself; here it is only asked for its head.
            Route::Events => Ok(Response {
                status: 200,
                headers: self.event_stream_headers(),
                body: Arc::new([]),
            }),
            Route::Snapshot | Route::SnapshotKey | Route::Healthz => Err(problem::rejection(500)),
        };
        answer.unwrap_or_else(|problem| self.error_page(request, &problem))
    }

    fn node_status(&self, current: &Publication, storage: &Storage, now: Moment) -> NodeStatus {
        status_text::node_status(
            &current.snapshot,
            storage,
            &(self.context.channels)(),
            now,
            self.context.settings.started,
        )
    }

    /// How all is, in one sentence.
    pub fn headline(&self) -> String {
        let (current, storage) = (self.context.published.current(), (self.context.storage)());
        let now = self.context.clock.now();
        self.node_status(&current, &storage, now).headline
    }

    fn status(&self) -> Response {
        let (current, storage) = (self.context.published.current(), (self.context.storage)());
        let (now, settings) = (self.context.clock.now(), &self.context.settings);
        let body = status::render(&status::StatusInput {
            state: &self.node_status(&current, &storage, now),
            snapshot: &current.snapshot,
            storage: &storage,
            displays: &self.displays.list(),
            channels: &(self.context.channels)(),
            now,
            trusted_by: self.context.clock.trusted_by(),
            started: settings.started,
            node: &settings.node_name,
            version: settings.version,
            build: (settings.build)(),
            is_example: settings.is_example,
        });
        ok_response(JSON, "no-store", body)
    }

    fn metrics(&self, request: &Request) -> Response {
        let members = ["application/openmetrics-text", "text/plain"];
        let [open, plain_text] =
            quality_values(request, "accept", members).map(Option::unwrap_or_default);
        let format = match open > 0.0 && open >= plain_text {
            true => metrics::ExpositionFormat::OpenMetrics,
            false => metrics::ExpositionFormat::Prometheus,
        };
        let facts = metrics::MetricsInput {
            snapshot: &self.context.published.current().snapshot,
            storage: &(self.context.storage)(),
            http: &self.context.http_stats.snapshot(),
            displays: self.displays.count(),
            channels: &(self.context.channels)(),
            process: &process::process_info(),
            now: self.context.clock.now(),
            started: self.context.settings.started,
            version: self.context.settings.version,
            panics: panics(),
            cut_offs: &self.cut_offs.counts(),
        };
        let mut answer = ok_response(
            format.content_type(),
            "no-store",
            metrics::render(&facts, format).into_bytes(),
        );
        answer.headers.push(("Vary", "Accept".into()));
        answer
    }

    fn history(&self, target: &RequestTarget, budget: &Budget) -> Result<Response, ProblemDetails> {
        let now = self.context.clock.now();
        let (query, format) = history::parse_query(target, now.wall)?;
        let read = (self.context.history)(&query, budget);
        if let Err(failure) = &read {
            log::debug!("history of {:?} is not read: {failure}", query.key);
        }
        let current = self.context.published.current();
        let record = current.record(&query.key);
        let buckets = match read {
            // A key that is forgotten has its history; one without a row may be young.
            Ok(buckets) => buckets,
            Err(HistoryFailure::NothingStored)
                if record.is_some() || self.is_configured(&query.key) =>
            {
                Vec::new()
            }
            Err(HistoryFailure::NothingStored) => {
                return Err(self.unknown_key_problem(&current, &query.key));
            }
            Err(HistoryFailure::Unavailable(_)) => return Err(history_unavailable()),
            Err(HistoryFailure::Exceeded(limit)) => {
                let detail = format!(
                    "The history was cut off at {limit}, the most that one request may take. Ask for a shorter span between `from` and `to`."
                );
                return Err(ProblemDetails::new(503, detail).with("Retry-After", "10"));
            }
        };
        let unit = record.and_then(|record| record.unit.as_deref());
        Ok(match format {
            history::HistoryFormat::Json => {
                ok_response(JSON, NO_CACHE, history::json(&query, unit, &buckets))
            }
            history::HistoryFormat::Csv => ok_response(
                "text/csv; charset=utf-8; header=present",
                NO_CACHE,
                history::csv(&buckets),
            ),
        })
    }

    fn page(&self, target: &RequestTarget, budget: &Budget) -> Result<Response, ProblemDetails> {
        let (current, storage) = (self.context.published.current(), (self.context.storage)());
        let now = self.context.clock.now();
        let view = PageContext {
            state: &self.node_status(&current, &storage, now),
            snapshot: &current.snapshot,
            storage: &storage,
            displays: &self.displays.list(),
            channels: &(self.context.channels)(),
            plan: &self.context.plan,
            history: &*self.context.history,
            budget,
            sparklines: &self.sparklines,
            settings: &self.context.settings,
            now,
        };
        let page = match target.route {
            Route::Key => web::key::page(&view, &target.path_parameter, target.parameter("span"))?,
            Route::Source => web::source::page(&view, &target.path_parameter)?,
            Route::Alerts => {
                let incidents = (self.context.incidents)(limits::INCIDENTS_SHOWN);
                web::alerts::page(&view, &incidents)
            }
            Route::About => web::about::page(&view),
            _ => web::overview::page(&view),
        };
        Ok(html_response(
            200,
            match target.parameter("fragment") {
                None => web::layout::document(&view, &page),
                Some(name) => page.fragment(name)?,
            },
        ))
    }

    fn favicon(&self, target: &RequestTarget) -> Result<Response, ProblemDetails> {
        let verdict = match target.parameter("state") {
            None => self
                .context
                .published
                .current()
                .snapshot
                .data_status()
                .name(),
            Some(named @ ("pass" | "warn" | "fail")) => named,
            Some(other) => {
                let detail = format!("`state` is {other:?}; expected pass, warn or fail.");
                return Err(ProblemDetails::new(400, detail));
            }
        };
        let picture = web::favicon(verdict).into_bytes();
        Ok(ok_response("image/svg+xml", NO_CACHE, picture))
    }
}

fn asset(
    entity: &Representation,
    request: &Request,
    target: &RequestTarget,
    name: &str,
) -> Result<Response, ProblemDetails> {
    match target.path_parameter == name {
        true => Ok(entity.respond(request, IMMUTABLE)),
        false => Err(ProblemDetails::new(
            404,
            "That file belongs to another version of this program; reload the page.",
        )),
    }
}

pub(super) fn html_response(status: u16, markup: maud::Markup) -> Response {
    let mut answer = ok_response(
        "text/html; charset=utf-8",
        NO_CACHE,
        markup.into_string().into_bytes(),
    );
    answer.status = status;
    answer
        .headers
        .push(("Content-Security-Policy", web::POLICY.into()));
    answer
        .headers
        .push(("Referrer-Policy", "no-referrer".into()));
    answer
}

/// Compresses what was rendered for this request and is not coded yet.
pub(super) fn with_gzip(request: &Request, mut answer: Response) -> Response {
    let has = |name: &str| answer.headers.iter().any(|(given, _)| *given == name);
    // A tag is a hash of the bytes as they are, and whoever made it chose the coding.
    if has("ETag")
        || has("Content-Encoding")
        || answer.body.len() < 2 * limits::MIN_GZIP_SAVING_BYTES
    {
        return answer;
    }
    match answer.headers.iter_mut().find(|(name, _)| *name == "Vary") {
        Some((_, fields)) => fields.to_mut().push_str(", Accept-Encoding"),
        None => answer.headers.push(("Vary", "Accept-Encoding".into())),
    }
    if let Some(body) = accepts_gzip(request).then(|| gzip(&answer.body)).flatten() {
        answer.headers.push(("Content-Encoding", "gzip".into()));
        answer.body = body.into();
    }
    answer
}
