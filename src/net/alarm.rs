//! A timer of the kernel that wakes tasks.
//!
//! Runtimes here have no clock of their own (tokio's time driver): that asks for the time before and after every wait for
//! sockets, and has the kernel set up a timer for each, some 600 instructions per turn of a server that needs one ten
//! times a second.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::net::unix::pipe::Receiver;

/// An alarm that rings once each time it is set.
///
/// To the runtime its timer is as good as a pipe: something to wait for and to read.
pub struct Alarm(Receiver);

impl Alarm {
    /// An alarm for tasks of the runtime this is called on; it is not set.
    ///
    /// # Errors
    /// When there is no descriptor left for it.
    pub fn new() -> io::Result<Alarm> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Alarm(Receiver::from_owned_fd_unchecked(timer)?))
    }

    /// Has it ring after so long, and not when it would have rung before.
    pub fn set(&self, after: Duration) {
        // Zero would call it off.
        let after = after.max(Duration::from_nanos(1));
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: after.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: after.subsec_nanos().into(),
            },
        };
        let set = timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once);
        debug_assert!(
            set.is_ok(),
            "a descriptor of its own, and nanoseconds below a second"
        );
    }

    /// Ready once when it has rung. One task at a time: the last one to ask is woken.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(Ok(())) = self.0.poll_read_ready(cx) {
            let mut rings = [0; 8];
            match self.0.try_read(&mut rings) {
                Ok(_) => return Poll::Ready(()),
                // It has been set anew since.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Pending,
            }
        }
        Poll::Pending
    }

    /// Sets it and waits for it.
    pub async fn sleep(&self, after: Duration) {
        self.set(after);
        poll_fn(|cx| self.poll(cx)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rings_once_for_each_time_it_is_set() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        runtime.expect("a runtime").block_on(async {
            let alarm = Alarm::new().expect("a timer");
            alarm.sleep(Duration::ZERO).await;
            let soon = Duration::from_millis(1);
            alarm.set(Duration::from_secs(1000));
            alarm.sleep(soon).await;
            alarm.set(soon);
            std::thread::sleep(2 * soon);
            alarm.set(Duration::MAX);
            let has_rung = poll_fn(|cx| Poll::Ready(alarm.poll(cx).is_ready())).await;
            assert!(!has_rung, "not for the time before");
        });
    }
}
