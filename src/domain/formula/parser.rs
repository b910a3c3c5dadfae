//! Parser of formulas: operator precedence by winnow's Pratt parser, over tokens.

use winnow::Parser as _;
use winnow::combinator::{Infix, Prefix, expression};
use winnow::error::{ErrMode, ParserError};
use winnow::stream::Stream as _;

use super::functions::{Function, FunctionCall};
use super::token::{Token, TokenKind};
use crate::domain::text::ellipsis;
use crate::limits;

/// One step of the stack machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Instruction {
    Number(f64),
    /// Index of a key.
    Input(usize),
    Unary(Unary),
    Binary(Binary),
    Call(FunctionCall),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    Plus,
    Negate,
    Not,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    Or,
    And,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

impl Binary {
    pub fn sign(self) -> &'static str {
        match self {
            Binary::Or => "||",
            Binary::And => "&&",
            Binary::Less => "<",
            Binary::LessOrEqual => "<=",
            Binary::Greater => ">",
            Binary::GreaterOrEqual => ">=",
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::Remainder => "%",
            Binary::Power => "^",
        }
    }
}

type TokenInput<'a> = &'a [Token];
type Program = Vec<Instruction>;
type Parsed<T> = Result<T, ErrMode<UnexpectedToken>>;

/// What was expected, and how many tokens were left there.
#[derive(Debug, Clone, PartialEq)]
struct UnexpectedToken {
    left: usize,
    expected: String,
}

const OPERAND: &str = "a key, a number or (";

impl<'a> ParserError<TokenInput<'a>> for UnexpectedToken {
    type Inner = Self;

    fn from_input(input: &TokenInput<'a>) -> Self {
        UnexpectedToken {
            left: input.len(),
            expected: OPERAND.to_owned(),
        }
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}

/// The program of a formula.
pub fn parse(text: &str, tokens: &[Token]) -> Result<Program, String> {
    check_depth(tokens)?;
    let mut rest = tokens;
    let program = formula(&mut rest).map_err(|error| match error {
        ErrMode::Backtrack(error) | ErrMode::Cut(error) => describe(text, tokens, &error),
        // Only a stream that goes on has it.
        ErrMode::Incomplete(_) => "the formula is incomplete".to_owned(),
    })?;
    let expected = match rest.first().map(|token| token.kind) {
        None => return Ok(program),
        Some(TokenKind::Sign("<" | "<=" | ">" | ">=" | "==" | "!=")) => {
            "&& before a second comparison, as in low < x && x < high"
        }
        Some(TokenKind::Comma) => "an operator (decimals are written with a point)",
        Some(_) => "an operator",
    };
    Err(describe(
        text,
        tokens,
        &UnexpectedToken {
            left: rest.len(),
            expected: expected.to_owned(),
        },
    ))
}

/// The parser calls itself for what is in parentheses, behind a sign and behind `^`.
fn check_depth(tokens: &[Token]) -> Result<(), String> {
    let mut levels = vec![0_usize];
    let mut is_operand = false;
    for token in tokens {
        match token.kind {
            TokenKind::Open => levels.push(1),
            TokenKind::Close if levels.len() > 1 => drop(levels.pop()),
            TokenKind::Sign(sign) => {
                if let Some(level) = levels.last_mut() {
                    let nests = !is_operand || sign == "^";
                    *level = if nests { *level + 1 } else { 1 };
                }
            }
            _ => {}
        }
        is_operand = matches!(
            token.kind,
            TokenKind::Number(_) | TokenKind::Key(_) | TokenKind::Close
        );
        if levels.iter().sum::<usize>() > limits::FORMULA_DEPTH {
            return Err(format!(
                "the formula is nested more than {} levels deep: give a part of it a \
                 [derived.NAME] of its own",
                limits::FORMULA_DEPTH
            ));
        }
    }
    Ok(())
}

/// What is wrong, and behind what.
fn describe(text: &str, tokens: &[Token], error: &UnexpectedToken) -> String {
    let at = tokens.len().saturating_sub(error.left);
    let UnexpectedToken { expected, .. } = error;
    let start = tokens.get(at).map_or(text.len(), |token| token.start);
    let (before, rest) = (text[..start].trim(), text[start..].trim());
    let end = tokens.get(at + 1).map_or(text.len(), |token| token.start);
    let found = match text[start..end.max(start)].trim() {
        "" => "the end".to_owned(),
        found => ellipsis(found, limits::SAMPLE_CHARS),
    };
    if before.is_empty() {
        return format!("expected {expected} at the beginning, found {found}");
    }
    if rest.is_empty() {
        return format!("expected {expected} at the end, behind {}", tail(before));
    }
    format!("expected {expected} behind {}, found {found}", tail(before))
}

/// The end of what stands before a problem.
fn tail(before: &str) -> String {
    let chars = before.chars().count();
    let skipped = chars.saturating_sub(limits::SAMPLE_CHARS);
    let tail: String = before.chars().skip(skipped).collect();
    let dots = if skipped > 0 { "…" } else { "" };
    format!("\"{dots}{tail}\"")
}

fn formula(input: &mut TokenInput<'_>) -> Parsed<Program> {
    expression(operand)
        .prefix(prefix)
        .infix(infix)
        .parse_next(input)
}

fn operand(input: &mut TokenInput<'_>) -> Parsed<Program> {
    let start = input.checkpoint();
    match next(input) {
        Some(TokenKind::Number(number)) => Ok(vec![Instruction::Number(number)]),
        Some(TokenKind::Key(index)) => Ok(vec![Instruction::Input(index)]),
        Some(TokenKind::Open) => {
            let inner = formula(input).map_err(ErrMode::cut)?;
            expect(input, TokenKind::Close, ")")?;
            Ok(inner)
        }
        Some(TokenKind::Function(function)) => call(input, function),
        _ => {
            input.reset(&start);
            Err(unexpected(input, OPERAND))
        }
    }
}

fn call(input: &mut TokenInput<'_>, function: Function) -> Parsed<Program> {
    expect(input, TokenKind::Open, "(")?;
    let mut program = Vec::new();
    let mut count = 0;
    if input.first().map(|token| token.kind) != Some(TokenKind::Close) {
        loop {
            program.extend(formula(input).map_err(ErrMode::cut)?);
            count += 1;
            if input.first().map(|token| token.kind) != Some(TokenKind::Comma) {
                break;
            }
            next(input);
        }
    }
    let left = input.len();
    expect(input, TokenKind::Close, ", or )")?;
    match function.wrong_count(count) {
        Some(expected) => Err(ErrMode::Cut(UnexpectedToken { left, expected })),
        None => {
            program.push(Instruction::Call(FunctionCall { function, count }));
            Ok(program)
        }
    }
}

fn prefix<'a>(
    input: &mut TokenInput<'a>,
) -> Parsed<Prefix<TokenInput<'a>, Program, ErrMode<UnexpectedToken>>> {
    const POWER: i64 = 12;
    let start = input.checkpoint();
    Ok(match next(input) {
        Some(TokenKind::Sign("-")) => Prefix(POWER, |_, of| Ok(with(of, Unary::Negate))),
        Some(TokenKind::Sign("+")) => Prefix(POWER, |_, of| Ok(with(of, Unary::Plus))),
        Some(TokenKind::Sign("!")) => Prefix(POWER, |_, of| Ok(with(of, Unary::Not))),
        _ => {
            input.reset(&start);
            return Err(unexpected(input, OPERAND));
        }
    })
}

