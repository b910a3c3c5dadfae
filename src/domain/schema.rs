//! What a response is declared to be, as static data, and the lenient walk that judges a
//! response against it.
//!
//! The generated `api/client.rs` holds the schemas; this file interprets them, so that no
//! schema, however odd, can break compilation. The walk only reports: it never changes or
//! refuses a value, and a field that violates its schema costs that field alone.
//! Pure: no I/O, no clock. Every walk is bounded in depth, steps and findings.

use std::collections::HashSet;

use serde_json::Value;

/// Deeper than serde_json reads, so only a schema that refers to itself gets here.
const MAX_DEPTH: usize = 160;
/// Values looked at in one judgement; `oneOf` inside `oneOf` would multiply without it.
const MAX_STEPS: u32 = 200_000;
/// Characters of a found value that a message may show.
const SAMPLE_CHARACTERS: usize = 32;

/// A declared schema. Statics may refer to each other in circles (recursive schemas).
#[derive(Debug)]
pub struct Schema {
    pub types: Types,
    pub rules: &'static [Rule],
}

/// One statement of a schema beside its type.
#[derive(Debug)]
pub enum Rule {
    /// `date-time`, `int64`, `float` … as the file says it.
    Format(&'static str),
    Minimum(f64),
    Maximum(f64),
    /// `exclusiveMinimum`.
    Above(f64),
    /// `exclusiveMaximum`.
    Below(f64),
    Enum(&'static [Literal]),
    /// For people only: nothing here evaluates it.
    Pattern(&'static str),
    Properties(&'static [Property]),
    /// `additionalProperties: false`.
    Closed,
    /// The schema of properties that are not named.
    Additional(&'static Schema),
    Items(&'static Schema),
    /// The first items of a tuple.
    Prefix(&'static [&'static Schema]),
    /// `oneOf` or `anyOf`: at least one fits.
    Variants(&'static [&'static Schema]),
    /// The property whose text says which variant it is.
    Discriminator(&'static str, &'static [(&'static str, usize)]),
    /// A JSON text.
    Default(&'static str),
    /// A JSON text.
    Example(&'static str),
    Description(&'static str),
}

/// A value that a schema lists; numbers keep the text that the file has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Literal {
    Null,
    Boolean(bool),
    Number(&'static str),
    Text(&'static str),
    /// A list or an object, as JSON text.
    Json(&'static str),
}

#[derive(Debug)]
pub struct Property {
    pub name: &'static str,
    pub required: bool,
    pub schema: &'static Schema,
}

/// A set of JSON types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types(u8);

impl Types {
    pub const NONE: Types = Types(0);
    pub const NULL: Types = Types(1);
    pub const BOOLEAN: Types = Types(2);
    pub const INTEGER: Types = Types(4);
    /// A number may be an integer too.
    pub const NUMBER: Types = Types(8);
    pub const TEXT: Types = Types(16);
    pub const LIST: Types = Types(32);
    pub const OBJECT: Types = Types(64);
    /// Nothing said: all may come.
    pub const ANY: Types = Types(127);
    /// Null is declared whatever the variants say.
    pub const NULLABLE: Types = Types(128 | 1);

    pub const fn or(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    pub const fn has(self, other: Types) -> bool {
        self.0 & other.0 == other.0
    }

    pub const fn is_any(self) -> bool {
        self.0 & 127 == 127
    }

    /// In words, for messages: "a number", "text or null".
    pub fn words(self) -> String {
        if self.is_any() {
            return "anything".to_owned();
        }
        let mut words = Vec::new();
        for (one, word) in [
            (Types::NUMBER, "a number"),
            (Types::INTEGER, "an integer"),
            (Types::TEXT, "text"),
            (Types::BOOLEAN, "true or false"),
            (Types::LIST, "a list"),
            (Types::OBJECT, "an object"),
            (Types::NULL, "null"),
        ] {
            if self.has(one) && !(one == Types::INTEGER && self.has(Types::NUMBER)) {
                words.push(word);
            }
        }
        if words.is_empty() {
            "nothing".to_owned()
        } else {
            words.join(" or ")
        }
    }
}

/// The schemas that every file has, once.
pub mod leaf {
    use super::{Schema, Types};

    pub static ANY: Schema = Schema::of(Types::ANY);
    pub static BOOLEAN: Schema = Schema::of(Types::BOOLEAN);
    pub static INTEGER: Schema = Schema::of(Types::INTEGER);
    pub static NUMBER: Schema = Schema::of(Types::NUMBER);
    pub static TEXT: Schema = Schema::of(Types::TEXT);
    pub static OBJECT: Schema = Schema::of(Types::OBJECT);
}

impl Schema {
    const fn of(types: Types) -> Schema {
        Schema { types, rules: &[] }
    }

    pub fn format(&self) -> Option<&'static str> {
        self.find(|rule| {
            if let Rule::Format(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
    }

    pub fn description(&self) -> Option<&'static str> {
        self.find(|rule| {
            if let Rule::Description(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
    }

    pub fn pattern(&self) -> Option<&'static str> {
        self.find(|rule| {
            if let Rule::Pattern(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
    }

    /// The example as JSON text.
    pub fn example(&self) -> Option<&'static str> {
        self.find(|rule| {
            if let Rule::Example(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
    }

    /// The default as JSON text.
    pub fn default(&self) -> Option<&'static str> {
        self.find(|rule| {
            if let Rule::Default(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
    }

    /// The lowest number that fits, exclusive or not.
    pub fn minimum(&self) -> Option<f64> {
        self.find(|rule| match rule {
            Rule::Minimum(it) | Rule::Above(it) => Some(*it),
            _ => None,
        })
    }

    /// The highest number that fits, exclusive or not.
    pub fn maximum(&self) -> Option<f64> {
        self.find(|rule| match rule {
            Rule::Maximum(it) | Rule::Below(it) => Some(*it),
            _ => None,
        })
    }

    pub fn literals(&self) -> &'static [Literal] {
        self.find(|rule| {
            if let Rule::Enum(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
        .unwrap_or(&[])
    }

    pub fn properties(&self) -> &'static [Property] {
        self.find(|rule| {
            if let Rule::Properties(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
        .unwrap_or(&[])
    }

    pub fn property(&self, name: &str) -> Option<&'static Property> {
        self.properties()
            .iter()
            .find(|property| property.name == name)
    }

    pub fn items(&self) -> Option<&'static Schema> {
        self.find(|rule| {
            if let Rule::Items(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
    }

    pub fn prefix(&self) -> &'static [&'static Schema] {
        self.find(|rule| {
            if let Rule::Prefix(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
        .unwrap_or(&[])
    }

    pub fn additional(&self) -> Option<&'static Schema> {
        self.find(|rule| {
            if let Rule::Additional(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
    }

    pub fn is_closed(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule, Rule::Closed))
    }

    /// `oneOf` or `anyOf`; a schema has at most a few such lists, this is the first.
    pub fn variants(&self) -> &'static [&'static Schema] {
        self.find(|rule| {
            if let Rule::Variants(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
        .unwrap_or(&[])
    }

    pub fn is_nullable(&self) -> bool {
        self.types.has(Types::NULL)
    }

    fn find<T>(&self, pick: impl Fn(&Rule) -> Option<T>) -> Option<T> {
        self.rules.iter().find_map(pick)
    }

    /// What a value has to be, in words: "a number from -90 to 90".
    pub fn words(&self) -> String {
        let literals = self.literals();
        if !literals.is_empty() {
            return literal_words(literals);
        }
        let mut words = self.types.words();
        if let Some(items) = self.items().filter(|_| self.types == Types::LIST) {
            let of = if items.literals().is_empty() {
                items.types.words()
            } else {
                literal_words(items.literals())
            };
            words = format!("a list of {of}");
        }
        if let Some(range) = self.range_words() {
            words.push(' ');
            words.push_str(&range);
        }
        words
    }

    fn range_words(&self) -> Option<String> {
        let low = self.find(|rule| match rule {
            Rule::Minimum(it) => Some(format!("{it}")),
            Rule::Above(it) => Some(format!("above {it}")),
            _ => None,
        });
        let high = self.find(|rule| match rule {
            Rule::Maximum(it) => Some(format!("{it}")),
            Rule::Below(it) => Some(format!("below {it}")),
            _ => None,
        });
        match (low, high) {
            (Some(low), Some(high)) => Some(format!("from {low} to {high}")),
            (Some(low), None) => Some(format!("from {low}")),
            (None, Some(high)) => Some(format!("up to {high}")),
            (None, None) => None,
        }
    }

    /// Whether a number lies outside the declared range.
    pub fn excludes(&self, number: f64) -> bool {
        self.rules.iter().any(|rule| match rule {
            Rule::Minimum(limit) => number < *limit,
            Rule::Maximum(limit) => number > *limit,
            Rule::Above(limit) => number <= *limit,
            Rule::Below(limit) => number >= *limit,
            _ => false,
        })
    }
}

fn literal_words(literals: &[Literal]) -> String {
    const SHOWN: usize = 6;
    let mut words: Vec<String> = literals
        .iter()
        .take(SHOWN)
        .map(Literal::to_string)
        .collect();
    if literals.len() > SHOWN {
        words.push(format!("… ({} in all)", literals.len()));
    }
    match words.len() {
        1 => words.remove(0),
        _ => format!("one of {}", words.join(", ")),
    }
}

impl std::fmt::Display for Literal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Literal::Null => out.write_str("null"),
            Literal::Boolean(it) => write!(out, "{it}"),
            Literal::Number(it) | Literal::Json(it) => out.write_str(it),
            Literal::Text(it) => write!(out, "{it:?}"),
        }
    }
}

impl Literal {
    pub fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Literal::Null, Value::Null) => true,
            (Literal::Boolean(it), Value::Bool(found)) => it == found,
            (Literal::Text(it), Value::String(found)) => it == found,
            (Literal::Number(it), Value::Number(found)) => {
                found.to_string() == *it
                    || it.parse::<f64>().is_ok_and(|it| number(found) == Some(it))
            }
            (Literal::Json(it), found) => {
                serde_json::from_str::<Value>(it).is_ok_and(|it| it == *found)
            }
            _ => false,
        }
    }
}

/// What kind of disagreement a [`Drift`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DriftKind {
    Missing,
    Null,
    WrongType,
    OutOfRange,
    NotListed,
    /// A field that the schema forbids. Fields that it merely does not mention are no
    /// drift: servers grow fields, and a free-form object is made of them.
    Unknown,
    NoVariant,
}

/// One disagreement between a response and its declared schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    pub kind: DriftKind,
    /// RFC 6901; of the first place, where a list repeats it.
    pub pointer: String,
    pub expected: String,
    /// A short sample of what came; never more than a few characters of text.
    pub found: String,
    /// How many places of the same lists disagree in the same way.
    pub times: u32,
}

impl std::fmt::Display for Drift {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pointer = if self.pointer.is_empty() {
            "the response"
        } else {
            &self.pointer
        };
        write!(
            out,
            "{pointer}: expected {}, found {}",
            self.expected, self.found
        )?;
        if self.times > 1 {
            write!(out, " ({} times)", self.times)?;
        }
        Ok(())
    }
}

/// Judges a whole response: at most `bound` findings, in the order of the document.
pub fn judge(schema: &'static Schema, value: &Value, bound: usize) -> Vec<Drift> {
    Judge {
        bound,
        ..Judge::default()
    }
    .judge(schema, value)
}

/// How to judge. `Judge { numbers_as_text: true, ..Judge::default() }.judge(schema, value)`.
#[derive(Debug, Clone, Copy)]
pub struct Judge {
    /// The most findings to return.
    pub bound: usize,
    /// A number that comes as text (`"2"`) is taken for one (`numbers = "lenient"`).
    pub numbers_as_text: bool,
}

impl Default for Judge {
    fn default() -> Judge {
        Judge {
            bound: 64,
            numbers_as_text: false,
        }
    }
}

impl Judge {
    pub fn judge(self, schema: &'static Schema, value: &Value) -> Vec<Drift> {
        let mut walk = Walk {
            how: self,
            steps: MAX_STEPS,
            drifts: Vec::new(),
            pointer: String::new(),
            pattern: String::new(),
            seen: HashSet::new(),
        };
        walk.value(schema, value, 0);
        walk.drifts
    }
}

struct Walk {
    how: Judge,
    steps: u32,
    drifts: Vec<Drift>,
    pointer: String,
    /// The pointer with `*` for every index: what repeats in a list is said once.
    pattern: String,
    seen: HashSet<(String, DriftKind)>,
}

impl Walk {
    fn value(&mut self, schema: &'static Schema, value: &Value, depth: usize) {
        if self.steps == 0 || depth > MAX_DEPTH {
            return;
        }
        self.steps -= 1;
        if value.is_null() {
            self.null(schema, depth);
            return;
        }
        let fits = self.fits(schema.types, value);
        if !fits {
            self.report(DriftKind::WrongType, schema.words(), sample(value));
            return;
        }
        self.listed(schema, value);
        self.range(schema, value);
        match value {
            Value::Object(fields) => self.object(schema, fields, depth),
            Value::Array(items) => self.list(schema, items, depth),
            _ => {}
        }
        self.variants(schema, value, depth);
    }

    fn null(&mut self, schema: &'static Schema, depth: usize) {
        if schema.types.has(Types::NULLABLE) || schema.literals().contains(&Literal::Null) {
            return;
        }
        if !schema.types.has(Types::NULL) {
            self.report(DriftKind::Null, schema.words(), "null".to_owned());
        } else if !schema.variants().is_empty() {
            self.variants(schema, &Value::Null, depth);
        }
    }

    fn fits(&self, types: Types, value: &Value) -> bool {
        match value {
            Value::Null => types.has(Types::NULL),
            Value::Bool(_) => types.has(Types::BOOLEAN),
            Value::Number(number) => {
                types.has(Types::NUMBER) || (types.has(Types::INTEGER) && is_integer(number))
            }
            Value::String(text) => {
                types.has(Types::TEXT)
                    || (self.how.numbers_as_text
                        && (types.has(Types::NUMBER) || types.has(Types::INTEGER))
                        && text.trim().parse::<f64>().is_ok_and(f64::is_finite))
            }
            Value::Array(_) => types.has(Types::LIST),
            Value::Object(_) => types.has(Types::OBJECT),
        }
    }

    fn listed(&mut self, schema: &'static Schema, value: &Value) {
        let literals = schema.literals();
        if literals.is_empty() || literals.iter().any(|literal| literal.is(value)) {
            return;
        }
        if let (true, Value::String(text)) = (self.how.numbers_as_text, value)
            && literals
                .iter()
                .any(|literal| matches!(literal, Literal::Number(it) if it == text))
        {
            return;
        }
        self.report(DriftKind::NotListed, literal_words(literals), sample(value));
    }

    fn range(&mut self, schema: &'static Schema, value: &Value) {
        let found = match value {
            Value::Number(found) => number(found),
            Value::String(text) if !schema.types.has(Types::TEXT) => text.trim().parse().ok(),
            _ => None,
        };
        if found.is_some_and(|found| schema.excludes(found)) {
            self.report(DriftKind::OutOfRange, schema.words(), sample(value));
        }
    }

    fn object(
        &mut self,
        schema: &'static Schema,
        fields: &serde_json::Map<String, Value>,
        depth: usize,
    ) {
        let properties = schema.properties();
        for property in properties {
            match fields.get(property.name) {
                Some(value) => self.step(property.name, |walk| {
                    walk.value(property.schema, value, depth + 1);
                }),
                None if property.required => self.step(property.name, |walk| {
                    walk.report(
                        DriftKind::Missing,
                        property.schema.words(),
                        "nothing".to_owned(),
                    );
                }),
                None => {}
            }
        }
        let (additional, closed) = (schema.additional(), schema.is_closed());
        if additional.is_none() && !closed {
            return;
        }
        for (name, value) in fields {
            if properties.iter().any(|property| property.name == name) {
                continue;
            }
            if let Some(additional) = additional {
                self.step(name, |walk| walk.value(additional, value, depth + 1));
            } else {
                self.step(name, |walk| {
                    walk.report(
                        DriftKind::Unknown,
                        "no such field".to_owned(),
                        sample(value),
                    );
                });
            }
        }
    }

    fn list(&mut self, schema: &'static Schema, items: &[Value], depth: usize) {
        let prefix = schema.prefix();
        let rest = schema.items();
        for (index, item) in items.iter().enumerate() {
            let Some(schema) = prefix.get(index).copied().or(rest) else {
                break;
            };
            let (pointer, pattern) = (self.pointer.len(), self.pattern.len());
            self.pointer.push_str(&format!("/{index}"));
            // A tuple's places differ from each other; a list's do not.
            match prefix.len() {
                0 => self.pattern.push_str("/*"),
                _ => self.pattern.push_str(&format!("/{index}")),
            }
            self.value(schema, item, depth + 1);
            self.pointer.truncate(pointer);
            self.pattern.truncate(pattern);
        }
    }

    fn step(&mut self, name: &str, visit: impl FnOnce(&mut Walk)) {
        let (pointer, pattern) = (self.pointer.len(), self.pattern.len());
        let escaped = name.replace('~', "~0").replace('/', "~1");
        for path in [&mut self.pointer, &mut self.pattern] {
            path.push('/');
            path.push_str(&escaped);
        }
        visit(self);
        self.pointer.truncate(pointer);
        self.pattern.truncate(pattern);
    }

    /// At least one variant has to fit. Where none does, the one that is nearest speaks.
    fn variants(&mut self, schema: &'static Schema, value: &Value, depth: usize) {
        for rule in schema.rules {
            let Rule::Variants(variants) = rule else {
                continue;
            };
            if let Some(chosen) = discriminated(schema, variants, value) {
                self.value(chosen, value, depth + 1);
                continue;
            }
            let mut nearest: Option<Vec<Drift>> = None;
            let mut fits = false;
            for variant in *variants {
                let mut trial = Walk {
                    how: Judge {
                        bound: 8,
                        ..self.how
                    },
                    steps: self.steps,
                    drifts: Vec::new(),
                    pointer: self.pointer.clone(),
                    pattern: self.pattern.clone(),
                    seen: HashSet::new(),
                };
                trial.value(variant, value, depth + 1);
                self.steps = trial.steps;
                if trial.drifts.is_empty() {
                    fits = true;
                    break;
                }
                if nearest
                    .as_ref()
                    .is_none_or(|it| it.len() > trial.drifts.len())
                {
                    nearest = Some(trial.drifts);
                }
            }
            if fits || self.steps == 0 {
                continue;
            }
            match nearest {
                // It has the right form and a fault inside: say the fault.
                Some(drifts) if drifts.iter().any(|it| it.pointer != self.pointer) => {
                    for drift in drifts {
                        self.push(drift);
                    }
                }
                _ => {
                    let expected = variant_words(variants);
                    self.report(DriftKind::NoVariant, expected, sample(value));
                }
            }
        }
    }

    fn report(&mut self, kind: DriftKind, expected: String, found: String) {
        let pointer = self.pointer.clone();
        self.push(Drift {
            kind,
            pointer,
            expected,
            found,
            times: 1,
        });
    }

    fn push(&mut self, drift: Drift) {
        let pattern = if drift.pointer == self.pointer {
            self.pattern.clone()
        } else {
            // Found by a trial further down: its own part has no pattern.
            format!(
                "{}{}",
                self.pattern,
                drift.pointer.get(self.pointer.len()..).unwrap_or("")
            )
        };
        if !self.seen.insert((pattern.clone(), drift.kind)) {
            let same = self
                .drifts
                .iter_mut()
                .find(|it| it.kind == drift.kind && same_place(&it.pointer, &pattern));
            if let Some(same) = same {
                same.times = same.times.saturating_add(1);
            }
        } else if self.drifts.len() < self.how.bound {
            self.drifts.push(drift);
        }
    }
}

fn same_place(pointer: &str, pattern: &str) -> bool {
    let (mut left, mut right) = (pointer.split('/'), pattern.split('/'));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some(left), Some(right)) if left == right || right == "*" => {}
            _ => return false,
        }
    }
}

fn discriminated(
    schema: &'static Schema,
    variants: &'static [&'static Schema],
    value: &Value,
) -> Option<&'static Schema> {
    let (property, mapping) = schema.find(|rule| match rule {
        Rule::Discriminator(property, mapping) => Some((*property, *mapping)),
        _ => None,
    })?;
    let said = value.get(property)?.as_str()?;
    let (_, index) = mapping.iter().find(|(name, _)| *name == said)?;
    variants.get(*index).copied()
}

fn variant_words(variants: &[&'static Schema]) -> String {
    let mut words: Vec<String> = Vec::new();
    for variant in variants {
        let one = variant.words();
        if !words.contains(&one) {
            words.push(one);
        }
    }
    words.truncate(4);
    words.join(" or ")
}

fn is_integer(found: &serde_json::Number) -> bool {
    if found.is_i64() || found.is_u64() {
        return true;
    }
    let text = found.to_string();
    let digits = text.strip_prefix('-').unwrap_or(&text);
    digits.bytes().all(|byte| byte.is_ascii_digit())
        || text
            .parse::<f64>()
            .is_ok_and(|it| it.is_finite() && it.fract() == 0.0)
}

/// The number, unless no f64 holds it.
fn number(found: &serde_json::Number) -> Option<f64> {
    found
        .to_string()
        .parse::<f64>()
        .ok()
        .filter(|it| it.is_finite())
}

/// What came, short: a response may hold what is nobody's business.
fn sample(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(it) => it.to_string(),
        Value::Number(it) => shortened(&it.to_string()),
        Value::String(it) => format!("{:?}", shortened(it)),
        Value::Array(it) => format!("a list of {}", it.len()),
        Value::Object(it) => format!("an object of {}", it.len()),
    }
}

fn shortened(text: &str) -> String {
    let mut characters = text.chars();
    let mut short: String = characters.by_ref().take(SAMPLE_CHARACTERS).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
#[path = "schema/tests.rs"]
mod tests;
