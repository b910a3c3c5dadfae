//! Options that make one record of several elements: the current or newest one, all of them at
//! times of their own, or an aggregate.

use crate::domain::reading::ShownElement;
use crate::domain::value_path::ValuePath;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct ElementOptions {
    /// Where an element begins: the record is the one whose interval contains now.
    pub now: Option<ElementTime>,
    /// Into an element: where it ends, if not with the next one.
    pub end_at: Option<ValuePath>,
    /// How many elements after the one that is now.
    pub ahead: Option<usize>,
    /// Where an element was observed: each is a row of its own.
    pub element_time: Option<ElementTime>,
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
    TimeOfMin,
    TimeOfMax,
}

/// What is made of the elements of one key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Combination<'a> {
    Series(ShownElement, &'a ElementTime),
    Newest(&'a ElementTime),
    Number(AggregateFunction),
    /// The time of the element that has the smallest or largest value.
    TimeOf(AggregateFunction, &'a ElementTime),
}

impl ElementOptions {
    /// What elements with the same key make together.
    pub fn combination(&self) -> Option<Combination<'_>> {
        if let Some(function) = self.aggregate {
            let parallel = self.times_at.is_some().then_some(&ElementTime::Parallel);
            let time = self.element_time.as_ref().or(parallel);
            return match time.filter(|_| function.is_time()) {
                Some(time) => Some(Combination::TimeOf(function, time)),
                None => Some(Combination::Number(function)),
            };
        }
        let series = |shown| move |time| Combination::Series(shown, time);
        let current = self.now.as_ref().map(series(ShownElement::Current));
        let timed = self.element_time.as_ref();
        let timed = timed.map(series(ShownElement::Newest));
        let newest = self.newest_by.as_ref().map(Combination::Newest);
        current.or(timed).or(newest)
    }

    /// Which element is the record's value, where a key has all of them.
    pub fn shown(&self) -> Option<ShownElement> {
        match self.combination()? {
            Combination::Series(shown, _) => Some(shown),
            _ => None,
        }
    }

    /// Paths into the response.
    pub fn response_paths(&self) -> impl Iterator<Item = &ValuePath> {
        self.times_at.iter()
    }

    /// Paths into an element.
    pub fn element_paths(&self) -> impl Iterator<Item = &ValuePath> {
        let times = [&self.now, &self.element_time, &self.newest_by];
        let times = times.into_iter().flatten().filter_map(|time| match time {
            ElementTime::Path(path) => Some(path),
            ElementTime::Template(_) | ElementTime::Parallel => None,
        });
        times.chain(&self.end_at)
    }

    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut ValuePath> {
        let times = [&mut self.now, &mut self.element_time, &mut self.newest_by];
        let times = times.into_iter().flatten().filter_map(|time| match time {
            ElementTime::Path(path) => Some(path),
            ElementTime::Template(_) | ElementTime::Parallel => None,
        });
        times.chain(&mut self.end_at).chain(&mut self.times_at)
    }
}

impl AggregateFunction {
    pub const ALL: [AggregateFunction; 7] = [
        AggregateFunction::Count,
        AggregateFunction::Sum,
        AggregateFunction::Min,
        AggregateFunction::Max,
        AggregateFunction::Mean,
        AggregateFunction::TimeOfMin,
        AggregateFunction::TimeOfMax,
    ];

    /// As the configuration spells it.
    pub fn name(self) -> &'static str {
        match self {
            AggregateFunction::Count => "count",
            AggregateFunction::Sum => "sum",
            AggregateFunction::Min => "min",
            AggregateFunction::Max => "max",
            AggregateFunction::Mean => "mean",
            AggregateFunction::TimeOfMin => "time_of_min",
            AggregateFunction::TimeOfMax => "time_of_max",
        }
    }

    /// Whether no value at all has a result.
    pub fn is_defined_for_none(self) -> bool {
        matches!(self, AggregateFunction::Count | AggregateFunction::Sum)
    }

    /// Whether it is the time of an element, and not a number.
    pub fn is_time(self) -> bool {
        matches!(
            self,
            AggregateFunction::TimeOfMin | AggregateFunction::TimeOfMax
        )
    }
}
