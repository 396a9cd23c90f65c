//! The gateway as its users meet it: the built filter inside a real Envoy. One module a topic.

mod cache;
mod clients;
mod configuration;
mod contract;
mod demo;
mod failover;
mod gate;
mod gateway;
mod hygiene;
mod limits;
mod money;
mod observed;
mod page;
mod prometheus;
mod providers;
mod recipes;
mod reload;
mod schemas;
mod sdk;
mod smoke;
mod streams;
mod support;
mod traps;
