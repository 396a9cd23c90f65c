//! What tokens cost, in integer micro-dollars.
