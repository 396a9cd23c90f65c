//! Edits of a JSON body in place: everything else stays byte for byte.
