//! The real host keeps the contract that the fake keeps.
