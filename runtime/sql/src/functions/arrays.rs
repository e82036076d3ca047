//! What can be asked of and done with the items of arrays. NULL items are equal to each other; a NULL array gives NULL.

use super::collection::item_type;
use super::definition::Param::{Any, Array as List, Boolean, Long, Map, Text};
use super::definition::{Call, Function, Param, Returns};
use super::nested::{Lists, Pool, array_of, map_of, map_parts, pick};
use super::types::common_type;
use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Int32Type};
use datafusion_common::{Result, plan_err};
use std::ops::Range;

pub(super) fn functions() -> Vec<Function> {
    let int = || Returns::Type(DataType::Int32);
    let same = || Returns::SameAs(0);
    let item = || Returns::Computed(|t, _| item_type(&t[0]));
    let with_item: &[Param] = &[List, Any];
    let two: &[Param] = &[List, List];
    vec![
        Function::new("array_contains", with_item, Returns::Type(DataType::Boolean), array_contains)
            .coerce_all(item_args),
        Function::new("array_position", with_item, int(), array_position).coerce_all(item_args),
        Function::new("array_remove", with_item, same(), array_remove).coerce_all(item_args),
        Function::new("array_append", with_item, same(), |c| extend(c, false)).coerce_all(item_args),
        Function::new("array_prepend", with_item, same(), |c| extend(c, true)).coerce_all(item_args),
        Function::new("array_distinct", &[List], same(), array_distinct),
        Function::new("array_reverse", &[List], same(), array_reverse),
        Function::new("array_slice", &[List, Long, Long], same(), array_slice).optional(1),
        Function::new("array_sort", &[List, Boolean, Boolean], same(), array_sort).optional(2),
        Function::new("array_max", &[List], item(), |c| extreme(c, true)),
        Function::new("array_min", &[List], item(), |c| extreme(c, false)),
        Function::new("array_concat", &[List], same(), array_concat).variadic().coerce_all(list_args),
        Function::new("array_union", two, same(), |c| set_operation(c, Set::Union)).coerce_all(list_args),
        Function::new("array_intersect", two, same(), |c| set_operation(c, Set::Intersect)).coerce_all(list_args),
        Function::new("array_except", two, same(), |c| set_operation(c, Set::Except)).coerce_all(list_args),
        Function::new("array_join", &[List, Text, Text], Returns::Type(DataType::Utf8), array_join).optional(1),
        Function::new("split", &[Text, Text], Returns::Computed(|_, _| Ok(array_of(DataType::Utf8))), split),
        Function::new("map_union", &[Map], same(), map_union).variadic().coerce_all(map_args),
    ]
}

/// The array and the item get one common item type.
fn item_args(types: &[DataType]) -> Result<Vec<DataType>> {
    if types[0] == DataType::Null {
        return Ok(vec![array_of(types[1].clone()), types[1].clone()]);
    }
    let item = common_type(&[item_type(&types[0])?, types[1].clone()])?;
    Ok(vec![array_of(item.clone()), item])
}

fn list_args(types: &[DataType]) -> Result<Vec<DataType>> {
    let items = types.iter().filter(|t| **t != DataType::Null).map(item_type).collect::<Result<Vec<_>>>()?;
    Ok(vec![array_of(common_type(&items)?); types.len()])
}

fn map_args(types: &[DataType]) -> Result<Vec<DataType>> {
    let parts = types.iter().map(map_parts).collect::<Result<Vec<_>>>()?;
    let (keys, values): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    if keys.is_empty() {
        return plan_err!("MAP_UNION wants at least one MAP");
    }
    Ok(vec![map_of(common_type(&keys)?, common_type(&values)?); types.len()])
}

/// The items of the first argument and the values of the second in one pool, and where the second one's value of a row is.
struct WithItem {
    lists: Lists,
    pool: Pool,
    constant: bool,
}

impl WithItem {
    fn of(call: &Call) -> Result<Self> {
        let lists = Lists::of(call, 0)?;
        let (item, constant) = call.arg_array(1)?;
        let pool = Pool::of(&[lists.items.clone(), item.clone()])?;
        Ok(Self { lists, pool, constant })
    }
    fn item(&self, row: usize) -> usize {
        self.pool.index(1, if self.constant { 0 } else { row })
    }
    fn find(&self, row: usize, mut range: Range<usize>) -> Option<usize> {
        let wanted = self.pool.at(self.item(row));
        range.position(|i| self.pool.key(0, i) == wanted)
    }
}

fn array_contains(call: &Call) -> Result<ArrayRef> {
    let a = WithItem::of(call)?;
    call.collect_boolean(|row| Ok(a.lists.get(row).map(|range| a.find(row, range).is_some())))
}

