//! The result of a bare `SELECT` as a table on the terminal: the rows as they stand, not how they came to be.
//!
//! It takes the lines of the changelog (`+I[1, abc]`) and keeps a multiset; what else is printed passes through.

use crate::connectors::terminal::{StandardTerminal, Stream, Terminal};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};

/// Rows that are drawn; the rest is counted.
const SHOWN: usize = 40;

#[derive(Debug, Default)]
pub struct TableView {
    rows: Mutex<BTreeMap<String, i64>>,
    columns: Vec<String>,
}

impl TableView {
    pub fn new(columns: Vec<String>) -> Self {
        Self { rows: Mutex::default(), columns }
    }

    /// Whether a person looks at standard output.
    pub fn wanted() -> bool {
        io::stdout().is_terminal()
    }

    /// The table as text, with its number of rows.
    pub fn text(&self) -> String {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let all: i64 = rows.values().sum();
        let mut out = format!("{}\n", self.columns.join(" | "));
        let each = rows.iter().flat_map(|(row, n)| std::iter::repeat_n(row, usize::try_from(*n).unwrap_or(0)));
        for row in each.take(SHOWN) {
            let _ = writeln!(out, "{}", row.replace(", ", " | "));
        }
        let more = if all > SHOWN as i64 { format!(", {SHOWN} of them shown") } else { String::new() };
        let _ = writeln!(out, "({all} rows{more})");
        out
    }

    /// False if the line is not a change of a row.
    fn apply(&self, line: &str) -> bool {
        let Some((op, row)) = line.split_at_checked(2) else { return false };
        let Some(row) = row.strip_prefix('[').and_then(|r| r.strip_suffix(']')) else { return false };
        let by = match op {
            "+I" | "+U" => 1,
            "-U" | "-D" => -1,
            _ => return false,
        };
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let n = rows.entry(row.to_owned()).or_default();
        *n += by;
        if *n == 0 {
            rows.remove(row);
        }
        true
    }
}

impl Terminal for TableView {
    fn write(&self, stream: Stream, lines: &str) -> io::Result<()> {
        for line in lines.lines().filter(|l| !self.apply(l)) {
            StandardTerminal.write(stream, &format!("{line}\n"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_become_the_rows_that_stand() {
        let t = TableView::new(vec!["k".into(), "n".into()]);
        t.write(Stream::Out, "+I[a, 1]\n+I[b, 1]\n-U[a, 1]\n+U[a, 2]\n+I[b, 1]\n-D[b, 1]\n").unwrap();
        assert_eq!(t.text(), "k | n\na | 2\nb | 1\n(2 rows)\n");
    }
}
