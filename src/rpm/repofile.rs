//! Reads .repo files and substitutes dnf's variables.
