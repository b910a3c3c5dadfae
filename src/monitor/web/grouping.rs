//! Grouping: which values stand under which heading of the overview, and in which order.
//!
//! Pure; any thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::compact_sort::CompactSort;
use crate::domain::plan::{GroupPlan, KeySelector, MatrixPlan, Plan, Selection, SourcePlan};
use crate::domain::presentation::label_text::{common_context, label_text};
use crate::domain::snapshot::{Record, Snapshot};
use crate::limits;

/// What the overview shows, in its order.
#[derive(Debug, PartialEq)]
pub struct Arrangement<'a> {
    pub groups: Vec<ValueGroup<'a>>,
    /// What is in no group: sources and how many values of each.
    pub ungrouped: Vec<(&'a str, usize)>,
}

/// Values under a heading.
#[derive(Debug, PartialEq)]
pub struct ValueGroup<'a> {
    pub name: &'a str,
    /// The beginning that all its keys have, which the heading stands for.
    pub context: String,
    pub table: Option<ValueTable<'a>>,
    pub tiles: Vec<Tile<'a>>,
    /// What is too long for a tile, a line each.
    pub lines: Vec<ValueLine<'a>>,
    /// Whether the heading alone is shown until it is opened.
    pub is_folded: bool,
    /// Tiles and lines that stand open; the others are folded.
    pub open: usize,
}

#[derive(Debug, PartialEq)]
pub enum Tile<'a> {
    Value(&'a Record),
    /// A key of the configuration that has no value yet.
    Missing(&'a Arc<str>),
}

#[derive(Debug, PartialEq)]
pub enum ValueLine<'a> {
    Text(&'a Record),
    /// The elements `x.0`, `x.1`, … of a list.
    List(Vec<&'a Record>),
}

impl<'a> ValueGroup<'a> {
    /// All its values.
    pub fn records(&self) -> Vec<&'a Record> {
        let cells = self.table.iter().flat_map(|table| &table.rows);
        let cells = cells.flat_map(|row| row.cells.iter().flatten());
        let tiles = self.tiles.iter().filter_map(|tile| match tile {
            Tile::Value(record) => Some(record),
            Tile::Missing(_) => None,
        });
        let lines = self.lines.iter().flat_map(|line| match line {
            ValueLine::Text(record) => std::slice::from_ref(record),
            ValueLine::List(elements) => elements.as_slice(),
        });
        cells.chain(tiles).chain(lines).copied().collect()
    }
}

/// Values in rows and columns.
#[derive(Debug, PartialEq)]
pub struct ValueTable<'a> {
    pub columns: Vec<TableColumn<'a>>,
    pub rows: Vec<TableRow<'a>>,
}

#[derive(Debug, PartialEq)]
pub struct TableColumn<'a> {
    /// Its name, where the configuration gives one.
    pub name: Option<&'a str>,
    /// What its keys have in common.
    pub part: &'a str,
    pub first: &'a Record,
    /// The unit, if all its values have it.
    pub unit: Option<&'a Arc<str>>,
}

#[derive(Debug, PartialEq)]
pub struct TableRow<'a> {
    pub name: Option<&'a str>,
    pub part: &'a str,
    /// One for each column.
    pub cells: Vec<Option<&'a Record>>,
}

impl TableColumn<'_> {
    /// What people read above it.
    pub fn label(&self, plan: &Plan) -> String {
        let label = || plan.column_label(&MatrixPlan::default(), self.part, &self.first.key);
        self.name.map_or_else(label, str::to_owned)
    }
}

impl TableRow<'_> {
    /// What people read before it.
    pub fn label(&self) -> String {
        self.name
            .map_or_else(|| label_text(self.part), str::to_owned)
    }
}

/// The heading of derived keys that are in no group.
pub const DERIVED: &str = "Derived";

/// The groups of the configuration, or without any a group for each source.
pub fn arrange<'a>(plan: &'a Plan, snapshot: &'a Snapshot) -> Arrangement<'a> {
    let mut records = Remaining::new(plan, snapshot);
    if plan.pages.groups.is_empty() {
        return Arrangement {
            groups: records.by_source(),
            ungrouped: Vec::new(),
        };
    }
    let groups = plan.pages.groups.iter();
    let groups = groups.map(|group| records.configured(group)).collect();
    Arrangement {
        groups,
        ungrouped: records.count_ungrouped(),
    }
}

