//! The gateway as its users meet it: the built filter inside a real Envoy. One module a topic.

mod smoke;
mod support;
