//! Contents and panels for the tests of pictures.

use super::content::*;
use crate::domain::plan::{Panel, PanelColours, PictureLayout, Rotation};

pub fn panel(width: u16, height: u16, colours: PanelColours) -> Panel {
    Panel {
        width,
        height,
        colours,
        rotation: Rotation::None,
    }
}

pub fn grey(width: u16, height: u16, bits: u8) -> Panel {
    panel(width, height, PanelColours::Grey { bits })
}

pub fn time() -> PictureTime {
    PictureTime {
        text: "22:46".to_owned(),
        battery: Some("81 %".to_owned()),
    }
}

pub fn cell(label: &str, value: &str, unit: &str) -> PictureCell {
    PictureCell {
        label: label.to_owned(),
        value: value.to_owned(),
        unit: (!unit.is_empty()).then(|| unit.to_owned()),
        is_word: false,
        is_scaled: false,
        level: CellLevel::Normal,
        words: None,
    }
}

pub fn word(label: &str, value: &str) -> PictureCell {
    PictureCell {
        is_word: true,
        is_scaled: false,
        ..cell(label, value, "")
    }
}

pub fn with(level: CellLevel, words: &str, cell: PictureCell) -> PictureCell {
    PictureCell {
        level,
        words: Some(words.to_owned()),
        ..cell
    }
}

/// A house in the evening.
pub fn house(layout: PictureLayout) -> PictureContent {
    let washing = with(
        CellLevel::Stale,
        "since 21:39",
        word("Washing machine", "Rinse"),
    );
    PictureContent {
        layout,
        cells: vec![
            cell("Outside", "3.6", "°C"),
            cell("Living room", "20.0", "°C"),
            with(
                CellLevel::Bad,
                "above 1000 ppm",
                cell("Bedroom CO₂", "1\u{202f}037", "ppm"),
            ),
            cell("Solar", "0", "W"),
            cell("Battery", "32", "%"),
            washing,
        ],
        table: Some(rooms()),
        chart: Some(price_chart()),
        footer: vec![
            "S41 → Ring (Westkreuz) in 8 min".to_owned(),
            "Bin day: paper, tomorrow".to_owned(),
        ],
        notes: vec!["washing machine: no data since 21:39".to_owned()],
        message: None,
    }
}

pub fn price_chart() -> PictureChart {
    let value = |hour: f64| 0.42 + 0.3 * (hour * 0.52).sin() + 0.15 * (hour * 1.3 + 1.0).cos();
    let steps = (0..=96).map(|step| f64::from(step) / 96.0);
    let ticks = ["18", "0", "6", "12", "18"].iter().enumerate();
    PictureChart {
        title: "Price, ct/kWh, 24 h".to_owned(),
        lines: vec![steps.map(|x| (x, value(x * 24.0))).collect()],
        bars: Vec::new(),
        forecast_from: Some(0.66),
        y_ticks: vec![
            (0.0, "10".to_owned()),
            (0.33, "20".to_owned()),
            (0.67, "30".to_owned()),
            (1.0, "40".to_owned()),
        ],
        x_ticks: ticks
            .map(|(index, text)| (index as f64 / 4.0, (*text).to_owned()))
            .collect(),
        note: None,
    }
}

pub fn rooms() -> PictureTable {
    let row = |name: &str, temperature: &str, humidity: &str, co2: Option<PictureCell>| {
        let cells = vec![
            Some(cell("", temperature, "°C")),
            Some(cell("", humidity, "%")),
            co2,
        ];
        (name.to_owned(), cells)
    };
    let bad = with(
        CellLevel::Bad,
        "above 1000 ppm",
        cell("", "1\u{202f}037", "ppm"),
    );
    let stale = with(CellLevel::Stale, "since 21:39", cell("", "612", "ppm"));
    PictureTable {
        columns: ["Temperature", "Humidity", "CO₂"].map(str::to_owned).into(),
        rows: vec![
            row("Living room", "20.0", "45", Some(cell("", "644", "ppm"))),
            row("Bedroom", "18.4", "52", Some(bad)),
            row("Küche", "21.3", "48", Some(stale)),
            row("Bath", "22.8", "61", None),
            row("Hall", "19.1", "47", None),
        ],
    }
}
