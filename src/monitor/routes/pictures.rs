//! The newest picture of each display: composed when somebody asks after a publication, drawn when what it
//! shows has changed. The same picture keeps its time, its hash and its bytes.
//!
//! Used by the pool's workers.

use std::sync::{Arc, OnceLock};

use jiff::civil::Date;

use super::representation::Representation;
use crate::domain::plan::DisplayPlan;
use crate::domain::stable_hash::hash;
use crate::domain::time::Wall;
use crate::limits;
use crate::monitor::picture::{self, PictureContent, PictureFormat, PictureTime, compose};
use crate::monitor::web::PageContext;
use crate::sys::sync::Mutex;

/// The newest picture of each display, in the configuration's order.
pub struct Pictures(Vec<Mutex<Option<KeptPicture>>>);

pub struct KeptPicture {
    made_from: PictureInput,
    picture: Arc<Picture>,
}

/// All that a picture can depend on: while it is the same, so is the picture.
#[derive(PartialEq)]
pub struct PictureInput {
    pub generation: u64,
    pub chart_end: Wall,
    /// By which days are named; none while the clock is not set.
    pub today: Option<Date>,
    /// The charge of the device, where it is low.
    pub battery: Option<String>,
}

impl PictureInput {
    /// A picture that was drawn before the clock was set has no time.
    fn has_time(&self) -> bool {
        self.today.is_some()
    }
}

impl KeptPicture {
    /// Whether `content` was laid out already: most publications change nothing that a display shows.
    fn shows(&self, content: &PictureContent, input: &PictureInput) -> bool {
        let (then, now) = (&self.made_from, input);
        let is_same = (&then.battery, then.has_time()) == (&now.battery, now.has_time());
        is_same && self.picture.content == *content
    }
}

/// A picture and its files.
#[derive(Clone)]
pub struct Picture {
    pub content: PictureContent,
    /// Of what is drawn, but its time.
    pub hash: u64,
    pub time: PictureTime,
    /// When it was first drawn.
    pub drawn: Wall,
    png: OnceLock<Representation>,
    bmp: OnceLock<Representation>,
    raw: OnceLock<Representation>,
}

impl Pictures {
    pub fn new(displays: &[DisplayPlan]) -> Pictures {
        Pictures(displays.iter().map(|_| Mutex::default()).collect())
    }

    /// What the display of this number shows; `compose` makes it, after the one before, where `made_from`
    /// is not what that was made from.
    pub fn get(
        &self,
        number: usize,
        made_from: PictureInput,
        compose: impl FnOnce(&PictureInput, Option<&KeptPicture>) -> Arc<Picture>,
    ) -> Arc<Picture> {
        let Some(place) = self.0.get(number) else {
            return compose(&made_from, None);
        };
        // Held while it is composed, so that displays which ask at once do not do it twice.
        let mut kept = place.lock();
        let before = kept.as_ref();
        if let Some(before) = before.filter(|it| it.made_from == made_from) {
            return before.picture.clone();
        }
        let picture = compose(&made_from, before);
        *kept = Some(KeptPicture {
            made_from,
            picture: picture.clone(),
        });
        picture
    }
}

impl Picture {
    /// The last half of its hash, for file names.
    pub fn short_hash(&self) -> String {
        format!("{:08x}", self.hash & 0xffff_ffff)
    }

    /// The same bytes would have the same tag, but not the reverse: after a restart its time is another.
    pub fn etag(&self) -> String {
        format!("W/\"{:016x}\"", self.hash)
    }

    /// A file of it, drawn when it is first asked for.
    pub fn file(&self, display: &DisplayPlan, format: PictureFormat) -> Representation {
        let (content_type, kept) = match format {
            PictureFormat::Png => ("image/png", &self.png),
            PictureFormat::Bmp => ("image/bmp", &self.bmp),
            PictureFormat::Raw => ("application/octet-stream", &self.raw),
        };
        if let Some(kept) = kept.get() {
            return kept.clone();
        }
        let drawing = picture::draw(&self.content, &self.time, &display.panel);
        let bytes = drawing.encode(&display.panel, format);
        let is_kept = bytes.len() <= limits::PICTURE_KEPT_BYTES;
        let file = Representation::uncompressed(content_type, bytes).with_weak_etag(self.etag());
        if is_kept {
            return kept.get_or_init(|| file).clone();
        }
        file
    }
}

/// What a display shows now; `before`, if that is the same.
pub fn compose_picture(
    view: &PageContext,
    display: &DisplayPlan,
    input: &PictureInput,
    before: Option<&KeptPicture>,
) -> Arc<Picture> {
    let content = compose::content(view, display, input.chart_end);
    if let Some(before) = before.filter(|it| it.shows(&content, input)) {
        return before.picture.clone();
    }
    let hash = hash_of(&content, display, input);
    if let Some(before) = before.filter(|it| it.picture.hash == hash) {
        // What has no room in the picture may be another, for `.json`.
        return Arc::new(Picture {
            content,
            ..(*before.picture).clone()
        });
    }
    let time = compose::time(view, input.battery.clone());
    Arc::new(Picture {
        content,
        hash,
        time,
        drawn: Wall::from_second(view.now.wall.second()),
        png: OnceLock::new(),
        bmp: OnceLock::new(),
        raw: OnceLock::new(),
    })
}

/// Of all that is drawn, but the time.
fn hash_of(content: &PictureContent, display: &DisplayPlan, input: &PictureInput) -> u64 {
    let without_time = PictureTime {
        text: String::new(),
        battery: input.battery.clone(),
    };
    let shapes = picture::draw(content, &without_time, &display.panel).shapes;
    let (panel, version) = (display.panel, picture::DRAWING_VERSION);
    let has_time = input.has_time();
    hash(format!("{version} {panel:?} {has_time} {shapes:?}").as_bytes())
}
