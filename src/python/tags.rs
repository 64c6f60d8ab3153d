//! Wheel file names and compatibility tags in order of preference.
