//! Format 1 of compressed layers: one gzip member of independently compressed chunks.
