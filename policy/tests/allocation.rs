//! A decision allocates nothing once its scratch memory has grown.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use meshwall_policy::cases::Case;
use meshwall_policy::decide::{Scratch, decide};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the allocations of each thread.
struct Counting;

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn deciding_does_not_allocate() {
    for seed in 0..200 {
        let case = Case::generate(seed, 20);
        let (program, peers) = case.load().unwrap();
        let mut scratch = Scratch::default();
        for question in &case.questions {
            question.ask(|attributes| decide(&program, &peers, attributes, &mut scratch));
        }
        for question in &case.questions {
            question.ask(|attributes| {
                let before = ALLOCATIONS.get();
                decide(&program, &peers, attributes, &mut scratch);
                assert_eq!(ALLOCATIONS.get(), before, "seed {seed}: {question:?}");
            });
        }
    }
}
