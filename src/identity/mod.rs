//! Who is calling, from where, and under which request id.

mod address;
mod consumers;
mod request_id;

pub use address::{client_ip, limiter_key};
pub use consumers::{Auth, CREDENTIAL_HEADERS, Consumer, ConsumerId, Mode};
pub use request_id::RequestId;
