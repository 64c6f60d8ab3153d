//! Adds the parent directories of the nodes of a layer, with the exact metadata they have below.
