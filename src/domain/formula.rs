//! Formulas: arithmetic on the values of keys, parsed once and evaluated for every change.
//!
//! A formula becomes a program for a stack machine, so that evaluation neither recurses nor
//! searches names. A value that is no finite number is never passed on: it says what it came of.

mod functions;
mod parser;
mod token;

use std::fmt;
use std::sync::Arc;

use self::functions::{FunctionCall, call};
use self::parser::{Binary, Instruction, Unary};
use super::reading::round_computed;
use super::text::format_number;

/// Names of the functions, with their arguments, for messages and for the documentation.
pub use self::functions::SIGNATURES;

/// A formula that is valid by itself; whether its keys exist is another question.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    text: Arc<str>,
    inputs: Vec<Arc<str>>,
    program: Vec<Instruction>,
}

/// Why a formula has no value: the operation that gave no finite number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoResult {
    pub operation: String,
    pub is_division_by_zero: bool,
}

impl fmt::Display for NoResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_division_by_zero {
            write!(f, "a division by zero: {}", self.operation)
        } else {
            f.write_str(&self.operation)
        }
    }
}

impl Formula {
    /// Parses a formula; the error says what is wrong, where, and what to write.
    pub fn parse(text: &str) -> Result<Formula, String> {
        let tokens = token::read(text)?;
        let program = parser::parse(text, &tokens.list)?;
        Ok(Formula {
            text: text.trim().into(),
            inputs: tokens.keys,
            program,
        })
    }

    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The keys that it names, each once, in the order of their appearance.
    pub fn inputs(&self) -> &[Arc<str>] {
        &self.inputs
    }

    /// Whether `name`, which has a hyphen, stands in it as a difference: `living-room`.
    pub fn has_difference(&self, name: &str) -> bool {
        self.text
            .split(|c: char| !is_name_part(c) && c != '-')
            .any(|part| part == name)
    }

    /// The value, with those of [`Formula::inputs`] in their order.
    pub fn evaluate(&self, inputs: &[f64]) -> Result<f64, NoResult> {
        let mut stack: Vec<Result<f64, NoResult>> = Vec::new();
        for instruction in &self.program {
            let result = match instruction {
                Instruction::Number(number) => Ok(*number),
                Instruction::Input(index) => Ok(inputs.get(*index).copied().unwrap_or(f64::NAN)),
                Instruction::Unary(operator) => pop(&mut stack).map(|of| unary(*operator, of)),
                Instruction::Binary(operator) => {
                    let right = pop(&mut stack);
                    let left = pop(&mut stack);
                    left.and_then(|left| binary(*operator, left, right?))
                }
                Instruction::Call(FunctionCall { function, count }) => {
                    let arguments = stack.split_off(stack.len().saturating_sub(*count));
                    call(*function, arguments)
                }
            };
            stack.push(result);
        }
        pop(&mut stack).map(round_computed)
    }
}

/// The parser leaves on the stack what its operators take.
fn pop(stack: &mut Vec<Result<f64, NoResult>>) -> Result<f64, NoResult> {
    stack.pop().unwrap_or(Ok(f64::NAN))
}

fn unary(operator: Unary, of: f64) -> f64 {
    match operator {
        Unary::Plus => of,
        Unary::Negate => -of,
        Unary::Not => truth(of == 0.0),
    }
}

fn binary(operator: Binary, left: f64, right: f64) -> Result<f64, NoResult> {
    let divides = matches!(operator, Binary::Divide | Binary::Remainder);
    let result = match operator {
        Binary::Add => left + right,
        Binary::Subtract => left - right,
        Binary::Multiply => left * right,
        Binary::Divide => left / right,
        // With the sign of the divisor, as Python: -90 % 360 is 270.
        Binary::Remainder => left - right * (left / right).floor(),
        Binary::Power => left.powf(right),
        Binary::Less => truth(left < right),
        Binary::LessOrEqual => truth(left <= right),
        Binary::Greater => truth(left > right),
        Binary::GreaterOrEqual => truth(left >= right),
        Binary::Equal => truth(left == right),
        Binary::NotEqual => truth(left != right),
        Binary::And => truth(left != 0.0 && right != 0.0),
        Binary::Or => truth(left != 0.0 || right != 0.0),
    };
    let operation = || {
        let shown = |number: f64| format_number(round_computed(number));
        let (left, right) = (shown(left), shown(right));
        format!("{left} {} {right}", operator.sign())
    };
    let is_division_by_zero =
        (divides && right == 0.0) || (operator == Binary::Power && left == 0.0 && right < 0.0);
    finite(result, operation, is_division_by_zero)
}

/// The result of an operation, if it is a finite number.
fn finite(
    result: f64,
    operation: impl Fn() -> String,
    is_division_by_zero: bool,
) -> Result<f64, NoResult> {
    if result.is_finite() && !is_division_by_zero {
        return Ok(result);
    }
    let what = match result.is_nan() {
        _ if is_division_by_zero => "",
        true => ", which is no number",
        false => ", which is too large",
    };
    Err(NoResult {
        operation: format!("{}{what}", operation()),
        is_division_by_zero,
    })
}

fn truth(is_true: bool) -> f64 {
    f64::from(u8::from(is_true))
}

/// Whether a character belongs to a key that is written without quotes.
fn is_name_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.')
}

/// A key as a formula spells it.
pub fn key_in_formula(key: &str) -> String {
    let starts = key.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if starts && key.chars().all(is_name_part) {
        key.to_owned()
    } else {
        format!("`{key}`")
    }
}

#[cfg(test)]
#[path = "tests/formula.rs"]
mod tests;