/// The group of a name, with all of it open.
pub fn group<'a>(plan: &'a Plan, snapshot: &'a Snapshot, name: &str) -> Option<ValueGroup<'a>> {
    let mut records = Remaining::new(plan, snapshot);
    let mut groups: Vec<ValueGroup> = match plan.pages.groups.as_slice() {
        [] => records.by_source(),
        groups => groups.iter().map(|it| records.configured(it)).collect(),
    };
    groups.extend(records.derived());
    let mut group = groups.into_iter().find(|group| group.name == name)?;
    group.is_folded = false;
    group.open = usize::MAX;
    Some(group)
}

/// The values of a source: a table of those whose keys templates make, and the others.
pub fn source_values<'a>(
    plan: &'a Plan,
    snapshot: &'a Snapshot,
    name: &str,
) -> (Option<ValueTable<'a>>, Vec<&'a Record>) {
    let records = snapshot.records.iter();
    let of_source = records.filter(|it| it.sources.iter().any(|source| **source == *name));
    let mut records: Vec<&Record> = of_source.collect();
    let source = plan.sources.iter().find(|it| *it.name == *name);
    let table = source.and_then(|source| template_table(source, &mut records));
    (table, records)
}

/// Records that no group has taken yet.
struct Remaining<'a> {
    plan: &'a Plan,
    snapshot: &'a Snapshot,
    /// In the snapshot's order; taken or hidden ones are `None`.
    records: Vec<Option<&'a Record>>,
    by_key: BTreeMap<&'a str, usize>,
    named: BTreeSet<&'a str>,
}

