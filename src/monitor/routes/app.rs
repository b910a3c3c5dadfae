//! The application state of all routes, access control and error responses.
//!
//! Shared by the connection thread and the pool's workers; `dispatch` calls the handlers.
//! Nothing here touches a socket.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::cut_offs::CutOffs;
use super::devices::Devices;
use super::displays::Displays;
use super::openapi;
use super::pictures::Pictures;
use super::published::{JSON, Publication};
use super::representation::Representation;
use super::response::html_response;
use super::table::{self, Access, RequestTarget, TargetError};
use crate::domain::alert::DisplayFacts;
use crate::domain::time::Moment;
use crate::monitor::context::Context;
use crate::monitor::format::corrected_wall;
use crate::monitor::http::handler::{Request, Response};
use crate::monitor::http::host_check::{AllowedHosts, host_name};
use crate::monitor::problem::{ProblemDetails, configured_keys, prefers_html, unknown_key_problem};
use crate::monitor::web;
use crate::sys::semaphore::Semaphore;

/// What handlers respond from.
pub struct App {
    pub(super) context: Context,
    hosts: AllowedHosts,
    /// `Content-Security-Policy` of pages.
    pub(super) policy: String,
    /// Keys that the configuration names.
    configured_keys: HashSet<Arc<str>>,
    pub(super) displays: Displays,
    /// See [`App::sleep_after_start`].
    sleep_after_start: OnceLock<Vec<Duration>>,
    pub(super) devices: Devices,
    pub(super) sparklines: web::Sparklines,
    pub(super) years: web::YearCache,
    pub(super) pictures: Pictures,
    pub(super) assets: Assets,
    pub(super) cut_offs: CutOffs,
    /// Held while rendering what reads the database, so that a processor stays free for displays.
    pub(super) database_permits: Semaphore,
}

/// The settings, which never change while the node runs.
pub(super) struct Assets {
    /// Stylesheets and scripts, by their names.
    pub(super) styles: [(String, Representation); 2],
    pub(super) scripts: [(String, Representation); 2],
    pub(super) openapi: Representation,
    /// By their file names.
    pub(super) icons: Vec<(&'static str, Representation)>,
}

fn style(gzipped: &'static [u8]) -> Representation {
    Representation::from_gzip("text/css; charset=utf-8", gzipped)
}

fn script(gzipped: &'static [u8]) -> Representation {
    Representation::from_gzip("text/javascript; charset=utf-8", gzipped)
}

fn icons() -> Vec<(&'static str, Representation)> {
    let icons = web::manifest::ICONS.iter();
    icons
        .map(|icon| {
            let png = Representation::uncompressed("image/png", icon.png.to_vec());
            (icon.file, png)
        })
        .collect()
}

impl App {
    pub fn new(context: Context) -> App {
        let settings = &context.settings;
        App {
            hosts: AllowedHosts::new(&settings.host_name, &settings.hosts),
            policy: web::content_security_policy(&settings.frame_ancestors),
            configured_keys: configured_keys(&context.plan).cloned().collect(),
            displays: Displays::default(),
            sleep_after_start: OnceLock::new(),
            devices: Devices::default(),
            sparklines: web::Sparklines::default(),
            years: web::YearCache::default(),
            pictures: Pictures::new(&context.plan.pages.displays),
            cut_offs: CutOffs::default(),
            database_permits: Semaphore::leaving_one_cpu(),
            assets: Assets {
                styles: [
                    (web::style_name(), style(web::STYLE_GZIPPED)),
                    (web::wall_style_name(), style(web::WALL_STYLE_GZIPPED)),
                ],
                scripts: [
                    (web::script_name(), script(web::SCRIPT_GZIPPED)),
                    (web::wall_script_name(), script(web::WALL_SCRIPT_GZIPPED)),
                ],
                openapi: Representation::from_gzip(JSON, openapi::GZIPPED),
                icons: icons(),
            },
            context,
        }
    }

    /// Each display that is remembered, as the page lists it, and those that may have slept since the start.
    pub fn display_facts(&self) -> Vec<DisplayFacts> {
        let now = self.context.clock.now();
        let seen = self.displays.list();
        let running = now.mono.since(self.context.settings.started.mono);
        let sleep = self.sleep_after_start(now).iter().copied();
        let configured = self.context.plan.pages.displays.iter();
        let configured = configured.zip(sleep.chain(std::iter::repeat(Duration::ZERO)));
        let is_seen = |name: &str| seen.iter().any(|it| it.configured.as_deref() == Some(name));
        let unseen = configured.filter(|(it, _)| !is_seen(&it.name));
        let unseen = unseen.map(|(display, sleep)| DisplayFacts {
            name: display.name.clone(),
            silence: running.saturating_sub(sleep),
            is_seen: false,
            battery: None,
        });
        let unseen: Vec<DisplayFacts> = unseen.collect();
        let seen = seen.into_iter().map(|it| DisplayFacts {
            silence: it.silence(now),
            is_seen: true,
            battery: it.charge,
            name: match it.shown_name() {
                Some(name) => name.into(),
                None => it.address.to_string().into(),
            },
        });
        seen.chain(unseen).collect()
    }

    /// How long each display may sleep after the start, in the configuration's order: an earlier run may have
    /// told it to, until its quiet hours are over. Not known before the clock is trusted.
    fn sleep_after_start(&self, now: Moment) -> &[Duration] {
        if !now.trust.is_trusted() {
            return &[];
        }
        let settings = &self.context.settings;
        // Once: it tries each minute of a day.
        self.sleep_after_start.get_or_init(|| {
            let started = corrected_wall(settings.started, now);
            let displays = self.context.plan.pages.displays.iter();
            let quiet =
                displays.map(|it| it.quiet.as_ref()?.remaining(started, &settings.timezone));
            quiet.map(Option::unwrap_or_default).collect()
        })
    }

