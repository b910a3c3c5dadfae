//! Handlers that render on demand: status, metrics, history, pages, favicon.
//!
//! Runs on the pool's workers; reading history may wait for the database.

use maud::Markup;

use super::app::App;
use super::history::{HistoryFormat, HistorySeries};
use super::published::{JSON, Publication};
use super::representation::quality_values;
use super::response::{NO_CACHE, html_response, ok_response};
use super::table::RequestTarget;
use super::{history, metrics, status};
use crate::domain::health::Storage;
use crate::domain::history::{Bucket, HistoryQuery};
use crate::domain::time::{Moment, Wall};
use crate::monitor::context::{Display, HistoryFailure};
use crate::monitor::http::handler::{Request, Response};
use crate::monitor::problem::{ProblemDetails, history_unavailable, unknown_keys_problem};
use crate::monitor::status_text::{self, NodeStatus, StateFacts};
use crate::monitor::web::layout::Page;
use crate::monitor::web::{self, PageContext};
use crate::sys::budget::{Budget, Exceeded};
use crate::sys::process;
use crate::sys::thread::panics;

impl App {
    fn node_status(&self, current: &Publication, storage: &Storage, now: Moment) -> NodeStatus {
        status_text::node_status(&StateFacts {
            snapshot: &current.snapshot,
            plan: &self.context.plan,
            storage,
            channels: &(self.context.channels)(),
            outputs: &(self.context.outputs)(),
            refused_configuration: (self.context.refused_configuration)().as_ref(),
            now,
            started: self.context.settings.started,
            timezone: &self.context.settings.timezone,
        })
    }

    /// The node's state in one sentence.
    pub fn headline(&self) -> String {
        let (current, storage) = (self.context.published.current(), (self.context.storage)());
        let now = self.context.clock.now();
        self.node_status(&current, &storage, now).headline
    }

    pub(super) fn status(&self) -> Response {
        let (current, storage) = (self.context.published.current(), (self.context.storage)());
        let (now, settings) = (self.context.clock.now(), &self.context.settings);
        let displays = self.displays.list();
        let body = status::render(&status::StatusInput {
            state: &self.node_status(&current, &storage, now),
            snapshot: &current.snapshot,
            storage: &storage,
            unseen_displays: self.unseen_displays(&displays),
            displays: &displays,
            channels: &(self.context.channels)(),
            outputs: &(self.context.outputs)(),
            config_file: settings.installation.config_file.as_deref(),
            refused_configuration: (self.context.refused_configuration)().as_ref(),
            now,
            trusted_by: self.context.clock.trusted_by(),
            started: settings.started,
            configuration_loaded: settings.configuration_loaded,
            node: &settings.node_name,
            version: settings.version,
            build: (settings.build)(),
            is_example: settings.is_example,
        });
        ok_response(JSON, "no-store", body)
    }

    /// Names of configured displays that are not among those seen.
    fn unseen_displays(&self, seen: &[Display]) -> Vec<&str> {
        let is_seen = |name: &str| seen.iter().any(|it| it.configured.as_deref() == Some(name));
        let configured = self.context.plan.pages.displays.iter();
        configured
            .map(|it| &*it.name)
            .filter(|name| !is_seen(name))
            .collect()
    }

    pub(super) fn metrics(&self, request: &Request) -> Response {
        let members = ["application/openmetrics-text", "text/plain"];
        let [open, plain_text] =
            quality_values(request, "accept", members).map(Option::unwrap_or_default);
        let format = if open > 0.0 && open >= plain_text {
            metrics::ExpositionFormat::OpenMetrics
        } else {
            metrics::ExpositionFormat::Prometheus
        };
        let facts = metrics::MetricsInput {
            snapshot: &self.context.published.current().snapshot,
            storage: &(self.context.storage)(),
            http: &self.context.http_stats.snapshot(),
            displays: &self.displays.list(),
            channels: &(self.context.channels)(),
            outputs: &(self.context.outputs)(),
            process: &process::process_info(),
            now: self.context.clock.now(),
            started: self.context.settings.started,
            version: self.context.settings.version,
            is_configuration_loaded: (self.context.refused_configuration)().is_none(),
            panics: panics(),
            cut_offs: &self.cut_offs.counts(),
        };
        let mut response = ok_response(
            format.content_type(),
            "no-store",
            metrics::render(&facts, format).into_bytes(),
        );
        response.headers.push(("Vary", "Accept".into()));
        response
    }