fn infix<'a>(
    input: &mut TokenInput<'a>,
) -> Parsed<Infix<TokenInput<'a>, Program, ErrMode<UnexpectedToken>>> {
    let start = input.checkpoint();
    let Some(TokenKind::Sign(sign)) = next(input) else {
        input.reset(&start);
        return Err(unexpected(input, "an operator"));
    };
    Ok(match sign {
        "||" => Infix::Left(2, |_, a, b| Ok(join(a, b, Binary::Or))),
        "&&" => Infix::Left(4, |_, a, b| Ok(join(a, b, Binary::And))),
        "<" => Infix::Neither(6, |_, a, b| Ok(join(a, b, Binary::Less))),
        "<=" => Infix::Neither(6, |_, a, b| Ok(join(a, b, Binary::LessOrEqual))),
        ">" => Infix::Neither(6, |_, a, b| Ok(join(a, b, Binary::Greater))),
        ">=" => Infix::Neither(6, |_, a, b| Ok(join(a, b, Binary::GreaterOrEqual))),
        "==" => Infix::Neither(6, |_, a, b| Ok(join(a, b, Binary::Equal))),
        "!=" => Infix::Neither(6, |_, a, b| Ok(join(a, b, Binary::NotEqual))),
        "+" => Infix::Left(8, |_, a, b| Ok(join(a, b, Binary::Add))),
        "-" => Infix::Left(8, |_, a, b| Ok(join(a, b, Binary::Subtract))),
        "*" => Infix::Left(10, |_, a, b| Ok(join(a, b, Binary::Multiply))),
        "/" => Infix::Left(10, |_, a, b| Ok(join(a, b, Binary::Divide))),
        "%" => Infix::Left(10, |_, a, b| Ok(join(a, b, Binary::Remainder))),
        "^" => Infix::Right(14, |_, a, b| Ok(join(a, b, Binary::Power))),
        _ => {
            input.reset(&start);
            return Err(unexpected(input, "an operator"));
        }
    })
}

fn with(mut of: Program, operator: Unary) -> Program {
    of.push(Instruction::Unary(operator));
    of
}

fn join(mut left: Program, right: Program, operator: Binary) -> Program {
    left.extend(right);
    left.push(Instruction::Binary(operator));
    left
}

fn next(input: &mut TokenInput<'_>) -> Option<TokenKind> {
    input.next_token().map(|token| token.kind)
}

fn expect(input: &mut TokenInput<'_>, kind: TokenKind, expected: &str) -> Parsed<()> {
    let start = input.checkpoint();
    if next(input) == Some(kind) {
        return Ok(());
    }
    input.reset(&start);
    Err(unexpected(input, expected).cut())
}

fn unexpected(input: &TokenInput<'_>, expected: &str) -> ErrMode<UnexpectedToken> {
    ErrMode::Backtrack(UnexpectedToken {
        left: input.len(),
        expected: expected.to_owned(),
    })
}
