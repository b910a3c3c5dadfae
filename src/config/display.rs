//! Displays that are given pictures (`[[display]]`).

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::key_list::read_key_list;
use super::reader::{TableEntry, TableReader};
use super::section::{
    ConfigOption, duration, inline_table, list, plain, print_options, read_options, text,
};
use super::window::read_window;
use crate::domain::plan::{
    DisplayChart, DisplayPlan, KeySelector, MODELS, MacAddress, Panel, PanelColours, PictureLayout,
    Rotation,
};
use crate::domain::text::{format_duration, format_number};
use crate::domain::time_window::TimeWindow;
use crate::domain::toml_text::quoted;
use crate::limits;

/// `[[display]]` while it is read.
#[derive(Default)]
pub struct DisplayDraft {
    name: Option<String>,
    model: Option<&'static str>,
    size: Option<(u16, u16)>,
    depth: Option<u8>,
    colours: Option<PanelColours>,
    rotation: Option<Rotation>,
    layout: Option<PictureLayout>,
    keys: Vec<KeySelector>,
    chart: Option<DisplayChart>,
    footer: Vec<KeySelector>,
    every: Option<Duration>,
    quiet: Option<TimeWindow>,
    device: Option<MacAddress>,
}

type DisplayOption = ConfigOption<DisplayDraft, DisplayPlan>;

pub static OPTIONS: [DisplayOption; 13] = [
    DisplayOption::new(
        "name",
        "text",
        "required",
        "\"hall\"",
        "Name of the display: `/display/hall.png`. Letters, digits, `-` and `_`, at most 20.",
        |draft, option| draft.name = option.entry().and_then(|it| read_name(&it)),
        |display| text(&display.name),
    ),
    DisplayOption::new(
        "model",
        "one of the models below",
        "none (the size is given)",
        "\"trmnl-og\"",
        "The device, whose size and colours are known: `trmnl-og`, `trmnl-x`, `kindle`, `kindle-paperwhite`, `kindle-paperwhite-3`, `kobo-clara`, `inkplate-6`, `inkplate-10`, `m5paper`, `waveshare-2.9`, `waveshare-4.2`, `waveshare-7.5`, `waveshare-7.5-bwr`, `seeed-e1002`, `remarkable-2`. `size`, `depth` and `colours` go before it.",
        |draft, option| draft.model = option.choice(&MODELS.map(|(name, _)| (name, name))),
        |display| text(display.model?),
    ),
    DisplayOption::new(
        "size",
        "width and height",
        "that of the model",
        "[800, 480]",
        "Pixels of the picture, as the device takes it: 64 to 2,600 each, 5 million in all.",
        |draft, option| draft.size = option.entry().and_then(|it| read_size(&it)),
        |display| {
            Some(format!(
                "[{}, {}]",
                display.panel.width, display.panel.height
            ))
        },
    ),
    DisplayOption::new(
        "depth",
        "1, 2, 4 or 8",
        "that of the model, else 1",
        "2",
        "Bits of grey of a pixel: 1 is black and white.",
        |draft, option| draft.depth = option.entry().and_then(|it| read_depth(&it)),
        |display| match display.panel.colours {
            PanelColours::Grey { bits } => plain(bits),
            _ => None,
        },
    ),
    DisplayOption::new(
        "colours",
        "\"bwr\", \"bwy\", \"bwry\" or \"spectra6\"",
        "none (grey)",
        "\"bwr\"",
        "Colours of the panel beside black and white: red, yellow, both, or the six of Spectra 6. What is bad is red, a warning yellow.",
        |draft, option| draft.colours = option.choice(&PanelColours::NAMED),
        |display| {
            let mut named = PanelColours::NAMED.iter();
            let (name, _) = named.find(|(_, it)| *it == display.panel.colours)?;
            text(name)
        },
    ),
    DisplayOption::new(
        "rotate",
        "0, 90, 180 or 270",
        "0",
        "90",
        "How the picture is turned, in degrees clockwise, for a device that hangs on its side.",
        |draft, option| draft.rotation = option.entry().and_then(|it| read_rotation(&it)),
        |display| plain(display.panel.rotation.degrees()),
    ),
    DisplayOption::new(
        "layout",
        "\"grid\", \"big\", \"list\", \"chart\" or \"rooms\"",
        "\"grid\"",
        "\"list\"",
        "How values are arranged: in cells, the first one large, in lines, above a large chart, or as the table of the first `[[group]]` with `matrix`.",
        |draft, option| draft.layout = option.choice(&PictureLayout::NAMED),
        |display| {
            let mut named = PictureLayout::NAMED.iter();
            let (name, _) = named.find(|(_, it)| *it == display.layout)?;
            text(name)
        },
    ),
    DisplayOption::new(
        "keys",
        "list of keys",
        "none (those of the first group)",
        "[\"temperature\", \"room.*.co2\"]",
        "The values to show, in this order; `*` stands for any characters. At most 24 are shown.",
        |draft, option| draft.keys = read_key_list(option),
        |display| list(&display.keys),
    ),
    DisplayOption::new(
        "chart",
        "table of key and span",
        "none",
        "{ key = \"temperature\", span = \"24h\" }",
        "The chart below the values: its key and its time span, an hour to 366 days, `24h` without.",
        |draft, option| draft.chart = option.entry().and_then(|it| read_chart(&it)),
        |display| {
            let chart = display.chart.as_ref()?;
            let span = format_duration(chart.span);
            inline_table(vec![
                format!("key = {}", quoted(&chart.key)),
                format!("span = \"{span}\""),
            ])
        },
    ),
    DisplayOption::new(
        "footer",
        "list of keys",
        "none",
        "[\"transport.next\"]",
        "Keys whose values are the line of text below.",
        |draft, option| draft.footer = read_key_list(option),
        |display| list(&display.footer),
    ),
    DisplayOption::new(
        "every",
        "duration",
        "\"15m\"",
        "\"5m\"",
        "How often the device asks, 10 seconds to a day: TRMNL devices are told so, others by `Cache-Control: max-age`.",
        |draft, option| draft.every = option.entry().and_then(|it| read_every(&it)),
        |display| duration(display.every),
    ),
    DisplayOption::new(
        "quiet",
        "hours, or days and hours",
        "none",
        "\"23:00-06:00\"",
        "When the device sleeps, in `timezone`: asked then, it is told to come back at the end.",
        |draft, option| draft.quiet = read_window(option),
        |display| text(&display.quiet.as_ref()?.to_text()),
    ),
    DisplayOption::new(
        "device",
        "MAC address",
        "none",
        "\"AA:BB:CC:DD:EE:FF\"",
        "The TRMNL device that shows it: only this one is answered at `/api/setup`. The page System lists devices that asked.",
        |draft, option| draft.device = option.entry().and_then(|it| read_device(&it)),
        |display| text(display.device.as_ref()?.as_str()),
    ),
];

