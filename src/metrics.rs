//! Every metric, defined once.
