//! Request dispatch: from the route table to a handler, in memory or on a worker.
//!
//! [`Handler::dispatch`] runs on the connection thread and touches no database, disk, log, or
//! lock that is ever held long. [`Handler::render`] runs on the pool's workers and may read
//! history.

use std::sync::Arc;

use super::app::App;
use super::prepare::prepare;
use super::published::{Publication, TEXT};
use super::representation::Representation;
use super::response::{IMMUTABLE, NO_CACHE, ok_response, with_gzip};
use super::table::{self, RequestTarget, Route, RowLimits, Serve, TargetError};
use crate::limits;
use crate::monitor::http::cors;
use crate::monitor::http::handler::{
    Dispatch, EventStreamStart, Handler, Overload, Request, Response,
};
use crate::monitor::problem::{self, ProblemDetails};
use crate::monitor::web;
use crate::monitor::web::comparison::Comparison;
use crate::monitor::web::period::Period;
use crate::sys::budget::Budget;

impl Handler for App {
    fn prepare(&self, request: &mut Request) {
        prepare(request, &self.context.settings.base_path);
    }

    fn dispatch(&self, request: &Request) -> Dispatch {
        // Before the response is made, so that what is published meanwhile ends it.
        let generation = self.generation();
        let Ok(target) = self.read_target(&request.target) else {
            return Dispatch::Worker;
        };
        match target.row.serve {
            Serve::Immediate => self
                .respond_from_memory(request, &target)
                .map_or(Dispatch::Worker, Dispatch::Immediate),
            Serve::Cacheable => match self.respond_from_memory(request, &target) {
                Some(response) if self.is_cacheable(&response) => {
                    Dispatch::Cacheable(response, generation)
                }
                Some(response) => Dispatch::Immediate(response),
                None => Dispatch::Worker,
            },
            // Rejected requests get their response from a worker.
            Serve::EventStream if self.admits(request) => {
                let headers = self.event_stream_headers(request);
                let last_id = request.header("last-event-id");
                let last_id = last_id.or_else(|| target.parameter(table::LAST_EVENT_ID));
                Dispatch::EventStream(EventStreamStart {
                    headers,
                    last_id: last_id.map(str::to_owned),
                })
            }
            Serve::EventStream | Serve::Worker | Serve::Database(_) => Dispatch::Worker,
        }
    }

    /// OPTIONS: the methods of a path, and the CORS preflight before a page of another origin
    /// may read it.
    fn options(&self, request: &Request) -> Response {
        if let Some(problem) = self.wrong_host(request) {
            return self.with_cors(Some(request), self.error_page(request, &problem));
        }
        let response = match self.allowed_methods(&request.target) {
            Ok(methods) => cors::options(request, methods, &self.context.settings.cors),
            Err(error) => self.error_page(request, &target_problem(request, &error)),
        };
        self.with_cors(Some(request), response)
    }

    fn post(&self, request: &Request) -> Option<Response> {
        let target = self.read_target(&request.target).ok()?;
        if target.row.route != Route::DeviceLog {
            return None;
        }
        let response = match self.wrong_host(request) {
            Some(problem) => Err(problem),
            None => self.device_log(request),
        };
        let response = response.unwrap_or_else(|problem| problem.response());
        Some(self.with_cors(Some(request), response))
    }

    fn generation(&self) -> u64 {
        self.context.published.generation()
    }

    fn on_cache_hit(&self, request: &Request, etag: &str) {
        self.record_poll(request, etag);
    }

    /// Responds to any request.
    fn render(&self, request: &Request) -> Response {
        if let Some(problem) = self.denied(request) {
            return self.with_cors(Some(request), self.error_page(request, &problem));
        }
        let target = self.read_target(&request.target);
        let response = match target.map(|target| target.below(&request.base)) {
            Ok(target) => match target.row_limits() {
                Some(limits) => self.handle_with_database(request, &target, limits),
                None => {
                    let current = self.context.published.current();
                    self.handle(request, &target, &current, &Budget::without_rows())
                }
            },
            Err(error) => self.error_page(request, &target_problem(request, &error)),
        };
        self.with_cors(Some(request), with_gzip(request, response))
    }

