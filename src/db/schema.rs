//! Database schema and migrations: creating a database, and migrating an older one.
//!
//! `schema/current.sql` is the whole schema, every column explained; `schema/migrations/` has a
//! file for each version.
//!
//! Runs on whichever thread opens the database, before anybody else sees it. A migration
//! must leave exactly what a fresh database has; a test compares them.

use rusqlite::{Connection, TransactionBehavior};

/// Marks a file as ours: `mnod` in its header.
pub const APPLICATION_ID: i32 = 0x6d6e_6f64;

/// The migration from each version to the next; the first makes version 1 of an empty file. Only
/// ever appended to.
pub const STEPS: &[&str] = &[
    include_str!("schema/migrations/1.sql"),
    include_str!("schema/migrations/2.sql"),
    include_str!("schema/migrations/3.sql"),
    include_str!("schema/migrations/4.sql"),
    include_str!("schema/migrations/5.sql"),
    include_str!("schema/migrations/6.sql"),
    include_str!("schema/migrations/7.sql"),
    include_str!("schema/migrations/8.sql"),
];

/// The version that this program reads and writes.
pub const VERSION: i32 = STEPS.len() as i32;

/// Creates the schema in an empty file. Settings of the first page come before the first table.
pub fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", 4096)?;
    // Space that retention frees can be given back in small steps; afterwards only a
    // complete rewrite could switch this on.
    connection.pragma_update(None, "auto_vacuum", "incremental")?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    migrate(connection, STEPS)
}

/// Runs the missing migrations, each in a transaction.
pub fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version = version(&transaction)?;
        let step = usize::try_from(version).ok().and_then(|at| steps.get(at));
        let Some(step) = step else {
            return transaction.commit();
        };
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version + 1)?;
        transaction.commit()?;
    }
}

pub fn version(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(connection: &Connection) -> Vec<(String, String)> {
        let mut statement = connection
            .prepare("SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY name")
            .expect("sqlite_schema can be read");
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.expect("it can be queried")
            .collect::<Result<_, _>>()
            .expect("every row is two texts")
    }

    fn memory() -> Connection {
        Connection::open_in_memory().expect("memory is a database")
    }

    #[test]
    fn an_upgraded_database_equals_a_fresh_one_from_every_earlier_version() {
        let mut fresh = memory();
        create(&mut fresh).expect("an empty file becomes a database");
        assert_eq!(version(&fresh), Ok(VERSION));
        for earlier in 0..=STEPS.len() {
            let mut old = memory();
            migrate(&mut old, &STEPS[..earlier]).expect("the earlier version can be made");
            assert_eq!(version(&old), Ok(earlier as i32));
            migrate(&mut old, STEPS).expect("it can be upgraded");
            assert_eq!(version(&old), Ok(VERSION));
            assert_eq!(tables(&old), tables(&fresh), "from version {earlier}");
        }
    }

    #[test]
    fn current_sql_is_what_the_migrations_make() {
        // Without comments and blanks: an added column stands on a line of its own.
        let bare = |sql: &str| -> String {
            let lines = sql
                .lines()
                .map(|line| line.split("--").next().unwrap_or_default());
            let text: String = lines.collect();
            text.split_whitespace().collect::<String>().replace('"', "")
        };
        let bare_tables = |connection: &Connection| -> Vec<(String, String)> {
            let found = tables(connection).into_iter();
            found.map(|(name, sql)| (name, bare(&sql))).collect()
        };
        let mut migrated = memory();
        create(&mut migrated).expect("an empty file becomes a database");
        let current = memory();
        current
            .execute_batch(include_str!("schema/current.sql"))
            .expect("it is SQL");
        assert_eq!(bare_tables(&current), bare_tables(&migrated));
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let mut old = memory();
        let steps = [
            "CREATE TABLE a (x)",
            "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1)",
        ];
        migrate(&mut old, &steps).expect_err("the second step cannot be taken");
        assert_eq!(version(&old), Ok(1));
        assert_eq!(tables(&old).len(), 1, "nothing of the second step stays");
        migrate(&mut old, &["CREATE TABLE a (x)", "CREATE TABLE b (x)"])
            .expect("a mended step can be taken later");
        assert_eq!(version(&old), Ok(2));
    }

    #[test]
    fn the_records_table_is_exactly_as_specified() {
        let mut fresh = memory();
        create(&mut fresh).expect("an empty file becomes a database");
        let mut statement = fresh
            .prepare("SELECT name, type, \"notnull\", pk FROM pragma_table_info('records')")
            .expect("the table is there");
        let columns: Vec<(String, String, i64, i64)> = statement
            .query_map([], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .and_then(Iterator::collect)
            .expect("its columns can be read");
        let expected = [
            ("id", "INTEGER", 0, 1),
            ("timestamp", "TEXT", 1, 0),
            ("key", "TEXT", 1, 0),
            ("value", "REAL", 0, 0),
            ("meta", "JSON", 0, 0),
        ]
        .map(|(name, kind, not_null, pk)| (name.to_owned(), kind.to_owned(), not_null, pk));
        assert_eq!(columns, expected);
    }
}
