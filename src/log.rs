//! One JSON line per request, answer or error; never a body, never a credential.