    fn overloaded(&self, limit: Overload, request: Option<&Request>) -> Response {
        self.problem_response(&problem::overloaded(limit), request)
    }

    fn rejection(&self, status: u16, request: Option<&Request>) -> Response {
        let mut problem = match status {
            426 => problem::no_websocket(request.map_or("", |it| &it.base)),
            _ => problem::rejection(status),
        };
        if status == 405 {
            let methods = request.map(|request| self.allowed_methods(&request.target));
            let methods = methods.and_then(Result::ok).unwrap_or(table::READ);
            problem = problem.with("Allow", methods);
        }
        self.problem_response(&problem, request)
    }

    // From a clock that is not trusted a date would only mislead (RFC 9110, 6.6.1);
    // from one that is it lets a node that follows this one trust its own.
    fn date(&self) -> Option<String> {
        self.http_date()
    }

    fn route_name(&self, request: &Request) -> &'static str {
        table::route_name(&request.target)
    }
}

impl App {
    /// Calls the handler of a route.
    fn handle(
        &self,
        request: &Request,
        target: &RequestTarget,
        current: &Publication,
        budget: &Budget,
    ) -> Response {
        let (path_parameter, assets) = (&target.path_parameter, &self.assets);
        let response = match target.row.route {
            Route::Snapshot => self.snapshot(request, target, current),
            Route::SnapshotKey => self.snapshot_key(request, target, current),
            Route::Healthz => Ok(self.healthz()),
            Route::Home => Ok(redirect_to_overview(&target.base)),
            Route::Status => Ok(self.status()),
            Route::Metrics => Ok(self.metrics(request)),
            Route::History => self.history(target, budget),
            Route::Overview => self.page(target, budget, |page| Ok(web::overview::page(page))),
            Route::Key => self.page(target, budget, |page| {
                let period = Period::read(target, page.now.wall, &page.settings.timezone)?;
                web::key::page(page, path_parameter, period, Comparison::read(target)?)
            }),
            Route::Charts => self.page(target, budget, |page| {
                let period = Period::read(target, page.now.wall, &page.settings.timezone)?;
                let is_key = |key: &str| page.snapshot.record(key).is_some();
                let keys = target.list("keys", is_key).unwrap_or_default();
                web::charts::page(page, &keys, period)
            }),
            Route::Source => self.page(target, budget, |page| {
                web::source::page(page, path_parameter)
            }),
            Route::Alerts => self.page(target, budget, |page| {
                let incidents = (self.context.incidents)(limits::INCIDENTS_SHOWN);
                Ok(web::alerts::page(page, &incidents))
            }),
            Route::Group => self.page(target, budget, |page| {
                web::group::page(page, path_parameter)
            }),
            Route::System => self.page(target, budget, |page| Ok(web::system::page(page))),
            Route::Style => asset(request, &assets.styles, path_parameter),
            Route::Script => asset(request, &assets.scripts, path_parameter),
            Route::Wall => self.wall(target),
            Route::Display => self.display(request, target, budget),
            Route::OpenApi => Ok(assets.openapi.respond(request, NO_CACHE)),
            Route::Robots => {
                let text = b"User-agent: *\nDisallow: /\n";
                Ok(ok_response(TEXT, NO_CACHE, text.to_vec()))
            }
            Route::Favicon => self.favicon(target),
            Route::Manifest => Ok(self.manifest(target)),
            Route::Icon => self.icon(request, path_parameter),
            Route::DeviceSetup => self.device_setup(request),
            Route::DeviceDisplay => self.device_display(request, budget),
            Route::DeviceLog => {
                let detail = "A log is sent by POST, and none can be read.";
                Err(ProblemDetails::new(405, detail).with("Allow", target.row.methods))
            }
            // The connection opens the stream itself, also to answer HEAD.
            Route::Events => Ok(Response {
                status: 200,
                headers: self.event_stream_headers(request),
                body: Arc::new([]),
            }),
        };
        response.unwrap_or_else(|problem| self.error_page(request, &problem))
    }

