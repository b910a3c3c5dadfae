use serde_json::json;

use super::*;
use crate::domain::plan::{AggregateFunction, RecordSelector};

/// Expected values are those of Python's `xmltodict.parse`, with its numbers read.
#[test]
fn documents_become_the_tree_of_xmltodict() {
    for (text, expected) in [
        ("<r><temp>21.5</temp></r>", json!({"r": {"temp": 21.5}})),
        (
            "<?xml version='1.0' encoding=\"UTF-8\"?>\n<!-- x -->\n<r a='1' b=\"x y\">7</r>\n",
            json!({"r": {"@a": 1, "@b": "x y", "#text": 7}}),
        ),
        ("<r/>", json!({"r": null})),
        ("<r></r>", json!({"r": null})),
        ("<r>  \n </r>", json!({"r": null})),
        ("<r a=\"\"/>", json!({"r": {"@a": null}})),
        (
            "<r><i>1</i><j>x</j><i>2</i><i/></r>",
            json!({"r": {"i": [1, 2, null], "j": "x"}}),
        ),
        (
            "<r><i id='1'/><i id='2'><v>3</v></i></r>",
            json!({"r": {"i": [{"@id": 1}, {"@id": 2, "v": 3}]}}),
        ),
        (
            "<g:E xmlns:g=\"http://x\" xmlns='y'><Cube rate='1.08'/></g:E>",
            json!({"g:E": {"@xmlns:g": "http://x", "@xmlns": "y", "Cube": {"@rate": 1.08}}}),
        ),
        (
            "<r>a &lt;b&gt; &amp;amp; &#x41;&#66; &quot;&apos;</r>",
            json!({"r": "a <b> &amp; AB \"'"}),
        ),
        ("<r a='&lt;&#65;'/>", json!({"r": {"@a": "<A"}})),
        ("<r><![CDATA[ <1> & ]]></r>", json!({"r": "<1> &"})),
        ("<r>2<![CDATA[1]]>.5</r>", json!({"r": 21.5})),
        ("<r>x<b/>y</r>", json!({"r": {"b": null, "#text": "xy"}})),
        ("<r><?pi x?>1<!-- 2 --></r>", json!({"r": 1})),
        ("<r>007</r>", json!({"r": "007"})),
        ("<r>+1</r>", json!({"r": "+1"})),
        ("<r>true</r>", json!({"r": "true"})),
        ("<r\n>Küche</r >", json!({"r": "Küche"})),
    ] {
        let tree = parse(text, &XmlLists::default());
        assert_eq!(tree, Ok(expected), "{text}");
    }
}

