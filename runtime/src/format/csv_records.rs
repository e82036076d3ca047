//! Finds the records and fields of CSV text. Fields are spans of the input; only those with escapes are copied.
//!
//! Where a record ends does not depend on how much input is at hand, so that every reading of a file finds the same ones.

use super::{BadRecord, RECORD_BYTES_MAX};
use memchr::{memchr, memchr2, memchr3};
use std::ops::Range;

#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    pub delimiter: u8,
    pub quote: Option<u8>,
    pub escape: Option<u8>,
    /// Lines that start with `#` are skipped.
    pub comments: bool,
}

/// A field: of the input, or of the scratch space where `start` has the top bit.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

const SCRATCH: u32 = 1 << 31;

/// The records of one call of [`Records::read`].
pub(super) struct Records {
    dialect: Dialect,
    /// Fields per record; `usize::MAX`: any number, for a header.
    count: usize,
    spans: Vec<Span>,
    ranges: Vec<(u32, u32)>,
    scratch: Vec<u8>,
    pub bad: Vec<BadRecord>,
    pub consumed: usize,
}

enum Found {
    /// Content until `end`, next record at `next`.
    Record {
        end: usize,
        next: usize,
    },
    Bad {
        end: usize,
        next: usize,
        message: String,
    },
    /// The end of the record is not in the input.
    Incomplete,
}

impl Records {
    pub(super) fn new(dialect: Dialect, count: usize) -> Self {
        Self { dialect, count, spans: vec![], ranges: vec![], scratch: vec![], bad: vec![], consumed: 0 }
    }

    /// Good records of the last call.
    pub(super) fn rows(&self) -> usize {
        self.ranges.len()
    }

    /// Where good record `row` is in the input.
    pub(super) fn range(&self, row: usize) -> Range<usize> {
        let (start, end) = self.ranges[row];
        start as usize..end as usize
    }

    #[inline]
    pub(super) fn field<'a>(&'a self, input: &'a [u8], row: usize, place: usize) -> &'a [u8] {
        self.bytes(input, self.spans[row * self.count + place])
    }

