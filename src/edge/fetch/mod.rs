//! Gets inputs by URL into the store: mirrors, retries, digests checked while streaming.
