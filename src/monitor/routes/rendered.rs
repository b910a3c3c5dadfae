//! Answers that are rendered when asked for: status, metrics, history, pages, files.
//!
//! Runs on the pool's workers; reading history may wait for the database.

use std::sync::Arc;

use super::app::{HistoryFailure, Monitor, NO_CACHE, history_unavailable, plain};
use super::published::{JSON, Rendered, TEXT};
use super::representation::{Entity, gzip, takes_gzip, weights};
use super::table::{Route, Target};
use super::{history, metrics, process, status};
use crate::domain::health::Storage;
use crate::domain::time::Moment;
use crate::limits;
use crate::monitor::http::handler::{Answer, Request};
use crate::monitor::problem::{self, Problem};
use crate::monitor::status_text::{self as words, State};
use crate::monitor::web::{self, View};
use crate::sys::budget::Budget;
use crate::sys::thread::panics;

const IMMUTABLE: &str = "public, max-age=31536000, immutable";

impl Monitor {
    pub(super) fn rendered(&self, request: &Request, target: &Target, budget: &Budget) -> Answer {
        let answer = match target.route {
            Route::Home => Ok(Answer {
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
            Route::OpenApi => Ok(self.assets.openapi.answer(request, NO_CACHE)),
            Route::Robots => Ok(plain(
                TEXT,
                NO_CACHE,
                b"User-agent: *\nDisallow: /\n".to_vec(),
            )),
            Route::Favicon => self.favicon(target),
            // The gate opens the stream itself; here it is only asked for its head.
            Route::Events => Ok(Answer {
                status: 200,
                headers: self.event_stream_headers(),
                body: Arc::new([]),
            }),
            Route::Snapshot | Route::SnapshotKey | Route::Healthz => Err(problem::refusal(500)),
        };
        answer.unwrap_or_else(|problem| self.complaint(request, &problem))
    }

    fn state(&self, current: &Rendered, storage: &Storage, now: Moment) -> State {
        words::state(
            &current.snapshot,
            storage,
            &(self.context.channels)(),
            now,
            self.context.settings.started,
        )
    }

    /// How all is, in one sentence.
    pub fn sentence(&self) -> String {
        let (current, storage) = (self.context.published.current(), (self.context.storage)());
        let now = self.context.clock.now();
        self.state(&current, &storage, now).headline
    }

    fn status(&self) -> Answer {
        let (current, storage) = (self.context.published.current(), (self.context.storage)());
        let (now, settings) = (self.context.clock.now(), &self.context.settings);
        let body = status::render(&status::Facts {
            state: &self.state(&current, &storage, now),
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
        plain(JSON, "no-store", body)
    }

    fn metrics(&self, request: &Request) -> Answer {
        let members = ["application/openmetrics-text", "text/plain"];
        let [open, plain_text] = weights(request, "accept", members).map(Option::unwrap_or_default);
        let format = match open > 0.0 && open >= plain_text {
            true => metrics::Format::OpenMetrics,
            false => metrics::Format::Prometheus,
        };
        let facts = metrics::Facts {
            snapshot: &self.context.published.current().snapshot,
            storage: &(self.context.storage)(),
            traffic: &(self.context.traffic)(),
            displays: self.displays.count(),
            channels: &(self.context.channels)(),
            process: &process::process(),
            now: self.context.clock.now(),
            started: self.context.settings.started,
            version: self.context.settings.version,
            panics: panics(),
            cut_offs: &self.cut_offs.counts(),
        };
        let mut answer = plain(
            format.content_type(),
            "no-store",
            metrics::render(&facts, format).into_bytes(),
        );
        answer.headers.push(("Vary", "Accept".into()));
        answer
    }

    fn history(&self, target: &Target, budget: &Budget) -> Result<Answer, Problem> {
        let now = self.context.clock.now();
        let (query, format) = history::query(target, now.wall)?;
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
                return Err(self.unknown_key(&current, &query.key));
            }
            Err(HistoryFailure::Unavailable(_)) => return Err(history_unavailable()),
            Err(HistoryFailure::Exceeded(limit)) => {
                let detail = format!(
                    "The history was cut off at {limit}, the most that one request may take. Ask for a shorter span between `from` and `to`."
                );
                return Err(Problem::new(503, detail).with("Retry-After", "10"));
            }
        };
        let unit = record.and_then(|record| record.unit.as_deref());
        Ok(match format {
            history::Format::Json => plain(JSON, NO_CACHE, history::json(&query, unit, &buckets)),
            history::Format::Csv => plain(
                "text/csv; charset=utf-8; header=present",
                NO_CACHE,
                history::csv(&buckets),
            ),
        })
    }

    fn page(&self, target: &Target, budget: &Budget) -> Result<Answer, Problem> {
        let (current, storage) = (self.context.published.current(), (self.context.storage)());
        let now = self.context.clock.now();
        let view = View {
            state: &self.state(&current, &storage, now),
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
            Route::Key => web::key::page(&view, &target.subject, target.parameter("span"))?,
            Route::Source => web::source::page(&view, &target.subject)?,
            Route::Alerts => {
                let incidents = (self.context.incidents)(limits::INCIDENTS_SHOWN);
                web::alerts::page(&view, &incidents)
            }
            Route::About => web::about::page(&view),
            _ => web::overview::page(&view),
        };
        Ok(html(
            200,
            match target.parameter("fragment") {
                None => web::layout::whole(&view, &page),
                Some(name) => page.fragment(name)?,
            },
        ))
    }

    fn favicon(&self, target: &Target) -> Result<Answer, Problem> {
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
                return Err(Problem::new(400, detail));
            }
        };
        let picture = web::favicon(verdict).into_bytes();
        Ok(plain("image/svg+xml", NO_CACHE, picture))
    }
}

fn asset(
    entity: &Entity,
    request: &Request,
    target: &Target,
    name: &str,
) -> Result<Answer, Problem> {
    match target.subject == name {
        true => Ok(entity.answer(request, IMMUTABLE)),
        false => Err(Problem::new(
            404,
            "That file belongs to another version of this program; reload the page.",
        )),
    }
}

pub(super) fn html(status: u16, markup: maud::Markup) -> Answer {
    let mut answer = plain(
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
pub(super) fn coded(request: &Request, mut answer: Answer) -> Answer {
    let has = |name: &str| answer.headers.iter().any(|(given, _)| *given == name);
    // A tag is a hash of the bytes as they are, and whoever made it chose the coding.
    if has("ETag") || has("Content-Encoding") || answer.body.len() < 2 * limits::GZIP_SAVING {
        return answer;
    }
    match answer.headers.iter_mut().find(|(name, _)| *name == "Vary") {
        Some((_, fields)) => fields.to_mut().push_str(", Accept-Encoding"),
        None => answer.headers.push(("Vary", "Accept-Encoding".into())),
    }
    if let Some(body) = takes_gzip(request).then(|| gzip(&answer.body)).flatten() {
        answer.headers.push(("Content-Encoding", "gzip".into()));
        answer.body = body.into();
    }
    answer
}
