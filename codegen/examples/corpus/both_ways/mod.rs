//! Compares what is compiled in with what is made of the same file at run time.
//!
//! For each operation: what it says, what it sends, what it says of wrong arguments, how it
//! judges responses. It stands in the scratch crate of `make corpus`, beside the generated
//! modules, and in `tests/both_ways.rs`.

use std::collections::HashSet;
use std::sync::LazyLock;

use openapi::operation::{Api, Operation};

use crate::api::request::Call;
use at_run_time::File;
use requests::Pair;
use wire::Wire;

mod at_run_time;
mod requests;
mod responses;
mod structure;
pub mod table;
mod values;
mod wire;

/// Of a file with more operations than these every n-th is also lowered alone.
const ALONE: usize = 150;
/// Differences of one file that are told.
const TOLD: usize = 24;

/// A file and what was generated of it.
pub struct CompiledIn {
    pub name: &'static str,
    pub path: &'static str,
    pub apis: &'static LazyLock<Vec<&'static Api>>,
    pub calls: &'static [Call],
}

/// What was compared.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Whose limits the file needs.
    pub limits: &'static str,
    pub operations: usize,
    /// Operations that were lowered alone too.
    pub alone: usize,
    pub requests: usize,
    /// Arguments that both ways refuse.
    pub refusals: usize,
    /// Operations of which no request was sent, and what is wrong with the best arguments that
    /// were made up.
    pub unsent: Vec<String>,
    pub documents: usize,
    /// Documents in which nothing is found.
    pub fitting: usize,
    pub judgements: usize,
    pub differences: Vec<String>,
}

/// How much is tried of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    Every,
    Some,
}

impl Depth {
    /// Places of a document that are spoiled, and in how many ways each.
    fn spoiling(self) -> (usize, usize) {
        match self {
            Depth::Every => (24, 3),
            Depth::Some => (6, 2),
        }
    }
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.operations += other.operations;
        self.alone += other.alone;
        self.requests += other.requests;
        self.refusals += other.refusals;
        self.unsent.extend(other.unsent);
        self.documents += other.documents;
        self.fitting += other.fitting;
        self.judgements += other.judgements;
        self.differences.extend(other.differences);
    }

    fn tell(&mut self, difference: String) {
        if self.differences.len() < TOLD {
            self.differences.push(difference);
        }
    }
}

/// Compares one file. An error is a difference: it was compiled in.
pub fn compare(file: &CompiledIn) -> Tally {
    let mut tally = Tally::default();
    if let Err(message) = compare_file(file, &mut tally) {
        tally.tell(message);
    }
    let named = |it: &String| format!("{}: {it}", file.name);
    tally.differences = tally.differences.iter().map(named).collect();
    tally.unsent = tally.unsent.iter().map(named).collect();
    tally
}

fn compare_file(file: &CompiledIn, tally: &mut Tally) -> Result<(), String> {
    let [compiled] = file.apis[..] else {
        let count = file.apis.len();
        return Err(format!("expected one API compiled in, found {count}"));
    };
    let mut read = File::new(file.path, &compiled.name);
    let names = read.candidates()?;
    let whole = read.lower(names)?;
    tally.limits = read.limits();
    compare_api(compiled, whole, file.calls, tally);
    let wire = Wire::new();
    let step = compiled.operations.len().div_ceil(ALONE).max(1);
    for (number, operation) in compiled.operations.iter().enumerate() {
        tally.operations += 1;
        let Some(call) = call_of(file.calls, operation) else {
            continue;
        };
        let mut check = |lowered: &'static Operation, depth| {
            let pair = Pair {
                compiled: operation,
                lowered,
                call,
                wire: &wire,
                depth,
            };
            // Each is told: that one is seen proves nothing of the others.
            for found in [
                structure::difference_of_operations(operation, lowered),
                pair.difference(tally),
                pair.bodies_difference(tally),
                responses::difference(operation, lowered, depth, tally),
            ]
            .into_iter()
            .flatten()
            {
                tally.tell(format!("{}: {found}", shown(operation)));
            }
        };
        if let Some(lowered) = find(whole, operation) {
            check(lowered, Depth::Every);
        }
        if number % step == 0 {
            match alone(&mut read, operation, number) {
                Ok(lowered) => check(lowered, Depth::Some),
                Err(message) => tally.tell(format!("{} alone: {message}", shown(operation))),
            }
            tally.alone += 1;
        }
    }
    Ok(())
}

/// Whether the same operations are there, and something sends each.
fn compare_api(compiled: &Api, lowered: &Api, calls: &[Call], tally: &mut Tally) {
    if let Some(found) = structure::difference_of_apis(compiled, lowered) {
        tally.tell(found);
    }
    let ids = |api: &Api| -> Vec<String> { api.operations.iter().map(shown).collect() };
    let (left, right) = (ids(compiled), ids(lowered));
    for (all, other, way) in [
        (&left, &right, "at run time"),
        (&right, &left, "compiled in"),
    ] {
        let other: HashSet<&String> = other.iter().collect();
        for missing in all.iter().filter(|it| !other.contains(it)) {
            tally.tell(format!("{missing}: missing {way}"));
        }
    }
    if tally.differences.is_empty() && left != right {
        tally.tell(structure::compared("order of operations", left, right));
    }
    for operation in &compiled.operations {
        if call_of(calls, operation).is_none() {
            tally.tell(format!("{}: nothing sends it", shown(operation)));
        }
    }
    if calls.len() != compiled.operations.len() {
        let (calls, operations) = (calls.len(), compiled.operations.len());
        tally.tell(format!("{calls} functions for {operations} operations"));
    }
}

/// One operation, named as a source may name it.
fn alone(
    file: &mut File,
    operation: &Operation,
    number: usize,
) -> Result<&'static Operation, String> {
    let name = match number % 2 {
        0 => operation.id.clone(),
        _ => format!("{} {}", operation.method.name(), operation.path),
    };
    let lowered = file.lower(vec![name.clone()])?;
    find(lowered, operation).ok_or_else(|| format!("named {name:?}, it is not there"))
}

fn find(api: &'static Api, wanted: &Operation) -> Option<&'static Operation> {
    api.operations.iter().find(|it| it.id == wanted.id)
}

fn call_of<'a>(calls: &'a [Call], operation: &Operation) -> Option<&'a Call> {
    let mut calls = calls.iter();
    calls.find(|it| it.api == operation.api && it.operation == operation.id)
}

fn shown(operation: &Operation) -> String {
    let (id, method, path) = (&operation.id, operation.method.name(), &operation.path);
    format!("{id} ({method} {path})")
}
