//! Compares epochs, versions and releases as rpm does.
