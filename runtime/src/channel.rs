//! Bounded channels between tasks of one process. A batch moves by pointer.
//!
//! One task writes, one reads. The bound counts batches; control elements (watermark, barrier, end) always fit, because a
//! barrier that waits for room could wait for ever behind a held channel.

use crate::element::Element;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

/// Batches in flight per channel: two to hide the hand-over, doubled so that uneven operators do not starve.
pub const CAPACITY: usize = 4;

/// Lets a worker thread sleep until something comes.
#[derive(Debug, Default)]
pub struct Parker {
    thread: OnceLock<Thread>,
    sleeping: AtomicBool,
}

impl Parker {
    /// Called once by the thread that will sleep here.
    pub fn adopt(&self) {
        self.thread.get_or_init(std::thread::current);
    }

    /// Sleeps until [`Parker::wake`], at most `time`. `ready` is asked once after the intention to sleep is visible.
    pub fn sleep(&self, time: Duration, ready: impl FnOnce() -> bool) {
        self.sleeping.store(true, Ordering::SeqCst);
        if !ready() {
            std::thread::park_timeout(time);
        }
        self.sleeping.store(false, Ordering::SeqCst);
    }

    #[inline]
    pub fn wake(&self) {
        if self.sleeping.swap(false, Ordering::SeqCst)
            && let Some(t) = self.thread.get()
        {
            t.unpark();
        }
    }
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<VecDeque<Element>>,
    /// Batches in the queue.
    batches: AtomicUsize,
    /// Elements in the queue.
    len: AtomicUsize,
    capacity: usize,
    reader: Arc<Parker>,
    writer: Arc<Parker>,
}

#[derive(Debug)]
pub struct Sender(Arc<Shared>);

#[derive(Debug)]
pub struct Receiver(Arc<Shared>);

/// A channel from the thread of `writer` to that of `reader` (they may be the same).
pub fn channel(capacity: usize, writer: &Arc<Parker>, reader: &Arc<Parker>) -> (Sender, Receiver) {
    let s = Arc::new(Shared {
        queue: Mutex::default(),
        batches: AtomicUsize::new(0),
        len: AtomicUsize::new(0),
        capacity,
        reader: Arc::clone(reader),
        writer: Arc::clone(writer),
    });
    (Sender(Arc::clone(&s)), Receiver(s))
}

impl Sender {
    #[inline]
    pub fn has_room(&self) -> bool {
        self.0.batches.load(Ordering::Acquire) < self.0.capacity
    }

    /// The caller has asked [`Sender::has_room`] before sending a batch.
    pub fn send(&self, element: Element) {
        let mut q = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(element, Element::Batch(_)) {
            self.0.batches.fetch_add(1, Ordering::AcqRel);
        }
        q.push_back(element);
        self.0.len.store(q.len(), Ordering::SeqCst);
        drop(q);
        self.0.reader.wake();
    }
}

impl Receiver {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.len.load(Ordering::SeqCst) == 0
    }

    pub fn receive(&self) -> Option<Element> {
        if self.is_empty() {
            return None;
        }
        let mut q = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let e = q.pop_front();
        self.0.len.store(q.len(), Ordering::SeqCst);
        drop(q);
        if matches!(e, Some(Element::Batch(_))) && self.0.batches.fetch_sub(1, Ordering::AcqRel) >= self.0.capacity {
            self.0.writer.wake();
        }
        e
    }
}
