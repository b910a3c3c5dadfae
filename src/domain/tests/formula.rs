//! Formulas against what Python gives for the same expression.

use super::*;

/// The value of a formula whose keys have these values, or why there is none.
fn value_of(text: &str, keys: &[(&str, f64)]) -> Result<f64, String> {
    let formula = Formula::parse(text)?;
    let inputs: Vec<f64> = formula
        .inputs()
        .iter()
        .map(|key| {
            let given = keys.iter().find(|(name, _)| *name == &**key);
            given.unwrap_or_else(|| panic!("{key} is not given")).1
        })
        .collect();
    formula.evaluate(&inputs).map_err(|why| why.to_string())
}

#[test]
fn formulas_give_what_python_gives() {
    let rows: [(&str, f64); 46] = [
        ("1", 1.0),
        (".5", 0.5),
        ("2.5e3", 2500.0),
        ("1e-2", 0.01),
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("10 - 4 - 3", 3.0),
        ("100 / 10 / 5", 2.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("-2 ^ 2", -4.0),
        ("2 ^ -1", 0.5),
        ("2 ^ -1 * 8", 4.0),
        ("--3", 3.0),
        ("3 - -3", 6.0),
        ("+4", 4.0),
        ("7 % 3", 1.0),
        ("-90 % 360", 270.0),
        ("7 % -3", -2.0),
        ("0.1 + 0.2", 0.3),
        ("1 < 2", 1.0),
        ("2 <= 2", 1.0),
        ("1 > 2", 0.0),
        ("2 >= 3", 0.0),
        ("1 == 1", 1.0),
        ("1 != 1", 0.0),
        ("1 + 1 == 2 && 3 > 2", 1.0),
        ("0 || 2", 1.0),
        ("1 || 0 && 0", 1.0),
        ("!0", 1.0),
        ("!5 + 1", 1.0),
        ("if(1 > 2, 10, 20)", 20.0),
        ("if(0, 1 / 0, 7)", 7.0),
        ("if(1, 7, ln(-1))", 7.0),
        ("min(3, 1, 2)", 1.0),
        ("max(3, 1, 2)", 3.0),
        ("mean(1, 2, 6)", 3.0),
        ("clamp(120, 0, 100)", 100.0),
        ("abs(-3)", 3.0),
        ("sign(-3) + sign(0) + sign(9)", 0.0),
        ("round(2.567, 2) + round(2.5)", 5.57),
        ("floor(-1.5) + ceil(1.2)", 0.0),
        ("sqrt(16) + exp(0)", 5.0),
        ("ln(exp(2))", 2.0),
        ("log10(1000)", 3.0),
        ("degrees(atan2(1, 1))", 45.0),
        ("sin(radians(30)) + cos(0) + tan(0)", 1.5),
    ];
    for (text, expected) in rows {
        assert_eq!(value_of(text, &[]), Ok(expected), "{text}");
    }
}

#[test]
fn keys_are_written_bare_or_quoted() {
    let keys = [
        ("grid", 100.0),
        ("house.power", 20.0),
        ("a-b", 3.0),
        ("living room", 21.0),
        ("list.0.value", 5.0),
        ("Zähler_1", 7.0),
        ("min", 8.0),
        ("50%", 50.0),
    ];
    for (text, expected) in [
        ("grid + house.power", 120.0),
        ("grid-house.power", 80.0),
        ("`a-b` * 2", 6.0),
        ("\"living room\" - 1", 20.0),
        ("list.0.value + Zähler_1", 12.0),
        ("min + min(min, 1)", 9.0),
        ("`50%`", 50.0),
        ("grid / grid + grid", 101.0),
    ] {
        assert_eq!(value_of(text, &keys), Ok(expected), "{text}");
    }
    let formula = Formula::parse("b + a + b + `c d`").expect("it is valid");
    let inputs: Vec<&str> = formula.inputs().iter().map(|key| &**key).collect();
    assert_eq!(inputs, ["b", "a", "c d"]);
    for (key, expected) in [
        ("a.b", "a.b"),
        ("a-b", "`a-b`"),
        ("0.a", "`0.a`"),
        ("", "``"),
    ] {
        assert_eq!(key_in_formula(key), expected);
    }
}

#[test]
fn dew_point_by_magnus() {
    // 20 °C and 50 %: 9.26 °C by the table of the German weather service.
    let text = "243.12 * (ln(humidity / 100) + 17.62 * t / (243.12 + t)) \
                / (17.62 - ln(humidity / 100) - 17.62 * t / (243.12 + t))";
    let dew = value_of(text, &[("humidity", 50.0), ("t", 20.0)]).expect("it has a value");
    assert!((dew - 9.26).abs() < 0.01, "{dew}");
}

#[test]
fn what_is_no_finite_number_says_what_it_came_of() {
    for (text, expected) in [
        ("5 / 0", "a division by zero: 5 / 0"),
        ("(0.1 + 0.2) / 0", "a division by zero: 0.3 / 0"),
        ("0 / 0", "a division by zero: 0 / 0"),
        ("1 / (1 / 0)", "a division by zero: 1 / 0"),
        ("5 % 0", "a division by zero: 5 % 0"),
        ("0 ^ -1", "a division by zero: 0 ^ -1"),
        ("(-8) ^ 0.5", "-8 ^ 0.5, which is no number"),
        ("1e308 * 10", "1e308 * 10, which is too large"),
        ("sqrt(-1)", "sqrt(-1), which is no number"),
        ("ln(0)", "ln(0), which is too large"),
        ("max(1, 1 / 0)", "a division by zero: 1 / 0"),
        ("clamp(1, 5, 2)", "clamp(1, 5, 2), which is no number"),
        ("if(1 / 0, 1, 2)", "a division by zero: 1 / 0"),
        ("atan2(ln(-1), 1)", "ln(-1), which is no number"),
    ] {
        assert_eq!(value_of(text, &[]), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn a_mistake_says_where_and_what_to_write() {
    for (text, expected) in [
        (
            "",
            "the formula is empty: write for example \"grid + solar\"",
        ),
        (
            "  ",
            "the formula is empty: write for example \"grid + solar\"",
        ),
        (
            "a +",
            "expected a key, a number or ( at the end, behind \"a +\"",
        ),
        (
            "a + * b",
            "expected a key, a number or ( behind \"a +\", found *",
        ),
        (
            "* b",
            "expected a key, a number or ( at the beginning, found *",
        ),
        ("a b", "expected an operator behind \"a\", found b"),
        ("(a + b", "expected ) at the end, behind \"(a + b\""),
        ("a + b)", "expected an operator behind \"a + b\", found )"),
        ("()", "expected a key, a number or ( behind \"(\", found )"),
        (
            "a, b",
            "expected an operator (decimals are written with a point) behind \"a\", found ,",
        ),
        (
            "max(a, )",
            "expected a key, a number or ( behind \"max(a,\", found )",
        ),
        ("max(a b)", "expected , or ) behind \"max(a\", found b"),
        (
            "min()",
            "expected the arguments of min(a, b, …) behind \"min(\", found )",
        ),
        (
            "0 < a < 5",
            "expected && before a second comparison, as in low < x && x < high behind \"0 < a\", found <",
        ),
        ("a ** 2", "** is not an operator: write ^ for a power"),
        ("a – 2", "– is not an operator: write - to subtract"),
        ("a × 2", "× is not an operator: write * to multiply"),
        (
            "{a} + 2",
            "{ is not an operator: a key is written without braces",
        ),
        ("pow(a, 2)", "there is no function pow: write ^ for a power"),
        ("sum(a, b)", "there is no function sum: write a + b"),
        (
            "rate(a)",
            "there is no function rate: a value of the past is a [derived.NAME] of its own",
        ),
        (
            "a and not b",
            "and is not an operator: write &&; a key of that name is written in backticks: `and`",
        ),
        ("a = 2", "= is not an operator: write == to compare"),
        ("a & b", "& is not an operator: write && for \"and\""),
        (
            "a ? 1 : 2",
            "? is not an operator: write if(condition, then, otherwise)",
        ),
        ("2 a", "expected an operator behind \"2\", found a"),
        (
            "2a",
            "expected an operator behind 2, found a; a key that begins with a digit is written in backticks: `2a`",
        ),
        (
            "0.power",
            "expected an operator behind 0., found power; a key that begins with a digit is written in backticks: `0.power`",
        ),
        ("1.2.3", "1.2.3 is not a number"),
        ("1e999", "1e999 is not a number"),
        (
            "`a",
            "the key `a has no closing `: write a key in backticks as `living room`",
        ),
        ("``", "`` is an empty key"),
        (
            "cbrt(a)",
            "there is no function cbrt: known are if, min, max, mean, clamp, abs, sign, round, \
             floor, ceil, sqrt, exp, ln, log10, sin, cos, tan, atan2, radians, degrees",
        ),
        (
            "a:b",
            "\":b\" is not an operator; if it belongs to a key, write the key in backticks: `name:b`",
        ),
    ] {
        assert_eq!(Formula::parse(text), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn length_and_depth_are_bounded() {
    let deep = |open: &str, inner: &str, close: &str, levels: usize| {
        open.repeat(levels) + inner + &close.repeat(levels)
    };
    for text in [
        deep("(", "a", ")", 30),
        deep("-", "a", "", 30),
        deep("a ^ ", "a", "", 30),
        deep("abs(", "a", ")", 30),
        deep("a + ", "a", "", 200),
        deep("-a * ", "a", "", 150),
    ] {
        assert!(Formula::parse(&text).is_ok(), "{text}");
    }
    for text in [
        deep("(", "a", ")", 33),
        deep("-", "a", "", 33),
        deep("a ^ ", "a", "", 33),
        deep("-(", "a", ")", 17),
        deep("(", "", "", 400),
    ] {
        let error = Formula::parse(&text).expect_err("it is too deep");
        assert!(error.contains("nested more than 32 levels"), "{error}");
    }
    let long = Formula::parse(&deep("a + ", "a", "", 250)).expect_err("it is too long");
    assert!(long.contains("1001 bytes, more than 1000"), "{long}");
}

#[test]
fn no_text_panics() {
    let parts = [
        "a", "`a b`", "1", ".", "e9", "(", ")", ",", "+", "-", "^", "!", "if(", "min", "<", "==",
        " ", "ä", "\"", "\u{0}", "&&", "%", "1e",
    ];
    fastrand::seed(17);
    for _ in 0..20_000 {
        let count = fastrand::usize(0..14);
        let text: String = (0..count)
            .map(|_| parts[fastrand::usize(0..parts.len())])
            .collect();
        if let Ok(formula) = Formula::parse(&text) {
            let inputs: Vec<f64> = formula.inputs().iter().map(|_| fastrand::f64()).collect();
            if let Ok(value) = formula.evaluate(&inputs) {
                assert!(value.is_finite(), "{text}");
            }
        }
    }
}
