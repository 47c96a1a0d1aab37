//! The one thread of an image, for what is made once at first use: the table of the P-256 generator.

/// Nobody else is there to wait for.
struct Alone;

critical_section::set_impl!(Alone);

// SAFETY: an image is made without threads, and no import calls back, so nothing comes in between.
unsafe impl critical_section::Impl for Alone {
    unsafe fn acquire() {}

    unsafe fn release((): critical_section::RawRestoreState) {}
}