    /// Responds from memory, where that delays other polls by no more than they may wait.
    fn respond_from_memory(&self, request: &Request, target: &RequestTarget) -> Option<Response> {
        if let Some(problem) = self.denied(request) {
            return Some(self.with_cors(Some(request), problem.response()));
        }
        let current = self.context.published.current();
        if !self.is_cheap(request, &current, target) {
            return None;
        }
        let response = self.handle(request, target, &current, &Budget::without_rows());
        Some(self.with_cors(Some(request), response))
    }

    /// Whether a response from memory may be repeated until the next publication. Where a
    /// password is set none is: repeated requests are compared byte by byte, which takes no
    /// constant time.
    fn is_cacheable(&self, response: &Response) -> bool {
        matches!(response.status, 200 | 304) && self.context.password.is_none()
    }

    /// Responds to what reads the database, within the limits of one request.
    fn handle_with_database(
        &self,
        request: &Request,
        target: &RequestTarget,
        RowLimits { rows, coarse }: RowLimits,
    ) -> Response {
        let name = target.row.name;
        let Some(_permit) = self.database_permits.acquire(limits::QUERY_QUEUE_TIMEOUT) else {
            self.cut_offs.count(name);
            let seconds = limits::QUERY_QUEUE_TIMEOUT.as_secs();
            let detail = format!(
                "The database was busy with other requests for {seconds} s. Try again in a moment."
            );
            let problem = ProblemDetails::new(503, detail).with("Retry-After", "5");
            return self.error_page(request, &problem);
        };
        let budget = Budget::new(rows, limits::QUERY_TIMEOUT).with_reserve(coarse);
        let current = self.context.published.current();
        let response = self.handle(request, target, &current, &budget);
        if budget.exceeded().is_some() {
            self.cut_offs.count(name);
        }
        response
    }

    fn problem_response(&self, problem: &ProblemDetails, request: Option<&Request>) -> Response {
        let response = match request {
            Some(request) => self.error_page(request, problem),
            None => problem.response(),
        };
        self.with_cors(request, response)
    }
}

fn redirect_to_overview(base: &str) -> Response {
    let path = format!("{base}{}", table::OVERVIEW_PATH);
    Response {
        status: 302,
        headers: vec![
            ("Location", path.clone().into()),
            ("Content-Type", TEXT.into()),
            ("Cache-Control", NO_CACHE.into()),
        ],
        body: format!("{path}\n").into_bytes().into(),
    }
}

/// A stylesheet or script, whose name changes with its contents.
fn asset(
    request: &Request,
    files: &[(String, Representation)],
    name: &str,
) -> Result<Response, ProblemDetails> {
    let file = files.iter().find(|(known, _)| known == name);
    file.map(|(_, file)| file.respond(request, IMMUTABLE))
        .ok_or_else(|| {
            ProblemDetails::new(
                404,
                "This file belongs to another version of main-node; reload the page.",
            )
        })
}

fn target_problem(request: &Request, error: &TargetError) -> ProblemDetails {
    let path = request.target.split('?').next().unwrap_or_default();
    match error {
        TargetError::NotFound => ProblemDetails::new(
            404,
            format!(
                "There is no page at {path:?}. /openapi.json lists all endpoints; /web is the dashboard."
            ),
        ),
        TargetError::BadEscape => ProblemDetails::new(
            400,
            "The URL is not valid percent-encoded UTF-8: % must be followed by two hexadecimal digits.",
        ),
        TargetError::TooManyParts => ProblemDetails::new(400, "The URL has too many parameters."),
        TargetError::GivenTwice(name) => {
            ProblemDetails::new(400, format!("`{name}` is given twice."))
        }
        TargetError::UnknownParameter { name, known: [] } => ProblemDetails::new(
            400,
            format!("Unknown parameter {name:?}: {path} takes none."),
        ),
        TargetError::UnknownParameter { name, known } => ProblemDetails::new(
            400,
            format!(
                "Unknown parameter {name:?}: {path} takes {}.",
                known.join(", ")
            ),
        ),
    }
}

#[cfg(test)]
#[path = "tests/dispatch.rs"]
mod tests;
