//! Does the same with many things, several at once.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Returns what `work` makes of each of `items`, in their order.
///
/// The heaviest are begun first, so that the last to run alone is a light one.
///
/// # Errors
/// That of the first item, in their order, for which `work` fails; whichever fails first.
pub(crate) fn abreast<T: Sync, R: Send, E: Send>(
    items: &[T],
    threads: usize,
    weight: impl Fn(&T) -> u64,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&at| Reverse(weight(&items[at])));
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(usize::MAX);
    let run = || {
        let mut done = Vec::new();
        while let Some(&at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            // What comes after a failure is of no more interest; what comes before it may fail too.
            if at < failed.load(Ordering::Relaxed) {
                let result = work(&items[at]);
                if result.is_err() {
                    failed.fetch_min(at, Ordering::Relaxed);
                }
                done.push((at, result));
            }
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let threads = threads.clamp(1, items.len().max(1));
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut done = run();
        for thread in others {
            done.extend(
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
        done
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_with_any_number_of_threads() {
        let items: Vec<u64> = (0..100).collect();
        for threads in [0, 1, 3, 200] {
            let done = abreast(
                &items,
                threads,
                |item| item * 7 % 10,
                |item| Ok::<_, ()>(item * 2),
            );
            assert_eq!(done, Ok(items.iter().map(|item| item * 2).collect()));
        }
        let none = abreast(&[], 2, |_: &u64| 0, |item| Ok::<_, ()>(*item));
        assert_eq!(none, Ok(Vec::new()));
    }

    #[test]
    fn the_first_item_that_fails_is_told_although_another_fails_before_it() {
        let items: Vec<u64> = (0..100).collect();
        for threads in [1, 2, 8] {
            // The heavier, so the one that is begun earlier, is the later one.
            let fails = |item: &u64| {
                if [20, 70].contains(item) {
                    Err(*item)
                } else {
                    Ok(())
                }
            };
            assert_eq!(abreast(&items, threads, |item| *item, fails), Err(20));
        }
    }
}