/// Reads `[[display]]`.
pub fn read_displays(root: &mut TableReader<'_>, directory: &Path) -> Vec<DisplayPlan> {
    let mut displays: Vec<DisplayPlan> = Vec::new();
    for entry in root.get("display").iter().flat_map(TableEntry::tables) {
        if displays.len() == limits::DISPLAYS {
            let most = limits::DISPLAYS;
            entry.problem(format!("more than {most} [[display]]: remove this one"));
            break;
        }
        let Some(display) = read_display(&entry, directory) else {
            continue;
        };
        let name = quoted(&display.name);
        let is_same = |other: &&DisplayPlan| other.name.eq_ignore_ascii_case(&display.name);
        if displays.iter().any(|other| is_same(&other)) {
            entry.problem(format!("another [[display]] is called {name} too"));
        }
        let has_device = |it: &&DisplayPlan| it.device.is_some() && it.device == display.device;
        if let Some(other) = displays.iter().find(has_device) {
            let other = quoted(&other.name);
            entry.problem(format!(
                "the display {other} has the same `device`: a device shows one picture"
            ));
        }
        displays.push(display);
    }
    displays
}

fn read_display(entry: &TableEntry<'_>, directory: &Path) -> Option<DisplayPlan> {
    let mut table = entry.table("[[display]]")?;
    let mut draft = DisplayDraft::default();
    read_options(&OPTIONS, &mut table, directory, &mut draft);
    if draft.name.is_none() && table.get("name").is_none() {
        table.problem("a [[display]] needs a name, such as name = \"hall\"");
    }
    let panel = panel(&mut table, &draft);
    table.finish();
    Some(DisplayPlan {
        name: draft.name?.into(),
        model: draft.model,
        panel: panel?,
        layout: draft.layout.unwrap_or_default(),
        keys: draft.keys,
        chart: draft.chart,
        footer: draft.footer,
        every: draft.every.unwrap_or(limits::DISPLAY_INTERVAL),
        quiet: draft.quiet,
        device: draft.device,
    })
}

