//! Lines as InfluxDB's documentation of the syntax wants them.

use super::*;
use crate::config::forward_config;

fn line(format: &LineFormat, key: &str, value: &Value) -> String {
    let mut out = String::new();
    let point = LinePoint {
        key,
        value,
        second: 1_761_854_400,
        untrusted: false,
        is_forecast: false,
    };
    format.push(&mut out, &point);
    out
}

#[test]
fn a_row_is_one_line_whatever_its_key_and_value() {
    let config = forward_config("url = \"http://i.local/write?db=a\"");
    let format = LineFormat::new(&config, "lake");
    let number = Value::Number(21.5);
    let text = |text: &str| Value::Text(text.into());
    for (key, value, expected) in [
        (
            "temperature",
            number.clone(),
            "main_node,key=temperature,node=lake value=21.5 1761854400\n",
        ),
        (
            "a b,c=d",
            number.clone(),
            "main_node,key=a\\ b\\,c\\=d,node=lake value=21.5 1761854400\n",
        ),
        (
            "größe \"x\"",
            number.clone(),
            "main_node,key=größe\\ \"x\",node=lake value=21.5 1761854400\n",
        ),
        // A backslash would escape the comma behind it, a line end would end the line.
        (
            "a\\",
            number.clone(),
            "main_node,key=a%5C,node=lake value=21.5 1761854400\n",
        ),
        (
            "a\r\nb",
            number.clone(),
            "main_node,key=a%0D%0Ab,node=lake value=21.5 1761854400\n",
        ),
        ("", number, "main_node,node=lake value=21.5 1761854400\n"),
        (
            "t",
            Value::Number(21.0),
            "main_node,key=t,node=lake value=21 1761854400\n",
        ),
        (
            "t",
            Value::Number(-1e-7),
            "main_node,key=t,node=lake value=-1e-7 1761854400\n",
        ),
        (
            "t",
            Value::Number(1e300),
            "main_node,key=t,node=lake value=1e300 1761854400\n",
        ),
        (
            "s",
            text("on"),
            "main_node,key=s,node=lake text=\"on\" 1761854400\n",
        ),
        (
            "s",
            text(""),
            "main_node,key=s,node=lake text=\"\" 1761854400\n",
        ),
        (
            "s",
            text("a \"b\"\\, c=d"),
            "main_node,key=s,node=lake text=\"a \\\"b\\\"\\\\, c=d\" 1761854400\n",
        ),
        (
            "s",
            text("a\nb"),
            "main_node,key=s,node=lake text=\"a\nb\" 1761854400\n",
        ),
        (
            "s",
            text("a\\"),
            "main_node,key=s,node=lake text=\"a\\\\\" 1761854400\n",
        ),
    ] {
        assert_eq!(line(&format, key, &value), expected);
    }
}

#[test]
fn measurement_tags_and_precision_are_those_of_the_configuration() {
    let config = forward_config(
        "url = \"http://i.local/write?db=a&precision=ns\"\nmeasurement = \"my house, x=1\"\n\
         tags = { \"the house\" = \"lake, north\", floor = \"1=2\" }",
    );
    let format = LineFormat::new(&config, "node 1");
    let tags = "node=node\\ 1,the\\ house=lake\\,\\ north,floor=1\\=2";
    let expected = format!("my\\ house\\,\\ x=1,key=t,{tags} value=1 1761854400000000000\n");
    assert_eq!(line(&format, "t", &Value::Number(1.0)), expected);
    let mut out = String::new();
    for (untrusted, is_forecast) in [(true, false), (false, true)] {
        let point = LinePoint {
            key: "t",
            value: &Value::Number(1.0),
            second: -1,
            untrusted,
            is_forecast,
        };
        format.push(&mut out, &point);
    }
    let measurement = "my\\ house\\,\\ x=1";
    let expected = format!(
        "{measurement},key=t,{tags} value=1,untrusted=true -1000000000\n\
         {measurement}_forecast,key=t,{tags} value=1 -1000000000\n"
    );
    assert_eq!(out, expected);
}
