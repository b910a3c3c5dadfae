//! Every answer of this server: hot ones from memory, cold ones rendered on demand.
//!
//! [`Monitor::hot`] runs on the gate's thread and touches no database, disk, log, or lock
//! that is ever held long. [`Monitor::cold`] runs on the pool's workers and may read history.
//! Nothing here touches a socket.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::answer::{Answer, Request};
use super::displays::Displays;
use super::entity::{Entity, gzip, takes_gzip, weight};
use super::host::{Hosts, name_of};
use super::problem::{self, Problem, prefers_html};
use super::published::{self, JSON, Published, Rendered, TEXT};
use super::route::{self, Misdirected, Route, Target};
use super::web::{self, View};
use super::words::{self, State};
use super::{history, metrics, process, status};
use crate::domain::health::Storage;
use crate::domain::history::{Bucket, HistoryQuery};
use crate::domain::plan::{Plan, Selection};
use crate::domain::snapshot::Record;
use crate::domain::time::Moment;
use crate::limits;
use crate::sys::clock::Clock;

/// What the answers are made from; put together by `node`.
pub struct Context {
    pub published: Arc<Published>,
    pub clock: Arc<dyn Clock>,
    pub plan: Arc<Plan>,
    pub storage: Box<dyn Fn() -> Storage + Send + Sync>,
    /// Reads the database; only cold answers ask.
    pub history: Box<History>,
    pub traffic: Box<dyn Fn() -> Vec<RequestCount> + Send + Sync>,
    /// Which of the node's loops has not turned within its bound; asked by `/healthz` on the
    /// gate's thread, so it must take no lock.
    pub stuck: Box<dyn Fn() -> Option<&'static str> + Send + Sync>,
    pub settings: Settings,
}

pub type History = dyn Fn(&HistoryQuery) -> Result<Vec<Bucket>, String> + Send + Sync;

/// The part of the configuration that views need.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node's name for people and for nodes that follow it.
    pub node_name: String,
    /// The machine's own name.
    pub host_name: String,
    /// The option `hosts`: further names to answer to.
    pub hosts: Vec<String>,
    /// In which pages speak.
    pub timezone: TimeZone,
    pub version: &'static str,
    pub started: Moment,
    /// Nobody configured anything: the built-in example runs.
    pub is_example: bool,
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
pub struct Monitor {
    context: Context,
    hosts: Hosts,
    displays: Displays,
    sparklines: web::Sparklines,
    assets: Assets,
}

/// What never changes while the node runs.
struct Assets {
    style: Entity,
    script: Entity,
    openapi: Entity,
}

const NO_CACHE: &str = "no-cache";
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

impl Monitor {
    pub fn new(context: Context) -> Monitor {
        let settings = &context.settings;
        Monitor {
            hosts: Hosts::new(&settings.host_name, &settings.hosts),
            displays: Displays::default(),
            sparklines: web::Sparklines::default(),
            assets: Assets {
                style: Entity::new("text/css; charset=utf-8", web::STYLE.into()),
                script: Entity::new("text/javascript; charset=utf-8", web::SCRIPT.into()),
                openapi: Entity::new(JSON, include_bytes!("openapi.json").to_vec()),
            },
            context,
        }
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
        route::name_of(&request.target)
    }

    /// Whether this asks for the stream of events and may have it. What asks for it and may
    /// not is told why by [`Monitor::cold`].
    pub fn is_event_stream(&self, request: &Request) -> bool {
        let is_events = || {
            let target = Target::read(&request.target);
            target.is_ok_and(|target| target.route == Route::Events)
        };
        request.target.starts_with("/events")
            && !request.is_head
            && self.misnamed(request).is_none()
            && is_events()
    }

