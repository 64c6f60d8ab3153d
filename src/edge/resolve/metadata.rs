//! Metadata files of a repository: fetched by digest into the store, checked, decompressed while read.

use std::io::{BufRead, BufReader, Cursor};

use url::Url;

use super::{Edges, ResolveError};
use crate::edge::fetch::Input;
use crate::rpm::package::Checksum;
use crate::rpm::repodata::{self, Repomd};

/// What metadata may come to, decompressed, where repomd.xml does not say: 4 GiB.
const LARGEST_OPEN: u64 = 4 << 30;
/// What a file may have that is not identified by SHA-256: 1 GiB.
const LARGEST_UNSTORED: u64 = 1 << 30;

/// Where a metadata file is named.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) id: &'a str,
    pub(super) url: &'a Url,
    pub(super) repomd: &'a Repomd,
}

/// Opens the metadata file of type `kind`.
pub(super) async fn open(
    place: Place<'_>,
    kind: &str,
    edges: &Edges<'_>,
) -> Result<Box<dyn BufRead + Send>, ResolveError> {
    let record = place.repomd.records.get(kind);
    let record = record.ok_or_else(|| ResolveError::NoMetadata {
        repository: place.id.to_owned(),
        kind: kind.to_owned(),
    })?;
    let url = place
        .url
        .join(&record.href)
        .map_err(|error| ResolveError::Address {
            repository: place.id.to_owned(),
            url: record.href.clone(),
            why: error.to_string(),
        })?;
    let packed: Box<dyn BufRead + Send> = match record.checksum.sha256() {
        Some(digest) => {
            let what = format!("{} of repository {}", file_name(&record.href), place.id);
            let input = Input {
                what,
                urls: vec![url.into()],
                digest,
                size: record.size,
            };
            let mut blobs = edges
                .fetcher
                .fetch_all(edges.store, vec![input], edges.progress)
                .await?;
            Box::new(BufReader::with_capacity(1 << 18, blobs.remove(0).reader()))
        }
        None => {
            let bytes = edges
                .fetcher
                .get(url.as_str(), record.size.unwrap_or(LARGEST_UNSTORED))
                .await?;
            if !Checksum::matches(&record.checksum, &bytes) {
                let file = file_name(&record.href).to_owned();
                return Err(ResolveError::MetadataChecksum {
                    repository: place.id.to_owned(),
                    file,
                });
            }
            Box::new(Cursor::new(bytes))
        }
    };
    let limit = record.open_size.unwrap_or(LARGEST_OPEN);
    repodata::open_compressed(packed, limit).map_err(|source| ResolveError::Unpack {
        repository: place.id.to_owned(),
        file: file_name(&record.href).to_owned(),
        source,
    })
}

fn file_name(href: &str) -> &str {
    href.rsplit('/').next().unwrap_or(href)
}
