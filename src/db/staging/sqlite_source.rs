//! An SQLite file as the input of an import: the table `records` of another program, or the
//! database of another main-node.
//!
//! Opened so that it cannot be written. Nothing of its schema is run: an ordinary table alone is
//! read, without its indexes, triggers and views.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, params_from_iter};

use super::input::sample;
use super::input_row::InputRow;
use super::sqlite_table::{Table, quoted};
use super::stager::Stager;
use super::{StageError, main_node_source};
use crate::db::file::{self, sibling};
use crate::db::{connection, error, schema};
use crate::limits;

/// Hands all rows of the table to the stager. `failed` makes an error of a text about the input.
pub fn read(
    path: &Path,
    head: &[u8],
    table: &str,
    stager: &mut Stager,
    failed: &dyn Fn(String) -> StageError,
) -> Result<(), StageError> {
    let in_sqlite = |error: rusqlite::Error| failed(describe(path, &error));
    let before = file::file_stamp(path);
    let (connection, is_immutable) = open(path, head).map_err(in_sqlite)?;
    let id = connection.pragma_query_value(None, "application_id", |row| row.get(0));
    let id: i32 = id.map_err(in_sqlite)?;
    let is_main_node = id == schema::APPLICATION_ID && table.eq_ignore_ascii_case("records");
    if is_main_node {
        main_node_source::check_version(&connection, path)
            .map_err(in_sqlite)?
            .map_err(failed)?;
    }
    let table = Table::find(&connection, table)
        .map_err(in_sqlite)?
        .map_err(failed)?;
    stager.place_name = "row";
    stager.report.kind = if is_main_node {
        "another main-node's database".to_owned()
    } else {
        format!("the table {} of an SQLite file", sample(&table.name))
    };
    stager.report.notes.extend(table.note());
    if is_main_node {
        // One view of rows and summaries, whatever is summed up meanwhile; its writer is not kept
        // from writing.
        connection.execute_batch("BEGIN").map_err(in_sqlite)?;
        let tail = main_node_source::Tail::read(&connection).map_err(in_sqlite)?;
        stager.summed_up_until = tail.rows_from();
        read_rows(path, &connection, &table, stager, failed)?;
        tail.stage(&connection, stager, &in_sqlite)?;
    } else {
        read_rows(path, &connection, &table, stager, failed)?;
    }
    if is_immutable && file::file_stamp(path) != before {
        return Err(failed(
            "another program has written to it while it was read; stop that program, or import a \
             copy"
                .to_owned(),
        ));
    }
    Ok(())
}

/// In parts, so that the program that owns the file can write between them.
fn read_rows(
    path: &Path,
    connection: &Connection,
    table: &Table,
    stager: &mut Stager,
    failed: &dyn Fn(String) -> StageError,
) -> Result<(), StageError> {
    let in_sqlite = |error: rusqlite::Error| failed(describe(path, &error));
    let (first, last) = table.row_span(connection).map_err(in_sqlite)?;
    let all = last.saturating_sub(first).saturating_add(1).max(0);
    // By rowid: of several rows with the same key and second the last inserted is the last one.
    let select = format!(
        "SELECT {}, {}, {}, {}, {} FROM {} NOT INDEXED",
        table.row_id.unwrap_or("NULL"),
        table.timestamp,
        table.key,
        table.value,
        table.meta.as_deref().unwrap_or("NULL"),
        quoted(&table.name)
    );
    let most = limits::IMPORT_ROWS_AT_ONCE;
    let sql = match table.row_id {
        Some(id) => format!("{select} WHERE {id} >= ?1 ORDER BY {id} LIMIT {most}"),
        None => select,
    };
    let mut statement = connection.prepare(&sql).map_err(in_sqlite)?;
    let mut place = 0;
    let mut begin = i64::MIN;
    loop {
        let parameters = params_from_iter(table.row_id.map(|_| begin));
        let mut found = statement.query(parameters).map_err(in_sqlite)?;
        let mut count = 0;
        loop {
            let row = match found.next() {
                Ok(Some(row)) => row,
                Ok(None) => break,
                Err(error) => {
                    return Err(failed(format!(
                        "{}; {} rows were read, the last one is row {place}",
                        describe(path, &error),
                        stager.report.read
                    )));
                }
            };
            count += 1;
            let cell = |at: usize| row.get_ref(at).map_err(in_sqlite);
            place = match cell(0)? {
                ValueRef::Integer(id) => id,
                _ => place + 1,
            };
            let done = place.saturating_sub(first).max(0);
            stager.position = Some((done.unsigned_abs(), all.unsigned_abs()));
            stager.take(&InputRow::of(place, cell(1)?, cell(2)?, cell(3)?, cell(4)?))?;
        }
        if table.row_id.is_none() || count < most {
            return Ok(());
        }
        // Where ids are not in order, the file is damaged.
        match place.checked_add(1) {
            Some(next) if next > begin => begin = next,
            _ => return Ok(()),
        }
    }
}

/// A connection that cannot write, and whether it takes the file for one that nobody writes.
fn open(path: &Path, head: &[u8]) -> rusqlite::Result<(Connection, bool)> {
    let real = file::without_links(path);
    // A file of this mode that nobody uses has neither; opened in the usual way, it would get both,
    // and they would stay.
    let is_unused = has_log(head)
        && ["-wal", "-shm"]
            .iter()
            .all(|suffix| !sibling(&real, suffix).exists());
    let connection = if is_unused {
        connection::open_immutable(path)?
    } else {
        connection::open_read_only(path)?
    };
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, limits::IMPORT_CELL_BYTES)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "cache_size", -i64::from(limits::PAGE_CACHE_KIB))?;
    Ok((connection, is_unused))
}

/// Whether SQLite reads a file that begins so with a write-ahead log; one that is damaged may have it
/// for reading alone.
fn has_log(head: &[u8]) -> bool {
    head.get(19) == Some(&2)
}

/// An error of SQLite while the input was read, with what to do.
fn describe(path: &Path, error: &rusqlite::Error) -> String {
    let file = path.display();
    let has_content = |suffix: &str| {
        sibling(&file::without_links(path), suffix)
            .metadata()
            .is_ok_and(|it| it.len() > 0)
    };
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program has locked it; stop that program, or import a copy of the file"
                .to_owned()
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => format!(
            "it is damaged; recover what can be read with \
             `sqlite3 {file} .recover | sqlite3 recovered.db`, and import that file"
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) if has_content("-journal") => format!(
            "the program that wrote it was interrupted; start and stop that program, or run \
             `sqlite3 {file} .tables`, and import it again"
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) if has_content("-wal") => format!(
            "its newest rows are in {file}-wal, which can be read only where this user may write \
             to the directory; copy both files to such a directory"
        ),
        Some(ErrorCode::TooBig) => {
            format!("a cell has more than {} bytes", limits::IMPORT_CELL_BYTES)
        }
        _ => return error::describe(error),
    };
    format!("{advice} ({error})")
}
