//! Who and whence: request ids, client addresses, consumers.
