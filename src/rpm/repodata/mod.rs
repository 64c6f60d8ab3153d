//! Reads repomd.xml, primary.xml and filelists.xml.
