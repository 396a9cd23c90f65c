//! Streams: nothing is held back, nothing is changed, every token is counted, however they end.
