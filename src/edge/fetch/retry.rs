//! When to try again, and how long to wait before.

use std::future::Future;
use std::hash::{BuildHasher, Hasher as _, RandomState};
use std::time::{Duration, SystemTime};

/// How long to wait for what.
#[derive(Clone, Debug)]
pub struct Patience {
    /// How often to try again after the first failure.
    pub retries: u32,
    /// The wait before the first new try; it doubles each time, and a random part of up to half is taken off.
    pub backoff: Duration,
    /// The longest wait between two tries, also when a server asks for more.
    pub longest_wait: Duration,
    /// How long a connection may take to come up.
    pub connect: Duration,
    /// How long a server may send nothing.
    pub stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            retries: 5,
            backoff: Duration::from_millis(500),
            longest_wait: Duration::from_secs(60),
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(60),
        }
    }
}

/// Whether trying again makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// It would fail again.
    No,
    /// Perhaps, but rarely: a host that cannot be reached.
    Once,
    /// It may work.
    Yes,
    /// It may work, after this time.
    After(Duration),
}

/// An error that knows whether trying again makes sense.
pub(crate) trait Retryable: Sized {
    /// Tells whether to try again.
    fn retry(&self) -> Retry;

    /// Says how often it was tried.
    fn gave_up(self, tries: u32) -> Self;
}

/// Runs `attempt` (given the number of failures so far) until it works or there is no point in trying again.
pub(crate) async fn retrying<T, E, F>(
    patience: &Patience,
    mut attempt: impl FnMut(u32) -> F + Send,
) -> Result<T, E>
where
    T: Send,
    E: Retryable + Send,
    F: Future<Output = Result<T, E>> + Send,
{
    let mut failures = 0;
    loop {
        let error = match attempt(failures).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        failures += 1;
        let (allowed, least) = match error.retry() {
            Retry::No => (0, Duration::ZERO),
            Retry::Once => (patience.retries.min(1), Duration::ZERO),
            Retry::Yes => (patience.retries, Duration::ZERO),
            Retry::After(wait) => (patience.retries, wait),
        };
        if failures > allowed {
            return Err(if failures > 1 {
                error.gave_up(failures)
            } else {
                error
            });
        }
        let wait = patience
            .wait(failures)
            .max(least)
            .min(patience.longest_wait);
        tokio::time::sleep(wait).await;
    }
}

impl Patience {
    fn wait(&self, failures: u32) -> Duration {
        let full = self
            .backoff
            .saturating_mul(1 << failures.saturating_sub(1).min(16))
            .min(self.longest_wait);
        // Many clients that failed together must not come back together. Randomness for that alone needs no crate:
        // the keys of the standard library's hash maps are random.
        let random = RandomState::new().build_hasher().finish() >> 32;
        full - full.mul_f64(random as f64 / f64::from(u32::MAX) / 2.0)
    }
}

/// Reads a `Retry-After` header: seconds, or a date seen from `now`.
///
/// <https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.3>
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(u64::from(seconds)));
    }
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(http_date(value)?);
    Some(at.duration_since(now).unwrap_or(Duration::ZERO))
}

/// Reads a date in the one form that servers may send: `Sun, 06 Nov 1994 08:49:37 GMT`. Seconds since 1970 UTC.
///
/// <https://www.rfc-editor.org/rfc/rfc9110.html#section-5.6.7>
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: u64 = words
        .next()?
        .parse()
        .ok()
        .filter(|day| (1..=31).contains(day))?;
    let month_name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == month_name)? as u64 + 1;
    let year: u64 = words
        .next()?
        .parse()
        .ok()
        .filter(|year| (1970..=9999).contains(year))?;
    let mut time = words
        .next()?
        .split(':')
        .map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    if words.next()? != "GMT" || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970-01-01 with the year beginning in March, so that a leap day is its last day.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some((days.checked_sub(719_468)?) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_the_seconds_it_means() {
        assert_eq!(
            http_date("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777)
        );
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(
            http_date("Tue, 29 Feb 2028 23:59:59 GMT"),
            Some(1_835_481_599)
        );
        for text in [
            "",
            "now",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Xxx 1994 08:49:37 GMT",
            "Sun, 06 Nov 1 08:49:37 GMT",
        ] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn a_server_may_give_seconds_or_a_date_to_wait_for() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:00 GMT", now),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-1", now), None);
    }

    #[test]
    fn waits_grow_and_stay_below_the_longest() {
        let patience = Patience {
            longest_wait: Duration::from_secs(3),
            ..Patience::default()
        };
        for failures in 1..40 {
            let wait = patience.wait(failures);
            assert!(
                wait <= Duration::from_secs(3) && wait >= Duration::from_millis(249),
                "{failures}: {wait:?}"
            );
        }
    }
}