/// The panel of the model, with what goes before it.
fn panel(table: &mut TableReader<'_>, draft: &DisplayDraft) -> Option<Panel> {
    let mut models = MODELS.iter();
    let model = models.find(|(name, _)| Some(*name) == draft.model);
    let model = model.map(|(_, panel)| *panel);
    if draft.depth.is_some()
        && draft.colours.is_some()
        && let Some(depth) = table.get("depth")
    {
        depth.problem("`depth` is of grey panels: remove it, or `colours`");
    }
    let is_given = ["model", "size"].map(|name| table.get(name).is_some());
    if is_given == [false; 2] {
        table.problem(
            "a [[display]] needs model = \"trmnl-og\" (docs/configuration.md lists them) or size = [800, 480]",
        );
    }
    let (width, height) = draft.size.or(model.map(|it| (it.width, it.height)))?;
    let depth = draft.depth.map(|bits| PanelColours::Grey { bits });
    Some(Panel {
        width,
        height,
        colours: draft
            .colours
            .or(depth)
            .or(model.map(|it| it.colours))
            .unwrap_or(PanelColours::Grey { bits: 1 }),
        rotation: draft.rotation.unwrap_or_default(),
    })
}

/// A name that is part of file names.
fn read_name(entry: &TableEntry<'_>) -> Option<String> {
    const WHAT: &str = "a name of letters (a to z), digits, - and _, at most 20 characters";
    let name = entry.text_as(WHAT)?;
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_name = (1..=20).contains(&name.len()) && name.chars().all(is_allowed);
    if !is_name {
        entry.expected(WHAT);
    }
    is_name.then_some(name)
}

fn read_size(entry: &TableEntry<'_>) -> Option<(u16, u16)> {
    const SIDE: RangeInclusive<u16> = limits::PICTURE_SIDE;
    let what = format!(
        "width and height in pixels, {} to {} each and {} in all, such as [800, 480]",
        SIDE.start(),
        SIDE.end(),
        limits::PICTURE_PIXELS
    );
    let side = |number: &f64| {
        let sides = SIDE.clone();
        sides.into_iter().find(|side| f64::from(*side) == *number)
    };
    let numbers = entry.numbers().unwrap_or_default();
    let sides = match numbers.as_slice() {
        [width, height] => side(width).zip(side(height)),
        _ => None,
    };
    let pixels = |(width, height): &(u16, u16)| u32::from(*width) * u32::from(*height);
    let size = sides.filter(|it| pixels(it) <= limits::PICTURE_PIXELS);
    if size.is_none() {
        match numbers.as_slice() {
            [] => entry.expected(&what),
            found => {
                let found: Vec<String> = found.iter().copied().map(format_number).collect();
                let found = found.join(", ");
                entry.problem(format!("`size`: expected {what}, found [{found}]"));
            }
        }
    }
    size
}

fn read_depth(entry: &TableEntry<'_>) -> Option<u8> {
    let bits = entry.integer(1..=8)?;
    let bits = u8::try_from(bits).ok().filter(|it| it.is_power_of_two());
    if bits.is_none() {
        entry.expected("1, 2, 4 or 8");
    }
    bits
}

fn read_rotation(entry: &TableEntry<'_>) -> Option<Rotation> {
    let rotation = Rotation::from_degrees(entry.integer(0..=359)?);
    if rotation.is_none() {
        entry.expected("0, 90, 180 or 270");
    }
    rotation
}

fn read_chart(entry: &TableEntry<'_>) -> Option<DisplayChart> {
    const WHAT: &str = "a table such as { key = \"temperature\", span = \"24h\" }";
    if entry.value().as_table().is_none() {
        entry.expected(WHAT);
        return None;
    }
    let mut table = entry.table("chart")?;
    let key = table.get("key").and_then(|it| it.text());
    if key.is_none() && table.get("key").is_none() {
        table.problem("`chart` needs a key: chart = { key = \"temperature\", span = \"24h\" }");
    }
    let span = table.get("span").and_then(|it| {
        let span = it.duration()?;
        let is_allowed = limits::DISPLAY_CHART_SPAN.contains(&span);
        if !is_allowed {
            it.expected("a time span of 1h to 366d");
        }
        is_allowed.then_some(span)
    });
    table.finish();
    Some(DisplayChart {
        key: key?.into(),
        span: span.unwrap_or(limits::DISPLAY_CHART_DEFAULT_SPAN),
    })
}

fn read_every(entry: &TableEntry<'_>) -> Option<Duration> {
    let every = entry.duration()?;
    let is_allowed = limits::DISPLAY_INTERVALS.contains(&every);
    if !is_allowed {
        entry.expected("a duration of 10s to 1d");
    }
    is_allowed.then_some(every)
}

fn read_device(entry: &TableEntry<'_>) -> Option<MacAddress> {
    const WHAT: &str = "a MAC address such as \"AA:BB:CC:DD:EE:FF\"";
    let device = MacAddress::parse(&entry.text_as(WHAT)?);
    if device.is_none() {
        entry.expected(WHAT);
    }
    device
}

/// Prints displays as TOML.
pub fn print_displays(out: &mut String, displays: &[DisplayPlan]) {
    for display in displays {
        *out += "\n[[display]]\n";
        print_options(out, &OPTIONS, display);
    }
}
