//! Chooses the packages that answer a request on top of what the base holds.
