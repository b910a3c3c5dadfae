use super::*;
use crate::domain::plan::RecordSelector;
use crate::domain::reading::Value;
use crate::monitor::support;

/// A snapshot of these keys; `key=text` is a text. All are of the source `weather`.
fn snapshot(keys: &[&str]) -> Snapshot {
    let mut snapshot = support::healthy().snapshot;
    let record = snapshot.records[0].clone();
    let made = keys.iter().map(|key| {
        let (key, value) = match key.split_once('=') {
            Some((key, text)) => (key, Value::Text(text.into())),
            None => (*key, Value::Number(1.0)),
        };
        Record {
            key: key.into(),
            value,
            ..record.clone()
        }
    });
    snapshot.records = made.collect();
    snapshot
}

fn plan(groups: &[(&str, &[&str])]) -> Plan {
    let mut plan = support::healthy().plan;
    let groups = groups.iter().map(|(name, keys)| GroupPlan {
        name: (*name).into(),
        keys: keys.iter().map(|key| KeySelector::new(key)).collect(),
        ..GroupPlan::default()
    });
    plan.pages.groups = groups.collect();
    plan
}

/// A group in a line: its name, tiles, `|`, lines; a missing key in brackets.
fn sketch(group: &ValueGroup) -> String {
    let mut parts = vec![format!("{}:", group.name)];
    parts.extend(group.tiles.iter().map(|tile| match tile {
        Tile::Value(record) => record.key.to_string(),
        Tile::Missing(key) => format!("({key})"),
    }));
    if !group.lines.is_empty() {
        parts.push("|".to_owned());
    }
    parts.extend(group.lines.iter().map(|line| match line {
        ValueLine::Text(record) => record.key.to_string(),
        ValueLine::List(elements) => format!("{}+{}", elements[0].key, elements.len() - 1),
    }));
    parts.join(" ")
}

fn sketches(plan: &Plan, snapshot: &Snapshot) -> Vec<String> {
    let arrangement = arrange(plan, snapshot);
    let mut lines: Vec<String> = arrangement.groups.iter().map(sketch).collect();
    for (name, count) in arrangement.ungrouped {
        lines.push(format!("{name} {count}"));
    }
    lines
}

#[test]
fn a_key_is_in_the_first_group_that_names_it() {
    let long = "t=a text that is far too long for a tile";
    for (keys, groups, expected) in [
        (
            &["a.x", "a.y", "b"][..],
            &[("One", &["b", "a.*"][..]), ("Two", &["a.x"][..])][..],
            &["One: b a.x a.y", "Two:"][..],
        ),
        (
            &["a.x", "a.y", "b"],
            &[("One", &["a.y", "a.*"])],
            &["One: a.y a.x", "weather 1"],
        ),
        (
            &["a"],
            &[("One", &["a", "gone", "no.*"]), ("Two", &["gone"])],
            &["One: a (gone)", "Two:"],
        ),
        // Elements of a list are a line, unless one is named apart.
        (
            &["r.0", "r.1", "r.2", "s.0", "s.2"],
            &[("One", &["*"])],
            &["One: s.0 s.2 | r.0+2"],
        ),
        (
            &["x.9", "x.10", "x.0"],
            &[("One", &["*"])],
            &["One: x.9 x.10 x.0"],
        ),
        // Texts among numbers are tiles while they are short.
        (&["n", "s=ok", long], &[("One", &["*"])], &["One: n s | t"]),
        (&["s=ok", "u=no"], &[("One", &["*"])], &["One: | s u"]),
    ] {
        assert_eq!(
            sketches(&plan(groups), &snapshot(keys)),
            expected,
            "{keys:?}"
        );
    }
}

#[test]
fn hidden_keys_are_in_no_group() {
    let mut plan = plan(&[("One", &["a", "b"])]);
    let hidden = crate::domain::plan::KeyPlan {
        hide: Some(true),
        ..Default::default()
    };
    plan.keys.insert("a".into(), hidden.clone());
    plan.keys.insert("c".into(), hidden);
    assert_eq!(sketches(&plan, &snapshot(&["a", "b", "c"])), ["One: b"]);
}