/// 1-based; 0 if it is not there. NULL if the item is.
fn array_position(call: &Call) -> Result<ArrayRef> {
    let a = WithItem::of(call)?;
    let item = &call.args[1];
    call.collect::<Int32Type>(|row| {
        if item.array.is_null(if item.constant { 0 } else { row }) {
            return Ok(None);
        }
        Ok(a.lists.get(row).map(|range| a.find(row, range).map_or(0, |i| i as i32 + 1)))
    })
}

fn array_remove(call: &Call) -> Result<ArrayRef> {
    let a = WithItem::of(call)?;
    a.lists.pick(call, &a.pool.items, |row, range| {
        let unwanted = a.pool.at(a.item(row));
        range.filter(|&i| a.pool.key(0, i) != unwanted).collect()
    })
}

fn extend(call: &Call, front: bool) -> Result<ArrayRef> {
    let a = WithItem::of(call)?;
    a.lists.pick(call, &a.pool.items, |row, range| {
        let item = a.item(row);
        if front { std::iter::once(item).chain(range).collect() } else { range.chain([item]).collect() }
    })
}

/// In the order of first appearance.
fn array_distinct(call: &Call) -> Result<ArrayRef> {
    let lists = Lists::of(call, 0)?;
    let pool = Pool::of(std::slice::from_ref(&lists.items))?;
    lists.pick(call, &pool.items, |_, range| {
        let mut seen = std::collections::HashSet::new();
        range.filter(|&i| seen.insert(pool.at(i))).collect()
    })
}

fn array_reverse(call: &Call) -> Result<ArrayRef> {
    let lists = Lists::of(call, 0)?;
    lists.pick(call, &lists.items, |_, range| range.rev().collect())
}

/// Both ends included, 1-based, negative from the end, 0 as 1.
fn array_slice(call: &Call) -> Result<ArrayRef> {
    let (lists, from) = (Lists::of(call, 0)?, call.longs(1)?);
    let to = if call.has(2) { Some(call.longs(2)?) } else { None };
    pick(call, &lists.items, |row| {
        let (range, from) = (lists.get(row)?, from.get(row)?);
        let length = range.len() as i64;
        let to = match &to {
            None => length,
            Some(to) => to.get(row)?,
        };
        let place = |i: i64| if i < 0 { length + i + 1 } else { i.max(1) };
        let (from, to) = (place(from).max(1), place(to).min(length));
        Some(if from > to { vec![] } else { (range.start + from as usize - 1..range.start + to as usize).collect() })
    })
}

/// Ascending with NULLs first, descending with NULLs last, unless said otherwise.
fn array_sort(call: &Call) -> Result<ArrayRef> {
    let lists = Lists::of(call, 0)?;
    let pool = Pool::of(std::slice::from_ref(&lists.items))?;
    let flag = |i: usize| if call.has(i) { call.booleans(i).map(Some) } else { Ok(None) };
    let (ascending, nulls_first) = (flag(1)?, flag(2)?);
    pick(call, &pool.items, |row| {
        let range = lists.get(row)?;
        let ascending = ascending.as_ref().map_or(Some(true), |f| f.get(row))?;
        let nulls_first = nulls_first.as_ref().map_or(Some(ascending), |f| f.get(row))?;
        let (nulls, mut values): (Vec<usize>, Vec<usize>) = range.partition(|&i| pool.items.is_null(i));
        values.sort_by(|a, b| pool.at(*a).cmp(pool.at(*b)));
        if !ascending {
            values.reverse();
        }
        Some(if nulls_first { [nulls, values].concat() } else { [values, nulls].concat() })
    })
}

/// NULL items do not count; NULL of an empty array.
fn extreme(call: &Call, greatest: bool) -> Result<ArrayRef> {
    let lists = Lists::of(call, 0)?;
    let pool = Pool::of(std::slice::from_ref(&lists.items))?;
    let indices: UInt32Array = (0..call.rows)
        .map(|row| {
            let values = lists.get(row)?.filter(|&i| pool.items.is_valid(i));
            let by = |a: &usize, b: &usize| pool.at(*a).cmp(pool.at(*b));
            if greatest { values.max_by(by) } else { values.min_by(by) }.map(|i| i as u32)
        })
        .collect();
    Ok(take(&pool.items, &indices, None)?)
}

/// All arguments' items in one pool.
fn pooled(call: &Call) -> Result<(Vec<Lists>, Pool)> {
    let lists = (0..call.args.len()).map(|i| Lists::of(call, i)).collect::<Result<Vec<_>>>()?;
    let pool = Pool::of(&lists.iter().map(|l| l.items.clone()).collect::<Vec<_>>())?;
    Ok((lists, pool))
}

