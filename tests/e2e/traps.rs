//! The ten traps of the host, each with a test that fails without its cure.
