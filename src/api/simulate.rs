//! A plausible answer of any described operation, moving with the clock.
//!
//! Pure: the same operation, arguments and instant give the same answer. Knows nothing of
//! particular APIs; what it makes fits the declared schema, and its size is bounded.

use jiff::tz::TimeZone;
use serde_json::{Map, Number, Value as Json};

use crate::domain::time::Wall;
use crate::sys::time_zone;
use openapi::operation::{Location, Operation};
use openapi::schema::{Literal, Schema, Types};

/// Items of every list: hours of a forecast, stations of a network.
const MAX_ITEMS: usize = 6;
/// Levels below which lists are left empty and optional properties out: schemas may contain
/// themselves.
const OPTIONAL_DEPTH: usize = 8;
/// Levels below which even what is required is left out; only a schema that can never be
/// satisfied gets there.
const MAX_DEPTH: usize = 24;
/// Values in all: a list in a list in a list … multiplies.
const MAX_VALUES: usize = 5_000;

/// What the path and the query of a request say; a list is in its parts.
pub type Arguments = Vec<(String, Vec<String>)>;

/// The value of a quantity at an instant, by its name; `None` for one that is not known.
pub type KnownQuantity<'a> = &'a dyn Fn(&str, Wall) -> Option<f64>;

/// The answer of `operation` at `wall`.
///
/// A list parameter whose values are properties of the object of the same name selects
/// them (`current=rain` keeps `rain` in `current`), and so in objects that are called
/// after it (`current_units`); an object that nothing is selected for is left out. `known` says
/// what a number is whose property is called so.
pub fn simulate(
    operation: &Operation,
    arguments: &Arguments,
    wall: Wall,
    known: KnownQuantity<'_>,
) -> Json {
    let zone = find(arguments, "timezone")
        .and_then(|values| time_zone::named(values.first()?))
        .unwrap_or(TimeZone::UTC);
    let mut simulation = Simulation {
        operation,
        arguments,
        wall,
        known,
        zone,
        left: MAX_VALUES,
    };
    simulation.value(operation.response(), "", "", 0)
}

fn find<'a>(arguments: &'a Arguments, name: &str) -> Option<&'a Vec<String>> {
    let found = arguments.iter().find(|(argument, _)| argument == name);
    found.map(|(_, values)| values)
}

struct Simulation<'a> {
    operation: &'a Operation,
    arguments: &'a Arguments,
    wall: Wall,
    known: KnownQuantity<'a>,
    zone: TimeZone,
    left: usize,
}

