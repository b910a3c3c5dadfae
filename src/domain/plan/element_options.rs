//! Options that make one record of several elements: their newest, or an aggregate of them.

use crate::domain::value_path::ValuePath;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct ElementOptions {
    /// The record is the newest element by this time.
    pub newest_by: Option<ElementTime>,
    /// Into the response: the times of the elements, in their order.
    pub times_at: Option<ValuePath>,
    pub aggregate: Option<AggregateFunction>,
}

/// Where the time of an element is.
#[derive(Debug, Clone, PartialEq)]
pub enum ElementTime {
    /// In the element.
    Path(ValuePath),
    /// A text made of fields of the element and of what is around it, as keys are: `{#}`.
    Template(String),
    /// In the list at `times_at`.
    Parallel,
}

/// What is computed of the values of all elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregateFunction {
    Count,
    Sum,
    Min,
    Max,
    Mean,
}

impl ElementOptions {
    /// Whether elements with the same key make one record.
    pub fn are_combined(&self) -> bool {
        self.newest_by.is_some() || self.aggregate.is_some()
    }

    /// Paths into the response.
    pub fn response_paths(&self) -> impl Iterator<Item = &ValuePath> {
        self.times_at.iter()
    }

    /// Paths into an element.
    pub fn element_paths(&self) -> impl Iterator<Item = &ValuePath> {
        self.times().filter_map(|time| match time {
            ElementTime::Path(path) => Some(path),
            ElementTime::Template(_) | ElementTime::Parallel => None,
        })
    }

    pub fn times(&self) -> impl Iterator<Item = &ElementTime> {
        self.newest_by.iter()
    }

    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut ValuePath> {
        let times = self.newest_by.iter_mut();
        let of_elements = times.filter_map(|time| match time {
            ElementTime::Path(path) => Some(path),
            ElementTime::Template(_) | ElementTime::Parallel => None,
        });
        of_elements.chain(&mut self.times_at)
    }
}

impl AggregateFunction {
    pub const ALL: [AggregateFunction; 5] = [
        AggregateFunction::Count,
        AggregateFunction::Sum,
        AggregateFunction::Min,
        AggregateFunction::Max,
        AggregateFunction::Mean,
    ];

    /// As the configuration spells it.
    pub fn name(self) -> &'static str {
        match self {
            AggregateFunction::Count => "count",
            AggregateFunction::Sum => "sum",
            AggregateFunction::Min => "min",
            AggregateFunction::Max => "max",
            AggregateFunction::Mean => "mean",
        }
    }

    /// Whether no value at all has a result.
    pub fn is_defined_for_none(self) -> bool {
        matches!(self, AggregateFunction::Count | AggregateFunction::Sum)
    }
}
