//! Commands from the coordinator to a worker thread.

use crate::channel::Parker;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A queue that wakes its reader. Its length is bounded by the protocol: the coordinator has one checkpoint in flight, so at
/// most a handful of commands per task wait here.
#[derive(Debug)]
pub struct Mailbox<T> {
    queue: Mutex<VecDeque<T>>,
    len: AtomicUsize,
    reader: Arc<Parker>,
}

impl<T> Mailbox<T> {
    pub fn new(reader: &Arc<Parker>) -> Self {
        Self { queue: Mutex::default(), len: AtomicUsize::new(0), reader: Arc::clone(reader) }
    }

    pub fn put(&self, message: T) {
        let mut q = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        q.push_back(message);
        self.len.store(q.len(), Ordering::SeqCst);
        drop(q);
        self.reader.wake();
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len.load(Ordering::SeqCst) == 0
    }

    pub fn take(&self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let mut q = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let m = q.pop_front();
        self.len.store(q.len(), Ordering::SeqCst);
        m
    }
}
