//! Parses rich (boolean) dependencies.
