//! Inputs on their way into the store while images are built of them: who needs one waits until it is there.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use futures_util::future::{Either, select};
use tokio::sync::Notify;

use super::fetch::{FetchError, Fetcher, Input};
use super::progress::Progress;
use super::store::Store;
use crate::build::BlobSource;
use crate::layer::RandomRead;
use crate::oci::Digest;

/// Inputs that are being fetched.
pub(super) struct Supply<'a> {
    store: &'a Store,
    coming: Mutex<BTreeSet<Digest>>,
    changed: Condvar,
    unwanted: Notify,
}

impl<'a> Supply<'a> {
    /// Promises that [`Supply::fetch`] will get `inputs`.
    pub(super) fn of(store: &'a Store, inputs: &[&Input]) -> Self {
        Self {
            store,
            coming: Mutex::new(inputs.iter().map(|input| input.digest).collect()),
            changed: Condvar::new(),
            unwanted: Notify::new(),
        }
    }

    /// Fetches what was promised, in this order. When it ends, however it does, nobody waits any more.
    ///
    /// # Errors
    /// As for [`Fetcher::fetch_each`].
    pub(super) async fn fetch(
        &self,
        fetcher: &Fetcher,
        inputs: Vec<&Input>,
        progress: &dyn Progress,
    ) -> Result<(), FetchError> {
        let _end = End(self);
        let came = |digest, _| {
            self.coming().remove(&digest);
            self.changed.notify_all();
        };
        let fetching = fetcher.fetch_each(self.store, inputs, progress, &came);
        match select(pin!(fetching), pin!(self.unwanted.notified())).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => Ok(()),
        }
    }

    /// Gives up what has not come: nobody needs it any more.
    pub(super) fn stop(&self) {
        self.unwanted.notify_one();
    }

    /// Returns a source of these inputs for one image.
    pub(super) fn share(&self) -> Share<'_> {
        Share {
            supply: self,
            is_given_up: AtomicBool::new(false),
        }
    }

    fn coming(&self) -> MutexGuard<'_, BTreeSet<Digest>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends all waiting when fetching ends, also by a panic.
struct End<'s>(&'s Supply<'s>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.coming().clear();
        self.0.changed.notify_all();
    }
}

/// The inputs as one image sees them: it can give up without the others.
pub(super) struct Share<'s> {
    supply: &'s Supply<'s>,
    is_given_up: AtomicBool,
}

impl BlobSource for Share<'_> {
    fn open(&self, digest: &Digest) -> Option<Arc<dyn RandomRead>> {
        let is_awaited = |coming: &mut BTreeSet<Digest>| {
            coming.contains(digest) && !self.is_given_up.load(Ordering::Relaxed)
        };
        let supply = self.supply;
        drop(
            supply
                .changed
                .wait_while(supply.coming(), is_awaited)
                .unwrap_or_else(PoisonError::into_inner),
        );
        supply.store.open(digest)
    }

    fn give_up(&self) {
        // Under the lock, so that nobody looks before and waits after.
        let coming = self.supply.coming();
        self.is_given_up.store(true, Ordering::Relaxed);
        drop(coming);
        self.supply.changed.notify_all();
    }
}

impl BlobSource for Store {
    fn open(&self, digest: &Digest) -> Option<Arc<dyn RandomRead>> {
        self.get(digest)
            .map(|blob| Arc::new(blob) as Arc<dyn RandomRead>)
    }
}
