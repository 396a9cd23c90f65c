//! Limits are exact over all workers, and their state is bounded.
