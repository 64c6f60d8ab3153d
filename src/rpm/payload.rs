//! Reads the files of an RPM and turns them into nodes.