fn array_concat(call: &Call) -> Result<ArrayRef> {
    let (lists, pool) = pooled(call)?;
    pick(call, &pool.items, |row| {
        let mut all = vec![];
        for (part, list) in lists.iter().enumerate() {
            all.extend(list.get(row)?.map(|i| pool.index(part, i)));
        }
        Some(all)
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Set {
    Union,
    Intersect,
    Except,
}

/// Without duplicates, in the order of first appearance.
fn set_operation(call: &Call, operation: Set) -> Result<ArrayRef> {
    let (lists, pool) = pooled(call)?;
    pick(call, &pool.items, |row| {
        let of = |part: usize| lists[part].get(row).map(|r| r.map(|i| pool.index(part, i)).collect::<Vec<_>>());
        let (left, right) = (of(0)?, of(1)?);
        let others: std::collections::HashSet<&[u8]> = right.iter().map(|&i| pool.at(i)).collect();
        let mut seen = std::collections::HashSet::new();
        let all = if operation == Set::Union { [left, right].concat() } else { left };
        let wanted = |i: &usize| match operation {
            Set::Union => true,
            Set::Intersect => others.contains(pool.at(*i)),
            Set::Except => !others.contains(pool.at(*i)),
        };
        Some(all.into_iter().filter(wanted).filter(|&i| seen.insert(pool.at(i))).collect())
    })
}

/// NULL items are left out, or written as the third argument.
fn array_join(call: &Call) -> Result<ArrayRef> {
    let (lists, separator) = (Lists::of(call, 0)?, call.texts(1)?);
    let null = if call.has(2) { Some(call.texts(2)?) } else { None };
    let Some(items) = lists.items.as_string_opt::<i32>() else {
        return plan_err!("ARRAY_JOIN wants an array of STRING, got {}", lists.items.data_type());
    };
    call.collect_text(|row, out| {
        let (Some(range), Some(separator)) = (lists.get(row), separator.get(row)) else { return Ok(false) };
        let null = match &null {
            None => None,
            Some(n) => match n.get(row) {
                None => return Ok(false),
                some => some,
            },
        };
        let texts = range.filter_map(|i| if items.is_valid(i) { Some(items.value(i)) } else { null });
        for (i, text) in texts.enumerate() {
            if i > 0 {
                out.push_str(separator);
            }
            out.push_str(text);
        }
        Ok(true)
    })
}

/// The parts of a text; an empty separator gives its characters.
fn split(call: &Call) -> Result<ArrayRef> {
    use arrow::array::{ListBuilder, StringBuilder};
    let (s, separator) = (call.texts(0)?, call.texts(1)?);
    let mut out = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        let (Some(s), Some(separator)) = (s.get(row), separator.get(row)) else {
            out.append(false);
            continue;
        };
        if separator.is_empty() {
            s.chars().for_each(|c| out.values().append_value(c.to_string()));
        } else {
            s.split(separator).for_each(|part| out.values().append_value(part));
        }
        out.append(true);
    }
    Ok(std::sync::Arc::new(out.finish()))
}

/// A later map's value counts.
fn map_union(call: &Call) -> Result<ArrayRef> {
    let lists = (0..call.args.len()).map(|i| Lists::of(call, i)).collect::<Result<Vec<_>>>()?;
    let side = |which: usize| -> Result<Pool> {
        let columns: Vec<ArrayRef> = lists.iter().map(|l| l.items.as_struct().column(which).clone()).collect();
        Pool::of(&columns)
    };
    let (keys, values) = (side(0)?, side(1)?);
    let (mut indices, mut lengths, mut valid) = (vec![], vec![], vec![]);
    for row in 0..call.rows {
        let mut chosen: Vec<usize> = vec![];
        let complete = lists.iter().enumerate().all(|(part, list)| {
            let Some(range) = list.get(row) else { return false };
            for i in range.map(|i| keys.index(part, i)) {
                match chosen.iter_mut().find(|j| keys.at(**j) == keys.at(i)) {
                    Some(j) => *j = i,
                    None => chosen.push(i),
                }
            }
            true
        });
        valid.push(complete);
        lengths.push(if complete { chosen.len() } else { 0 });
        if complete {
            indices.extend(chosen.into_iter().map(|i| i as u32));
        }
    }
    let indices = UInt32Array::from(indices);
    let (k, v) = (take(&keys.items, &indices, None)?, take(&values.items, &indices, None)?);
    Lists::build_map(&call.returns, k, v, lengths, Some(NullBuffer::from(valid)))
}
