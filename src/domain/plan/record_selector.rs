//! Which values of a response become records, and how each is read.

use std::sync::Arc;

use super::element_options::ElementOptions;
use crate::domain::key_pattern::KeyPattern;
use crate::domain::number_pattern::NumberPattern;
use crate::domain::value_path::ValuePath;

/// Which leaves of a response become records.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// Every numeric or boolean leaf, keyed by its dotted path behind `prefix`.
    AllLeaves { prefix: String },
    /// These, in this order.
    Selectors(Vec<RecordSelector>),
}

/// One record of `[source.records]`, or with `each` one per element.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordSelector {
    /// With `each` a template: `{id}` is the element's field of that name, `{/a/b}` the one at
    /// that pointer, `{#}` its index in a list or its name in an object; behind `../` those of
    /// what is around it.
    pub key: Arc<str>,
    /// Into the response; with `each`, into the element.
    pub at: ValuePath,
    /// JSON Pointer to a list or an object, of each element of which one record is read, or
    /// JSONPath of the elements.
    pub each: Option<ValuePath>,
    pub elements: ElementOptions,
    pub unit: Option<Arc<str>>,
    /// Where the unit is: into the response; with `each`, into the element.
    pub unit_at: Option<ValuePath>,
    /// The value where `at` leads to nothing, and where it leads to null.
    pub missing: Option<f64>,
    pub null: Option<f64>,
    /// How a text is read as a number.
    pub decimal: Option<Decimal>,
    pub pattern: Option<NumberPattern>,
    pub base: Option<u32>,
    /// Accepted range, after scaling.
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Published is `raw × scale + offset`.
    pub scale: Option<f64>,
    pub offset: Option<f64>,
    /// Largest change per minute since the last accepted number.
    pub max_change: Option<f64>,
    /// Texts, booleans and numbers, by their JSON text, that stand for numbers:
    /// `{ on = 1, off = 0 }`.
    pub map: Vec<(String, f64)>,
    /// Take a text as it is instead of asking for a number.
    pub text: bool,
}

impl RecordSelector {
    /// Whether `key` is this record's, or one of those that its template makes.
    pub fn selects_key(&self, key: &str) -> bool {
        let template = &*self.key;
        let marks = (template.find('{'), template.rfind('}'));
        match (&self.each, marks) {
            (Some(_), (Some(first), Some(last))) if first < last => {
                let (before, after) = (&template[..first], &template[last + 1..]);
                key.len() >= before.len() + after.len()
                    && key.starts_with(before)
                    && key.ends_with(after)
            }
            _ => key == template,
        }
    }

    /// Which keys elements make; `None` for one key.
    pub fn key_pattern(&self) -> Option<KeyPattern> {
        let template = &*self.key;
        let (first, last) = (template.find('{')?, template.rfind('}')?);
        let (before, after) = (template.get(..first)?, template.get(last + 1..)?);
        self.each.as_ref()?;
        KeyPattern::new(&format!("{before}*{after}"))
    }

    /// Whether elements make several keys.
    pub fn is_template(&self) -> bool {
        self.each.is_some() && self.key.contains('{')
    }

    /// Where the elements are, of a record that reads any.
    pub fn list(&self) -> Option<&ValuePath> {
        let is_list = self.elements.combination().is_some();
        self.each.as_ref().or_else(|| is_list.then_some(&self.at))
    }

    /// All paths.
    pub fn paths(&self) -> impl Iterator<Item = &ValuePath> {
        let of_value = self.each.iter().chain([&self.at]).chain(&self.unit_at);
        let of_elements = self.elements.response_paths();
        of_value
            .chain(of_elements)
            .chain(self.elements.element_paths())
    }

    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut ValuePath> {
        let of_value = self.each.iter_mut().chain([&mut self.at]);
        let of_value = of_value.chain(&mut self.unit_at);
        of_value.chain(self.elements.paths_mut())
    }

    /// The number or boolean at `at`, as it stands.
    pub fn new(key: impl Into<Arc<str>>, at: impl Into<ValuePath>) -> RecordSelector {
        RecordSelector {
            key: key.into(),
            at: at.into(),
            each: None,
            elements: ElementOptions::default(),
            unit: None,
            unit_at: None,
            missing: None,
            null: None,
            decimal: None,
            pattern: None,
            base: None,
            min: None,
            max: None,
            scale: None,
            offset: None,
            max_change: None,
            map: Vec::new(),
            text: false,
        }
    }
}

/// The decimal mark of a number in a text; the other of the two groups thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimal {
    Point,
    Comma,
}

impl Decimal {
    /// As the configuration spells it.
    pub fn name(self) -> &'static str {
        match self {
            Decimal::Point => ".",
            Decimal::Comma => ",",
        }
    }
}