    pub(super) fn first_fields<'a>(&'a self, input: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.spans.iter().map(move |s| self.bytes(input, *s))
    }

    #[inline]
    fn bytes<'a>(&'a self, input: &'a [u8], span: Span) -> &'a [u8] {
        if span.start & SCRATCH == 0 {
            &input[span.start as usize..span.end as usize]
        } else {
            &self.scratch[(span.start & !SCRATCH) as usize..span.end as usize]
        }
    }

    /// Finds up to `limit` records; the results of the call before are forgotten.
    pub(super) fn read(&mut self, input: &[u8], stop: usize, last: bool, limit: usize) {
        debug_assert!(input.len() < SCRATCH as usize, "a reader's buffer is far below 2 GiB");
        self.spans.clear();
        self.ranges.clear();
        self.scratch.clear();
        self.bad.clear();
        let mut at = 0;
        let mut records = 0;
        while records < limit && at < stop.min(input.len()) {
            match self.skippable(input, at, last) {
                Some(next) if next > at => {
                    at = next;
                    continue;
                }
                Some(_) => {}
                None => break,
            }
            let fields = self.spans.len();
            let found = self.record(input, at, last);
            match self.counted(found, self.spans.len() - fields) {
                Found::Record { end, next } => {
                    self.ranges.push((at as u32, end as u32));
                    at = next;
                }
                Found::Bad { end, next, message } => {
                    self.spans.truncate(fields);
                    self.bad.push(BadRecord { range: at..end, message });
                    at = next;
                }
                Found::Incomplete => {
                    self.spans.truncate(fields);
                    break;
                }
            }
            records += 1;
        }
        self.consumed = at;
    }

    fn counted(&self, found: Found, fields: usize) -> Found {
        match found {
            Found::Record { end, next } if self.count != usize::MAX && fields != self.count => {
                Found::Bad { end, next, message: format!("{} fields expected, {fields} found", self.count) }
            }
            other => other,
        }
    }

    /// Behind a blank line or a comment that starts at `at`; `at` itself if there is none; `None`: more input is needed.
    fn skippable(&self, input: &[u8], at: usize, last: bool) -> Option<usize> {
        match input[at] {
            b'\n' => Some(at + 1),
            b'\r' => match input.get(at + 1) {
                Some(b'\n') => Some(at + 2),
                Some(_) => Some(at),
                None => last.then_some(at + 1),
            },
            b'#' if self.dialect.comments => super::line(input, at, last).map(|(_, next)| next),
            _ => Some(at),
        }
    }

    fn record(&mut self, input: &[u8], start: usize, last: bool) -> Found {
        let mut at = start;
        loop {
            let quoted = self.dialect.quote.is_some_and(|q| input.get(at) == Some(&q));
            let stop = match (quoted, self.dialect.escape) {
                (true, _) => match self.quoted(input, at + 1, last) {
                    Quoted::Closed { next } => next,
                    Quoted::Incomplete if input.len() - start <= RECORD_BYTES_MAX => return Found::Incomplete,
                    Quoted::Open | Quoted::Incomplete => {
                        return first_line(input, start, last, "a quote is never closed");
                    }
                },
                (false, None) => match memchr2(self.dialect.delimiter, b'\n', &input[at..]) {
                    Some(i) => self.plain(input, at, at + i),
                    None if last => self.plain(input, at, input.len()),
                    None => return Found::Incomplete,
                },
                (false, Some(escape)) => match self.escaped(input, at, escape, last) {
                    Some(stop) => stop,
                    None => return Found::Incomplete,
                },
            };
            match input.get(stop) {
                Some(b) if *b == self.dialect.delimiter => at = stop + 1,
                Some(b'\r') if input.get(stop + 1).is_none() && !last => return Found::Incomplete,
                None if !last => return Found::Incomplete,
                None | Some(b'\n' | b'\r') => return end_of_record(input, start, stop, last),
                Some(_) => return text_after_quote(input, stop, last),
            }
        }
    }

    /// An unquoted field: until the delimiter or line end at `stop`. Gives back where it ended: a `\r` before the line end
    /// belongs to that.
    #[inline]
    fn plain(&mut self, input: &[u8], at: usize, stop: usize) -> usize {
        let ends_line = input.get(stop).is_none_or(|b| *b == b'\n');
        let stop = if ends_line && stop > at && input[stop - 1] == b'\r' { stop - 1 } else { stop };
        self.spans.push(Span { start: at as u32, end: stop as u32 });
        stop
    }

    /// An unquoted field of a dialect with an escape character.
    fn escaped(&mut self, input: &[u8], from: usize, escape: u8, last: bool) -> Option<usize> {
        let mut at = from;
        let begin = self.scratch.len();
        let mut copied = false;
        let mut segment = from;
        loop {
            match memchr3(self.dialect.delimiter, b'\n', escape, &input[at..]).map(|i| at + i) {
                Some(i) if input[i] == escape && i + 1 < input.len() => {
                    self.scratch.extend_from_slice(&input[segment..i]);
                    self.scratch.push(input[i + 1]);
                    copied = true;
                    at = i + 2;
                    segment = at;
                }
                Some(i) if input[i] == escape && !last => return None,
                None if !last => return None,
                found => {
                    let stop = found.filter(|i| input[*i] != escape).unwrap_or(input.len());
                    let ends_line = input.get(stop).is_none_or(|b| *b == b'\n');
                    let stop = if ends_line && stop > segment && input[stop - 1] == b'\r' { stop - 1 } else { stop };
                    if copied {
                        self.scratch.extend_from_slice(&input[segment..stop]);
                        self.push_scratch(begin);
                    } else {
                        self.spans.push(Span { start: from as u32, end: stop as u32 });
                    }
                    return Some(stop);
                }
            }
        }
    }

    fn push_scratch(&mut self, begin: usize) {
        self.spans.push(Span { start: begin as u32 | SCRATCH, end: self.scratch.len() as u32 });
    }

    /// A quoted field whose content starts at `from`.
    fn quoted(&mut self, input: &[u8], from: usize, last: bool) -> Quoted {
        let quote = self.dialect.quote.expect("only called at a quote");
        let escape = self.dialect.escape.filter(|e| *e != quote);
        let begin = self.scratch.len();
        let mut copied = false;
        let (mut at, mut segment) = (from, from);
        loop {
            let rest = &input[at.min(input.len())..];
            let found = match escape {
                Some(e) => memchr2(quote, e, rest),
                None => memchr(quote, rest),
            };
            let Some(i) = found.map(|i| at + i) else { return Quoted::unfinished(last) };
            let escaped = input[i] != quote || input.get(i + 1) == Some(&quote);
            if escaped {
                let Some(&literal) = input.get(i + 1) else { return Quoted::unfinished(last) };
                self.scratch.extend_from_slice(&input[segment..i]);
                self.scratch.push(literal);
                copied = true;
                at = i + 2;
                segment = at;
                continue;
            }
            if i + 1 == input.len() && !last {
                return Quoted::Incomplete; // The next byte may double the quote.
            }
            if copied {
                self.scratch.extend_from_slice(&input[segment..i]);
                self.push_scratch(begin);
            } else {
                self.spans.push(Span { start: from as u32, end: i as u32 });
            }
            return Quoted::Closed { next: i + 1 };
        }
    }
}

enum Quoted {
    Closed {
        next: usize,
    },
    Incomplete,
    /// The input has ended within the quotes.
    Open,
}

impl Quoted {
    fn unfinished(last: bool) -> Self {
        if last { Self::Open } else { Self::Incomplete }
    }
}

/// The record's content ends at `stop`, where the line end (or the end of the input) is.
fn end_of_record(input: &[u8], start: usize, stop: usize, last: bool) -> Found {
    let next = match (input.get(stop), input.get(stop + 1)) {
        (Some(b'\n'), _) => stop + 1,
        (Some(_), Some(b'\n')) => stop + 2,
        (Some(_), None) => stop + 1,
        (Some(_), Some(_)) => return text_after_quote(input, stop, last),
        (None, _) => stop,
    };
    if stop - start > RECORD_BYTES_MAX {
        return first_line(input, start, last, "the record is too long");
    }
    Found::Record { end: stop, next }
}

fn text_after_quote(input: &[u8], stop: usize, last: bool) -> Found {
    match super::line(input, stop, last) {
        Some((line, next)) => Found::Bad { end: line.end, next, message: "text after a closing quote".to_owned() },
        None => Found::Incomplete,
    }
}

/// Gives up the record's first line only: reading goes on behind it.
fn first_line(input: &[u8], start: usize, last: bool, message: &str) -> Found {
    match super::line(input, start, last) {
        Some((line, next)) => Found::Bad { end: line.end, next, message: message.to_owned() },
        None => Found::Incomplete,
    }
}
