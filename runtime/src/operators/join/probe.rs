//! A batch of one input on its way past the rows of the other side, in portions.

use super::pairs::{Candidates, Side};
use super::side::{JoinSide, Staged};
use crate::operators::row_slab::{Row, RowId};

/// Stored rows that one portion looks at, matching or not.
const STEPS: usize = 16 * 1024;

pub struct Probe {
    pub side: Side,
    pub staged: Staged,
    /// The row whose partners are being collected.
    row: usize,
    /// The next stored row to look at; `None`: the row has not begun.
    cursor: Option<RowId>,
    /// Where the portion before began and ended, for [`Probe::decisions`].
    portion: (usize, usize),
    /// Matches that the row at `row` had in earlier portions.
    pub matched: u32,
}

/// What a join decides about, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Row of the probe, candidate.
    Pair(usize, usize),
    /// All pairs of this row have been seen.
    RowEnds(usize),
}

impl Probe {
    pub fn new(side: Side, staged: Staged) -> Self {
        Self { side, staged, row: 0, cursor: None, portion: (0, 0), matched: 0 }
    }

    pub fn is_done(&self) -> bool {
        self.row == self.staged.len()
    }

    /// Candidates of the next rows, those that `accept`s row of the probe and stored row, until a portion is full.
    pub fn collect(&mut self, other: &JoinSide, out: &mut Candidates, accept: impl Fn(usize, &Row) -> bool) {
        out.clear();
        let first = self.row;
        self.walk(other, out, accept);
        self.portion = (first, self.row);
    }

    /// Leaves `row` at the first row that is not finished.
    fn walk(&mut self, other: &JoinSide, out: &mut Candidates, accept: impl Fn(usize, &Row) -> bool) {
        let mut steps = 0;
        while self.row < self.staged.len() {
            let mut cursor = self.cursor.take().unwrap_or_else(|| other.first(&self.staged, self.row));
            while !cursor.is_none() {
                if out.is_full() || steps >= STEPS {
                    self.cursor = Some(cursor);
                    return;
                }
                let row = other.rows.get(cursor);
                if accept(self.row, row) {
                    out.push(self.row, cursor);
                }
                cursor = row.next();
                steps += 1;
            }
            self.row += 1;
        }
    }

    /// The pairs of the last portion, each row's end after its last pair (a row that goes on in the next portion has none).
    pub fn decisions<'a>(&self, candidates: &'a Candidates) -> impl Iterator<Item = Decision> + use<'a> {
        let ((mut row, end), mut pair) = (self.portion, 0);
        std::iter::from_fn(move || {
            if candidates.probe.get(pair).is_some_and(|r| *r as usize == row) {
                pair += 1;
                return Some(Decision::Pair(row, pair - 1));
            }
            (row < end).then(|| {
                row += 1;
                Decision::RowEnds(row - 1)
            })
        })
    }
}
