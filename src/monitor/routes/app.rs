//! Every answer of this server: hot ones from memory, cold ones rendered on demand.
//!
//! [`Monitor::hot`] runs on the gate's thread and touches no database, disk, log, or lock
//! that is ever held long. [`Monitor::cold`] runs on the pool's workers and may read history.
//! Nothing here touches a socket.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use super::cut_offs::CutOffs;
use super::displays::Displays;
use super::openapi;
use super::published::{JSON, Publication};
use super::rendered::{html_response, with_gzip};
use super::representation::Representation;
use super::table::{self, RequestTarget, Route, TargetError};
use crate::limits;
use crate::monitor::context::Context;
use crate::monitor::http::cors;
use crate::monitor::http::handler::{Dispatch, Handler, Overload, Request, Response};
use crate::monitor::http::host_check::{AllowedHosts, host_name};
use crate::monitor::problem::{
    self, ProblemDetails, configured_keys, prefers_html, unknown_key_problem,
};
use crate::monitor::web;
use crate::sys::budget::Budget;
use crate::sys::semaphore::Semaphore;

/// Knows what to say.
pub struct App {
    pub(super) context: Context,
    hosts: AllowedHosts,
    /// Keys that the configuration names.
    configured_keys: HashSet<Arc<str>>,
    pub(super) displays: Displays,
    pub(super) sparklines: web::Sparklines,
    pub(super) assets: Assets,
    pub(super) cut_offs: CutOffs,
    /// At rendering what reads the database, so that displays find a processor meanwhile.
    database_permits: Semaphore,
}

/// What never changes while the node runs.
pub(super) struct Assets {
    pub(super) style: Representation,
    pub(super) script: Representation,
    pub(super) openapi: Representation,
}

pub(super) const NO_CACHE: &str = "no-cache";

impl App {
    pub fn new(context: Context) -> App {
        let settings = &context.settings;
        App {
            hosts: AllowedHosts::new(&settings.host_name, &settings.hosts),
            configured_keys: configured_keys(&context.plan).cloned().collect(),
            displays: Displays::default(),
            sparklines: web::Sparklines::default(),
            cut_offs: CutOffs::default(),
            database_permits: Semaphore::leaving_one_cpu(),
            assets: Assets {
                style: Representation::from_gzip("text/css; charset=utf-8", web::STYLE_GZIPPED),
                script: Representation::from_gzip(
                    "text/javascript; charset=utf-8",
                    web::SCRIPT_GZIPPED,
                ),
                openapi: Representation::from_gzip(JSON, openapi::GZIPPED),
            },
            context,
        }
    }

    /// Each display that is remembered, as the page lists it, and how long it has been silent.
    pub fn display_silences(&self) -> Vec<(Arc<str>, std::time::Duration)> {
        let now = self.context.clock.now();
        let displays = self.displays.list().into_iter();
        displays
            .map(|it| {
                let name = it.name.clone().unwrap_or_else(|| it.address.to_string());
                (name.into(), now.mono.since(it.last.mono))
            })
            .collect()
    }

    /// The time as HTTP writes it (IMF-fixdate), while the clock is trusted.
    pub fn http_date(&self) -> Option<String> {
        let now = self.context.clock.now();
        let instant = jiff::Timestamp::from_second(now.wall.second()).ok()?;
        let date = instant.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        now.trust.is_trusted().then_some(date)
    }

