//! Options of pages: groups of the overview (`[[group]]`) and wall pages (`[[wall]]`).

use std::path::Path;

use super::key_list::read_key_list;
use super::reader::{TableEntry, TableReader};
use super::section::{
    ConfigOption, OptionReader, duration, inline_table, list, plain, print_options, read_options,
    text,
};
use super::window::read_window;
use crate::domain::plan::{GroupPlan, KeySelector, MatrixPlan, WallPlan};
use crate::domain::toml_text::{bare_or_quoted, quoted, quoted_value};

type LabelPairs = Vec<(String, String)>;

/// `[[group]]` while it is read.
#[derive(Default)]
pub struct GroupDraft {
    name: Option<String>,
    keys: Vec<KeySelector>,
    template: Option<String>,
    rows: LabelPairs,
    columns: LabelPairs,
    fold: Option<bool>,
}

pub static GROUP_OPTIONS: [ConfigOption<GroupDraft, GroupPlan>; 6] = [
    ConfigOption::new(
        "name",
        "text",
        "required",
        "\"Energy\"",
        "Heading of the group.",
        |draft: &mut GroupDraft, option| {
            draft.name = option.entry().and_then(|it| read_page_name(&it));
        },
        |group: &GroupPlan| text(&group.name),
    ),
    ConfigOption::new(
        "keys",
        "list of keys",
        "none (`keys` or `matrix` is required)",
        "[\"solar.power\", \"battery.*\"]",
        "The keys of the group, in this order; `*` stands for any characters. A key is shown once, in the first group that names it.",
        |draft: &mut GroupDraft, option| draft.keys = read_key_list(option),
        |group: &GroupPlan| list(&group.keys),
    ),
    ConfigOption::new(
        "matrix",
        "text",
        "none",
        "\"room.{row}.{column}\"",
        "Shows the keys of this form as a table: a line for each `{row}`, a column for each `{column}`.",
        |draft: &mut GroupDraft, option| draft.template = read_template(option),
        |group: &GroupPlan| text(&group.matrix.as_ref()?.template),
    ),
    ConfigOption::new(
        "rows",
        "table",
        "none (as the keys come)",
        "{ living_room = \"Living room\", kitchen = \"Kitchen\" }",
        "Names of the rows of `matrix`, in their order; others come behind them.",
        |draft: &mut GroupDraft, option| draft.rows = read_names(option),
        |group: &GroupPlan| print_names(&group.matrix.as_ref()?.rows),
    ),
    ConfigOption::new(
        "columns",
        "table",
        "none (as the keys come)",
        "{ temperature = \"Temperature\", co2 = \"CO₂\" }",
        "Names of the columns of `matrix`, in their order; others come behind them.",
        |draft: &mut GroupDraft, option| draft.columns = read_names(option),
        |group: &GroupPlan| print_names(&group.matrix.as_ref()?.columns),
    ),
    ConfigOption::new(
        "fold",
        "true or false",
        "false",
        "true",
        "Show only the heading until somebody opens it.",
        |draft: &mut GroupDraft, option| draft.fold = option.boolean(),
        |group: &GroupPlan| plain(group.fold),
    ),
];

pub static WALL_OPTIONS: [ConfigOption<WallPlan>; 5] = [
    ConfigOption::new(
        "name",
        "text",
        "none (the page is `/wall`)",
        "\"kitchen\"",
        "Name of the page: `/wall/kitchen`. One `[[wall]]` may do without.",
        |wall: &mut WallPlan, option| {
            let name = option.entry().and_then(|it| read_page_name(&it));
            wall.name = name.map(Into::into);
        },
        |wall: &WallPlan| text(wall.name.as_deref()?),
    ),
    ConfigOption::new(
        "keys",
        "list of keys",
        "required",
        "[\"temperature\", \"room.*.co2\"]",
        "The values to show, in this order; `*` stands for any characters. Up to 12 can be read from afar.",
        |wall: &mut WallPlan, option| wall.keys = read_key_list(option),
        |wall: &WallPlan| list(&wall.keys),
    ),
    ConfigOption::new(
        "text",
        "list of keys",
        "none",
        "[\"transport.next\"]",
        "Keys whose values are the line of text below.",
        |wall: &mut WallPlan, option| wall.text = read_key_list(option),
        |wall: &WallPlan| list(&wall.text),
    ),
    ConfigOption::new(
        "dim",
        "hours, or days and hours",
        "none",
        "\"22:00-06:00\"",
        "When the page is dark, in `timezone`.",
        |wall: &mut WallPlan, option| wall.dim = read_window(option),
        |wall: &WallPlan| text(&wall.dim.as_ref()?.to_text()),
    ),
    ConfigOption::new(
        "rotate",
        "duration",
        "none",
        "\"30s\"",
        "How long the page is shown before the next `[[wall]]` follows.",
        |wall: &mut WallPlan, option| wall.rotate = option.duration(),
        |wall: &WallPlan| duration(wall.rotate?),
    ),
];

