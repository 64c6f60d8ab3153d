//! Reads zip archives strictly: both directories must agree, and no byte may be unaccounted for.
