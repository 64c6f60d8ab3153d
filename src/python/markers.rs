//! Evaluates dependency markers for the target, never for the host.