impl Simulation<'_> {
    /// `name` is the nearest property's; `step` counts in a list, for series in time.
    fn value(&mut self, schema: &'static Schema, pointer: &str, name: &str, step: usize) -> Json {
        self.left = self.left.saturating_sub(1);
        if let Some(literal) = pick(schema.literals(), pointer, self.wall) {
            return literal_json(literal);
        }
        let is_leaf = schema.properties().is_empty() && schema.items().is_none();
        if let (Some(variant), true) = (schema.variants().first(), is_leaf) {
            return self.value(variant, pointer, name, step);
        }
        if let Some(echo) = self.repeated_argument(schema, name) {
            return echo;
        }
        let types = schema.types;
        let example = || {
            schema
                .example()
                .and_then(|it| serde_json::from_str(it).ok())
        };
        if types.is_any() && is_leaf && schema.additional().is_none() {
            return example().unwrap_or_else(|| self.number(schema, pointer, name, step));
        }
        if types.has(Types::OBJECT) {
            if schema.properties().is_empty()
                && let Some(Json::Object(fields)) = example()
            {
                return Json::Object(fields);
            }
            return self.object(schema, pointer);
        }
        if types.has(Types::LIST) {
            return self.list(schema, pointer, name);
        }
        if types.has(Types::NUMBER) || types.has(Types::INTEGER) {
            return self.number(schema, pointer, name, step);
        }
        if types.has(Types::TEXT) {
            return Json::String(self.text(schema, name, step));
        }
        if types.has(Types::BOOLEAN) {
            // It changes every ten minutes at most.
            Json::Bool(!hash(pointer, self.wall.second() / 600).is_multiple_of(4))
        } else {
            Json::Null
        }
    }

    /// An argument that the answer repeats: the place that was asked for.
    fn repeated_argument(&self, schema: &Schema, name: &str) -> Option<Json> {
        let values = find(self.arguments, name)?;
        let [value] = values.as_slice() else {
            return None;
        };
        if schema.types.has(Types::NUMBER) || schema.types.has(Types::INTEGER) {
            let number: f64 = value.parse().ok()?;
            let fits = number.is_finite() && !schema.excludes(number);
            return fits.then(|| value.parse().ok().map(Json::Number))?;
        }
        let is_text = schema.types.has(Types::TEXT) && !schema.types.has(Types::OBJECT);
        is_text.then(|| Json::String(value.clone()))
    }

    fn object(&mut self, schema: &'static Schema, pointer: &str) -> Json {
        let mut fields = Map::new();
        let depth = pointer.matches('/').count();
        if depth >= MAX_DEPTH {
            return Json::Object(fields);
        }
        let is_deep = depth >= OPTIONAL_DEPTH || self.left == 0;
        let own_name = pointer.rsplit('/').next().unwrap_or_default();
        let selection = self.selection(own_name);
        for property in schema.properties() {
            let name = property.name.as_str();
            if is_deep && !property.required {
                continue;
            }
            if let Some((known, selected)) = &selection
                && known.contains(&name)
                && !selected.iter().any(|it| it == name)
            {
                continue;
            }
            // `current` and `current_units` are left out where nothing is selected.
            if !property.required
                && let Some((_, selected)) = self.selection(name)
                && selected.is_empty()
            {
                continue;
            }
            let child = format!("{pointer}/{name}");
            let value = match self.units_beside(name, schema) {
                Some(units) => units,
                None => self.value(property.schema.get(), &child, name, 0),
            };
            fields.insert(name.to_owned(), value);
        }
        if schema.properties().is_empty()
            && !is_deep
            && let Some(additional) = schema.additional()
        {
            for name in ["one", "two"] {
                let child = format!("{pointer}/{name}");
                let value = self.value(additional, &child, name, 0);
                fields.insert(name.to_owned(), value);
            }
        }
        Json::Object(fields)
    }

    /// What a list parameter selects in the object `name`: the names it knows, and those it
    /// was given.
    fn selection(&self, name: &str) -> Option<(Vec<&'static str>, Vec<String>)> {
        let parameter = self.operation.parameters.iter().find(|parameter| {
            let rest = name.strip_prefix(&parameter.name);
            parameter.location == Location::Query
                && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
                && !listed_texts(parameter.schema.items()).is_empty()
        })?;
        let given = find(self.arguments, &parameter.name).cloned();
        Some((
            listed_texts(parameter.schema.items()),
            given.unwrap_or_default(),
        ))
    }

    /// For a map such as `current_units`: the unit of each field of `current`, as the field's
    /// description ends (`Air temperature, °C`).
    fn units_beside(&self, name: &str, parent: &'static Schema) -> Option<Json> {
        let of = parent.property(name.strip_suffix("_units")?)?;
        let selection = self.selection(&of.name);
        let mut units = Map::new();
        for property in of.schema.properties() {
            let is_left_out = selection.as_ref().is_some_and(|(known, selected)| {
                known.contains(&property.name.as_str()) && !selected.contains(&property.name)
            });
            if is_left_out {
                continue;
            }
            let described = property.schema.items().unwrap_or(property.schema.get());
            let unit = described
                .description()
                .and_then(|text| text.rsplit_once(", "))
                .map(|(_, unit)| unit)
                .filter(|unit| unit.chars().count() <= 8)
                .unwrap_or_default();
            units.insert(property.name.clone(), Json::String(unit.to_owned()));
        }
        Some(Json::Object(units))
    }

    fn list(&mut self, schema: &'static Schema, pointer: &str, name: &str) -> Json {
        let depth = pointer.matches('/').count();
        let is_listed = depth < OPTIONAL_DEPTH && self.left > 0;
        let Some(items) = schema.items().filter(|_| is_listed) else {
            return Json::Array(Vec::new());
        };
        let count = match (schema.prefix().len(), depth) {
            (0, 0..4) => MAX_ITEMS,
            (0, _) => 1,
            (places, _) => places,
        };
        let item = |index: usize| schema.prefix().get(index).map_or(items, |link| link.get());
        (0..count)
            .map(|index| {
                // A field of many objects differs between them; a series is one curve.
                let child = if items.properties().is_empty() {
                    format!("{pointer}/0")
                } else {
                    format!("{pointer}/{index}")
                };
                self.value(item(index), &child, name, index)
            })
            .collect()
    }

    fn number(&self, schema: &Schema, pointer: &str, name: &str, step: usize) -> Json {
        let example: Option<f64> = schema.example().and_then(|it| it.trim().parse().ok());
        let now = self.series_wall(step);
        let lower = name.to_ascii_lowercase();
        let is_time = ["time", "date", "timestamp", "epoch", "updated"]
            .iter()
            .any(|word| lower.contains(word));
        match example {
            Some(example) if is_time && (1e9..1e11).contains(&example) => {
                return Json::from(now.second());
            }
            Some(example) if is_time && (1e12..1e14).contains(&example) => {
                return Json::from(now.0);
            }
            _ if schema.format() == Some("unix-time") => return Json::from(now.second()),
            _ => {}
        }
        let (low, high) = (schema.minimum(), schema.maximum());
        let span = low.zip(high).map(|(low, high)| high - low);
        let centre = example.unwrap_or(match (low, high) {
            (Some(low), Some(high)) => low / 2.0 + high / 2.0,
            (Some(low), None) => low + 20.0,
            (None, Some(high)) => high - 20.0,
            (None, None) => 20.0,
        });
        let swing = match (example, span) {
            _ if is_constant(&lower) => 0.0,
            (Some(example), Some(span)) => (example.abs() * 0.25).min(span * 0.05),
            (Some(example), None) => example.abs() * 0.25,
            (None, Some(span)) => span * 0.25,
            (None, None) => 5.0,
        };
        let wave = || centre + swing * self.wave(pointer, now);
        let number = (self.known)(name, now).unwrap_or_else(wave);
        let number = number
            .max(low.unwrap_or(f64::MIN))
            .min(high.unwrap_or(f64::MAX));
        let is_integer = schema.types.has(Types::INTEGER) && !schema.types.has(Types::NUMBER);
        let decimals = match schema.example() {
            _ if is_integer => 0,
            Some(example) => example
                .split_once('.')
                .map_or(0, |(_, digits)| digits.len().min(4)),
            None => 1,
        };
        let text = format!("{number:.decimals$}");
        // Rounding may step over an exclusive bound.
        let fits = text.parse().is_ok_and(|it: f64| !schema.excludes(it));
        let text = if fits { text } else { centre.to_string() };
        text.parse::<Number>().map_or(Json::Null, Json::Number)
    }

    /// Between -1 and 1: a wave of a day, a quicker one that can be watched, and a little
    /// noise, each pointer its own.
    fn wave(&self, pointer: &str, now: Wall) -> f64 {
        let seed = hash(pointer, 0);
        let period_s = 600.0 + (seed % 1_800) as f64;
        let phase = (seed / 1_800 % 1_000) as f64 / 1_000.0;
        let wave = |period_s: f64| {
            let turns = now.second() as f64 / period_s + phase;
            (turns * std::f64::consts::TAU).sin()
        };
        let noise = (hash(pointer, now.second()) % 1_000) as f64 / 1_000.0 - 0.5;
        0.82 * wave(86_400.0) + 0.13 * wave(period_s) + 0.1 * noise
    }

    /// Items of a list lie an hour apart, from this hour on.
    fn series_wall(&self, step: usize) -> Wall {
        match step {
            0 => self.wall,
            _ => Wall::from_second((self.wall.second() / 3_600 + step as i64) * 3_600),
        }
    }

    fn text(&self, schema: &Schema, name: &str, step: usize) -> String {
        let example = schema
            .example()
            .or(schema.default_value())
            .and_then(|it| serde_json::from_str::<String>(it).ok());
        let shape = match (schema.format(), &example) {
            (Some("date-time"), None) => "2025-10-30T20:00:00Z",
            (Some("date"), None) => "2025-10-30",
            (_, Some(example)) => example,
            (_, None) => return format!("{name} of the demo"),
        };
        match time_like(shape, self.series_wall(step), &self.zone) {
            Some(time) => time,
            None => shape.to_owned(),
        }
    }
}

