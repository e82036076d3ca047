//! Routing of a task's output to the channels of downstream tasks.

use crate::channel::Sender;
use crate::element::{Batch, Element};
use crate::row::hash_columns;
use arrow::array::{ArrayRef, Int8Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use sluice_core::key_group::KeyGroups;
use sluice_core::plan::Port;
use std::sync::Arc;

/// How one edge spreads rows over the instances of its target.
pub enum Route {
    /// One channel: the same index, or the only instance.
    Forward,
    /// By key group of these columns; one channel per target instance.
    Hash { keys: Vec<usize>, key_groups: KeyGroups },
    /// Batches in turn.
    Rebalance { next: usize },
}

/// An edge out of a task.
pub struct Edge {
    /// `None`: the end of the chain. `Some(k)`: side output of the k-th operator; `HEAD` of the source.
    pub side: Option<(usize, Port)>,
    pub route: Route,
    pub channels: Vec<Sender>,
}

/// Stands for the head of the chain in [`Edge::side`].
pub const HEAD: usize = usize::MAX;

#[derive(Default)]
pub struct Outputs {
    edges: Vec<Edge>,
    hashes: Vec<u64>,
    indices: Vec<Vec<u32>>,
}

impl Outputs {
    pub fn new(edges: Vec<Edge>) -> Self {
        Self { edges, hashes: vec![], indices: vec![] }
    }

    /// Every channel takes another batch: nobody may be sent half of one.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.edges.iter().all(|e| e.channels.iter().all(Sender::has_room))
    }

    pub fn has_side(&self, link: usize) -> bool {
        self.edges.iter().any(|e| e.side.is_some_and(|(k, _)| k == link))
    }

    pub fn send(&mut self, batch: Batch) {
        self.route(None, &batch);
    }

    /// Side rows that nobody wants are dropped: they were counted by the operator.
    pub fn send_side(&mut self, link: usize, port: Port, batch: Batch) {
        self.route(Some((link, port)), &batch);
    }

    pub fn send_head_side(&mut self, port: Port, batch: Batch) {
        self.route(Some((HEAD, port)), &batch);
    }

    pub fn broadcast(&self, element: Element) {
        for c in self.edges.iter().flat_map(|e| &e.channels) {
            c.send(element.clone());
        }
    }

    fn route(&mut self, side: Option<(usize, Port)>, batch: &Batch) {
        for e in self.edges.iter_mut().filter(|e| e.side == side) {
            match &mut e.route {
                Route::Forward => e.channels[0].send(Element::Batch(batch.clone())),
                Route::Rebalance { next } => {
                    *next = (*next + 1) % e.channels.len();
                    e.channels[*next].send(Element::Batch(batch.clone()));
                }
                Route::Hash { keys, key_groups } => {
                    let columns: Vec<ArrayRef> = keys.iter().map(|k| Arc::clone(batch.rows.column(*k))).collect();
                    hash_columns(&columns, batch.len(), &mut self.hashes);
                    scatter(batch, &self.hashes, *key_groups, &e.channels, &mut self.indices);
                }
            }
        }
    }
}

/// Sends each row to the owner of its key group, with its hash.
fn scatter(batch: &Batch, hashes: &[u64], key_groups: KeyGroups, to: &[Sender], indices: &mut Vec<Vec<u32>>) {
    if to.len() == 1 {
        let b = Batch { hashes: Some(hashes.into()), ..batch.clone() };
        to[0].send(Element::Batch(b));
        return;
    }
    indices.resize_with(to.len(), Vec::new);
    for i in indices.iter_mut() {
        i.clear();
    }
    for (row, h) in hashes.iter().enumerate() {
        indices[key_groups.owner(key_groups.of(*h), to.len())].push(row as u32);
    }
    for (rows, channel) in indices.iter().zip(to).filter(|(r, _)| !r.is_empty()) {
        if rows.len() == batch.len() {
            channel.send(Element::Batch(Batch { hashes: Some(hashes.into()), ..batch.clone() }));
            continue;
        }
        let pick = UInt32Array::from_iter_values(rows.iter().copied());
        let columns = batch
            .rows
            .columns()
            .iter()
            .map(|c| take(c, &pick, None).expect("indices are within the batch"))
            .collect::<Vec<_>>();
        let part = RecordBatch::try_new(batch.rows.schema(), columns).expect("taken columns keep their types");
        let ops = batch.ops.as_ref().map(|o| Int8Array::from_iter_values(rows.iter().map(|r| o.value(*r as usize))));
        let hashes = rows.iter().map(|r| hashes[*r as usize]).collect();
        channel.send(Element::Batch(Batch { rows: part, ops, hashes: Some(hashes) }));
    }
}
