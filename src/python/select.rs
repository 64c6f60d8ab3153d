//! Chooses the packages and wheels that a uv.lock means for one target.