/// What names a thing rather than measures it.
fn is_constant(name: &str) -> bool {
    ["id", "interval", "version", "offset", "port", "count_max"]
        .iter()
        .any(|word| name.split(['_', '-', '.']).any(|part| part == *word))
}

/// `wall` in the shape of `example`, if that is a date or a time: with a zone where it has
/// one, in `zone` where not. Seconds are always said, so that the demo moves between
/// minutes too.
fn time_like(example: &str, wall: Wall, zone: &TimeZone) -> Option<String> {
    let is_shape = |shape: &str, text: &str| {
        text.len() >= shape.len()
            && shape
                .bytes()
                .zip(text.bytes())
                .all(|(want, it)| match want {
                    b'0' => it.is_ascii_digit(),
                    b'T' => it == b'T' || it == b' ',
                    want => want == it,
                })
    };
    if !is_shape("0000-00-00", example) {
        return None;
    }
    let timestamp = jiff::Timestamp::from_second(wall.second()).ok()?;
    if example.len() == 10 {
        let date = zone.to_datetime(timestamp);
        return Some(date.strftime("%Y-%m-%d").to_string());
    }
    if !is_shape("0000-00-00T00:00", example) {
        return None;
    }
    let between = &example[10..11];
    let rest = &example[16..];
    let (zone, ending) = if rest.ends_with('Z') {
        (TimeZone::UTC, "Z")
    } else if rest.contains(['+', '-']) {
        (TimeZone::UTC, "+00:00")
    } else {
        (zone.clone(), "")
    };
    let local = zone.to_datetime(timestamp);
    Some(format!(
        "{}{between}{}{ending}",
        local.strftime("%Y-%m-%d"),
        local.strftime("%H:%M:%S")
    ))
}

