//! Values that fit a schema, and what spoils them.

use openapi::schema::{Literal, Rule, Schema, Types};
use serde_json::{Map, Number, Value, json};

/// A schema that refers to itself ends here.
const MAX_DEPTH: usize = 24;
/// Values of one document; beyond them only what is required.
const MAX_VALUES: usize = 400;
/// Of these the first that a pattern takes.
const TEXTS: &[&str] = &[
    "a",
    "abc",
    "a1",
    "A1",
    "1",
    "12345",
    "0b2f8f0e-3a0a-4b9e-8a53-6f0e5d1c2b3a",
    "2025-10-30",
    "2025-10-30T20:00:00Z",
    "20:00",
    "192.0.2.1",
    "a@example.org",
    "https://example.org/a",
    "#a0b1c2",
    "a/b",
    "a.txt",
    "a.jpg",
    "1200",
    "12.5,7",
    "a_b",
    "a-b",
    "AAAA",
    "de",
    "DE",
    "12:34:56:78:9a:bc",
    "abcdef0123456789abcdef01",
    "abcdefghijklmnopqrstuvwxyz",
    "0123456789abcdef0123456789abcdef",
    "sha256:0123",
];

/// Which of the values that fit.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// Every property, not just those required.
    pub is_full: bool,
    /// Which variant, listed value or item; any number is one.
    pub pick: usize,
}

/// A value of a schema.
pub fn value(schema: &'static Schema, choice: Choice) -> Value {
    let mut left = MAX_VALUES;
    Maker { choice }.value(schema, 0, &mut left)
}

struct Maker {
    choice: Choice,
}

impl Maker {
    fn value(&self, schema: &'static Schema, depth: usize, left: &mut usize) -> Value {
        let Choice { is_full, pick } = self.choice;
        *left = left.saturating_sub(1);
        if depth > MAX_DEPTH {
            return Value::Null;
        }
        if let Some(one) = nth(schema.literals(), pick) {
            return Value::from(one.clone());
        }
        let shown = schema.example().or(schema.default_value());
        if let Some(shown) = shown.filter(|_| pick == 0)
            && let Ok(shown) = serde_json::from_str(shown)
            && !matches!(shown, Value::Object(_))
        {
            return shown;
        }
        let mut made = self.own(schema, depth, left);
        for rule in &schema.rules {
            let Rule::Variants(variants) = rule else {
                continue;
            };
            let Some(at) = pick.checked_rem(variants.len()) else {
                continue;
            };
            let variant = self.value(variants[at].get(), depth + 1, left);
            made = merged(made, variant);
            if let (Value::Object(fields), Some((name, said))) = (&mut made, said_by(schema, at)) {
                fields.insert(name.to_owned(), Value::from(said));
            }
        }
        let is_bare = schema.properties().is_empty() && schema.additional().is_none();
        if is_full && is_bare && made == json!({}) {
            made = json!({"anything": 1});
        }
        made
    }

    /// Without its variants.
    fn own(&self, schema: &'static Schema, depth: usize, left: &mut usize) -> Value {
        let types = schema.types;
        let is_object = !schema.properties().is_empty() || schema.additional().is_some();
        if types.has(Types::OBJECT) && (is_object || !types.is_any()) {
            return self.object(schema, depth, left);
        }
        if types.has(Types::LIST) && (schema.items().is_some() || !types.is_any()) {
            return self.list(schema, depth, left);
        }
        if types.has(Types::TEXT) && !types.is_any() || schema.pattern().is_some() {
            return Value::from(self.text(schema));
        }
        if types.has(Types::NUMBER) && !types.is_any() {
            return number(schema, 0.5);
        }
        if types.has(Types::INTEGER) && !types.is_any() {
            return number(schema, 0.0);
        }
        if types.has(Types::BOOLEAN) && !types.is_any() {
            return Value::Bool(self.choice.pick.is_multiple_of(2));
        }
        match types.is_any() {
            true if self.choice.is_full => json!({}),
            true => Value::from("anything"),
            false => Value::Null,
        }
    }

    fn object(&self, schema: &'static Schema, depth: usize, left: &mut usize) -> Value {
        let mut fields = Map::new();
        for property in schema.properties() {
            if property.required || (self.choice.is_full && *left > 0 && depth < MAX_DEPTH / 3) {
                let value = self.value(property.schema.get(), depth + 1, left);
                fields.insert(property.name.clone(), value);
            }
        }
        if let Some(more) = schema.additional()
            && self.choice.is_full
            && *left > 0
            && depth < MAX_DEPTH / 3
        {
            for name in ["one more", "ä/~"] {
                fields.insert(name.to_owned(), self.value(more, depth + 1, left));
            }
        }
        Value::Object(fields)
    }

    fn list(&self, schema: &'static Schema, depth: usize, left: &mut usize) -> Value {
        let prefix = schema.prefix().iter();
        let mut items: Vec<Value> = prefix
            .map(|it| self.value(it.get(), depth + 1, left))
            .collect();
        let more = if self.choice.is_full && depth < MAX_DEPTH / 3 {
            1 + self.choice.pick % 3
        } else {
            0
        };
        for at in 0..more {
            if let Some(of) = schema.items() {
                let choice = Choice {
                    pick: self.choice.pick + at,
                    ..self.choice
                };
                items.push(Maker { choice }.value(of, depth + 1, left));
            }
        }
        Value::Array(items)
    }

