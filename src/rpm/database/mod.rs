//! The rpm database: read from a base, written for an image.
