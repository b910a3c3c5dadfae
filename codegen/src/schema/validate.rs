//! The lenient validation that validates a response against its declared schema.
//!
//! It only reports: it never changes or refuses a value, and a field that violates its schema
//! costs that field alone. Bounded in depth, steps and findings, for schemas that refer to
//! themselves and responses that are nothing like them.

use std::collections::HashSet;

use serde_json::Value;

use super::{Literal, Rule, Schema, SchemaRef, Types, describe_literals, number, truncate};

/// Deeper than serde_json reads, so only a schema that refers to itself gets here.
const MAX_DEPTH: usize = 160;
/// Values looked at in one validatement; `oneOf` inside `oneOf` would multiply without it.
const MAX_STEPS: u32 = 200_000;
/// Characters of a found value that a message may show.
const SAMPLE_CHARACTERS: usize = 32;

/// What kind of disagreement a [`Drift`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DriftKind {
    Missing,
    Null,
    WrongType,
    OutOfRange,
    NotListed,
    /// Request bodies alone: responses have no patterns here.
    Pattern,
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

/// Validators a whole response: at most `bound` findings, in the order of the document.
pub fn validate(schema: &'static Schema, value: &Value, bound: usize) -> Vec<Drift> {
    Validator {
        bound,
        ..Validator::default()
    }
    .validate(schema, value)
}

/// How to validate. `Validator { numbers_as_text: true, ..Validator::default() }.validate(schema, value)`.
#[derive(Debug, Clone, Copy)]
pub struct Validator {
    /// The most findings to return.
    pub bound: usize,
    /// A number that comes as text (`"2"`) is taken for one (`numbers = "lenient"`).
    pub numbers_as_text: bool,
}

impl Default for Validator {
    fn default() -> Validator {
        Validator {
            bound: 64,
            numbers_as_text: false,
        }
    }
}

impl Validator {
    pub fn validate(self, schema: &'static Schema, value: &Value) -> Vec<Drift> {
        let mut validation = Validation {
            how: self,
            steps: MAX_STEPS,
            drifts: Vec::new(),
            pointer: String::new(),
            pattern: String::new(),
            seen: HashSet::new(),
        };
        validation.check(schema, value, 0);
        validation.drifts
    }
}

struct Validation {
    how: Validator,
    steps: u32,
    drifts: Vec<Drift>,
    pointer: String,
    /// The pointer with `*` for every index: what repeats in a list is said once.
    pattern: String,
    seen: HashSet<(String, DriftKind)>,
}

impl Validation {
    fn check(&mut self, schema: &'static Schema, value: &Value, depth: usize) {
        if self.steps == 0 || depth > MAX_DEPTH {
            return;
        }
        self.steps -= 1;
        if value.is_null() {
            self.check_null(schema, depth);
            return;
        }
        let fits = self.fits(schema.types, value);
        if !fits {
            self.report(DriftKind::WrongType, schema.describe(), sample(value));
            return;
        }
        self.check_enum(schema, value);
        self.check_range(schema, value);
        match value {
            Value::Object(fields) => self.check_object(schema, fields, depth),
            Value::Array(items) => self.check_list(schema, items, depth),
            Value::String(text) if schema.types.has(Types::TEXT) && schema.mismatches(text) => {
                self.report(DriftKind::Pattern, schema.describe(), sample(value));
            }
            _ => {}
        }
        self.check_variants(schema, value, depth);
    }

