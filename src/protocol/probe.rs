//! What the gateway reads of any request body: one pass, borrowed.
