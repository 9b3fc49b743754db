//! The allocator of a program that lends its memory to children
//! ([`crate::process::run_in_our_memory`]): the system's, until one was killed at it.
//!
//! A child that is killed between two instructions of malloc(3) leaves its lists half
//! changed. What lies on the heap is as it was, for the child only reads what is its
//! parent's; but who asks for more, or gives something back, may crash. From then on
//! every allocation is a mapping of its own and nothing is given back: enough to say
//! what happened, and to leave.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

/// Only ever set by the one thread of this process, on its way out.
static IS_HALF_CHANGED: AtomicBool = AtomicBool::new(false);

/// No smaller on any architecture, and a mapping begins at a page.
const PAGE: usize = 4096;

/// `#[global_allocator] static HEAP: Heap = Heap;`
#[derive(Debug)]
pub struct Heap;

/// A child was killed that may have been allocating.
pub(crate) fn abandon() {
    IS_HALF_CHANGED.store(true, Ordering::Relaxed);
}

fn is_abandoned() -> bool {
    IS_HALF_CHANGED.load(Ordering::Relaxed)
}

/// Zeroed memory, or null.
fn map(layout: Layout) -> *mut u8 {
    let readable = libc::PROT_READ | libc::PROT_WRITE;
    let of_nobody = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    if layout.align() > PAGE {
        return std::ptr::null_mut();
    }
    // SAFETY: a new mapping, where the kernel finds room, touches no other.
    let answer = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            layout.size(),
            readable,
            of_nobody,
            -1,
            0,
        )
    };
    if answer == libc::MAP_FAILED {
        return std::ptr::null_mut();
    }
    answer.cast()
}

// SAFETY: what is returned is the system allocator's or a mapping of its own, large and
// aligned enough; both stay until they are given back, or for ever.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_abandoned() {
            return map(layout);
        }
        // SAFETY: the caller keeps the rules of this function, which are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_abandoned() {
            return map(layout);
        }
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !is_abandoned() {
            // SAFETY: as above; the block is the system's, because mappings are made
            // only afterwards.
            unsafe { System.dealloc(block, layout) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_abandoned() {
            // SAFETY: as above.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller vouches for `size` as a size of this alignment.
        let new = map(unsafe { Layout::from_size_align_unchecked(size, layout.align()) });
        if !new.is_null() {
            // SAFETY: the old block is that long, the new one is another.
            unsafe { std::ptr::copy_nonoverlapping(block, new, layout.size().min(size)) };
        }
        new
    }
}
