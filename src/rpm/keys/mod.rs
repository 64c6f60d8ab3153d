//! Reads and verifies OpenPGP keys and signatures of packages and repositories.