impl<'a> Remaining<'a> {
    fn new(plan: &'a Plan, snapshot: &'a Snapshot) -> Remaining<'a> {
        let is_hidden = |key: &str| plan.key_setting(key, |it| it.hide).unwrap_or_default();
        let records = snapshot.records.iter();
        let keys = records.clone().enumerate();
        Remaining {
            plan,
            snapshot,
            by_key: keys.map(|(at, record)| (&*record.key, at)).collect(),
            records: records
                .map(|record| Some(record).filter(|record| !is_hidden(&record.key)))
                .collect(),
            named: BTreeSet::new(),
        }
    }

    fn take_where(&mut self, is_wanted: impl Fn(&Record) -> bool) -> Vec<&'a Record> {
        let records = self.records.iter_mut();
        let wanted = records.filter(|it| it.is_some_and(&is_wanted));
        wanted.filter_map(Option::take).collect()
    }

    fn configured(&mut self, group: &'a GroupPlan) -> ValueGroup<'a> {
        let table = group.matrix.as_ref().and_then(|matrix| {
            let cells = self.take_where(|it| matrix.place(&it.key).is_some());
            matrix_table(matrix, &cells)
        });
        let mut tiles = Vec::new();
        for selector in &group.keys {
            match selector {
                KeySelector::Key(key) => match self.by_key.get(&**key).copied() {
                    Some(at) => tiles.extend(self.records[at].take().map(Tile::Value)),
                    None if self.named.insert(key) => tiles.push(Tile::Missing(key)),
                    None => {}
                },
                KeySelector::Pattern(pattern) => {
                    let matching = self.take_where(|it| pattern.matches(&it.key));
                    tiles.extend(matching.into_iter().map(Tile::Value));
                }
            }
        }
        let mut made = self.group(&group.name, table, tiles);
        made.is_folded = group.fold;
        made
    }

    fn by_source(&mut self) -> Vec<ValueGroup<'a>> {
        let (plan, snapshot) = (self.plan, self.snapshot);
        let mut groups = Vec::new();
        for source in &snapshot.sources {
            let mut records = self.take_where(|record| {
                record.sources.first() == Some(&source.name) && !snapshot.is_derived(&record.key)
            });
            if records.is_empty() {
                continue;
            }
            let of_plan = plan.sources.iter().find(|it| it.name == source.name);
            let table = of_plan.and_then(|source| template_table(source, &mut records));
            let tiles = records.into_iter().map(Tile::Value).collect();
            let mut group = self.group(&source.name, table, tiles);
            if group.tiles.len() + group.lines.len() > limits::GROUP_UNFOLDED {
                group.open = limits::GROUP_OPEN;
            }
            groups.push(group);
        }
        groups.extend(self.derived());
        groups
    }

    /// Derived keys that are in no group.
    fn derived(&mut self) -> Option<ValueGroup<'a>> {
        let snapshot = self.snapshot;
        let derived = self.take_where(|record| snapshot.is_derived(&record.key));
        let tiles: Vec<Tile> = derived.into_iter().map(Tile::Value).collect();
        (!tiles.is_empty()).then(|| self.group(DERIVED, None, tiles))
    }

    fn group(
        &self,
        name: &'a str,
        table: Option<ValueTable<'a>>,
        values: Vec<Tile<'a>>,
    ) -> ValueGroup<'a> {
        let keys = values.iter().map(|tile| match tile {
            Tile::Value(record) => &*record.key,
            Tile::Missing(key) => &***key,
        });
        let keys: Vec<&str> = keys.collect();
        // A source stands for all that its keys have in common, another heading for its words.
        let is_source = self.plan.pages.groups.is_empty();
        let context = common_context(&keys, Some(name).filter(|_| !is_source)).to_owned();
        let (tiles, lines) = self.tiles_and_lines(values);
        ValueGroup {
            name,
            context,
            table,
            tiles,
            lines,
            is_folded: false,
            open: usize::MAX,
        }
    }

    /// Elements of lists become lines, and texts that are long or among themselves.
    fn tiles_and_lines(&self, values: Vec<Tile<'a>>) -> (Vec<Tile<'a>>, Vec<ValueLine<'a>>) {
        let is_text = |tile: &Tile| match tile {
            Tile::Value(record) => record.value.text().is_some(),
            Tile::Missing(_) => true,
        };
        let are_texts = values.iter().all(is_text);
        let (mut tiles, mut lines) = (Vec::new(), Vec::new());
        let mut values = values.into_iter().peekable();
        while let Some(tile) = values.next() {
            let Tile::Value(record) = tile else {
                tiles.push(tile);
                continue;
            };
            let mut elements = vec![record];
            while let Some(Tile::Value(next)) =
                values.next_if(|next| self.is_next_element(&elements, next))
            {
                elements.push(next);
            }
            let text = record.value.text().map(|text| text.chars().count());
            match text {
                _ if elements.len() > 1 => lines.push(ValueLine::List(elements)),
                Some(chars) if are_texts || chars > limits::TILE_TEXT_CHARS => {
                    lines.push(ValueLine::Text(record));
                }
                _ => tiles.push(Tile::Value(record)),
            }
        }
        (tiles, lines)
    }

    /// Whether `next` follows the elements before it in their list: `x.0`, `x.1`.
    fn is_next_element(&self, elements: &[&Record], next: &Tile) -> bool {
        let (Some(first), Tile::Value(next)) = (elements.first(), next) else {
            return false;
        };
        let list = self.list_of(first, 0);
        list.is_some() && list == self.list_of(next, elements.len()) && first.unit == next.unit
    }

    /// The list whose element `at` a record is, unless it has a label of its own.
    fn list_of<'r>(&self, record: &'r Record, at: usize) -> Option<&'r str> {
        let list = record.key.strip_suffix(at.to_string().as_str())?;
        let list = list.strip_suffix(['.', '/'])?;
        record.value.number()?;
        let own = self.plan.keys.get(&record.key);
        own.is_none_or(|it| it.label.is_none()).then_some(list)
    }

    fn count_ungrouped(&mut self) -> Vec<(&'a str, usize)> {
        let derived = self.derived();
        let mut counts = Vec::new();
        for source in &self.snapshot.sources {
            let of_source = self.take_where(|it| it.sources.first() == Some(&source.name));
            if !of_source.is_empty() {
                counts.push((&*source.name, of_source.len()));
            }
        }
        counts.extend(derived.map(|it| (it.name, it.tiles.len() + it.lines.len())));
        counts
    }
}

/// A value and where it stands in a table: row, column, record.
type Place<'a> = (&'a str, &'a str, &'a Record);

/// The values of a matrix; its named rows and columns first.
fn matrix_table<'a>(matrix: &'a MatrixPlan, records: &[&'a Record]) -> Option<ValueTable<'a>> {
    let place = |record: &&'a Record| {
        let (row, column) = matrix.place(&record.key)?;
        Some((row, column, *record))
    };
    let places: Vec<Place> = records.iter().filter_map(place).collect();
    table(&matrix.rows, &matrix.columns, &places)
}