    fn text(&self, schema: &Schema) -> &'static str {
        match schema.format() {
            Some("date-time") => "2025-10-30T20:00:00Z",
            Some("date") => "2025-10-30",
            Some("uuid") => TEXTS[6],
            _ => {
                let count = TEXTS.len();
                let mut from_pick = (0..count).map(|at| TEXTS[(at + self.choice.pick) % count]);
                from_pick
                    .find(|text| !schema.mismatches(text))
                    .unwrap_or("a")
            }
        }
    }
}

/// A number in range, or where none is near, the bound.
fn number(schema: &Schema, fraction: f64) -> Value {
    let (low, high) = (schema.minimum(), schema.maximum());
    let around = match (low, high) {
        (Some(low), Some(high)) => [low / 2.0 + high / 2.0, low, high],
        (Some(low), None) => [low + 1.0, low + 20.0, low],
        (None, Some(high)) => [high - 1.0, high - 20.0, high],
        (None, None) => [7.0, 0.0, 1.0],
    };
    let rounded = around.map(|it| it.floor() + fraction);
    let mut candidates = rounded.into_iter().chain(around);
    let number = candidates.find(|it| !schema.excludes(*it)).unwrap_or(0.0);
    match fraction {
        // As a file writes it: 7, not 7.0.
        0.0 => format!("{number:.0}")
            .parse::<Number>()
            .map_or(Value::Null, Value::Number),
        _ => json!(number),
    }
}

fn merged(own: Value, variant: Value) -> Value {
    match (own, variant) {
        (Value::Object(mut own), Value::Object(variant)) => {
            own.extend(variant);
            Value::Object(own)
        }
        (_, variant) => variant,
    }
}

/// What says which variant it is.
fn said_by(schema: &'static Schema, at: usize) -> Option<(&'static str, &'static str)> {
    schema.rules.iter().find_map(|rule| match rule {
        Rule::Discriminator(property, mapping) => {
            let (said, _) = mapping.iter().find(|(_, index)| *index == at)?;
            Some((property.as_str(), said.as_str()))
        }
        _ => None,
    })
}

fn nth(literals: &'static [Literal], pick: usize) -> Option<&'static Literal> {
    literals.get(pick.checked_rem(literals.len())?)
}

/// What a value is replaced with, one after another.
pub fn wrong_values() -> Vec<Value> {
    vec![
        Value::Null,
        json!("odd ä\n"),
        json!(-1_000_000_007),
        json!(0.25),
        json!(1e300),
        json!(true),
        json!([]),
        json!({}),
        json!("12"),
        json!([null, "odd", {"odd": []}]),
    ]
}

/// The pointers of a document's values, itself first, at most about so many, from all over it.
pub fn places(document: &Value, most: usize) -> Vec<String> {
    let mut all = Vec::new();
    collect(document, &mut String::new(), &mut all);
    let step = all.len().div_ceil(most.max(1)).max(1);
    all.into_iter().step_by(step).collect()
}

fn collect(value: &Value, pointer: &mut String, all: &mut Vec<String>) {
    all.push(pointer.clone());
    let length = pointer.len();
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                pointer.push('/');
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                collect(value, pointer, all);
                pointer.truncate(length);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                pointer.push_str(&format!("/{at}"));
                collect(value, pointer, all);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

/// Shows a document spoiled in different ways at each of its places: another value there, one
/// that is gone, one too many, one misspelt. `turn` says where in the list of ways to begin.
pub fn spoil(document: &Value, places_most: usize, ways: usize, see: &mut dyn FnMut(&Value, &str)) {
    let wrong = wrong_values();
    let mut document = document.clone();
    for (turn, pointer) in places(&document, places_most).iter().enumerate() {
        let Some(place) = document.pointer_mut(pointer) else {
            continue;
        };
        let original = place.clone();
        for way in 0..ways {
            let one = wrong[(turn * 3 + way * 7) % wrong.len()].clone();
            if let Some(place) = document.pointer_mut(pointer) {
                *place = one;
            }
            see(&document, pointer);
        }
        if let Some(place) = document.pointer_mut(pointer) {
            *place = original.clone();
        }
        let Value::Object(fields) = &original else {
            continue;
        };
        let mut less = fields.clone();
        if let Some(name) = fields.keys().nth(turn % fields.len().max(1)) {
            let value = less.remove(name).unwrap_or_default();
            replace(&mut document, pointer, &less);
            see(&document, pointer);
            less.insert(format!("{name}x"), value);
            replace(&mut document, pointer, &less);
            see(&document, pointer);
        }
        let mut more = fields.clone();
        more.insert("no_such_field".to_owned(), json!("x"));
        replace(&mut document, pointer, &more);
        see(&document, pointer);
        replace(&mut document, pointer, fields);
    }
}

fn replace(document: &mut Value, pointer: &str, fields: &Map<String, Value>) {
    if let Some(place) = document.pointer_mut(pointer) {
        *place = Value::Object(fields.clone());
    }
}