    /// The metrics' word for a request; one of a fixed set.
    pub fn route_name(request: &Request) -> &'static str {
        table::route_name(&request.target)
    }

    /// Whether this asks for the stream of events and may have it. What asks for it and may
    /// not is told why by [`Monitor::cold`].
    pub fn is_event_stream(&self, request: &Request) -> bool {
        let is_events = || {
            let target = RequestTarget::read(&request.target);
            target.is_ok_and(|target| target.route == Route::Events)
        };
        request.target.starts_with("/events")
            && !request.is_head
            && self.admits(request)
            && is_events()
    }

    /// Header fields of the event stream's answer.
    pub fn event_stream_headers(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        let answer = Response {
            status: 200,
            headers: vec![
                ("Content-Type", "text/event-stream".into()),
                ("Cache-Control", NO_CACHE.into()),
                ("X-Content-Type-Options", "nosniff".into()),
            ],
            body: Arc::new([]),
        };
        self.with_cors(answer).headers
    }

    /// Answers from memory at once, or leaves it to [`Monitor::cold`].
    pub fn respond_from_memory(&self, request: &Request) -> Option<Response> {
        let path = request.target.split('?').next().unwrap_or_default();
        // Escaped spellings of these take the long way and get the same answer.
        if !path.starts_with("/snapshot") && path != "/healthz" {
            return None;
        }
        if let Some(problem) = self.denied(request) {
            return Some(self.with_cors(problem.response()));
        }
        let target = RequestTarget::read(&request.target).ok()?;
        let current = self.context.published.current();
        if !self.is_cheap(request, &current, &target) {
            return None;
        }
        self.try_from_memory(request, &target, &current)
            .map(|answer| self.with_cors(answer))
    }

    /// Whether a hot answer is made of what is published alone. Where a password is asked for,
    /// none is: repeated questions are recognised by their bytes, in no constant time.
    pub fn is_cacheable(&self, request: &Request, answer: &Response) -> bool {
        matches!(answer.status, 200 | 304)
            && request.target.starts_with("/snapshot")
            && self.context.password.is_none()
    }

    /// Takes note of a display that was answered with this ETag.
    pub fn record_poll(&self, request: &Request, etag: &str) {
        self.displays
            .record_poll(request, etag, self.context.clock.now());
    }

    /// Answers everything.
    pub fn respond(&self, request: &Request) -> Response {
        if let Some(problem) = self.denied(request) {
            return self.with_cors(self.error_page(request, &problem));
        }
        let answer = match RequestTarget::read(&request.target) {
            Ok(target) if target.route.reads_database() => {
                self.render_with_database(request, &target)
            }
            Ok(target) => self
                .try_from_memory(request, &target, &self.context.published.current())
                .unwrap_or_else(|| self.render(request, &target, &Budget::nothing())),
            Err(why) => self.error_page(request, &target_problem(request, &why)),
        };
        self.with_cors(with_gzip(request, answer))
    }

    /// Answers what reads the database, within the bounds of one request.
    fn render_with_database(&self, request: &Request, target: &RequestTarget) -> Response {
        let Some(_permit) = self.database_permits.acquire(limits::QUERY_QUEUE_TIMEOUT) else {
            self.cut_offs.count(target.route);
            let seconds = limits::QUERY_QUEUE_TIMEOUT.as_secs();
            let detail = format!(
                "Other requests kept the database busy for {seconds} s, the longest that one waits for its turn. Ask again in a moment."
            );
            return self.error_page(
                request,
                &ProblemDetails::new(503, detail).with("Retry-After", "5"),
            );
        };
        let (rows, coarse) = match target.route {
            Route::History => (limits::HISTORY_ROWS, limits::HISTORY_COARSE_ROWS),
            _ => (limits::PAGE_ROWS, limits::PAGE_COARSE_ROWS),
        };
        let budget = Budget::new(rows, limits::QUERY_TIMEOUT).keeping(coarse);
        let answer = self.render(request, target, &budget);
        if budget.exceeded().is_some() {
            self.cut_offs.count(target.route);
        }
        answer
    }

    /// 503 to whoever met a limit of the gate.
    pub fn overload_response(&self, limit: Overload, request: Option<&Request>) -> Response {
        let problem = problem::overloaded(limit);
        self.with_cors(match request {
            Some(request) => self.error_page(request, &problem),
            None => problem.response(),
        })
    }

    /// The gate's own refusals: `request` where one could be read.
    pub fn rejection_response(&self, status: u16, request: Option<&Request>) -> Response {
        let mut problem = problem::rejection(status);
        if status == 405 {
            let methods = request.map(|request| table::allowed_methods(&request.target));
            let methods = methods.and_then(Result::ok).unwrap_or(table::READ);
            problem = problem.with("Allow", methods);
        }
        self.with_cors(match request {
            Some(request) => self.error_page(request, &problem),
            None => problem.response(),
        })
    }

    /// OPTIONS: the methods of a path, and what a browser asks before a page of another origin
    /// may read it.
    pub fn options_response(&self, request: &Request) -> Response {
        if let Some(problem) = self.wrong_host(request) {
            return self.with_cors(self.error_page(request, &problem));
        }
        self.with_cors(match table::allowed_methods(&request.target) {
            Ok(methods) => cors::options(request, methods, self.context.settings.cors_any),
            Err(why) => self.error_page(request, &target_problem(request, &why)),
        })
    }

    fn try_from_memory(
        &self,
        request: &Request,
        target: &RequestTarget,
        current: &Publication,
    ) -> Option<Response> {
        match target.route {
            Route::Snapshot | Route::SnapshotKey => {
                let answer = self
                    .snapshot(request, target, current)
                    .unwrap_or_else(|problem| self.error_page(request, &problem));
                if matches!(answer.status, 200 | 304) {
                    self.record_poll(request, answer.etag());
                }
                Some(answer)
            }
            Route::Healthz => Some(self.healthz()),
            _ => None,
        }
    }

    pub(super) fn is_configured(&self, key: &str) -> bool {
        self.configured_keys.contains(key)
    }

    pub fn unknown_key_problem(&self, current: &Publication, key: &str) -> ProblemDetails {
        unknown_key_problem(key, &current.snapshot, &self.context.plan)
    }

    /// Why whoever asks gets nothing here, whatever it is. A wrong password counts: to be
    /// asked once a request.
    fn denied(&self, request: &Request) -> Option<ProblemDetails> {
        let now = || self.context.clock.now().mono;
        let denied = || {
            let error = self.context.password.as_ref()?.deny(request, now())?;
            let (name, value) = error.header();
            Some(ProblemDetails::new(error.status(), error.detail()).with(name, value))
        };
        self.wrong_host(request).or_else(denied)
    }

    /// Whether [`Monitor::barred`] would say nothing; counts nothing.
    fn admits(&self, request: &Request) -> bool {
        let now = || self.context.clock.now().mono;
        let password = self.context.password.as_ref();
        let admits = || password.is_none_or(|password| password.is_authorized(request, now()));
        self.wrong_host(request).is_none() && admits()
    }

    /// The complaint about a `Host` that is none of ours, if it is none.
    fn wrong_host(&self, request: &Request) -> Option<ProblemDetails> {
        let fields = request.headers.iter().filter(|(name, _)| name == "host");
        let foreign = fields
            .map(|(_, value)| value.as_str())
            .find(|field| !self.hosts.allows(field))?;
        let name = host_name(foreign).unwrap_or_default();
        Some(ProblemDetails::new(
            421,
            format!(
                "This node does not answer to the name {name:?}, so that no web page of the outside can read it through a browser. If the name is yours, add it to `hosts` in main-node.toml: hosts = [{name:?}]."
            ),
        ))
    }

    /// A problem as whoever asked can read it best.
    pub(super) fn error_page(&self, request: &Request, problem: &ProblemDetails) -> Response {
        let mut answer = match prefers_html(request) {
            true => {
                let mut answer = html_response(problem.status, web::layout::error_page(problem));
                answer.headers.retain(|(name, _)| *name != "Cache-Control");
                answer.headers.push(("Cache-Control", "no-store".into()));
                answer.headers.extend(problem.headers.iter().cloned());
                answer
            }
            false => problem.response(),
        };
        answer.headers.push(("Vary", "Accept".into()));
        answer
    }

    fn with_cors(&self, mut answer: Response) -> Response {
        if self.context.settings.cors_any {
            cors::open_to_any_origin(&mut answer);
        }
        answer
    }
}

