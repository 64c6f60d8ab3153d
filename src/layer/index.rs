//! Stores the merged index of a base, so that a base is read once.
