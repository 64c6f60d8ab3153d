//! Lays wheels out as a virtual environment.
