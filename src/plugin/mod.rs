//! The proxy-wasm callbacks, thin: callback, event, step, action.