    fn check_null(&mut self, schema: &'static Schema, depth: usize) {
        if schema.types.has(Types::NULLABLE) || schema.literals().contains(&Literal::Null) {
            return;
        }
        if !schema.types.has(Types::NULL) {
            self.report(DriftKind::Null, schema.describe(), "null".to_owned());
        } else if !schema.variants().is_empty() {
            self.check_variants(schema, &Value::Null, depth);
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

    fn check_enum(&mut self, schema: &'static Schema, value: &Value) {
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
        self.report(
            DriftKind::NotListed,
            describe_literals(literals),
            sample(value),
        );
    }

    fn check_range(&mut self, schema: &'static Schema, value: &Value) {
        let found = match value {
            Value::Number(found) => number(found),
            Value::String(text) if !schema.types.has(Types::TEXT) => text.trim().parse().ok(),
            _ => None,
        };
        if found.is_some_and(|found| schema.excludes(found)) {
            self.report(DriftKind::OutOfRange, schema.describe(), sample(value));
        }
    }

    fn check_object(
        &mut self,
        schema: &'static Schema,
        fields: &serde_json::Map<String, Value>,
        depth: usize,
    ) {
        let properties = schema.properties();
        for property in properties {
            match fields.get(&property.name) {
                Some(value) => self.step(&property.name, |validation| {
                    validation.check(property.schema.get(), value, depth + 1);
                }),
                None if property.required => self.step(&property.name, |validation| {
                    validation.report(
                        DriftKind::Missing,
                        property.schema.describe(),
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
            if properties.iter().any(|property| property.name == *name) {
                continue;
            }
            if let Some(additional) = additional {
                self.step(name, |validation| {
                    validation.check(additional, value, depth + 1);
                });
            } else {
                self.step(name, |validation| {
                    validation.report(
                        DriftKind::Unknown,
                        "no such field".to_owned(),
                        sample(value),
                    );
                });
            }
        }
    }

    fn check_list(&mut self, schema: &'static Schema, items: &[Value], depth: usize) {
        let prefix = schema.prefix();
        let rest = schema.items();
        for (index, item) in items.iter().enumerate() {
            let Some(schema) = prefix.get(index).map(|it| it.get()).or(rest) else {
                break;
            };
            let (pointer, pattern) = (self.pointer.len(), self.pattern.len());
            self.pointer.push_str(&format!("/{index}"));
            // A tuple's places differ from each other; a list's do not.
            match prefix.len() {
                0 => self.pattern.push_str("/*"),
                _ => self.pattern.push_str(&format!("/{index}")),
            }
            self.check(schema, item, depth + 1);
            self.pointer.truncate(pointer);
            self.pattern.truncate(pattern);
        }
    }

    fn step(&mut self, name: &str, visit: impl FnOnce(&mut Validation)) {
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
    fn check_variants(&mut self, schema: &'static Schema, value: &Value, depth: usize) {
        for rule in &schema.rules {
            let Rule::Variants(variants) = rule else {
                continue;
            };
            if let Some(chosen) = discriminated(schema, variants, value) {
                self.check(chosen, value, depth + 1);
                continue;
            }
            let mut nearest: Option<Vec<Drift>> = None;
            let mut fits = false;
            for variant in variants {
                let mut trial = Validation {
                    how: Validator {
                        bound: 8,
                        ..self.how
                    },
                    steps: self.steps,
                    drifts: Vec::new(),
                    pointer: self.pointer.clone(),
                    pattern: self.pattern.clone(),
                    seen: HashSet::new(),
                };
                trial.check(variant.get(), value, depth + 1);
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
                    let expected = describe_variants(variants);
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
    variants: &'static [SchemaRef],
    value: &Value,
) -> Option<&'static Schema> {
    let (property, mapping) = schema.find(|rule| match rule {
        Rule::Discriminator(property, mapping) => Some((property, mapping)),
        _ => None,
    })?;
    let said = value.get(property)?.as_str()?;
    let (_, index) = mapping.iter().find(|(name, _)| *name == said)?;
    variants.get(*index).map(|it| it.get())
}

fn describe_variants(variants: &[SchemaRef]) -> String {
    let mut words: Vec<String> = Vec::new();
    for variant in variants {
        let one = variant.describe();
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

/// What came, short: a response may hold what is nobody's business.
fn sample(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(it) => it.to_string(),
        Value::Number(it) => truncate(&it.to_string(), SAMPLE_CHARACTERS),
        Value::String(it) => format!("{:?}", truncate(it, SAMPLE_CHARACTERS)),
        Value::Array(it) => format!("a list of {}", it.len()),
        Value::Object(it) => format!("an object of {}", it.len()),
    }
}
