//! Reads RPM headers: the index of tags that packages and databases share.
