//! Writes a tree as a layer: tar, both digests, compression on all cores.