fn listed_texts(schema: Option<&'static Schema>) -> Vec<&'static str> {
    let literals = schema.map_or(&[][..], Schema::literals);
    literals
        .iter()
        .filter_map(|literal| match literal {
            Literal::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

/// One of the listed values; another one now and then.
fn pick(literals: &'static [Literal], pointer: &str, wall: Wall) -> Option<&'static Literal> {
    let count = u64::try_from(literals.len())
        .ok()
        .filter(|count| *count > 0)?;
    let index = hash(pointer, wall.second() / 900) % count;
    literals.get(usize::try_from(index).ok()?)
}

fn literal_json(literal: &Literal) -> Json {
    match literal {
        Literal::Null => Json::Null,
        Literal::Boolean(truth) => Json::Bool(*truth),
        Literal::Number(text) | Literal::Json(text) => {
            serde_json::from_str(text).unwrap_or(Json::Null)
        }
        Literal::Text(text) => Json::String((*text).clone()),
    }
}

/// FNV-1a with a final mix; nobody needs more of it than that it scatters.
fn hash(text: &str, seed: i64) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes().chain(seed.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash.wrapping_mul(0xff51_afd7_ed55_8ccd) ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::client::APIS;
    use openapi::compact::CompactApi;
    use openapi::schema::validate;

    const NOON: Wall = Wall(1_795_435_200_000);

    fn forecast(arguments: &[(&str, &[&str])], wall: Wall) -> Json {
        let operation = &APIS[0].operations[0];
        let arguments = arguments
            .iter()
            .map(|(name, values)| {
                let values = values.iter().map(|value| (*value).to_owned()).collect();
                ((*name).to_owned(), values)
            })
            .collect();
        let answer = simulate(operation, &arguments, wall, &|_, _| None);
        assert_eq!(validate(operation.response(), &answer, 9), [], "{answer}");
        answer
    }

    const BERLIN: [(&str, &[&str]); 2] = [("latitude", &["52.52"]), ("longitude", &["13.41"])];

    #[test]
    fn a_list_parameter_selects_the_properties_of_the_object_of_its_name() {
        let mut arguments = BERLIN.to_vec();
        arguments.push(("current", &["temperature_2m", "rain"]));
        let answer = forecast(&arguments, NOON);
        let names = |object: &str| -> Vec<String> {
            let fields = answer[object].as_object().expect("an object");
            fields.keys().cloned().collect()
        };
        assert_eq!(
            names("current"),
            ["interval", "rain", "temperature_2m", "time"]
        );
        assert_eq!(
            names("current_units"),
            ["interval", "rain", "temperature_2m", "time"]
        );
        assert_eq!(answer["current_units"]["temperature_2m"], "°C");
        assert_eq!(answer["latitude"].to_string(), "52.52");
        assert!(answer.get("hourly").is_none(), "{answer}");
        assert!(answer.get("daily_units").is_none(), "{answer}");
    }

    #[test]
    fn values_move_within_their_bounds_and_times_track_the_clock() {
        let mut arguments = BERLIN.to_vec();
        arguments.push(("current", &["temperature_2m"]));
        arguments.push(("hourly", &["relative_humidity_2m"]));
        let mut seen = std::collections::BTreeSet::new();
        for minute in 0..600 {
            let wall = Wall(NOON.0 + minute * 60_000);
            let answer = forecast(&arguments, wall);
            seen.insert(answer["current"]["temperature_2m"].to_string());
            let time = answer["current"]["time"]
                .as_str()
                .expect("a text")
                .to_owned();
            assert_eq!(format!("{time}Z"), wall.to_string());
            assert_eq!(
                answer["hourly"]["time"].as_array().map(Vec::len),
                Some(MAX_ITEMS)
            );
        }
        assert!(seen.len() > 20, "{seen:?}");
    }

    #[test]
    fn a_schema_that_contains_itself_ends() {
        static TREES: CompactApi = CompactApi::plain(
            r#"
{"name":"trees","title":"","version":"","source_file":""}
{"id":"getTree","summary":"","path":"/","accept":"application/json","responses":[{"status":"200","media_type":"application/json","schema":1}]}

{"types":"object","rules":[{"properties":[{"name":"children","required":true,"schema":2}]}]}
{"types":"array","rules":[{"items":1}]}"#,
        );
        let tree = &TREES.read().expect("it is an API").operations[0];
        let answer = simulate(tree, &Arguments::new(), NOON, &|_, _| None);
        assert!(answer.to_string().len() < 200_000);
        assert_eq!(validate(tree.response(), &answer, 1), []);
    }

    #[test]
    fn times_keep_the_shape_of_their_example() {
        let berlin = TimeZone::fixed(jiff::tz::offset(1));
        for (example, expected) in [
            ("2025-10-30T20:00", Some("2026-11-23T13:00:00")),
            ("2025-10-30 20:00:00", Some("2026-11-23 13:00:00")),
            ("2025-10-30T20:00:00.123Z", Some("2026-11-23T12:00:00Z")),
            (
                "2025-10-30T20:00:00+02:00",
                Some("2026-11-23T12:00:00+00:00"),
            ),
            ("2025-10-30", Some("2026-11-23")),
            ("2025-10", None),
            ("yesterday", None),
        ] {
            assert_eq!(
                time_like(example, NOON, &berlin).as_deref(),
                expected,
                "{example}"
            );
        }
    }
}