#[test]
fn what_is_not_xml_is_refused_with_its_line() {
    for (text, line, expected, found) in [
        ("<r>\n<temp>1</hum></r>", 2, "</temp>", "`</hum></r>`"),
        ("<r>\n<temp>21.", 2, "</temp>", "the end"),
        ("<r>\n<temp", 2, "well-formed XML", "`<temp`"),
        ("<r></r></r>", 1, "a start tag before", "`</r>`"),
        ("<r/>\n<s/>", 2, "one root element", "`<s/>`"),
        ("<r/>\nx", 2, "XML elements and no text outside", "`x`"),
        ("a,b\n1,2\n", 1, "XML elements and no text outside", "`a,b`"),
        ("", 1, "an XML element", "the end"),
        ("<!-- -->", 1, "an XML element", "`<!-- -->`"),
        ("<r>a & b</r>", 1, "&amp; for a single &", "`& b</r>`"),
        ("<r>&nbsp;</r>", 1, "no entities but", "`&nbsp;</r>`"),
        ("<r>&#0;</r>", 1, "no entities but", "`&#0;</r>`"),
        (
            "<r a='&x;'/>",
            1,
            "attributes with no entities",
            "`<r a='&x;'/>`",
        ),
        ("<r a=1/>", 1, "attributes as", "`<r a=1/>`"),
        (
            "<r a='1' a='2'/>",
            1,
            "each attribute once",
            "`<r a='1' a='2'/>`",
        ),
        ("<r>1 < 2</r>", 1, "the name of", "`< 2</r>`"),
        (
            "<?xml version='1.0'?>\n<!DOCTYPE r [<!ENTITY a 'b'>]>\n<r>&a;</r>",
            2,
            "XML without a DOCTYPE",
            "`<!DOCTYPE r [<!ENTITY a 'b'>]>`",
        ),
    ] {
        match parse(text, &XmlLists::default()) {
            Err(FormatError::Malformed {
                line: at,
                expected: what,
                found: there,
            }) => {
                assert_eq!(at, line, "{text}");
                assert!(what.starts_with(expected), "{text}: {what}");
                assert_eq!(there, found, "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn what_the_configuration_reads_as_a_list_is_one() {
    let each = RecordSelector {
        each: Some("/r/items/item".into()),
        ..RecordSelector::new("{@id}.{/part/0}", "/value/1/x")
    };
    let plan = SourcePlan {
        selection: Selection::Selectors(vec![each, RecordSelector::new("a", "/r/a/0/b")]),
        ..SourcePlan::default()
    };
    let lists = XmlLists::of_plan(&plan);
    for (text, expected) in [
        (
            "<r><items><item id='7'><value>1</value><part>2</part><n>3</n></item></items></r>",
            json!({"r": {"items": {"item": [{"@id": 7, "value": [1], "part": [2], "n": 3}]}}}),
        ),
        (
            "<r><items><item>1</item><item>2</item></items><a><b>1</b></a></r>",
            json!({"r": {"items": {"item": [1, 2]}, "a": [{"b": 1}]}}),
        ),
        // No element is an empty list; without its parent there is no list.
        ("<r><items/></r>", json!({"r": {"items": {"item": []}}})),
        ("<r/>", json!({"r": null})),
    ] {
        assert_eq!(parse(text, &lists), Ok(expected), "{text}");
    }
    // The only root element is none of a list.
    let plan = SourcePlan {
        selection: Selection::Selectors(vec![RecordSelector {
            each: Some("/r".into()),
            ..RecordSelector::new("{#}", "")
        }]),
        ..SourcePlan::default()
    };
    let tree = parse("<r><a>1</a></r>", &XmlLists::of_plan(&plan));
    assert_eq!(tree, Ok(json!({"r": {"a": 1}})));
}

#[test]
fn what_a_json_path_looks_through_is_a_list() {
    let path = |text: &str| ValuePath::parse(text).expect(text);
    for (each, at, text, expected) in [
        (
            None,
            "$.r.items.item[?@.n==1].v",
            "<r><items><item><n>1</n><v>2</v></item></items></r>",
            json!({"r": {"items": {"item": [{"n": 1, "v": 2}]}}}),
        ),
        (
            Some("$.r.item[*]"),
            "$.part[-1]",
            "<r><item><part>1</part></item><a>1</a></r>",
            json!({"r": {"item": [{"part": [1]}], "a": 1}}),
        ),
        (
            Some("$..item[*]"),
            "/v",
            "<r><b><item><v>1</v></item></b><a>1</a></r>",
            json!({"r": {"b": {"item": [{"v": 1}]}, "a": 1}}),
        ),
        (
            None,
            "$.r['@id']",
            "<r id='1'><a>1</a></r>",
            json!({"r": {"@id": 1, "a": 1}}),
        ),
    ] {
        let plan = SourcePlan {
            selection: Selection::Selectors(vec![RecordSelector {
                each: each.map(path),
                ..RecordSelector::new("{#}", path(at))
            }]),
            ..SourcePlan::default()
        };
        assert_eq!(parse(text, &XmlLists::of_plan(&plan)), Ok(expected), "{at}");
    }
}

/// One element is a list too.
#[test]
fn what_an_aggregate_reads_is_a_list() {
    let path = |text: &str| ValuePath::parse(text).expect(text);
    for at in ["/r/item", "$.r.item", "$.r.item[*]"] {
        let mut sum = RecordSelector::new("sum", path(at));
        sum.elements.aggregate = Some(AggregateFunction::Sum);
        sum.elements.times_at = Some(path("/r/time"));
        let plan = SourcePlan {
            selection: Selection::Selectors(vec![sum]),
            ..SourcePlan::default()
        };
        let lists = XmlLists::of_plan(&plan);
        let text = "<r><item>1</item><time>2</time></r>";
        let expected = json!({"r": {"item": [1], "time": [2]}});
        assert_eq!(parse(text, &lists), Ok(expected), "{at}");
    }
}

#[test]
fn what_a_unit_path_looks_through_is_a_list() {
    let text = "<r><item><u>W</u></item><unit><n>1</n></unit></r>";
    for (each, unit_at, expected) in [
        (
            Some("/r/item"),
            "/u/0",
            json!({"r": {"item": [{"u": ["W"]}], "unit": {"n": 1}}}),
        ),
        (
            None,
            "$.r.unit[?@.n==1].name",
            json!({"r": {"item": {"u": "W"}, "unit": [{"n": 1}]}}),
        ),
    ] {
        let plan = SourcePlan {
            selection: Selection::Selectors(vec![RecordSelector {
                each: each.map(Into::into),
                unit_at: ValuePath::parse(unit_at).ok(),
                ..RecordSelector::new("{#}", "/v")
            }]),
            ..SourcePlan::default()
        };
        let lists = XmlLists::of_plan(&plan);
        assert_eq!(parse(text, &lists), Ok(expected), "{unit_at}");
    }
}

#[test]
fn depth_values_and_time_are_bounded() {
    let none = XmlLists::default();
    let nested = |levels: usize| format!("{}1{}", "<a>".repeat(levels), "</a>".repeat(levels));
    assert!(parse(&nested(limits::XML_DEPTH), &none).is_ok());
    assert!(parse(&nested(limits::XML_DEPTH + 1), &none).is_err());
    assert!(parse(&"<a>".repeat(1_000_000), &none).is_err());
    let many = format!("<r>{}</r>", "<i/>".repeat(limits::JSON_VALUES));
    assert_eq!(parse(&many, &none), Err(FormatError::TooMany));
    let objects = format!("<r>{}</r>", "<i a=''/>".repeat(limits::JSON_VALUES / 3));
    assert_eq!(parse(&objects, &none), Err(FormatError::TooMany));
    let numbers = 0..limits::JSON_VALUES - 1 - limits::OBJECT_VALUES;
    let attributes: Vec<String> = numbers.map(|n| format!("a{n}=''")).collect();
    assert!(parse(&format!("<r {}/>", attributes.join(" ")), &none).is_ok());
}
