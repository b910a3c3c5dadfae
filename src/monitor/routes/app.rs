//! Every answer of this server: hot ones from memory, cold ones rendered on demand.
//!
//! [`Monitor::hot`] runs on the gate's thread and touches no database, disk, log, or lock
//! that is ever held long. [`Monitor::cold`] runs on the pool's workers and may read history.
//! Nothing here touches a socket.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::cut_offs::CutOffs;
use super::displays::Displays;
use super::openapi;
use super::published::{JSON, Publication, Published};
use super::rendered::{html_response, with_gzip};
use super::representation::Representation;
use super::table::{self, RequestTarget, Route, TargetError};
use crate::domain::health::Storage;
use crate::domain::history::{Bucket, HistoryQuery};
use crate::domain::outbox::Incident;
use crate::domain::plan::{Plan, Selection};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::{Moment, Mono, Wall};
use crate::limits;
use crate::monitor::http::basic_auth::Password;
use crate::monitor::http::cors;
use crate::monitor::http::handler::{Overload, Request, Response};
use crate::monitor::http::host_check::{AllowedHosts, host_name};
use crate::monitor::problem::{self, ProblemDetails, prefers_html};
use crate::monitor::web;
use crate::sys::budget::{Budget, Exceeded};
use crate::sys::clock::Clock;
use crate::sys::semaphore::Turns;

/// What the answers are made from; put together by `node`.
pub struct Context {
    pub published: Arc<Published>,
    pub clock: Arc<dyn Clock>,
    pub plan: Arc<Plan>,
    pub storage: Box<dyn Fn() -> Storage + Send + Sync>,
    /// Reads the database; only cold answers ask.
    pub history: Box<ReadHistory>,
    pub traffic: Box<dyn Fn() -> Vec<RequestCount> + Send + Sync>,
    /// How each channel that tells people is doing.
    pub channels: Box<dyn Fn() -> Vec<ChannelState> + Send + Sync>,
    /// The newest incidents that people were told of; reads the database.
    pub incidents: Box<ReadIncidents>,
    /// Which of the node's loops, its page workers included, has made no progress within its
    /// bound; asked by `/healthz` on the
    /// gate's thread, so it must take no lock.
    pub stuck: Box<dyn Fn() -> Option<&'static str> + Send + Sync>,
    /// What must be known to read here, where the owner wants that.
    pub password: Option<Password>,
    pub settings: ViewSettings,
}

pub type ReadHistory =
    dyn Fn(&HistoryQuery, &Budget) -> Result<Vec<Bucket>, HistoryFailure> + Send + Sync;

/// Why there is no history to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryFailure {
    /// The database holds no row of this key and never did; there may be such a record anyway,
    /// whose first reading is not stored yet.
    NothingStored,
    /// The database cannot be read.
    Unavailable(String),
    /// It would cost more than one request may.
    Exceeded(Exceeded),
}

impl fmt::Display for HistoryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryFailure::NothingStored => f.write_str("no reading of this key was ever stored"),
            HistoryFailure::Unavailable(detail) => f.write_str(detail),
            HistoryFailure::Exceeded(limit) => write!(f, "cut off at {limit}"),
        }
    }
}

pub type ReadIncidents = dyn Fn(usize) -> Result<Vec<Incident>, String> + Send + Sync;

/// The dead man's switch, which is told that all is well and for which nothing waits.
pub const PING: &str = "ping";

/// A channel that tells people of alerts, or the dead man's switch.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelState {
    pub name: &'static str,
    /// Events that wait to be told.
    pub waiting: usize,
    /// Why they cannot be told now, in one sentence.
    pub trouble: Option<String>,
    pub trouble_since: Option<Mono>,
    pub last_delivered: Option<Wall>,
    /// Of those that wait, the refused ones; since when, and why.
    pub refused: usize,
    pub refused_since: Option<Wall>,
    pub refusal: Option<String>,
    /// Events given up, since the database was made.
    pub undelivered: u64,
}

/// The part of the configuration that views need.
#[derive(Debug, Clone)]
pub struct ViewSettings {
    /// This node's name for people and for nodes that follow it.
    pub node_name: String,
    /// The machine's own name.
    pub host_name: String,
    /// The option `hosts`: further names to answer to.
    pub hosts: Vec<String>,
    /// In which pages speak.
    pub timezone: TimeZone,
    pub version: &'static str,
    /// Which bytes run; only cold answers ask.
    pub build: fn() -> &'static str,
    pub started: Moment,
    /// Nobody configured anything: the built-in example runs.
    pub is_example: bool,
    /// The sources are simulated: `main-node demo`.
    pub is_demo: bool,
    /// The option `cors = "*"`.
    pub cors_any: bool,
}

/// Requests answered, as the gate counts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestCount {
    /// Of [`Monitor::route_name`].
    pub route: &'static str,
    pub status: u16,
    pub count: u64,
}

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
    database_permits: Turns,
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
            database_permits: Turns::sparing_one_processor(),
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
        if !self.is_cheap(&current, &target) {
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
        let Some(_turn) = self.database_permits.wait(limits::TURN_TIME) else {
            self.cut_offs.count(target.route);
            let seconds = limits::TURN_TIME.as_secs();
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
        let budget = Budget::new(rows, limits::DATABASE_TIME).keeping(coarse);
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
        unknown_key(key, &current.snapshot, &self.context.plan)
    }

    /// Why whoever asks gets nothing here, whatever it is. A wrong password counts: to be
    /// asked once a request.
    fn denied(&self, request: &Request) -> Option<ProblemDetails> {
        let now = || self.context.clock.now().mono;
        let denied = || self.context.password.as_ref()?.deny(request, now());
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

/// The keys that the configuration names.
fn configured_keys(plan: &Plan) -> impl Iterator<Item = &Arc<str>> {
    let picks = plan
        .sources
        .iter()
        .filter_map(|source| match &source.selection {
            Selection::Selectors(picks) => Some(picks),
            Selection::AllLeaves { .. } => None,
        });
    picks.flatten().map(|pick| &pick.key)
}

/// 404 that names the key, and the known one that is most like it.
pub fn unknown_key(key: &str, snapshot: &Snapshot, plan: &Plan) -> ProblemDetails {
    let shown = snapshot.records.iter().map(|record| &record.key);
    let known = shown.chain(configured_keys(plan)).map(|key| &**key);
    ProblemDetails::new(
        404,
        format!("There is no record {key:?}.{}", suggestion(key, known)),
    )
}

/// 503 where the database would have to say what there is.
pub fn history_unavailable() -> ProblemDetails {
    ProblemDetails::new(
        503,
        "The history cannot be read now. /status says how the storage is doing.",
    )
    .with("Retry-After", "10")
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

/// ` Did you mean "temperature"?`, if something is near enough.
fn suggestion<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> String {
    // A key's length is bounded, a request's is only by its head.
    let wrong: String = wrong.chars().take(limits::KEY_BYTES).collect();
    known
        .map(|key| (strsim::jaro_winkler(&wrong, key), key))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, key)| format!(" Did you mean {key:?}?"))
        .unwrap_or_default()
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