fn table<'a>(
    rows: &'a [(String, String)],
    columns: &'a [(String, String)],
    places: &[Place<'a>],
) -> Option<ValueTable<'a>> {
    let cells: BTreeMap<(&str, &str), &Record> = places
        .iter()
        .map(|(row, column, record)| ((*row, *column), *record))
        .collect();
    let column = |(part, name): (&'a str, Option<&'a str>)| {
        let of_column = places.iter().filter(|place| place.1 == part);
        let mut of_column = of_column.map(|place| place.2);
        let first = of_column.next()?;
        let unit = first.unit.as_ref();
        let unit = unit.filter(|_| of_column.all(|record| record.unit == first.unit));
        Some(TableColumn {
            name,
            part,
            first,
            unit,
        })
    };
    let columns = in_order(columns, places.iter().map(|place| place.1));
    let columns: Vec<TableColumn> = columns.into_iter().filter_map(column).collect();
    let rows = in_order(rows, places.iter().map(|place| place.0));
    let rows: Vec<TableRow> = rows
        .into_iter()
        .map(|(part, name)| {
            let cell = |column: &TableColumn| cells.get(&(part, column.part)).copied();
            let cells = columns.iter().map(cell).collect();
            TableRow { name, part, cells }
        })
        .filter(|row| row.cells.iter().any(Option::is_some))
        .collect();
    (!rows.is_empty()).then_some(ValueTable { columns, rows })
}

/// The named parts in their order, then the others that there are.
fn in_order<'a>(
    named: &'a [(String, String)],
    found: impl Iterator<Item = &'a str>,
) -> Vec<(&'a str, Option<&'a str>)> {
    let named = named.iter();
    let mut parts: Vec<(&str, Option<&str>)> = named
        .map(|(part, name)| (part.as_str(), Some(name.as_str())))
        .collect();
    let mut known: BTreeSet<&str> = parts.iter().map(|(part, _)| *part).collect();
    let others = found.filter(|part| known.insert(part));
    parts.extend(others.map(|part| (part, None)));
    parts
}

/// The table of a source whose templates differ behind the element: `room.{id}.co2`. Its
/// records are taken out of `records`.
fn template_table<'a>(
    source: &'a SourcePlan,
    records: &mut Vec<&'a Record>,
) -> Option<ValueTable<'a>> {
    let (before, endings) = template_parts(source)?;
    let place = |record: &'a Record| {
        let inner = record.key.strip_prefix(before)?;
        let fitting = endings.iter().filter(|ending| inner.ends_with(**ending));
        let ending = fitting.max_by_key(|ending| ending.len())?;
        let row = inner.strip_suffix(ending).filter(|row| !row.is_empty())?;
        let column = ending.trim_start_matches(['.', '_', '/', ':', '-']);
        Some((row, column, record))
    };
    let mut places: Vec<Place> = records.iter().filter_map(|it| place(it)).collect();
    let order = |column: &str| endings.iter().position(|ending| ending.ends_with(column));
    places.compact_sort_by_key(|(_, column, _)| order(column));
    let table = table(&[], &[], &places)?;
    if table.rows.len() < 2 || table.columns.len() < 2 {
        return None;
    }
    records.retain(|record| place(record).is_none());
    Some(table)
}

/// What the templates of a source have before their element, and what each has behind it.
fn template_parts(source: &SourcePlan) -> Option<(&str, Vec<&str>)> {
    let Selection::Selectors(selectors) = &source.selection else {
        return None;
    };
    let templates = selectors.iter().filter(|selector| selector.is_template());
    let mut parts = templates.filter_map(|selector| {
        let (before, rest) = selector.key.split_once('{')?;
        let (_, after) = rest.split_once('}')?;
        (!after.is_empty() && !after.contains('{')).then_some((before, after))
    });
    let (before, first) = parts.next()?;
    let mut endings = vec![first];
    endings.extend(parts.filter(|part| part.0 == before).map(|part| part.1));
    Some((before, endings))
}

#[cfg(test)]
#[path = "tests/grouping.rs"]
mod tests;
