//! Runs what blocks (disk, hashing, programs) beside the async threads.

use tokio::task::JoinHandle;

/// Runs `work` on a thread of its own and returns its result.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    result(tokio::task::spawn_blocking(work)).await
}

/// Waits for work that runs on a thread of its own; a panic there goes on here.
pub(crate) async fn result<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Cancelled: the runtime is going down, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        },
    }
}
