//! Slots in shared data, and the one compare-and-swap loop.
