//! The table of an SQLite file that an import reads: found by its name, with the columns that it
//! needs.

use rusqlite::Connection;

use crate::domain::text::truncate_list;
use crate::limits;

use super::input::sample;

/// An ordinary table; columns are quoted for SQL.
pub struct Table {
    pub name: String,
    pub timestamp: String,
    pub key: String,
    pub value: String,
    pub meta: Option<String>,
    /// The name by which the id of a row can be read; `None` for a table without.
    pub row_id: Option<&'static str>,
    /// Columns that are not read.
    ignored: Vec<String>,
}

/// A table or view, as SQLite lists it.
struct Listed {
    name: String,
    /// `table`, `view`, `virtual` or `shadow`.
    kind: String,
    has_row_ids: bool,
}

struct Column {
    name: String,
    is_generated: bool,
}

impl Table {
    /// The table of that name, in any case. The inner error is a text to follow a colon.
    pub fn find(connection: &Connection, wanted: &str) -> rusqlite::Result<Result<Table, String>> {
        let tables = list(connection)?;
        let found = tables.iter().find(|it| it.name == wanted).or_else(|| {
            tables
                .iter()
                .find(|it| it.name.eq_ignore_ascii_case(wanted))
        });
        let Some(found) = found else {
            return Ok(Err(format!(
                "it has no table {}: {}",
                sample(wanted),
                describe(connection, &tables)?
            )));
        };
        if found.kind != "table" {
            return Ok(Err(format!(
                "{} is a {}, and what it shows is made by code of the file, which is not run; copy \
                 it to a table: `sqlite3 FILE 'CREATE TABLE copy AS SELECT * FROM {0}'`, and use \
                 --table copy",
                quoted(&found.name),
                match found.kind.as_str() {
                    "view" => "view",
                    _ => "virtual table",
                }
            )));
        }
        let columns = columns(connection, &found.name)?;
        Ok(Table::of(found, &columns))
    }

    fn of(found: &Listed, columns: &[Column]) -> Result<Table, String> {
        let column = |name: &str| columns.iter().find(|it| it.name.eq_ignore_ascii_case(name));
        let missing: Vec<&str> = ["timestamp", "key", "value"]
            .into_iter()
            .filter(|name| column(name).is_none())
            .collect();
        let names: Vec<String> = columns.iter().map(|it| sample(&it.name)).collect();
        if !missing.is_empty() {
            return Err(format!(
                "expected the columns timestamp, key and value in the table {}, found no {}: it \
                 has {}; name another table with --table",
                sample(&found.name),
                missing.join(" and no "),
                truncate_list(&names, limits::IMPORT_NAMES_SHOWN)
            ));
        }
        let read = ["timestamp", "key", "value", "meta"];
        let generated = read
            .iter()
            .filter_map(|it| column(it))
            .find(|it| it.is_generated);
        if let Some(generated) = generated {
            return Err(format!(
                "the column {} of the table {} is computed by code of the file, which is not run; \
                 copy the table: `sqlite3 FILE 'CREATE TABLE copy AS SELECT * FROM {1}'`, and use \
                 --table copy",
                quoted(&generated.name),
                quoted(&found.name)
            ));
        }
        let name_of = |name: &str| column(name).map(|it| quoted(&it.name)).unwrap_or_default();
        let is_known = |name: &str| {
            let mut known = read.iter().chain(&["id"]);
            known.any(|it| name.eq_ignore_ascii_case(it))
        };
        let row_id = ["_rowid_", "rowid", "oid"]
            .into_iter()
            .find(|it| column(it).is_none());
        Ok(Table {
            name: found.name.clone(),
            timestamp: name_of("timestamp"),
            key: name_of("key"),
            value: name_of("value"),
            meta: column("meta").map(|it| quoted(&it.name)),
            row_id: row_id.filter(|_| found.has_row_ids),
            ignored: names.into_iter().filter(|name| !is_known(name)).collect(),
        })
    }

    /// What people should know of the columns.
    pub fn note(&self) -> Option<String> {
        (!self.ignored.is_empty()).then(|| super::ignored_columns(&self.ignored))
    }

    /// The first and the last id of its rows; without ids nothing.
    pub fn row_span(&self, connection: &Connection) -> rusqlite::Result<(i64, i64)> {
        let Some(id) = self.row_id else {
            return Ok((0, -1));
        };
        let table = quoted(&self.name);
        let end = |function: &str| -> rusqlite::Result<Option<i64>> {
            let sql = format!("SELECT {function}({id}) FROM {table} NOT INDEXED");
            connection.query_row(&sql, [], |row| row.get(0))
        };
        Ok((end("min")?.unwrap_or(0), end("max")?.unwrap_or(-1)))
    }
}

/// A name as SQL writes it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn list(connection: &Connection) -> rusqlite::Result<Vec<Listed>> {
    let mut statement = connection.prepare(
        "SELECT name, type, wr FROM pragma_table_list \
         WHERE schema = 'main' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )?;
    let tables = statement.query_map([], |row| {
        Ok(Listed {
            name: row.get(0)?,
            kind: row.get(1)?,
            has_row_ids: !row.get::<_, bool>(2)?,
        })
    })?;
    tables.collect()
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Column>> {
    let mut statement = connection.prepare("SELECT name, hidden FROM pragma_table_xinfo(?1)")?;
    let columns = statement.query_map([table], |row| {
        let hidden: i64 = row.get(1)?;
        Ok(Column {
            name: row.get(0)?,
            // 2 is computed when it is read, 3 when it is written.
            is_generated: hidden >= 2,
        })
    })?;
    columns.collect()
}

/// The tables with their columns, for a message.
fn describe(connection: &Connection, tables: &[Listed]) -> rusqlite::Result<String> {
    if tables.is_empty() {
        return Ok("it has no tables".to_owned());
    }
    let mut texts = Vec::new();
    for table in tables
        .iter()
        .filter(|it| it.kind == "table")
        .take(limits::IMPORT_NAMES_SHOWN + 1)
    {
        let columns = columns(connection, &table.name)?;
        let names: Vec<String> = columns.iter().map(|it| sample(&it.name)).collect();
        texts.push(format!(
            "{} ({})",
            sample(&table.name),
            truncate_list(&names, limits::IMPORT_NAMES_SHOWN)
        ));
    }
    Ok(format!(
        "it has {}; name the one with the columns timestamp, key and value with --table",
        truncate_list(&texts, limits::IMPORT_NAMES_SHOWN)
    ))
}
