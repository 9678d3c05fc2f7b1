//! The broker: carries a message to all who listen, encoded once per protocol version.
//!
//! ```text
//!   publish ──> registry ──> for each subscriber ──> its outlet
//!                                  └─ the client whose command runs: `own`, written behind the command's reply
//! ```
//!
//! A message must not come in the middle of a reply: what a client's own command sends to it waits in `own` until the
//! executor has the whole reply. A subscriber whose queue passes the hard limit is closed on the spot, so that a slow
//! one cannot fill the memory between two looks of the cron; the executor clears it away after the command.

use crate::pubsub::{Kind, Registry};
use crate::resp::Reply;
use crate::session::{Session, SessionFlags, SessionId, Sessions};

/// Subscriptions, and messages on their way.
pub struct Broker {
    /// Who listens to what.
    pub registry: Registry<SessionId>,
    /// Most bytes a subscriber's queue may hold; 0 for any number.
    pub hard_limit_bytes: u64,
    /// The same for a client that is no subscriber but is told of changes to its cache.
    pub normal_hard_limit_bytes: u64,
    post: Post,
}

/// What a round of deliveries leaves to the executor.
#[derive(Default)]
struct Post {
    /// Messages for the client whose command runs.
    own: Vec<u8>,
    /// Between whose commands others are served, and what that sends to it: for the place behind its last reply.
    between: Option<SessionId>,
    behind: Vec<u8>,
    /// Subscribers closed for being too slow.
    cut_off: Vec<SessionId>,
    /// Bytes handed to outlets.
    pushed_bytes: u64,
    /// Whether those who are sent something are noted.
    notes_receivers: bool,
    /// Those.
    receivers: Vec<SessionId>,
    frame: Frame,
}

/// One message in both protocol versions, each encoded when first asked for. The buffers are kept.
#[derive(Default)]
struct Frame {
    resp2: Vec<u8>,
    resp3: Vec<u8>,
}

impl Frame {
    fn clear(&mut self) {
        self.resp2.clear();
        self.resp3.clear();
    }

    fn bytes(&mut self, words: &[&[u8]], resp3: bool) -> &[u8] {
        let buffer = if resp3 { &mut self.resp3 } else { &mut self.resp2 };
        if buffer.is_empty() {
            let mut reply = Reply::new(buffer, resp3);
            reply.push(words.len());
            words.iter().for_each(|word| reply.bulk(word));
        }
        buffer
    }
}

impl Broker {
    /// A broker without subscribers. `seed` makes the order of channels repeatable.
    pub fn new(seed: u64) -> Broker {
        Broker {
            registry: Registry::new(seed),
            hard_limit_bytes: 0,
            normal_hard_limit_bytes: 0,
            post: Post::default(),
        }
    }

    /// Sends `payload` to the subscribers of a channel and of patterns that match it; how many deliveries that makes.
    /// `from` is the client whose command this is part of. O(subscribers + patterns).
    pub fn publish(
        &mut self,
        sessions: &mut Sessions,
        from: Option<SessionId>,
        channel: &[u8],
        payload: &[u8],
    ) -> usize {
        let (post, limit) = (&mut self.post, self.hard_limit_bytes);
        let mut send = |to: &[SessionId], words: &[&[u8]]| {
            post.send(sessions, from, to, words, limit);
            to.len()
        };
        let subscribers = self.registry.subscribers(Kind::Channel, channel);
        let mut deliveries = send(subscribers, &[b"message", channel, payload]);
        for (pattern, subscribers) in self.registry.matching(channel) {
            deliveries += send(subscribers, &[b"pmessage", pattern, channel, payload]);
        }
        deliveries
    }

