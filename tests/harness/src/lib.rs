//! What the developer command and the end-to-end tests share.
