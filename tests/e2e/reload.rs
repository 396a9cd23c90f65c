//! A new configuration takes over under traffic; a bad one does not.
