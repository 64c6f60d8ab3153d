//! Writes tar entries: ustar, with PAX records only where ustar cannot say it.
