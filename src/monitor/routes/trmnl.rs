//! TRMNL's protocol for servers of one's own: `/api/setup`, `/api/display`, `/api/log`.
//!
//! A device is set up once by its MAC and gets a key; with it, it asks what to show and for how long
//! to sleep. Setup reads a file and runs on workers; a key is checked from memory. The status of
//! every answer is one that the firmware bears: it polls each few seconds after a 202 or a 500.

use serde_json::json;

use super::app::App;
use super::published::JSON;
use super::response::ok_response;
use super::table::Route;
use crate::domain::percent;
use crate::domain::plan::{DisplayPlan, MacAddress, PanelColours};
use crate::limits;
use crate::monitor::context::DeviceRefusal;
use crate::monitor::device_keys::KeyRequest;
use crate::monitor::http::handler::{Request, Response};
use crate::monitor::problem::ProblemDetails;
use crate::sys::budget::Budget;

/// The header with the MAC of a device.
const ID: &str = "id";
/// What a device is told is for it alone, and kept nowhere.
const PRIVATE: &str = "private, no-store";
/// The header with its key.
const KEY: &str = "access-token";

impl App {
    /// `/api/setup`: the key of a device that a `[[display]]` names.
    pub(super) fn device_setup(&self, request: &Request) -> Result<Response, ProblemDetails> {
        let now = self.context.clock.now();
        let mac = request.header(ID).and_then(MacAddress::parse);
        let Some(mac) = mac else {
            let detail = "The header ID with the MAC of the device is missing or is none: \
                          AA:BB:CC:DD:EE:FF is expected.";
            return Err(ProblemDetails::new(400, detail));
        };
        let displays = self.context.plan.pages.displays.iter();
        let Some(display) = displays.clone().find(|it| it.device.as_ref() == Some(&mac)) else {
            let message = unknown_device(&mac);
            let why = DeviceRefusal::NotConfigured;
            self.devices.record_refusal(mac, why, request, now);
            return Ok(setup_refusal(404, message));
        };
        let name = &display.name;
        let is_once = self.context.password.is_some();
        let key = match self.context.device_keys.request(&mac, is_once, now.wall) {
            Ok(KeyRequest::Given(key)) => {
                self.devices.record_acceptance(&mac);
                key
            }
            Ok(KeyRequest::NotAgain) => {
                let why = DeviceRefusal::KeyGivenBefore(name.clone());
                self.devices.record_refusal(mac, why, request, now);
                let minutes = limits::PAIRING_TIME.as_secs() / 60;
                let message = format!(
                    "The key of this display was given before. Run `main-node pair {name}`, and set \
                     the device up within {minutes} minutes."
                );
                return Ok(setup_refusal(403, message));
            }
            Err(why) => {
                if self.devices.is_new_problem(&why) {
                    log::warn!("display {name}: no key: {why}");
                }
                let why = DeviceRefusal::NoKey(name.clone(), why);
                self.devices.record_refusal(mac, why, request, now);
                return Err(ProblemDetails::new(
                    503,
                    "Keys cannot be made now; see the log of main-node.",
                )
                .with("Retry-After", "60"));
            }
        };
        // Firmware 1.8.2 and before takes a BMP of 1 bit alone, later ones a PNG as well.
        let extension = match display.panel.colours {
            PanelColours::Grey { bits: 1 } => "bmp",
            _ => "png",
        };
        let body = json!({
            "status": 200,
            "api_key": key,
            "friendly_id": key[..6].to_ascii_uppercase(),
            "image_url": self.picture_url(request, display, extension, &key)?,
            "message": format!("This is the display {name} of {}.", self.context.settings.node_name),
        });
        Ok(ok_response(JSON, PRIVATE, body.to_string().into_bytes()))
    }

    /// `/api/display`: which picture to show, and when to ask again.
    pub(super) fn device_display(
        &self,
        request: &Request,
        budget: &Budget,
    ) -> Result<Response, ProblemDetails> {
        let display = self.device_of(request)?;
        let key = request.header(KEY).unwrap_or_default();
        let sleep = self.refresh_after(display);
        let now = self.context.clock.now();
        // First, since the picture shows a low battery.
        self.displays.record_display(display, sleep, request, now);
        let picture = self.picture(display, budget);
        self.displays.record_picture(&display.name, &picture.etag());
        let body = json!({
            "status": 0,
            "image_url": self.picture_url(request, display, "png", key)?,
            "filename": file_name(&display.name, &picture.short_hash()),
            "refresh_rate": sleep.as_secs(),
            "update_firmware": false,
            "firmware_url": "",
            "reset_firmware": false,
            "special_function": "none",
        });
        Ok(ok_response(JSON, PRIVATE, body.to_string().into_bytes()))
    }

    /// `POST /api/log`: is thanked for it. The log is not read.
    pub(super) fn device_log(&self, request: &Request) -> Result<Response, ProblemDetails> {
        let display = self.device_of(request)?;
        let now = self.context.clock.now();
        if !self.devices.takes_log(request.peer, now.mono) {
            let seconds = limits::DEVICE_LOG_INTERVAL.as_secs().to_string();
            let detail = "One log a second is taken from an address.";
            return Err(ProblemDetails::new(429, detail).with("Retry-After", seconds));
        }
        self.displays.record_log(&display.name, now);
        Ok(Response {
            status: 204,
            headers: vec![("Cache-Control", PRIVATE.into())],
            body: Vec::new().into(),
        })
    }