    /// The time as HTTP writes it (IMF-fixdate), while the clock is trusted.
    pub fn http_date(&self) -> Option<String> {
        let now = self.context.clock.now();
        let instant = jiff::Timestamp::from_second(now.wall.second()).ok()?;
        let date = instant.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        now.trust.is_trusted().then_some(date)
    }

    /// Header fields of the event stream's response.
    pub(super) fn event_stream_headers(
        &self,
        request: &Request,
    ) -> Vec<(&'static str, Cow<'static, str>)> {
        let response = Response {
            status: 200,
            headers: vec![
                ("Content-Type", "text/event-stream".into()),
                ("Cache-Control", "no-store".into()),
                ("X-Content-Type-Options", "nosniff".into()),
                // nginx keeps events back otherwise.
                ("X-Accel-Buffering", "no".into()),
            ],
            body: Arc::new([]),
        };
        self.with_cors(Some(request), response).headers
    }

    /// Records a display's poll and the ETag of its response.
    pub(super) fn record_poll(&self, request: &Request, etag: &str) {
        self.displays
            .record_poll(request, etag, self.context.clock.now());
    }

    pub(super) fn is_configured(&self, key: &str) -> bool {
        self.configured_keys.contains(key)
    }

    pub(super) fn unknown_key_problem(&self, current: &Publication, key: &str) -> ProblemDetails {
        unknown_key_problem(key, &current.snapshot, &self.context.plan)
    }

    /// The error for a wrong `Host` or a missing password. Counts a wrong password: to be
    /// called once per request.
    pub(super) fn denied(&self, request: &Request) -> Option<ProblemDetails> {
        let now = || self.context.clock.now().mono;
        let denied = || {
            if self.needs_no_password(&request.target) {
                return None;
            }
            let password = self.context.password.as_ref()?;
            match self.check_picture_key(request) {
                Some(Ok(())) => return None,
                Some(Err(problem)) if !has_credentials(request) => return Some(problem),
                _ => {}
            }
            let takes_token = table::takes_token(&request.target);
            let error = password.deny(request, takes_token, now())?;
            let (name, value) = error.header();
            Some(ProblemDetails::new(error.status(), error.detail()).with(name, value))
        };
        self.wrong_host(request).or_else(denied)
    }

    /// Whether a target is public, or one of those where a device shows its key.
    fn needs_no_password(&self, target: &str) -> bool {
        let is_for = |access| table::has_access(target, access);
        is_for(Access::Public) || (self.has_displays() && is_for(Access::Device))
    }

    fn has_displays(&self) -> bool {
        !self.context.plan.pages.displays.is_empty()
    }

    /// Reads a target; what is for devices is there while there are displays.
    pub(super) fn read_target(&self, target: &str) -> Result<RequestTarget, TargetError> {
        let is_there = |it: &RequestTarget| it.row.access != Access::Device || self.has_displays();
        let target = RequestTarget::read(target)?;
        is_there(&target)
            .then_some(target)
            .ok_or(TargetError::NotFound)
    }

    /// The methods that a target's path takes.
    pub(super) fn allowed_methods(&self, target: &str) -> Result<&'static str, TargetError> {
        if table::has_access(target, Access::Device) && !self.has_displays() {
            return Err(TargetError::NotFound);
        }
        table::allowed_methods(target)
    }

    /// Whether [`App::denied`] would be `None`; counts nothing.
    pub(super) fn admits(&self, request: &Request) -> bool {
        let now = || self.context.clock.now().mono;
        let password = self.context.password.as_ref();
        let takes_token = || table::takes_token(&request.target);
        let is_authorized = || {
            password.is_none_or(|password| password.is_authorized(request, takes_token(), now()))
        };
        let is_open = || self.needs_no_password(&request.target);
        self.wrong_host(request).is_none() && (is_open() || is_authorized())
    }

    /// The error for a `Host` that is not one of this node's names.
    pub(super) fn wrong_host(&self, request: &Request) -> Option<ProblemDetails> {
        let fields = request.headers.iter().filter(|(name, _)| name == "host");
        let foreign = fields
            .map(|(_, value)| value.as_str())
            .find(|field| !self.hosts.allows(field))?;
        let name = host_name(foreign).unwrap_or_default();
        Some(ProblemDetails::new(
            421,
            format!(
                "The host name {name:?} is not allowed, as a protection against DNS rebinding. If it is yours, add it to `hosts` in main-node.toml: hosts = [{name:?}]."
            ),
        ))
    }

    /// A problem as a page for browsers, as `application/problem+json` otherwise.
    pub(super) fn error_page(&self, request: &Request, problem: &ProblemDetails) -> Response {
        let mut response = if prefers_html(request) {
            let mut page = html_response(
                problem.status,
                web::layout::error_page(&web::Links::below(&request.base), problem),
                &self.policy,
            );
            page.headers.retain(|(name, _)| *name != "Cache-Control");
            page.headers.push(("Cache-Control", "no-store".into()));
            page.headers.extend(problem.headers.iter().cloned());
            page
        } else {
            problem.response()
        };
        response.headers.push(("Vary", "Accept".into()));
        response
    }

    /// `request` where one was read.
    pub(super) fn with_cors(&self, request: Option<&Request>, mut response: Response) -> Response {
        self.context.settings.cors.apply(request, &mut response);
        response
    }
}

/// Whether the request has a password or the token.
fn has_credentials(request: &Request) -> bool {
    request.token.is_some() || request.header("authorization").is_some()
}
