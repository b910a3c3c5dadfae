//! Checked arguments to the typed fields of generated structs, and back.

use super::{Fetch, Prepared};
use openapi::operation::{Argument, ArgumentProblem, Operation, Parameter, check_arguments};

/// Arguments that fit their operation; the generated structs are read from it.
pub struct Given<'a> {
    operation: &'static Operation,
    arguments: &'a [(String, Argument)],
}

impl<'a> Given<'a> {
    #[inline(never)]
    pub fn check(
        operation: &'static Operation,
        arguments: &'a [(String, Argument)],
    ) -> Result<Given<'a>, ArgumentProblem> {
        match check_arguments(operation, arguments).into_iter().next() {
            Some(problem) => Err(problem),
            None => Ok(Given {
                operation,
                arguments,
            }),
        }
    }

    /// The argument of the parameter with this index, or the default where it needs one.
    #[inline(never)]
    pub fn required<T: Parametric>(&self, index: usize) -> Result<T, ArgumentProblem> {
        let parameter = self.parameter(index)?;
        let default = || parameter.default();
        match self.find(parameter).cloned().or_else(default) {
            Some(argument) => taken(parameter, &argument),
            None => Err(problem(parameter, "is needed and not given")),
        }
    }

    #[inline(never)]
    pub fn optional<T: Parametric>(&self, index: usize) -> Result<Option<T>, ArgumentProblem> {
        let parameter = self.parameter(index)?;
        self.find(parameter)
            .map(|argument| taken(parameter, argument))
            .transpose()
    }

    fn parameter(&self, index: usize) -> Result<&'static Parameter, ArgumentProblem> {
        self.operation
            .parameters
            .get(index)
            .ok_or_else(|| ArgumentProblem {
                argument: None,
                message: format!("{} has no parameter number {index}", self.operation.id),
            })
    }

    fn find(&self, parameter: &Parameter) -> Option<&'a Argument> {
        self.arguments
            .iter()
            .find(|(name, _)| name == parameter.argument)
            .map(|(_, it)| it)
    }
}

fn taken<T: Parametric>(parameter: &Parameter, argument: &Argument) -> Result<T, ArgumentProblem> {
    T::take(argument).ok_or_else(|| {
        problem(
            parameter,
            &format!("is not what it takes: {}", parameter.words()),
        )
    })
}

fn problem(parameter: &Parameter, what: &str) -> ArgumentProblem {
    ArgumentProblem {
        argument: Some(parameter.argument.to_owned()),
        message: format!("`{}` {what}; change it in `params`", parameter.argument),
    }
}

/// The types that fields of generated structs have.
pub trait Parametric: Sized {
    fn take(argument: &Argument) -> Option<Self>;
    fn give(&self) -> Argument;
}

impl Parametric for String {
    fn take(argument: &Argument) -> Option<String> {
        argument.scalar_text()
    }
    fn give(&self) -> Argument {
        Argument::Text(self.clone())
    }
}

impl Parametric for i64 {
    fn take(argument: &Argument) -> Option<i64> {
        match argument {
            Argument::Integer(it) => Some(*it),
            // 3.0 is an integer too; past 2^53 a float no longer says which.
            Argument::Number(it) if it.fract() == 0.0 && it.abs() < 9e15 => Some(*it as i64),
            Argument::Text(it) => it.trim().parse().ok(),
            _ => None,
        }
    }
    fn give(&self) -> Argument {
        Argument::Integer(*self)
    }
}

impl Parametric for f64 {
    fn take(argument: &Argument) -> Option<f64> {
        match argument {
            Argument::Integer(it) => Some(*it as f64),
            Argument::Number(it) => Some(*it),
            Argument::Text(it) => it.trim().parse().ok(),
            _ => None,
        }
        .filter(|it| it.is_finite())
    }
    fn give(&self) -> Argument {
        Argument::Number(*self)
    }
}

impl Parametric for bool {
    fn take(argument: &Argument) -> Option<bool> {
        match argument {
            Argument::Boolean(it) => Some(*it),
            Argument::Text(it) => it.trim().parse().ok(),
            _ => None,
        }
    }
    fn give(&self) -> Argument {
        Argument::Boolean(*self)
    }
}

impl Parametric for Argument {
    fn take(argument: &Argument) -> Option<Argument> {
        Some(argument.clone())
    }
    fn give(&self) -> Argument {
        self.clone()
    }
}

impl<T: Parametric> Parametric for Vec<T> {
    fn take(argument: &Argument) -> Option<Vec<T>> {
        match argument {
            Argument::List(items) => items.iter().map(T::take).collect(),
            one => T::take(one).map(|one| vec![one]),
        }
    }
    fn give(&self) -> Argument {
        Argument::List(self.iter().map(T::give).collect())
    }
}

/// What the table of calls makes of a source's `params`. It goes past the typed structs: they
/// are for code that names an operation, and would cost the binary kilobytes for each.
pub fn prepare(operation: &'static Operation, arguments: &[(String, Argument)]) -> Prepared {
    let given = Given::check(operation, arguments)?;
    let values = operation.parameters.iter().map(|parameter| {
        let needed = parameter.required && !parameter.filled_by_security;
        let default = || if needed { parameter.default() } else { None };
        given.find(parameter).cloned().or_else(default)
    });
    Ok(Box::new(Checked {
        operation,
        values: values.collect(),
    }))
}

/// An operation with arguments that were checked.
struct Checked {
    operation: &'static Operation,
    values: Vec<Option<Argument>>,
}

impl Fetch for Checked {
    fn operation(&self) -> &'static Operation {
        self.operation
    }

    fn values(&self) -> Vec<Option<Argument>> {
        self.values.clone()
    }
}

/// For generated `values`. (Never inlined, like what reads the arguments: every operation
/// has one call of it for each parameter, and size counts here, not speed.)
#[inline(never)]
pub fn given<T: Parametric>(value: &T, values: &mut Vec<Option<Argument>>) {
    values.push(Some(value.give()));
}

/// For generated `values`.
#[inline(never)]
pub fn maybe<T: Parametric>(value: &Option<T>, values: &mut Vec<Option<Argument>>) {
    values.push(value.as_ref().map(T::give));
}
