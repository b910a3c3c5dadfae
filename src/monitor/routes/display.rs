//! Displays: `/display/<name>.png`, `.bmp`, `.raw`, `.json`, and `/display/<name>`, a preview.
//!
//! Runs on the pool's workers.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::app::App;
use super::pictures::{Picture, PictureInput, compose_picture};
use super::published::JSON;
use super::representation::{Representation, if_none_match, weak_etag};
use super::table::{self, RequestTarget};
use crate::domain::battery::Battery;
use crate::domain::plan::{DisplayPlan, PictureLayout};
use crate::limits;
use crate::monitor::format::to_zoned;
use crate::monitor::http::handler::{Request, Response};
use crate::monitor::picture::{PictureContent, PictureFormat, compose};
use crate::monitor::problem::{ProblemDetails, unknown_name_problem};
use crate::monitor::web;
use crate::sys::budget::Budget;

impl App {
    /// `/display/…`.
    pub(super) fn display(
        &self,
        request: &Request,
        target: &RequestTarget,
        budget: &Budget,
    ) -> Result<Response, ProblemDetails> {
        let file = &*target.path_parameter;
        let (name, extension) = match file.rsplit_once('.') {
            Some((name, extension)) => (name, Some(extension)),
            None => (file, None),
        };
        let display = self.find_display(name)?;
        let picture = self.picture(display, budget);
        let Some(extension) = extension else {
            return match request.token.as_deref() {
                None => self.page(target, budget, |view| {
                    Ok(web::display::page(view, display, &picture))
                }),
                Some(token) => self.markup(target, budget, |view| {
                    Ok(web::display::page_of_token(view, display, &picture, token))
                }),
            };
        };
        let format = match extension {
            "png" => PictureFormat::Png,
            "bmp" => PictureFormat::Bmp,
            "raw" => PictureFormat::Raw,
            "json" => {
                let body = self.picture_as_json(display, &picture);
                // Also of what has no room in the picture, but not of the wait.
                let content = serde_json::to_vec(&picture.content).unwrap_or_default();
                let json =
                    Representation::uncompressed(JSON, body).with_weak_etag(weak_etag(&content));
                return Ok(self.respond_with_picture(request, target, display, &json));
            }
            other => {
                let detail = format!(
                    "There is no {other:?} of a display; there are {name}.png, {name}.bmp, {name}.raw and {name}.json."
                );
                return Err(ProblemDetails::new(404, detail));
            }
        };
        // Nothing is drawn for who has it.
        if if_none_match(request, &picture.etag()) {
            let known = Representation::uncompressed("", Vec::new()).with_weak_etag(picture.etag());
            return Ok(self.respond_with_picture(request, target, display, &known));
        }
        let file = picture.file(display, format);
        let bytes = file.identity.body.len();
        if bytes > limits::POOL_RESPONSE_BYTES {
            let most = limits::POOL_RESPONSE_BYTES;
            let detail = format!(
                "{name}.{extension} of this panel has {bytes} bytes, and a response at most {most}: take {name}.png."
            );
            return Err(ProblemDetails::new(404, detail));
        }
        Ok(self.respond_with_picture(request, target, display, &file))
    }

    fn respond_with_picture(
        &self,
        request: &Request,
        target: &RequestTarget,
        display: &DisplayPlan,
        file: &Representation,
    ) -> Response {
        // A page shows it, and nobody's display.
        if target.parameter(table::SEEN).is_none() {
            self.record_picture(request, display, &file.identity.etag);
        }
        let seconds = self.refresh_after(display).as_secs();
        file.respond(request, format!("max-age={seconds}"))
    }

    /// The display of a name; the problem says which there are.
    pub(super) fn find_display(&self, name: &str) -> Result<&DisplayPlan, ProblemDetails> {
        let displays = &self.context.plan.pages.displays;
        let found = displays.iter().find(|display| *display.name == *name);
        found.ok_or_else(|| {
            if displays.is_empty() {
                let detail = "No display is configured: add [[display]] with name = \"hall\" and \
                              model = \"trmnl-og\" or size = [800, 480] to main-node.toml.";
                return ProblemDetails::new(404, detail);
            }
            let names = displays.iter().map(|display| &*display.name);
            unknown_name_problem("display", name, names, |name| format!("/display/{name}"))
        })
    }

    /// How long a display may wait before it asks again: at the end of its quiet hours.
    pub(super) fn refresh_after(&self, display: &DisplayPlan) -> Duration {
        let now = self.context.clock.now();
        let zone = &self.context.settings.timezone;
        let quiet = display.quiet.as_ref().filter(|_| now.trust.is_trusted());
        let remaining = quiet.and_then(|it| it.remaining(now.wall, zone));
        remaining.map_or(display.every, |it| it.max(display.every))
    }

    /// What a display shows now; drawn anew only if that has changed.
    pub(super) fn picture(&self, display: &DisplayPlan, budget: &Budget) -> Arc<Picture> {
        let mut displays = self.context.plan.pages.displays.iter();
        let number = displays.position(|it| it.name == display.name);
        let now = self.context.clock.now();
        let made_from = PictureInput {
            generation: self.context.published.generation(),
            chart_end: compose::chart_end(display, now.wall),
            today: (now.trust.is_trusted())
                .then(|| to_zoned(now.wall, &self.context.settings.timezone).date()),
            battery: self.displays.charge(&display.name).and_then(low_battery),
        };
        let number = number.unwrap_or(usize::MAX);
        self.pictures.get(number, made_from, |made_from, before| {
            self.with_view("", budget, |view| {
                compose_picture(view, display, made_from, before)
            })
        })
    }

    /// For displays that draw by themselves.
    fn picture_as_json(&self, display: &DisplayPlan, picture: &Picture) -> Vec<u8> {
        #[derive(Serialize)]
        struct PictureBody<'a> {
            name: &'a str,
            width: u16,
            height: u16,
            drawn: String,
            time: &'a str,
            battery: Option<&'a str>,
            refresh_s: u64,
            layout: &'static str,
            #[serde(flatten)]
            content: &'a PictureContent,
        }
        let (width, height) = display.panel.drawn_size();
        let mut layouts = PictureLayout::NAMED.iter();
        let layout = layouts.find(|(_, layout)| *layout == display.layout);
        let body = PictureBody {
            name: &display.name,
            width,
            height,
            drawn: picture.drawn.to_string(),
            time: &picture.time.text,
            battery: picture.time.battery.as_deref(),
            refresh_s: self.refresh_after(display).as_secs(),
            layout: layout.map_or("grid", |(name, _)| name),
            content: &picture.content,
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

/// A low charge, in steps, so that a picture is not drawn anew for each reading.
fn low_battery(charge: Battery) -> Option<String> {
    const LOW: f64 = 20.0;
    const STEP: f64 = 5.0;
    let percent = (charge.percent / STEP).round() * STEP;
    (percent <= LOW).then(|| format!("battery {percent} %"))
}

#[cfg(test)]
#[path = "tests/display.rs"]
mod tests;
