//! The one unsafe line of the state: a hint that memory will be read soon. Probing a table that does not fit the cache runs
//! a third faster with it (docs/performance.md).

/// Rows to look ahead: more than the memory's latency in rows, fewer than the processor's outstanding misses allow.
pub(super) const AHEAD: usize = 16;

/// Asks for the cache line of `t`. Changes nothing, and does nothing on processors that we have no instruction for.
#[inline(always)]
#[allow(unsafe_code, reason = "the intrinsic takes a raw pointer")]
pub(super) fn prefetch<T>(t: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing architecturally and cannot fault; SSE is part of x86_64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(t).cast::<i8>());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = t;
}

#[cfg(test)]
mod tests {
    #[test]
    fn prefetch_changes_nothing() {
        let v: Vec<u64> = (0..1000).collect();
        v.iter().for_each(super::prefetch);
        super::prefetch(&());
        assert!(v.iter().enumerate().all(|(i, x)| *x == i as u64));
    }
}
