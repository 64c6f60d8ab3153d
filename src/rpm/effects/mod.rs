//! What scriptlets and triggers would have done, done natively.