    /// Header fields of the event stream's answer.
    pub fn event_stream_headers(&self) -> Vec<(&'static str, String)> {
        let answer = Answer {
            status: 200,
            headers: vec![
                ("Content-Type", "text/event-stream".to_owned()),
                ("Cache-Control", NO_CACHE.to_owned()),
                ("X-Content-Type-Options", "nosniff".to_owned()),
            ],
            body: Arc::new([]),
        };
        self.finished(answer).headers
    }

    /// Answers from memory, or leaves it to [`Monitor::cold`].
    pub fn hot(&self, request: &Request) -> Option<Answer> {
        let path = request.target.split('?').next().unwrap_or_default();
        // Escaped spellings of these take the long way and get the same answer.
        if !path.starts_with("/snapshot") && path != "/healthz" {
            return None;
        }
        if let Some(problem) = self.misnamed(request) {
            return Some(self.finished(problem.answer()));
        }
        let target = Target::read(&request.target).ok()?;
        self.in_memory(request, &target)
            .map(|answer| self.finished(answer))
    }

    /// Answers everything.
    pub fn cold(&self, request: &Request) -> Answer {
        if let Some(problem) = self.misnamed(request) {
            return self.finished(self.complaint(request, &problem));
        }
        let answer = match Target::read(&request.target) {
            Ok(target) => self
                .in_memory(request, &target)
                .unwrap_or_else(|| self.rendered(request, &target)),
            Err(why) => self.complaint(request, &misdirected(request, &why)),
        };
        self.finished(coded(request, answer))
    }

    fn in_memory(&self, request: &Request, target: &Target) -> Option<Answer> {
        match target.route {
            Route::Snapshot | Route::SnapshotKey => {
                let answer = self
                    .snapshot(request, target)
                    .unwrap_or_else(|problem| self.complaint(request, &problem));
                if matches!(answer.status, 200 | 304) {
                    self.displays
                        .saw(request, &answer, self.context.clock.now());
                }
                Some(answer)
            }
            Route::Healthz => Some(self.healthz()),
            _ => None,
        }
    }

    fn snapshot(&self, request: &Request, target: &Target) -> Result<Answer, Problem> {
        let is_full = flag(target, "full")?;
        let is_text = match target.parameter("format") {
            None | Some("json") => false,
            Some("text") => true,
            Some(other) => {
                let detail = format!("`format` is {other:?}; expected json or text.");
                return Err(Problem::new(400, detail));
            }
        };
        if is_full && is_text {
            let detail = "`full=1` is JSON; leave out `format=text`.";
            return Err(Problem::new(400, detail));
        }
        let current = self.context.published.current();
        if current.json().is_none() {
            return Ok(without_data());
        }
        let node = &self.context.settings.node_name;
        if target.route == Route::SnapshotKey {
            let record = self
                .known(&current, &target.subject)?
                .ok_or_else(no_reading_yet)?;
            let body = match (is_text, is_full) {
                (true, _) => published::text(&[record]),
                (_, true) => published::full_json_record(record),
                _ => published::json_record(record),
            };
            return Ok(of_one_request(request, is_text, body));
        }
        let is_key = |key: &str| current.snapshot.record(key).is_some();
        if let Some(keys) = target.list("keys", is_key) {
            let wanted = self.selected(&current, &keys)?;
            let body = match (is_text, is_full) {
                (true, _) => published::text(&wanted),
                (_, true) => published::full(&current.snapshot, &wanted, node),
                _ => published::json(&current.snapshot, &wanted),
            };
            return Ok(of_one_request(request, is_text, body));
        }
        let entity = match (is_text, is_full) {
            (true, _) => current.text().map(|entity| &**entity),
            (_, true) => current.full(node),
            _ => current.json().map(|entity| &**entity),
        };
        Ok(entity.map_or_else(without_data, |entity| entity.answer(request, NO_CACHE)))
    }