    pub(super) fn history(
        &self,
        target: &RequestTarget,
        budget: &Budget,
    ) -> Result<Response, ProblemDetails> {
        let now = self.context.clock.now();
        let request = history::parse_request(target, now.wall)?;
        let current = self.context.published.current();
        let (mut histories, mut unknown): (Vec<HistorySeries>, Vec<&str>) = Default::default();
        let count = request.queries.len();
        for query in &request.queries {
            if count > 1 {
                budget.limit_to_part(count as u64, request.coarse_rows());
            }
            match self.key_history(query, now.wall, &current, budget)? {
                Some(history) => histories.push(history),
                None => unknown.push(&query.key),
            }
        }
        match *unknown {
            [] => {}
            [key] => return Err(self.unknown_key_problem(&current, key)),
            ref keys => return Err(unknown_keys_problem(keys)),
        }
        Ok(match request.format {
            HistoryFormat::Json => ok_response(JSON, NO_CACHE, history::json(&request, &histories)),
            HistoryFormat::Csv => ok_response(
                "text/csv; charset=utf-8; header=present",
                NO_CACHE,
                history::csv(&histories),
            ),
        })
    }

    /// The history of one key; `None` where there is no such record.
    fn key_history(
        &self,
        query: &HistoryQuery,
        now: Wall,
        current: &Publication,
        budget: &Budget,
    ) -> Result<Option<HistorySeries>, ProblemDetails> {
        let read = (self.context.history)(query, budget);
        if let Err(failure) = &read {
            log::debug!("history of {:?} is not read: {failure}", query.key);
        }
        let record = current.record(&query.key);
        let buckets = match read {
            // A key that is forgotten has its history; one without a row may be young.
            Ok(buckets) => buckets,
            Err(HistoryFailure::NothingStored)
                if record.is_some() || self.is_configured(&query.key) =>
            {
                Vec::new()
            }
            Err(HistoryFailure::NothingStored) => return Ok(None),
            Err(HistoryFailure::Unavailable(_)) => return Err(history_unavailable()),
            Err(HistoryFailure::Exceeded(limit)) => return Err(span_too_long(&limit)),
        };
        Ok(Some(HistorySeries {
            key: query.key.clone(),
            unit: match record {
                Some(record) => record.unit.as_deref().map(str::to_owned),
                None => (self.context.stored_unit)(&query.key),
            },
            buckets,
            forecast: self.forecast(query, now, budget)?,
        }))
    }

    /// What is stored of a query ahead of `now`.
    fn forecast(
        &self,
        query: &HistoryQuery,
        now: Wall,
        budget: &Budget,
    ) -> Result<Vec<Bucket>, ProblemDetails> {
        if query.to <= now {
            return Ok(Vec::new());
        }
        match (self.context.forecast)(query, now, budget) {
            Ok(buckets) => Ok(buckets),
            Err(HistoryFailure::NothingStored) => Ok(Vec::new()),
            Err(HistoryFailure::Unavailable(_)) => Err(history_unavailable()),
            Err(HistoryFailure::Exceeded(limit)) => Err(span_too_long(&limit)),
        }
    }

    /// Renders a page, or one fragment of it.
    pub(super) fn page(
        &self,
        target: &RequestTarget,
        budget: &Budget,
        make: impl Fn(&PageContext) -> Result<Page, ProblemDetails>,
    ) -> Result<Response, ProblemDetails> {
        self.markup(target, budget, |view| {
            let page = make(view)?;
            match target.parameter("fragment") {
                None => Ok(web::layout::document(view, &page)),
                Some(name) => web::layout::fragment(view, &page, name),
            }
        })
    }

