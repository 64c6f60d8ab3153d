//! Reads a wheel: metadata, RECORD, entry points, and the nodes it installs.
