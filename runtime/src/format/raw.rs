//! `raw`: a line is a record with one column, STRING or BYTES; blank lines count.

use super::{BadRecord, DECODE_ROWS, Decoded, Decoder, Encoder, excerpt, line};
use arrow::array::{ArrayRef, AsArray, BinaryBuilder, RecordBatch, StringBuilder};
use arrow_schema::{DataType, SchemaRef};
use std::sync::Arc;

pub(super) struct RawDecoder {
    columns: SchemaRef,
}

impl RawDecoder {
    pub(super) fn new(columns: &SchemaRef) -> Self {
        Self { columns: columns.clone() }
    }
}

impl Decoder for RawDecoder {
    fn decode(&mut self, input: &[u8], stop: usize, last: bool) -> Decoded {
        let text = self.columns.field(0).data_type() == &DataType::Utf8;
        let (mut strings, mut binaries) = (StringBuilder::new(), BinaryBuilder::new());
        let mut bad = vec![];
        let mut at = 0;
        let mut count = 0;
        while count < DECODE_ROWS && at < input.len().min(stop) {
            let Some((range, next)) = line(input, at, last) else { break };
            let bytes = &input[range.clone()];
            match std::str::from_utf8(bytes) {
                Ok(s) if text => strings.append_value(s),
                Err(_) if text => {
                    let message = format!("'{}' is not valid UTF-8", excerpt(bytes));
                    bad.push(BadRecord { range, message });
                }
                _ => binaries.append_value(bytes),
            }
            count += 1;
            at = next;
        }
        let column: ArrayRef = if text { Arc::new(strings.finish()) } else { Arc::new(binaries.finish()) };
        let rows =
            RecordBatch::try_new(self.columns.clone(), vec![column]).expect("the one column has the table's type");
        Decoded { rows, consumed: at, bad }
    }
}

pub(super) struct RawEncoder;

impl Encoder for RawEncoder {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
        let column = rows.column(0);
        for i in 0..rows.num_rows() {
            if column.is_valid(i) {
                match column.data_type() {
                    DataType::Utf8 => out.extend_from_slice(column.as_string::<i32>().value(i).as_bytes()),
                    _ => out.extend_from_slice(column.as_binary::<i32>().value(i)),
                }
            }
            out.push(b'\n');
        }
    }
}
