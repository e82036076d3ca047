//! Which columns there are, and their arrays.

use super::model::{Draw, Model};
use super::texts::Texts;
use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray, StructArray, TimestampMillisecondArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Person = 0,
    Auction = 1,
    Bid = 2,
}

pub(super) type Number = fn(&Model, u64) -> i64;
pub(super) type Text = fn(&Texts, &Model, u64, &mut Vec<u8>);

/// How a field is made.
#[derive(Clone, Copy)]
pub(super) enum Maker {
    Number(Number),
    Time(Number),
    Text(Text),
    /// A text of the channel table.
    Channel(Text),
}

/// A column of a declared table.
pub(super) enum Column {
    EventType,
    Field(Maker),
    /// NULL where the event is of another kind.
    Row(Kind, Fields, Vec<Maker>),
}

pub(super) enum ColumnError {
    Unknown { name: String, known: Vec<&'static str> },
    Type { name: String, expected: &'static str },
}

const PERSON: [(&str, Maker); 8] = [
    ("id", Maker::Number(Model::person_id)),
    ("name", Maker::Text(Texts::name)),
    ("emailAddress", Maker::Text(Texts::email)),
    ("creditCard", Maker::Text(Texts::credit_card)),
    ("city", Maker::Text(Texts::city)),
    ("state", Maker::Text(Texts::state)),
    ("dateTime", Maker::Time(Model::time)),
    ("extra", Maker::Text(Texts::person_extra)),
];

const AUCTION: [(&str, Maker); 10] = [
    ("id", Maker::Number(Model::auction_id)),
    ("itemName", Maker::Text(Texts::item)),
    ("description", Maker::Text(Texts::description)),
    ("initialBid", Maker::Number(|m, e| m.price(e, Draw::InitialBid))),
    ("reserve", Maker::Number(Model::reserve)),
    ("dateTime", Maker::Time(Model::time)),
    ("expires", Maker::Time(Model::expires)),
    ("seller", Maker::Number(Model::seller)),
    ("category", Maker::Number(Model::category)),
    ("extra", Maker::Text(Texts::auction_extra)),
];

const BID: [(&str, Maker); 7] = [
    ("auction", Maker::Number(Model::bid_auction)),
    ("bidder", Maker::Number(Model::bidder)),
    ("price", Maker::Number(|m, e| m.price(e, Draw::Price))),
    ("channel", Maker::Channel(Texts::channel)),
    ("url", Maker::Channel(Texts::url)),
    ("dateTime", Maker::Time(Model::time)),
    ("extra", Maker::Text(Texts::bid_extra)),
];

fn fields(kind: Kind) -> &'static [(&'static str, Maker)] {
    match kind {
        Kind::Person => &PERSON,
        Kind::Auction => &AUCTION,
        Kind::Bid => &BID,
    }
}

fn maker(kind: Kind, field: &Field) -> Result<Maker, ColumnError> {
    let known = fields(kind);
    let Some((_, maker)) = known.iter().find(|(n, _)| n == field.name()) else {
        return Err(ColumnError::Unknown {
            name: field.name().clone(),
            known: known.iter().map(|(n, _)| *n).collect(),
        });
    };
    let expected = match maker {
        Maker::Number(_) => (DataType::Int64, "BIGINT"),
        Maker::Time(_) => (DataType::Timestamp(TimeUnit::Millisecond, None), "TIMESTAMP(3)"),
        Maker::Text(_) | Maker::Channel(_) => (DataType::Utf8, "STRING"),
    };
    if field.data_type() == &expected.0 {
        Ok(*maker)
    } else {
        Err(ColumnError::Type { name: field.name().clone(), expected: expected.1 })
    }
}

impl Column {
    pub(super) fn resolve(kind: Option<Kind>, field: &Field) -> Result<Self, ColumnError> {
        if let Some(kind) = kind {
            return maker(kind, field).map(Self::Field);
        }
        let wrong = |expected| ColumnError::Type { name: field.name().clone(), expected };
        let kind = match field.name().as_str() {
            "event_type" if field.data_type() == &DataType::Int32 => return Ok(Self::EventType),
            "event_type" => return Err(wrong("INT")),
            "person" => Kind::Person,
            "auction" => Kind::Auction,
            "bid" => Kind::Bid,
            _ => {
                let known = vec!["event_type", "person", "auction", "bid"];
                return Err(ColumnError::Unknown { name: field.name().clone(), known });
            }
        };
        let DataType::Struct(children) = field.data_type() else { return Err(wrong("a ROW of the event's fields")) };
        let makers = children.iter().map(|f| maker(kind, f)).collect::<Result<_, _>>()?;
        Ok(Self::Row(kind, children.clone(), makers))
    }

    pub(super) fn needs_channels(&self) -> bool {
        let needs = |m: &Maker| matches!(m, Maker::Channel(_));
        match self {
            Self::EventType => false,
            Self::Field(m) => needs(m),
            Self::Row(_, _, makers) => makers.iter().any(needs),
        }
    }

    pub(super) fn make(&self, model: &Model, texts: &Texts, events: &[u64]) -> ArrayRef {
        match self {
            Self::EventType => Arc::new(Int32Array::from_iter_values(events.iter().map(|e| model.kind(*e) as i32))),
            Self::Field(m) => array(*m, model, texts, events, None),
            Self::Row(kind, fields, makers) => {
                let present: Vec<bool> = events.iter().map(|e| model.kind(*e) == *kind).collect();
                let children = makers.iter().map(|m| array(*m, model, texts, events, Some(&present))).collect();
                Arc::new(StructArray::new(fields.clone(), children, Some(NullBuffer::from(present))))
            }
        }
    }
}

/// A field of some events; zero or empty where not `present`, for the row around it is NULL there.
fn array(maker: Maker, model: &Model, texts: &Texts, events: &[u64], present: Option<&[bool]>) -> ArrayRef {
    let here = |i: usize| present.is_none_or(|p| p[i]);
    let nulls = present.map(NullBuffer::from);
    match maker {
        Maker::Number(f) | Maker::Time(f) => {
            let values: Vec<i64> = match present {
                None => events.iter().map(|e| f(model, *e)).collect(),
                Some(_) => events.iter().enumerate().map(|(i, e)| if here(i) { f(model, *e) } else { 0 }).collect(),
            };
            match maker {
                Maker::Time(_) => Arc::new(TimestampMillisecondArray::new(values.into(), nulls)),
                _ => Arc::new(Int64Array::new(values.into(), nulls)),
            }
        }
        Maker::Text(f) | Maker::Channel(f) => {
            let mut bytes = Vec::with_capacity(events.len() * 32);
            let mut offsets = Vec::with_capacity(events.len() + 1);
            offsets.push(0i32);
            for (i, event) in events.iter().enumerate() {
                if here(i) {
                    f(texts, model, *event, &mut bytes);
                }
                offsets.push(bytes.len() as i32);
            }
            let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
            Arc::new(StringArray::try_new(offsets, bytes.into(), nulls).expect("generated texts are ASCII"))
        }
    }
}
