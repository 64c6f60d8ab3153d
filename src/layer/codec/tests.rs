//! Tests of chunks: whatever is compressed inflates to itself, and whatever is walked never panics.