/// Reads `[[group]]`.
pub fn read_groups(root: &mut TableReader<'_>, directory: &Path) -> Vec<GroupPlan> {
    let mut groups: Vec<GroupPlan> = Vec::new();
    for entry in root.get("group").iter().flat_map(TableEntry::tables) {
        let Some(group) = read_group(&entry, directory) else {
            continue;
        };
        if groups.iter().any(|other| other.name == group.name) {
            let name = quoted(&group.name);
            entry.problem(format!("another [[group]] is called {name} too"));
        }
        groups.push(group);
    }
    groups
}

fn read_group(entry: &TableEntry<'_>, directory: &Path) -> Option<GroupPlan> {
    let mut table = entry.table("[[group]]")?;
    let mut draft = GroupDraft::default();
    read_options(&GROUP_OPTIONS, &mut table, directory, &mut draft);
    if draft.name.is_none() && table.get("name").is_none() {
        table.problem("a [[group]] needs a name, such as name = \"Energy\"");
    }
    if draft.template.is_none() {
        for option in ["rows", "columns"] {
            if let Some(entry) = table.get(option) {
                entry.problem(format!(
                    "`{option}` is of a matrix: write matrix = \"room.{{row}}.{{column}}\" too"
                ));
            }
        }
        if has_no_keys(&mut table) && table.get("matrix").is_none() {
            table.problem("a [[group]] needs keys, such as keys = [\"solar.*\"], or a matrix");
        }
    }
    table.finish();
    let (rows, columns) = (draft.rows, draft.columns);
    Some(GroupPlan {
        name: draft.name?.into(),
        keys: draft.keys,
        matrix: draft.template.map(|template| MatrixPlan {
            template: template.into(),
            rows,
            columns,
        }),
        fold: draft.fold.unwrap_or(false),
    })
}

/// Reads `[[wall]]`.
pub fn read_walls(root: &mut TableReader<'_>, directory: &Path) -> Vec<WallPlan> {
    let mut walls: Vec<WallPlan> = Vec::new();
    for entry in root.get("wall").iter().flat_map(TableEntry::tables) {
        let Some(mut table) = entry.table("[[wall]]") else {
            continue;
        };
        let mut wall = WallPlan::default();
        read_options(&WALL_OPTIONS, &mut table, directory, &mut wall);
        if has_no_keys(&mut table) {
            table.problem("a [[wall]] needs keys, such as keys = [\"temperature\"]");
        }
        table.finish();
        if walls.iter().any(|other| other.name == wall.name) {
            entry.problem(match &wall.name {
                Some(name) => format!("another [[wall]] is called {} too", quoted(name)),
                None => "another [[wall]] has no name either: only one may".to_owned(),
            });
        }
        walls.push(wall);
    }
    walls
}

/// A name that is part of the page's address: browsers take `.` and `..` there as steps.
fn read_page_name(entry: &TableEntry<'_>) -> Option<String> {
    let name = super::key::read_label(entry)?;
    let is_step = matches!(name.as_str(), "." | "..");
    if is_step {
        entry.expected("a name that an address can have; . and .. lead to other pages");
    }
    Some(name).filter(|_| !is_step)
}

/// Whether `keys` is missing or an empty list.
fn has_no_keys(table: &mut TableReader<'_>) -> bool {
    let keys = table.get("keys");
    keys.is_none_or(|it| it.value().as_array().is_some_and(|keys| keys.is_empty()))
}

fn read_template(option: &mut OptionReader<'_, '_>) -> Option<String> {
    const WHAT: &str = "a key with {row} and {column}, each once and with something between \
                        them, such as \"room.{row}.{column}\"";
    let entry = option.entry()?;
    let template = entry.text_as(WHAT)?;
    let between = template.split_once("{row}").and_then(|(before, rest)| {
        let (between, after) = rest.split_once("{column}")?;
        (!before.contains('{') && !after.contains('{')).then_some(between)
    });
    if between.is_none_or(|it| it.is_empty() || it.contains('{')) {
        entry.expected(WHAT);
        return None;
    }
    Some(template)
}

fn read_names(option: &mut OptionReader<'_, '_>) -> LabelPairs {
    let entries = option.entry().map(|it| it.entries()).unwrap_or_default();
    let names = entries.iter().filter_map(|entry| {
        let name = super::key::read_label(entry)?;
        Some((entry.key().to_owned(), name))
    });
    names.collect()
}

fn print_names(names: &LabelPairs) -> Option<String> {
    let pair = |(part, name): &(String, String)| {
        format!("{} = {}", bare_or_quoted(part), quoted_value(name))
    };
    inline_table(names.iter().map(pair).collect())
}

/// Prints groups and walls as TOML.
pub fn print_pages(out: &mut String, groups: &[GroupPlan], walls: &[WallPlan]) {
    for group in groups {
        *out += "\n[[group]]\n";
        print_options(out, &GROUP_OPTIONS, group);
    }
    for wall in walls {
        *out += "\n[[wall]]\n";
        print_options(out, &WALL_OPTIONS, wall);
    }
}
