//! What every host must do. One suite for the fake and, in a `contract` build, for Envoy.