    /// The records of these keys, in the configuration's order. What is configured but gave
    /// nothing yet is left out while there are others.
    fn selected<'a>(
        &self,
        current: &'a Rendered,
        keys: &[String],
    ) -> Result<Vec<&'a Record>, Problem> {
        let mut wanted = Vec::new();
        for key in keys {
            wanted.extend(self.known(current, key)?.map(|record| &record.key));
        }
        if wanted.is_empty() {
            return Err(no_reading_yet());
        }
        let records = current.snapshot.records.iter();
        Ok(records
            .filter(|record| wanted.contains(&&record.key))
            .collect())
    }

    /// The record of a key; `None` for one that is configured and gave nothing yet.
    fn known<'a>(&self, current: &'a Rendered, key: &str) -> Result<Option<&'a Record>, Problem> {
        match current.snapshot.record(key) {
            Some(record) => Ok(Some(record)),
            None if self.is_configured(key) => Ok(None),
            None => Err(self.unknown_key(current, key)),
        }
    }

    fn is_configured(&self, key: &str) -> bool {
        self.context
            .plan
            .sources
            .iter()
            .any(|source| match &source.selection {
                Selection::Picks(picks) => picks.iter().any(|pick| &*pick.key == key),
                Selection::AllLeaves { .. } => false,
            })
    }

    fn unknown_key(&self, current: &Rendered, key: &str) -> Problem {
        let keys = current.snapshot.records.iter().map(|record| &*record.key);
        Problem::new(
            404,
            format!("There is no record {key:?}.{}", nearest(key, keys)),
        )
    }

    fn healthz(&self) -> Answer {
        match (self.context.stuck)() {
            None => Answer {
                status: 200,
                headers: vec![
                    ("Content-Type", JSON.to_owned()),
                    ("Cache-Control", "no-store".to_owned()),
                    ("X-Content-Type-Options", "nosniff".to_owned()),
                ],
                body: Arc::from(&br#"{"status":"pass"}"#[..]),
            },
            Some(stuck) => {
                let detail = format!("The node is stuck: {stuck} has made no progress.");
                Problem::new(503, detail).answer()
            }
        }
    }

    fn rendered(&self, request: &Request, target: &Target) -> Answer {
        let answer = match target.route {
            Route::Home => Ok(Answer {
                status: 302,
                headers: vec![
                    ("Location", "/web".to_owned()),
                    ("Content-Type", TEXT.to_owned()),
                    ("Cache-Control", NO_CACHE.to_owned()),
                ],
                body: Arc::from(&b"/web\n"[..]),
            }),
            Route::Status => Ok(self.status()),
            Route::Metrics => Ok(self.metrics(request)),
            Route::History => self.history(target),
            Route::Overview | Route::Key | Route::Source | Route::About => self.page(target),
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
            now,
            self.context.settings.started,
        )
    }

    fn status(&self) -> Answer {
        let (current, storage) = (self.context.published.current(), (self.context.storage)());
        let (now, settings) = (self.context.clock.now(), &self.context.settings);
        let body = status::render(&status::Facts {
            state: &self.state(&current, &storage, now),
            snapshot: &current.snapshot,
            storage: &storage,
            displays: &self.displays.list(),
            now,
            started: settings.started,
            node: &settings.node_name,
            version: settings.version,
            is_example: settings.is_example,
        });
        plain(JSON, "no-store", body)
    }

    fn metrics(&self, request: &Request) -> Answer {
        let named = |name| weight(request, "accept", |given| given == name).unwrap_or(0.0);
        let open = named("application/openmetrics-text");
        let format = match open > 0.0 && open >= named("text/plain") {
            true => metrics::Format::OpenMetrics,
            false => metrics::Format::Prometheus,
        };
        let facts = metrics::Facts {
            snapshot: &self.context.published.current().snapshot,
            storage: &(self.context.storage)(),
            traffic: &(self.context.traffic)(),
            displays: self.displays.count(),
            process: &process::process(),
            now: self.context.clock.now(),
            started: self.context.settings.started,
            version: self.context.settings.version,
        };
        let mut answer = plain(
            format.content_type(),
            "no-store",
            metrics::render(&facts, format).into_bytes(),
        );
        answer.headers.push(("Vary", "Accept".to_owned()));
        answer
    }

    fn history(&self, target: &Target) -> Result<Answer, Problem> {
        let now = self.context.clock.now();
        let (query, format) =
            history::query(target, now.wall).map_err(|wrong| Problem::new(400, wrong))?;
        let buckets = (self.context.history)(&query).map_err(|trouble| {
            log::debug!("history of {:?} cannot be read: {trouble}", query.key);
            let detail = "The history cannot be read now. /status says how the storage is doing.";
            Problem::new(503, detail).with("Retry-After", "10")
        })?;
        let current = self.context.published.current();
        let record = current.snapshot.record(&query.key);
        if buckets.is_empty() && record.is_none() && !self.is_configured(&query.key) {
            return Err(self.unknown_key(&current, &query.key));
        }
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

    fn page(&self, target: &Target) -> Result<Answer, Problem> {
        let (current, storage) = (self.context.published.current(), (self.context.storage)());
        let now = self.context.clock.now();
        let view = View {
            state: &self.state(&current, &storage, now),
            snapshot: &current.snapshot,
            storage: &storage,
            displays: &self.displays.list(),
            plan: &self.context.plan,
            history: &*self.context.history,
            sparklines: &self.sparklines,
            settings: &self.context.settings,
            now,
        };
        let page = match target.route {
            Route::Key => web::key::page(&view, &target.subject, target.parameter("span"))?,
            Route::Source => web::source::page(&view, &target.subject)?,
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
            None => self.context.published.current().snapshot.verdict().name(),
            Some(named @ ("pass" | "warn" | "fail")) => named,
            Some(other) => {
                let detail = format!("`state` is {other:?}; expected pass, warn or fail.");
                return Err(Problem::new(400, detail));
            }
        };
        let picture = web::favicon(verdict).into_bytes();
        Ok(plain("image/svg+xml", "max-age=300", picture))
    }

    /// The complaint about a `Host` that is none of ours, if it is none.
    fn misnamed(&self, request: &Request) -> Option<Problem> {
        let fields = request.headers.iter().filter(|(name, _)| name == "host");
        let foreign = fields
            .map(|(_, value)| value.as_str())
            .find(|field| !self.hosts.admit(field))?;
        let name = name_of(foreign).unwrap_or_default();
        Some(Problem::new(
            421,
            format!(
                "This node does not answer to the name {name:?}, so that no web page of the outside can read it through a browser. If the name is yours, add it to `hosts` in main-node.toml: hosts = [{name:?}]."
            ),
        ))
    }

    /// A problem as whoever asked can read it best.
    fn complaint(&self, request: &Request, problem: &Problem) -> Answer {
        let mut answer = match prefers_html(request) {
            true => {
                let mut answer = html(problem.status, web::layout::complaint(problem));
                answer.headers.retain(|(name, _)| *name != "Cache-Control");
                answer
                    .headers
                    .push(("Cache-Control", "no-store".to_owned()));
                answer.headers.extend(problem.headers.iter().cloned());
                answer
            }
            false => problem.answer(),
        };
        answer.headers.push(("Vary", "Accept".to_owned()));
        answer
    }

    fn finished(&self, mut answer: Answer) -> Answer {
        if self.context.settings.cors_any {
            answer
                .headers
                .push(("Access-Control-Allow-Origin", "*".to_owned()));
        }
        answer
    }
}

fn misdirected(request: &Request, why: &Misdirected) -> Problem {
    let path = request.target.split('?').next().unwrap_or_default();
    match why {
        Misdirected::NotFound => Problem::new(
            404,
            format!(
                "There is nothing at {path:?}. /openapi.json lists what there is; /web is for people."
            ),
        ),
        Misdirected::BadEscape => Problem::new(
            400,
            "A % in the address must be followed by two hexadecimal digits, and all must be UTF-8 then.",
        ),
        Misdirected::TooManyParts => Problem::new(
            400,
            "The address has more parameters than anything here takes.",
        ),
        Misdirected::GivenTwice(name) => Problem::new(400, format!("`{name}` is given twice.")),
        Misdirected::UnknownParameter { name, known: [] } => Problem::new(
            400,
            format!("{path} takes no parameters, and got {name:?}."),
        ),
        Misdirected::UnknownParameter { name, known } => Problem::new(
            400,
            format!(
                "{path} takes no parameter {name:?}; it takes: {}.",
                known.join(", ")
            ),
        ),
    }
}

/// 503 that a display can parse like any other body.
fn without_data() -> Answer {
    let body = concat!(
        r#"{"type":"about:blank","title":"Service Unavailable","status":503,"#,
        r#""detail":"No source has answered yet, and nothing is stored.","#,
        r#""timestamp":null,"records":[],"summary":{"count":0,"avg":null}}"#
    );
    let mut answer = no_reading_yet().answer();
    answer.body = Arc::from(body.as_bytes());
    answer
}

fn no_reading_yet() -> Problem {
    let seconds = limits::RETRY_WITHOUT_DATA.as_secs().to_string();
    Problem::new(
        503,
        "No reading of this has come yet; it is configured, and its source will be asked again.",
    )
    .with("Retry-After", seconds)
}

fn flag(target: &Target, name: &str) -> Result<bool, Problem> {
    match target.parameter(name) {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(other) => Err(Problem::new(
            400,
            format!("`{name}` is {other:?}; expected 0 or 1."),
        )),
    }
}

/// ` Did you mean "temperature"?`, if something is near enough.
fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> String {
    // A key's length is bounded, a request's is only by its head.
    let wrong: String = wrong.chars().take(limits::KEY_BYTES).collect();
    known
        .map(|key| (strsim::jaro_winkler(&wrong, key), key))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, key)| format!(" Did you mean {key:?}?"))
        .unwrap_or_default()
}

