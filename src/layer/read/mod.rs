//! Reads layers of any origin into a tree, hashing every file on the way.
