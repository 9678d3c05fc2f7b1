//! The thread that syncs the log, so that the executor need not wait for the disk.
//!
//! Jobs are done in order. What is asked for in between is the executor's choice: it asks again when the last sync has
//! ended, so that one sync serves all that was written meanwhile. Since it waits anyway it also keeps the executor's
//! alarm clock.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::base::cpus::spawn_background;
use crate::persist::disk::File;

/// Wakes the executor.
pub type Waker = Box<dyn Fn() + Send>;

/// A file to be synced.
struct Job {
    file: File,
    /// What is durable afterwards, as its asker counts.
    ticket: u64,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    busy: bool,
    /// The last job done well.
    done: u64,
    /// Jobs done in all, well or not.
    ended: u64,
    /// Jobs that failed.
    failed: u64,
    /// How the last of those did.
    errno: Option<i32>,
    /// How long the last job took.
    took: Duration,
    /// When to wake the executor, unless a job comes before.
    alarm: Option<Instant>,
    over: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
    }

    /// Does a job, the only one at that moment.
    fn perform<'a>(&'a self, mut queue: MutexGuard<'a, Queue>, job: &Job) -> MutexGuard<'a, Queue> {
        queue.busy = true;
        drop(queue);
        let started = Instant::now();
        let synced = job.file.sync();
        let took = started.elapsed();
        queue = self.queue();
        (queue.busy, queue.took) = (false, took);
        queue.ended += 1;
        match synced {
            Ok(()) => queue.done = queue.done.max(job.ticket),
            Err(error) => {
                queue.failed += 1;
                queue.errno = Some(error.raw_os_error().unwrap_or(libc::EIO));
            }
        }
        self.changed.notify_all();
        queue
    }

    fn wait_for<'a>(&self, queue: MutexGuard<'a, Queue>, time: Duration) -> MutexGuard<'a, Queue> {
        let waited = self.changed.wait_timeout(queue, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// How far the thread is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// The ticket of the last sync that succeeded.
    pub done: u64,
    /// How many syncs have ended.
    pub ended: u64,
    /// How many have not.
    pub pending: usize,
    /// How many have failed.
    pub failed: u64,
    /// How the last of those did.
    pub errno: Option<i32>,
    /// How long it took.
    pub took: Duration,
}

/// The thread.
pub struct Syncer {
    shared: Arc<Shared>,
}

impl Syncer {
    /// Starts it; `wake` is called after each sync.
    ///
    /// # Errors
    /// There can be no further thread.
    pub fn start(wake: Waker) -> io::Result<Syncer> {
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        spawn_background("aof_fsync", move || work(&theirs, &wake))?;
        Ok(Syncer { shared })
    }

    /// Asks for a sync of `file`.
    pub fn request(&self, file: File, ticket: u64) {
        let mut queue = self.shared.queue();
        queue.alarm = None;
        queue.jobs.push_back(Job { file, ticket });
        drop(queue);
        self.shared.changed.notify_all();
    }

    /// Wakes the executor after `time`, unless it asks for a sync before. For times in which a timer of the runtime
    /// does not go off.
    pub fn wake_after(&self, time: Duration) {
        self.shared.queue().alarm = Some(Instant::now() + time);
        self.shared.changed.notify_all();
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let queue = self.shared.queue();
        Progress {
            done: queue.done,
            ended: queue.ended,
            pending: queue.jobs.len() + usize::from(queue.busy),
            failed: queue.failed,
            errno: queue.errno,
            took: queue.took,
        }
    }

    /// Waits until everything it was asked for is done; lends a hand with that.
    pub fn finish(&self) {
        let mut queue = self.shared.queue();
        loop {
            if queue.busy {
                queue = self.shared.wait(queue);
                continue;
            }
            let Some(job) = queue.jobs.pop_front() else { return };
            queue = self.shared.perform(queue, &job);
        }
    }
}

#[cfg(test)]
impl Syncer {
    /// One without a thread: what is asked for is done by [`Syncer::finish`] only.
    pub fn unattended() -> Syncer {
        Syncer {
            shared: Arc::default(),
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.shared.queue().over = true;
        self.shared.changed.notify_all();
    }
}

fn work(shared: &Shared, wake: &Waker) {
    let mut queue = shared.queue();
    loop {
        let next = if queue.busy { None } else { queue.jobs.pop_front() };
        let Some(job) = next else {
            if queue.over && !queue.busy {
                return;
            }
            queue = idle(shared, queue, wake);
            continue;
        };
        drop(shared.perform(queue, &job));
        wake();
        queue = shared.queue();
    }
}

/// Waits for something to do; goes off when an alarm is due.
fn idle<'a>(shared: &'a Shared, mut queue: MutexGuard<'a, Queue>, wake: &Waker) -> MutexGuard<'a, Queue> {
    let Some(alarm) = queue.alarm else {
        return shared.wait(queue);
    };
    let left = alarm.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        return shared.wait_for(queue, left);
    }
    queue.alarm = None;
    drop(queue);
    wake();
    shared.queue()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn files_are_synced_in_order_and_somebody_is_woken() {
        let woken = Arc::new(AtomicU32::new(0));
        let theirs = Arc::clone(&woken);
        let wake = Box::new(move || {
            theirs.fetch_add(1, Ordering::SeqCst);
        });
        let syncer = Syncer::start(wake).expect("a thread more");
        let file = File::new(tempfile::tempfile().expect("a file"));
        for ticket in 1..=3 {
            syncer.request(file.clone(), ticket);
        }
        while woken.load(Ordering::SeqCst) < 3 {
            std::thread::yield_now();
        }
        let progress = syncer.progress();
        assert_eq!((progress.done, progress.ended, progress.pending), (3, 3, 0));
        // Whoever waits lends a hand.
        syncer.request(file, 4);
        syncer.finish();
        assert_eq!(syncer.progress().done, 4);
    }

    #[test]
    fn an_alarm_wakes_the_executor_once_unless_a_sync_is_asked_for() {
        let woken = Arc::new(AtomicU32::new(0));
        let theirs = Arc::clone(&woken);
        let wake = Box::new(move || {
            theirs.fetch_add(1, Ordering::SeqCst);
        });
        let syncer = Syncer::start(wake).expect("a thread more");
        syncer.wake_after(Duration::from_micros(100));
        while woken.load(Ordering::SeqCst) < 1 {
            std::thread::yield_now();
        }
        syncer.wake_after(Duration::from_secs(3600));
        let file = File::new(tempfile::tempfile().expect("a file"));
        syncer.request(file, 1);
        syncer.finish();
        assert_eq!(syncer.shared.queue().alarm, None);
    }

    #[test]
    fn what_cannot_be_synced_is_told() {
        let syncer = Syncer::start(Box::new(|| {})).expect("a thread more");
        // A socket has nothing to sync.
        let (socket, _other) = std::os::unix::net::UnixStream::pair().expect("two sockets");
        let file = std::fs::File::from(std::os::fd::OwnedFd::from(socket));
        syncer.request(File::new(file), 1);
        syncer.finish();
        let progress = syncer.progress();
        assert_eq!((progress.done, progress.ended), (0, 1));
        assert!(progress.errno.is_some());
    }
}
