//! The provider role: one attempt at one provider.