    /// As [`Broker::publish`], to the subscribers of a shard channel. O(subscribers).
    pub fn publish_to_shard(
        &mut self,
        sessions: &mut Sessions,
        from: Option<SessionId>,
        channel: &[u8],
        payload: &[u8],
    ) -> usize {
        let subscribers = self.registry.subscribers(Kind::Shard, channel);
        let words: [&[u8]; 3] = [b"smessage", channel, payload];
        self.post
            .send(sessions, from, subscribers, &words, self.hard_limit_bytes);
        subscribers.len()
    }

    /// Sends a push to one client: to `from`, whose command runs, behind its reply.
    pub fn send_to(&mut self, sessions: &mut Sessions, from: Option<SessionId>, to: SessionId, push: &[u8]) {
        let Some(session) = sessions.get_mut(to) else {
            return;
        };
        let limit = if session.flags.contains(SessionFlags::PUBSUB) {
            self.hard_limit_bytes
        } else {
            self.normal_hard_limit_bytes
        };
        if from == Some(to) {
            self.post.own.extend_from_slice(push);
        } else {
            self.post.hand_over(session, to, push, limit);
        }
    }

    /// Notes from now on who is sent something, or not.
    pub fn note_receivers(&mut self, on: bool) {
        self.post.notes_receivers = on;
        self.post.receivers.clear();
    }

    /// Those who were sent something since the last call.
    pub fn take_receivers(&mut self) -> Vec<SessionId> {
        std::mem::take(&mut self.post.receivers)
    }

    /// Whether the last command left nothing for the executor to do.
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.post.own.is_empty() && self.post.pushed_bytes == 0
    }

    /// Moves what the running command sent to its own client behind its reply.
    pub fn append_own(&mut self, reply: &mut Vec<u8>) {
        reply.append(&mut self.post.own);
    }

    /// Others are served between two commands of this client: what it is sent meanwhile is kept.
    pub fn begin_between(&mut self, client: SessionId) {
        self.post.between = Some(client);
    }

    /// That is over. What was kept goes behind the client's last reply, before the messages of its next command.
    pub fn end_between(&mut self, reply: &mut Vec<u8>) {
        self.post.between = None;
        reply.append(&mut self.post.behind);
    }

    /// Takes them away, so that other clients may have a turn in the middle of the command.
    pub fn take_own(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.post.own)
    }

    /// Puts them back.
    pub fn put_own(&mut self, own: Vec<u8>) {
        self.post.own = own;
    }

    /// Bytes handed to outlets since the last call.
    pub fn take_pushed_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.post.pushed_bytes)
    }

    /// Subscribers closed since the last call.
    pub fn take_cut_off(&mut self) -> Vec<SessionId> {
        std::mem::take(&mut self.post.cut_off)
    }
}

impl Post {
    fn send(
        &mut self,
        sessions: &mut Sessions,
        from: Option<SessionId>,
        to: &[SessionId],
        words: &[&[u8]],
        hard_limit_bytes: u64,
    ) {
        self.frame.clear();
        for &id in to {
            let Some(session) = sessions.get_mut(id) else {
                continue;
            };
            if from == Some(id) {
                let bytes = self.frame.bytes(words, session.resp == 3);
                self.own.extend_from_slice(bytes);
                continue;
            }
            let mut frame = std::mem::take(&mut self.frame);
            self.hand_over(
                session,
                id,
                frame.bytes(words, session.resp == 3),
                hard_limit_bytes,
            );
            self.frame = frame;
        }
    }

    /// Gives bytes to a client's outlet, and closes it if that makes too many.
    fn hand_over(&mut self, session: &mut Session, id: SessionId, bytes: &[u8], hard_limit_bytes: u64) {
        if self.notes_receivers {
            self.receivers.push(id);
        }
        if self.between == Some(id) {
            self.behind.extend_from_slice(bytes);
            return;
        }
        self.pushed_bytes += bytes.len() as u64;
        let queued = session.push(bytes) as u64;
        if hard_limit_bytes > 0 && queued > hard_limit_bytes {
            session.close_outlet();
            self.cut_off.push(id);
        }
    }
}