    /// Renders a wall page, or what its script swaps.
    pub(super) fn wall(&self, target: &RequestTarget) -> Result<Response, ProblemDetails> {
        let name = Some(&*target.path_parameter).filter(|name| !name.is_empty());
        let wall = web::wall::find(&self.context.plan, name)?;
        let theme = web::wall::Theme::parse(target.parameter("theme"))?;
        self.markup(target, &Budget::without_rows(), |view| {
            match target.parameter("fragment") {
                None => Ok(web::wall::document(view, &wall, theme)),
                Some(web::wall::PART) => Ok(web::wall::part(view, &wall, theme)),
                Some(other) => {
                    let detail = format!("This page has no fragment {other:?}; it has: wall.");
                    Err(ProblemDetails::new(404, detail))
                }
            }
        })
    }

    /// Responds with markup that is made from what the node is now.
    pub(super) fn markup(
        &self,
        target: &RequestTarget,
        budget: &Budget,
        make: impl Fn(&PageContext) -> Result<Markup, ProblemDetails>,
    ) -> Result<Response, ProblemDetails> {
        let markup = self.with_view(&target.base, budget, |view| make(view))?;
        Ok(html_response(200, markup, &self.policy))
    }

    /// Calls `make` with what the node is now. `base`: what links begin with.
    pub(super) fn with_view<T>(
        &self,
        base: &str,
        budget: &Budget,
        make: impl FnOnce(&PageContext) -> T,
    ) -> T {
        let (current, storage) = (self.context.published.current(), (self.context.storage)());
        let now = self.context.clock.now();
        let labels = &current.snapshot.upstream_labels;
        let plan = self.context.plan.with_upstream_labels(labels);
        let refused = (self.context.refused_configuration)();
        let displays = self.displays.list();
        make(&PageContext {
            state: &self.node_status(&current, &storage, now),
            snapshot: &current.snapshot,
            storage: &storage,
            displays: &displays,
            unseen_displays: self.unseen_displays(&displays),
            refused_devices: self.devices.refused(),
            channels: &(self.context.channels)(),
            outputs: &(self.context.outputs)(),
            refused_configuration: refused.as_ref(),
            plan: &plan,
            history: &*self.context.history,
            forecast: &*self.context.forecast,
            periods: &*self.context.periods,
            states: &*self.context.states,
            budget,
            sparklines: &self.sparklines,
            years: &self.years,
            settings: &self.context.settings,
            links: &web::Links::below(base),
            now,
        })
    }

    pub(super) fn manifest(&self, target: &RequestTarget) -> Response {
        let title = self.context.plan.pages.title.as_deref();
        let title = title.unwrap_or(&self.context.settings.node_name);
        let body = web::manifest::render(title, &web::Links::below(&target.base));
        ok_response("application/manifest+json", NO_CACHE, body)
    }

    pub(super) fn icon(&self, request: &Request, file: &str) -> Result<Response, ProblemDetails> {
        let icons = &self.assets.icons;
        let icon = icons.iter().find(|(name, _)| *name == file);
        icon.map(|(_, icon)| icon.respond(request, NO_CACHE))
            .ok_or_else(|| {
                let names: Vec<&str> = icons.iter().map(|(name, _)| *name).collect();
                let detail = format!("There is no icon {file:?}; there are {}.", names.join(", "));
                ProblemDetails::new(404, detail)
            })
    }

    pub(super) fn favicon(&self, target: &RequestTarget) -> Result<Response, ProblemDetails> {
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

fn span_too_long(limit: &Exceeded) -> ProblemDetails {
    let detail = format!(
        "The request was cut off at its limit: {limit}. Choose a shorter time span between `from` and `to`."
    );
    ProblemDetails::new(503, detail).with("Retry-After", "10")
}