    /// The display whose device sends this request, by its key. A wrong key is counted.
    fn device_of(&self, request: &Request) -> Result<&DisplayPlan, ProblemDetails> {
        let mac = request.header(ID).and_then(MacAddress::parse);
        let is_meant = |display: &&DisplayPlan| mac.is_none() || display.device == mac;
        let mut displays = self.context.plan.pages.displays.iter();
        let checked = self.check_key(request, displays.clone().filter(is_meant));
        let checked = checked.unwrap_or_else(|| Err(key_required()));
        let Some(mac) = mac else { return checked };
        match &checked {
            Ok(_) => self.devices.record_acceptance(&mac),
            // Not where the address has to wait: then nobody looked at its key.
            Err(problem) if problem.status == 401 => {
                if let Some(display) = displays.find(|it| it.device.as_ref() == Some(&mac)) {
                    let why = DeviceRefusal::WrongKey(display.name.clone());
                    let now = self.context.clock.now();
                    self.devices.record_refusal(mac, why, request, now);
                }
            }
            Err(_) => {}
        }
        checked
    }

    /// Whether the request has the key of the display whose picture it asks for; `None` where it has
    /// none, or asks for something else.
    pub(super) fn check_picture_key(
        &self,
        request: &Request,
    ) -> Option<Result<(), ProblemDetails>> {
        if request.header(KEY).is_none() && request.token.is_none() {
            return None;
        }
        let target = self.read_target(&request.target).ok()?;
        let file = Some(&target.path_parameter).filter(|_| target.row.route == Route::Display)?;
        let (name, _) = file.rsplit_once('.')?;
        let mut displays = self.context.plan.pages.displays.iter();
        let display = displays.find(|it| &*it.name == name)?;
        // Another token may be that of the configuration, which is looked at next.
        let keys = &self.context.device_keys;
        if let (Some(token), Some(device)) = (&request.token, &display.device)
            && keys.opens(device, token)
        {
            return Some(Ok(()));
        }
        let checked = self.check_key(request, std::iter::once(display));
        checked.map(|result| result.map(drop))
    }

    /// Records who gets a picture. A device has told of itself when it asked what to show; whoever
    /// else looks at its picture is another display.
    pub(super) fn record_picture(&self, request: &Request, display: &DisplayPlan, etag: &str) {
        let now = self.context.clock.now();
        let keys = &self.context.device_keys;
        let shown = [request.header(KEY), request.token.as_deref()];
        let opens = |device| shown.iter().flatten().any(|key| keys.opens(device, key));
        match &display.device {
            Some(device) if opens(device) => {}
            Some(_) => self.displays.record_poll(request, etag, now),
            None => {
                let sleep = self.refresh_after(display);
                self.displays.record_display(display, sleep, request, now);
                self.displays.record_picture(&display.name, etag);
            }
        }
    }

    fn check_key<'a>(
        &self,
        request: &Request,
        mut displays: impl Iterator<Item = &'a DisplayPlan>,
    ) -> Option<Result<&'a DisplayPlan, ProblemDetails>> {
        let key = request.header(KEY).filter(|key| !key.is_empty())?;
        let now = self.context.clock.now().mono;
        let keys = &self.context.device_keys;
        let opens = |device: &MacAddress| keys.opens(device, key);
        let find = || displays.find(|it| it.device.as_ref().is_some_and(opens));
        let Some(display) = self.devices.check_key(request.peer, now, find) else {
            return Some(Err(too_many_keys()));
        };
        Some(display.ok_or_else(key_required))
    }

    /// The address of a picture as the device sees this node: by the name that it asked for. Behind a
    /// password with the key, since firmware and readers fetch pictures without a header.
    fn picture_url(
        &self,
        request: &Request,
        display: &DisplayPlan,
        extension: &str,
        key: &str,
    ) -> Result<String, ProblemDetails> {
        let host = request.header("host").filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| ProblemDetails::new(400, "The header Host is missing."))?;
        let scheme = if request.is_https { "https" } else { "http" };
        let (base, name) = (&request.base, &display.name);
        let token = match self.context.password {
            Some(_) => format!("?token={}", percent::encode(key)),
            None => String::new(),
        };
        Ok(format!(
            "{scheme}://{host}{base}/display/{name}.{extension}{token}"
        ))
    }
}

/// The name by which a device knows the picture: while it is the same, nothing is downloaded and
/// nothing drawn. At most 31 characters: the firmware cuts longer ones.
fn file_name(display: &str, hash: &str) -> String {
    let name: String = display.chars().take(20).collect();
    format!("{name}-{hash}")
}

fn unknown_device(mac: &MacAddress) -> String {
    format!("No display has this device. In main-node.toml: [[display]] device = \"{mac}\"")
}

/// As the firmware reads it.
fn setup_refusal(status: u16, message: String) -> Response {
    let body = json!({
        "status": status,
        "api_key": null,
        "friendly_id": null,
        "image_url": null,
        "message": message,
    });
    let mut response = ok_response(JSON, PRIVATE, body.to_string().into_bytes());
    response.status = status;
    response
}

fn key_required() -> ProblemDetails {
    let detail = "The header Access-Token with the key of this display is required, as the device got \
                  it from /api/setup.";
    ProblemDetails::new(401, detail).with("WWW-Authenticate", "Access-Token realm=\"main-node\"")
}

fn too_many_keys() -> ProblemDetails {
    let seconds = limits::WRONG_PASSWORD_WINDOW.as_secs().to_string();
    let detail = "Too many wrong keys from this address. Wait a minute, then try again. Other \
                  addresses are not affected.";
    ProblemDetails::new(429, detail).with("Retry-After", seconds)
}

#[cfg(test)]
#[path = "tests/trmnl.rs"]
mod tests;