fn of_one_request(request: &Request, is_text: bool, body: String) -> Answer {
    let content_type = if is_text { TEXT } else { JSON };
    Entity::uncompressed(content_type, body.into_bytes()).answer(request, NO_CACHE)
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

fn plain(content_type: &'static str, cache_control: &'static str, body: Vec<u8>) -> Answer {
    Answer {
        status: 200,
        headers: vec![
            ("Content-Type", content_type.to_owned()),
            ("Cache-Control", cache_control.to_owned()),
            ("X-Content-Type-Options", "nosniff".to_owned()),
        ],
        body: body.into(),
    }
}

fn html(status: u16, markup: maud::Markup) -> Answer {
    let mut answer = plain(
        "text/html; charset=utf-8",
        NO_CACHE,
        markup.into_string().into_bytes(),
    );
    answer.status = status;
    answer
        .headers
        .push(("Content-Security-Policy", web::POLICY.to_owned()));
    answer
        .headers
        .push(("Referrer-Policy", "no-referrer".to_owned()));
    answer
}

/// Compresses what was rendered for this request and is not coded yet.
fn coded(request: &Request, mut answer: Answer) -> Answer {
    let has = |name: &str| answer.headers.iter().any(|(given, _)| *given == name);
    // A tag is a hash of the bytes as they are, and whoever made it chose the coding.
    if has("ETag") || has("Content-Encoding") || answer.body.len() < 2 * limits::GZIP_SAVING {
        return answer;
    }
    match answer.headers.iter_mut().find(|(name, _)| *name == "Vary") {
        Some((_, fields)) => fields.push_str(", Accept-Encoding"),
        None => answer.headers.push(("Vary", "Accept-Encoding".to_owned())),
    }
    if let Some(body) = takes_gzip(request).then(|| gzip(&answer.body)).flatten() {
        answer.headers.push(("Content-Encoding", "gzip".to_owned()));
        answer.body = body.into();
    }
    answer
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
