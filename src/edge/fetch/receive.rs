//! Takes the body of an answer, or a file: into memory, or hashed into the store.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use reqwest::Response;
use tokio::sync::mpsc;
use url::Url;

use super::error::FetchError;
use super::mirror::shown;
use super::retry::Patience;
use crate::edge::blocking::{self, blocking};
use crate::edge::disk::DiskError;
use crate::edge::store::{BlobWriter, FileBlob, Store, StoreError};
use crate::oci::Digest;

/// What bytes must be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) digest: Digest,
    pub(crate) size: Option<u64>,
}

/// Chunks on their way from the network to the disk. Bounded: a slow disk slows the network, not fills memory.
const IN_FLIGHT: usize = 32;

/// Returns a body of at most `limit` bytes.
pub(crate) async fn document(
    mut response: Response,
    url: &str,
    limit: u64,
    patience: &Patience,
) -> Result<Vec<u8>, FetchError> {
    let too_large = || FetchError::TooLarge {
        url: url.to_owned(),
        limit,
    };
    let announced = response.content_length();
    if announced.is_some_and(|size| size > limit) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = next(&mut response, url, announced, body.len() as u64, patience).await?
    {
        body.extend_from_slice(chunk.as_ref());
        if body.len() as u64 > limit {
            return Err(too_large());
        }
    }
    Ok(body)
}

/// Returns what the store already has, hashed again on a thread of its own.
pub(crate) async fn from_store(
    store: &Store,
    digest: Digest,
    size: Option<u64>,
) -> Result<Option<FileBlob>, StoreError> {
    let store = store.clone();
    blocking(move || store.get_sized(&digest, size)).await
}

/// Streams a body into the store, which hashes and writes on a thread of its own.
pub(crate) async fn into_store(
    mut response: Response,
    url: &str,
    store: &Store,
    expected: Expected,
    patience: &Patience,
    came: &(dyn Fn(u64) + Sync),
) -> Result<FileBlob, FetchError> {
    let announced = response.content_length();
    let wrong_size = |found, more| {
        expected
            .size
            .filter(|wanted| *wanted != found)
            .map(|wanted| FetchError::Size {
                url: url.to_owned(),
                wanted,
                found,
                more,
            })
    };
    if let Some(error) = announced.and_then(|size| wrong_size(size, false)) {
        return Err(error);
    }
    let (chunks, arriving) = mpsc::channel(IN_FLIGHT);
    let to = store.clone();
    let writing = tokio::task::spawn_blocking(move || write(&to, arriving));
    let pumped = async {
        let chunks = chunks;
        let mut received = 0;
        while let Some(chunk) = next(&mut response, url, announced, received, patience).await? {
            let length = chunk.as_ref().len() as u64;
            received += length;
            came(length);
            if expected.size.is_some_and(|wanted| received > wanted) {
                return wrong_size(received, true).map_or(Ok(()), Err);
            }
            if chunks.send(chunk).await.is_err() {
                // The writer has failed and says below why.
                break;
            }
        }
        Ok(())
    };
    let pumped = pumped.await;
    // Waited for also after a failure, so that nothing half-written is left when the error is told.
    let written = blocking::result(writing).await;
    pumped?;
    let writer = written?;
    if let Some(wanted) = expected.size.filter(|wanted| writer.written() < *wanted) {
        // Without a Content-Length, a connection that is cut looks like an end.
        return Err(FetchError::Truncated {
            url: url.to_owned(),
            wanted,
            found: writer.written(),
        });
    }
    let (to, url_owned) = (store.clone(), url.to_owned());
    blocking(move || commit(writer, &to, expected, &url_owned)).await
}

/// Writes chunks until the sender is dropped: at the end, or when the transfer is given up. In that case nobody takes
/// the writer, and its file is gone.
fn write<C: AsRef<[u8]>>(
    store: &Store,
    mut arriving: mpsc::Receiver<C>,
) -> Result<BlobWriter, StoreError> {
    let mut writer = store.writer()?;
    while let Some(chunk) = arriving.blocking_recv() {
        writer.append(chunk.as_ref())?;
    }
    Ok(writer)
}

/// Returns the next chunk of a body.
async fn next(
    response: &mut Response,
    url: &str,
    announced: Option<u64>,
    received: u64,
    patience: &Patience,
) -> Result<Option<impl AsRef<[u8]> + Send + 'static + use<>>, FetchError> {
    response.chunk().await.map_err(|error| {
        let error = FetchError::transport(url, &error, patience.stall);
        match (error, announced) {
            // A connection that breaks off inside a body is best told by how far it came.
            (FetchError::Broken { url, .. }, Some(wanted)) => FetchError::Truncated {
                url,
                wanted,
                found: received,
            },
            (error, _) => error,
        }
    })
}

fn commit(
    writer: BlobWriter,
    store: &Store,
    expected: Expected,
    url: &str,
) -> Result<FileBlob, FetchError> {
    let url = || url.to_owned();
    match writer.commit(Some((expected.digest, expected.size))) {
        Ok(_) => {}
        Err(StoreError::Digest { wanted, found, .. }) => {
            return Err(FetchError::Digest {
                url: url(),
                wanted,
                found,
            });
        }
        Err(StoreError::Size { wanted, found, .. }) => {
            return Err(FetchError::Size {
                url: url(),
                wanted,
                found,
                more: false,
            });
        }
        Err(error) => return Err(error.into()),
    }
    let path = store.path(&expected.digest);
    FileBlob::open(&path)
        .map_err(|error| StoreError::from(DiskError::at("open", &path)(error)).into())
}

/// Returns the file that a `file:` URL names; nothing for other URLs.
pub(super) fn file_path(url: &Url) -> Result<Option<PathBuf>, FetchError> {
    if url.scheme() != "file" {
        return Ok(None);
    }
    let why = || FetchError::Url {
        url: shown(url),
        why: "wanted file:///absolute/path".to_owned(),
    };
    url.to_file_path().map(Some).map_err(|()| why())
}

/// Returns the bytes of a file, at most `limit`.
pub(super) async fn file(path: PathBuf, url: String, limit: u64) -> Result<Vec<u8>, FetchError> {
    blocking(move || {
        let blob = open(&path)?;
        if blob.len() > limit {
            return Err(FetchError::TooLarge { url, limit });
        }
        blob.read_all(limit)
            .map_err(|source| FetchError::File { path, source })
    })
    .await
}

/// Copies a file into the store.
pub(super) async fn file_into_store(
    path: PathBuf,
    url: String,
    store: Store,
    expected: Expected,
) -> Result<FileBlob, FetchError> {
    blocking(move || {
        let blob = open(&path)?;
        if let Some(wanted) = expected.size.filter(|wanted| *wanted != blob.len()) {
            return Err(FetchError::Size {
                url,
                wanted,
                found: blob.len(),
                more: false,
            });
        }
        let mut reader = blob.reader();
        let mut writer = store.writer()?;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match reader
                .read(&mut buffer)
                .map_err(|source| FetchError::File {
                    path: path.clone(),
                    source,
                })? {
                0 => return commit(writer, &store, expected, &url),
                count => writer.append(&buffer[..count])?,
            }
        }
    })
    .await
}

fn open(path: &Path) -> Result<FileBlob, FetchError> {
    FileBlob::open(path).map_err(|source| FetchError::File {
        path: path.to_owned(),
        source,
    })
}