#[test]
fn without_groups_each_source_is_one() {
    let mut snapshot = snapshot(&["a", "b", "c"]);
    snapshot.records[1].sources = vec!["meter".into()];
    let plan = plan(&[]);
    assert_eq!(sketches(&plan, &snapshot), ["weather: a c", "meter: b"]);
    let keys: Vec<String> = (0..13).map(|at| format!("k{at}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let many = self::snapshot(&keys);
    assert_eq!(arrange(&plan, &many).groups[0].open, 6);
    let of_page = group(&plan, &many, "weather").expect("the source has values");
    assert_eq!(of_page.open, usize::MAX);
    assert_eq!(group(&plan, &many, "meter"), None);
}

#[test]
fn the_heading_stands_for_what_all_keys_begin_with() {
    let snapshot = snapshot(&["pump.flow", "pump.power"]);
    for (groups, expected) in [
        (&[][..], "pump."),
        (&[("Pump", &["*"][..])][..], "pump."),
        (&[("Heating", &["*"])], ""),
    ] {
        let plan = plan(groups);
        let arrangement = arrange(&plan, &snapshot);
        assert_eq!(arrangement.groups[0].context, expected, "{groups:?}");
    }
}

/// A table, a line a row.
fn table_sketch(table: &ValueTable) -> Vec<String> {
    let columns: Vec<&str> = table
        .columns
        .iter()
        .map(|it| it.name.unwrap_or(it.part))
        .collect();
    let mut lines = vec![columns.join(" ")];
    lines.extend(table.rows.iter().map(|row| {
        let cells = row
            .cells
            .iter()
            .map(|cell| cell.map_or("-", |record| &record.key));
        let cells: Vec<&str> = cells.collect();
        format!("{} {}", row.name.unwrap_or(row.part), cells.join(" "))
    }));
    lines
}

#[test]
fn a_matrix_has_its_named_rows_and_columns_first() {
    let mut plan = plan(&[("Rooms", &[])]);
    plan.pages.groups[0].matrix = Some(MatrixPlan {
        template: "room.{row}.{column}".into(),
        rows: vec![
            ("kitchen".into(), "Kitchen".into()),
            ("none".into(), "None".into()),
        ],
        columns: vec![("h".into(), "Humidity".into())],
    });
    let snapshot = snapshot(&["room.bath.t", "room.kitchen.h", "room.kitchen.t", "sun"]);
    let arrangement = arrange(&plan, &snapshot);
    let table = arrangement.groups[0].table.as_ref().expect("it has values");
    assert_eq!(
        table_sketch(table),
        [
            "Humidity t",
            "Kitchen room.kitchen.h room.kitchen.t",
            "bath - room.bath.t"
        ]
    );
    assert_eq!(arrangement.ungrouped, [("weather", 1)]);
}

#[test]
fn templates_of_a_source_make_a_table() {
    let mut plan = plan(&[]);
    let selector = |key: &str| RecordSelector {
        each: Some("/rooms".into()),
        ..RecordSelector::new(key, "/x")
    };
    let keys = ["room.{id}.t", "room.{id}.max_t", "sum.{id}"];
    let selectors = keys.iter().map(|key| selector(key)).collect();
    plan.sources[0].selection = Selection::Selectors(selectors);
    let of = |keys: &[&str]| snapshot(keys);
    let snapshot = of(&["room.a.t", "room.a.max_t", "room.b.t", "sum.a", "other"]);
    let (table, rest) = source_values(&plan, &snapshot, "weather");
    let rest: Vec<&str> = rest.iter().map(|record| &*record.key).collect();
    assert_eq!(
        table_sketch(&table.expect("there are two rows")),
        ["t max_t", "a room.a.t room.a.max_t", "b room.b.t -"]
    );
    assert_eq!(rest, ["sum.a", "other"]);
    // One row is no table.
    let snapshot = of(&["room.a.t", "room.a.max_t"]);
    assert_eq!(source_values(&plan, &snapshot, "weather").0, None);
}
