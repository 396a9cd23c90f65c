//! The official client libraries, used as their users use them.