impl Handler for App {
    fn dispatch(&self, request: &Request) -> Dispatch {
        // Before what the answer is made of, so that what is published meanwhile ends it.
        let edition = self.generation();
        if let Some(answer) = self.respond_from_memory(request) {
            return match self.is_cacheable(request, &answer) {
                true => Dispatch::Cacheable(answer, edition),
                false => Dispatch::Immediate(answer),
            };
        }
        match self.is_event_stream(request) {
            // The gate writes the media type and the caching itself.
            true => Dispatch::EventStream(
                self.event_stream_headers()
                    .into_iter()
                    .filter(|(name, _)| !matches!(*name, "Content-Type" | "Cache-Control"))
                    .collect(),
            ),
            false => Dispatch::Worker,
        }
    }

    fn options(&self, request: &Request) -> Response {
        App::options_response(self, request)
    }

    fn generation(&self) -> u64 {
        self.context.published.edition()
    }

    fn on_cache_hit(&self, request: &Request, etag: &str) {
        self.record_poll(request, etag);
    }

    fn render(&self, request: &Request) -> Response {
        App::respond(self, request)
    }

    fn overloaded(&self, limit: Overload, request: Option<&Request>) -> Response {
        App::overload_response(self, limit, request)
    }

    fn rejection(&self, status: u16, request: Option<&Request>) -> Response {
        App::rejection_response(self, status, request)
    }

    // From a clock that cannot be believed a date would only mislead (RFC 9110, 6.6.1);
    // from one that can it lets a node that follows this one trust its own.
    fn date(&self) -> Option<String> {
        self.http_date()
    }

    fn route_name(&self, request: &Request) -> &'static str {
        App::route_name(request)
    }
}

fn target_problem(request: &Request, why: &TargetError) -> ProblemDetails {
    let path = request.target.split('?').next().unwrap_or_default();
    match why {
        TargetError::NotFound => ProblemDetails::new(
            404,
            format!(
                "There is nothing at {path:?}. /openapi.json lists what there is; /web is for people."
            ),
        ),
        TargetError::BadEscape => ProblemDetails::new(
            400,
            "A % in the address must be followed by two hexadecimal digits, and all must be UTF-8 then.",
        ),
        TargetError::TooManyParts => ProblemDetails::new(
            400,
            "The address has more parameters than anything here takes.",
        ),
        TargetError::GivenTwice(name) => {
            ProblemDetails::new(400, format!("`{name}` is given twice."))
        }
        TargetError::UnknownParameter { name, known: [] } => ProblemDetails::new(
            400,
            format!("{path} takes no parameters, and got {name:?}."),
        ),
        TargetError::UnknownParameter { name, known } => ProblemDetails::new(
            400,
            format!(
                "{path} takes no parameter {name:?}; it takes: {}.",
                known.join(", ")
            ),
        ),
    }
}

pub(super) fn ok_response(
    content_type: &'static str,
    cache_control: &'static str,
    body: Vec<u8>,
) -> Response {
    Response {
        status: 200,
        headers: vec![
            ("Content-Type", content_type.into()),
            ("Cache-Control", cache_control.into()),
            ("X-Content-Type-Options", "nosniff".into()),
        ],
        body: body.into(),
    }
}

#[cfg(test)]
#[path = "tests/app.rs"]
mod tests;
