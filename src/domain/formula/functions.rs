//! Functions of formulas.

use super::{NoResult, finite};
use crate::domain::reading::round_computed;
use crate::domain::text::format_number;

/// A function's name and arguments, as the documentation shows them.
pub struct Signature {
    pub name: &'static str,
    pub arguments: &'static str,
    function: Function,
    /// Number of arguments, at least and at most.
    least: usize,
    most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    If,
    Min,
    Max,
    Mean,
    Clamp,
    Abs,
    Sign,
    Round,
    Floor,
    Ceil,
    Sqrt,
    Exp,
    Ln,
    Log10,
    Sin,
    Cos,
    Tan,
    Atan2,
    Radians,
    Degrees,
}

/// A function with the number of its arguments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FunctionCall {
    pub function: Function,
    pub count: usize,
}

/// Any number of arguments.
const MANY: usize = usize::MAX;

pub const SIGNATURES: [Signature; 20] = [
    signature("if", "condition, then, otherwise", Function::If, 3, 3),
    signature("min", "a, b, …", Function::Min, 1, MANY),
    signature("max", "a, b, …", Function::Max, 1, MANY),
    signature("mean", "a, b, …", Function::Mean, 1, MANY),
    signature("clamp", "x, least, most", Function::Clamp, 3, 3),
    signature("abs", "x", Function::Abs, 1, 1),
    signature("sign", "x", Function::Sign, 1, 1),
    signature("round", "x, decimals", Function::Round, 1, 2),
    signature("floor", "x", Function::Floor, 1, 1),
    signature("ceil", "x", Function::Ceil, 1, 1),
    signature("sqrt", "x", Function::Sqrt, 1, 1),
    signature("exp", "x", Function::Exp, 1, 1),
    signature("ln", "x", Function::Ln, 1, 1),
    signature("log10", "x", Function::Log10, 1, 1),
    signature("sin", "radians", Function::Sin, 1, 1),
    signature("cos", "radians", Function::Cos, 1, 1),
    signature("tan", "radians", Function::Tan, 1, 1),
    signature("atan2", "y, x", Function::Atan2, 2, 2),
    signature("radians", "degrees", Function::Radians, 1, 1),
    signature("degrees", "radians", Function::Degrees, 1, 1),
];

const fn signature(
    name: &'static str,
    arguments: &'static str,
    function: Function,
    least: usize,
    most: usize,
) -> Signature {
    Signature {
        name,
        arguments,
        function,
        least,
        most,
    }
}

impl Function {
    pub fn named(name: &str) -> Option<Function> {
        let signature = SIGNATURES.iter().find(|it| it.name == name)?;
        Some(signature.function)
    }

    fn signature(self) -> Option<&'static Signature> {
        SIGNATURES.iter().find(|it| it.function == self)
    }

    /// What is wrong with a call of `count` arguments, if anything is.
    pub fn wrong_count(self, count: usize) -> Option<String> {
        let it = self.signature()?;
        (count < it.least || count > it.most)
            .then(|| format!("the arguments of {}({})", it.name, it.arguments))
    }
}

/// Calls a function. `if` alone takes what it does not choose as it is: a division by zero there
/// does no harm.
pub fn call(function: Function, arguments: Vec<Result<f64, NoResult>>) -> Result<f64, NoResult> {
    if function == Function::If {
        let mut arguments = arguments.into_iter();
        let mut next = || arguments.next().unwrap_or(Ok(f64::NAN));
        let (condition, then, otherwise) = (next()?, next(), next());
        return if condition != 0.0 { then } else { otherwise };
    }
    let arguments = arguments.into_iter().collect::<Result<Vec<f64>, _>>()?;
    let operation = || {
        let name = function.signature().map_or("", |it| it.name);
        let shown: Vec<String> = arguments
            .iter()
            .map(|it| format_number(round_computed(*it)))
            .collect();
        format!("{name}({})", shown.join(", "))
    };
    finite(value(function, &arguments), operation, false)
}

fn value(function: Function, arguments: &[f64]) -> f64 {
    let at = |index: usize| arguments.get(index).copied();
    let x = at(0).unwrap_or(f64::NAN);
    match function {
        // Chosen above, before the arguments are asked for.
        Function::If => x,
        Function::Min => arguments.iter().copied().fold(f64::INFINITY, f64::min),
        Function::Max => arguments.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Function::Mean => mean(arguments),
        Function::Clamp => match (at(1), at(2)) {
            (Some(least), Some(most)) if least <= most => x.clamp(least, most),
            _ => f64::NAN,
        },
        Function::Abs => x.abs(),
        Function::Sign if x == 0.0 => 0.0,
        Function::Sign => x.signum(),
        Function::Round => round(x, at(1).unwrap_or(0.0)),
        Function::Floor => x.floor(),
        Function::Ceil => x.ceil(),
        Function::Sqrt => x.sqrt(),
        Function::Exp => x.exp(),
        Function::Ln => x.ln(),
        Function::Log10 => x.log10(),
        Function::Sin => x.sin(),
        Function::Cos => x.cos(),
        Function::Tan => x.tan(),
        Function::Atan2 => x.atan2(at(1).unwrap_or(f64::NAN)),
        Function::Radians => x.to_radians(),
        Function::Degrees => x.to_degrees(),
    }
}

/// Taken so that the sum of large numbers does not overflow.
fn mean(numbers: &[f64]) -> f64 {
    let count = numbers.len() as f64;
    numbers.iter().map(|number| number / count).sum()
}

/// Half away from zero, as people round.
fn round(x: f64, decimals: f64) -> f64 {
    let factor = 10_f64.powf(decimals.trunc());
    let scaled = x * factor;
    // A number so large has no decimals.
    if !scaled.is_finite() {
        return x;
    }
    scaled.round() / factor
}
