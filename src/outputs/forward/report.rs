//! Status of a forwarding output: counts, and sentences about rows that were left out.

use super::super::OutputContext;

/// What is reported of one run.
pub struct Report<'a> {
    context: &'a OutputContext,
    host: String,
    /// One sentence each, from the first row that it is about.
    refused: Option<String>,
    too_old: Option<String>,
    deleted: Option<String>,
    deleted_rows: u64,
    deleted_shown: u64,
}

impl Report<'_> {
    pub fn new(context: &OutputContext, host: String) -> Report<'_> {
        Report {
            context,
            host,
            refused: None,
            too_old: None,
            deleted: None,
            deleted_rows: 0,
            deleted_shown: 0,
        }
    }

    pub fn sent(&self, rows: u64) {
        self.context.status.sent(rows, self.context.clock.now());
    }

    pub fn failed(&self, why: &str) {
        self.context.status.failed(why, self.context.clock.now());
    }

    /// A line that was left out, because the server takes others but not this one.
    pub fn refused(&mut self, line: &str, why: &str) {
        self.context.status.dropped(1);
        if self.refused.is_none() {
            let line = line.trim_end();
            self.refused = Some(format!(
                "{} refused a row, which was left out: {why}; the first was {line}",
                self.host
            ));
            self.show();
        }
    }

    /// Points that the server does not keep any more.
    pub fn too_old(&mut self, points: u64, why: &str) {
        self.context.status.dropped(points);
        if self.too_old.is_none() {
            self.too_old = Some(format!(
                "{} does not keep rows that are as old as some that were sent: {why}",
                self.host
            ));
            self.show();
        }
    }

    /// Rows that retention deleted before they were sent.
    pub fn deleted(&mut self, rows: i64) {
        let Some(rows) = u64::try_from(rows).ok().filter(|rows| *rows > 0) else {
            return;
        };
        self.context.status.dropped(rows);
        self.deleted_rows += rows;
        // Each sentence is logged: not one for each hour that is deleted.
        if self.deleted_rows >= 2 * self.deleted_shown {
            self.deleted_shown = self.deleted_rows;
            self.deleted = Some(format!(
                "{} rows were older than `keep_raw` before {} took them",
                self.deleted_rows, self.host
            ));
            self.show();
        }
    }

    fn show(&self) {
        let sentences = [&self.refused, &self.too_old, &self.deleted];
        let sentences: Vec<&str> = sentences.into_iter().flatten().map(|it| &**it).collect();
        self.context.status.note(Some(&sentences.join("; ")));
    }
}
