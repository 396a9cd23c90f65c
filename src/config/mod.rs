//! What the user wrote, checked whole, and what it means.
