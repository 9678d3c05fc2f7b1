//! The 24-bit access field of an entry: an LRU clock or an LFU counter with its decrement time.
//!
//! ```text
//! LRU: [ seconds, 24 bits                       ]
//! LFU: [ minutes, 16 bits ][ log counter 8 bits ]
//! ```
//! Compat: the counter starts at 5, grows with probability 1/((counter-5)*factor+1) and loses one per decay period.

use super::entry::Entry;

/// Where a new key's counter starts, so that it is not evicted before it had a chance.
pub const LFU_INITIAL: u32 = 5;

/// How the access field is kept.
#[derive(Debug, Clone, Copy)]
pub struct AccessPolicy {
    /// LFU counters instead of LRU clocks (`maxmemory-policy *-lfu`).
    pub lfu: bool,
    /// `lfu-log-factor`.
    pub log_factor: u32,
    /// `lfu-decay-time`, minutes.
    pub decay_minutes: u32,
    /// Reads leave the field alone (CLIENT NO-TOUCH, a fork under way).
    pub no_touch: bool,
    seconds: u32,
    random: u64,
}

impl Default for AccessPolicy {
    fn default() -> Self {
        AccessPolicy {
            lfu: false,
            log_factor: 10,
            decay_minutes: 1,
            no_touch: false,
            seconds: 0,
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }
}

impl AccessPolicy {
    /// Sets the time, once per drain.
    #[inline]
    pub fn set_time(&mut self, now_ms: i64) {
        self.seconds = (now_ms / 1000) as u32;
    }

    /// The field of a new entry.
    #[inline]
    pub fn fresh(&self) -> u32 {
        if self.lfu {
            (self.minutes() << 8) | LFU_INITIAL
        } else {
            self.seconds & 0x00ff_ffff
        }
    }

    /// The field of a key that comes with a trace of its use. One that the present policy does not keep counts as
    /// fresh.
    pub fn restored(&self, access: super::restore::Access) -> u32 {
        use super::restore::Access;
        match access {
            Access::IdleSeconds(idle) if !self.lfu => self.seconds.wrapping_sub(idle) & 0x00ff_ffff,
            Access::Frequency(counter) if self.lfu => (self.minutes() << 8) | u32::from(counter),
            _ => self.fresh(),
        }
    }

    /// Notes a use of the entry.
    #[inline]
    pub fn touch(&mut self, entry: &mut Entry) {
        if self.no_touch {
            return;
        }
        let old = entry.access();
        let new = if self.lfu {
            self.counted(old)
        } else {
            self.seconds & 0x00ff_ffff
        };
        if new != old {
            entry.set_access(new);
        }
    }

    /// Seconds since the last use (LRU).
    pub fn idle_seconds(&self, entry: &Entry) -> u32 {
        self.seconds.wrapping_sub(entry.access()) & 0x00ff_ffff
    }

    /// The Unix second of the last use (LRU); it stays the same while nobody uses the entry.
    pub fn used_at_seconds(&self, entry: &Entry) -> u32 {
        self.seconds.wrapping_sub(self.idle_seconds(entry))
    }

    /// The counter as it stands now, decay included (LFU).
    pub fn frequency(&self, entry: &Entry) -> u32 {
        self.decayed(entry.access())
    }

    fn minutes(&self) -> u32 {
        (self.seconds / 60) & 0xffff
    }

    fn decayed(&self, field: u32) -> u32 {
        let elapsed = self.minutes().wrapping_sub(field >> 8) & 0xffff;
        let periods = elapsed.checked_div(self.decay_minutes).unwrap_or(0);
        (field & 0xff).saturating_sub(periods)
    }

    fn counted(&mut self, field: u32) -> u32 {
        let counter = self.decayed(field);
        let base = counter.saturating_sub(LFU_INITIAL);
        let one_in = u64::from(base) * u64::from(self.log_factor) + 1;
        let grows = counter < 255 && self.next_random().is_multiple_of(one_in);
        (self.minutes() << 8) | (counter + u32::from(grows))
    }

    /// xorshift: the odds need no better, and a field of the policy keeps them out of every signature.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::entry::NewValue;

    #[test]
    fn idle_time_counts_seconds_since_the_last_touch() {
        let mut policy = AccessPolicy::default();
        policy.set_time(100_000);
        let mut entry = Entry::new(b"k", NewValue::Int(1), None, policy.fresh());
        policy.set_time(107_900);
        assert_eq!(policy.idle_seconds(&entry), 7);
        policy.touch(&mut entry);
        assert_eq!(policy.idle_seconds(&entry), 0);
    }

    #[test]
    fn frequency_grows_with_use_and_decays_with_minutes() {
        let mut policy = AccessPolicy {
            lfu: true,
            ..AccessPolicy::default()
        };
        let mut entry = Entry::new(b"k", NewValue::Int(1), None, policy.fresh());
        for _ in 0..1000 {
            policy.touch(&mut entry);
        }
        let busy = policy.frequency(&entry);
        assert!(busy > LFU_INITIAL + 5, "{busy}");
        policy.set_time(3 * 60_000);
        assert_eq!(policy.frequency(&entry), busy - 3);
    }
}
