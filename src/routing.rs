//! From the model that a client names to an ordered chain of providers.
