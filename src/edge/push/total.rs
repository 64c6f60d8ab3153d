//! How far a push is in total, beside how far each blob is.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::Shipment;
use crate::edge::progress::{Progress, TaskId};

/// Passes on how far each blob is, and adds it up.
pub(super) struct Total<'a> {
    each: &'a dyn Progress,
    sum: Option<TaskId>,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    /// Bytes that need not be sent.
    spared: u64,
    /// Bytes sent of each blob.
    sent: BTreeMap<TaskId, u64>,
}

impl<'a> Total<'a> {
    /// Begins to count what `shipment` holds.
    pub(super) fn begin(each: &'a dyn Progress, shipment: &Shipment) -> Self {
        let blobs = shipment
            .layers()
            .values()
            .chain(shipment.configs().values());
        let size = blobs.map(|(descriptor, _)| descriptor.size).sum();
        Self {
            each,
            sum: each.begin_total("in total", size),
            counted: Mutex::default(),
        }
    }

    /// Counts bytes that the registry has already.
    pub(super) fn spare(&self, bytes: u64) {
        self.locked().spared += bytes;
        if let Some(sum) = self.sum {
            self.each.advance(sum, bytes);
        }
    }

    /// Ends the sum.
    pub(super) fn end(&self) {
        if let Some(sum) = self.sum {
            self.each.finish(sum);
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Counted> {
        // Numbers alone: a panic elsewhere leaves nothing half-done.
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Total<'_> {
    fn begin(&self, what: &str, size: Option<u64>) -> TaskId {
        self.each.begin(what, size)
    }

    fn begin_sending(&self, what: &str, size: Option<u64>) -> TaskId {
        self.each.begin_sending(what, size)
    }

    fn advance(&self, id: TaskId, bytes: u64) {
        *self.locked().sent.entry(id).or_default() += bytes;
        self.each.advance(id, bytes);
        if let Some(sum) = self.sum {
            self.each.advance(sum, bytes);
        }
    }

    fn restart(&self, id: TaskId) {
        self.each.restart(id);
        let mut counted = self.locked();
        let lost = counted.sent.remove(&id).unwrap_or_default();
        if let Some(sum) = self.sum.filter(|_| lost > 0) {
            self.each.restart(sum);
            let left: u64 = counted.sent.values().sum();
            self.each.advance(sum, counted.spared + left);
        }
    }

    fn finish(&self, id: TaskId) {
        self.each.finish(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Descriptor, media_type};

    /// Notes how far each task is.
    #[derive(Default)]
    struct Notes(Mutex<Vec<u64>>);

    impl Progress for Notes {
        fn begin(&self, _: &str, _: Option<u64>) -> TaskId {
            let mut notes = self.0.lock().expect("no panic");
            notes.push(0);
            TaskId::numbered(notes.len() as u64 - 1)
        }

        fn begin_total(&self, what: &str, size: u64) -> Option<TaskId> {
            Some(self.begin(what, Some(size)))
        }

        fn advance(&self, id: TaskId, bytes: u64) {
            self.0.lock().expect("no panic")[id.number() as usize] += bytes;
        }

        fn restart(&self, id: TaskId) {
            self.0.lock().expect("no panic")[id.number() as usize] = 0;
        }

        fn finish(&self, _: TaskId) {}
    }

    #[test]
    fn the_total_takes_back_what_an_attempt_lost() {
        let notes = Notes::default();
        let shipment = Shipment::new(Descriptor::of(media_type::MANIFEST, b"{}"), b"{}".to_vec());
        let total = Total::begin(&notes, &shipment);
        total.spare(100);
        let (one, other) = (total.begin_sending("a", None), total.begin("b", None));
        total.advance(one, 10);
        total.advance(other, 5);
        total.restart(one);
        total.advance(one, 3);
        assert_eq!(*notes.0.lock().expect("no panic"), [108, 3, 5]);
    }
}
