//! Commands on sorted sets. What they mean, in any encoding, is [`crate::value::zset`]'s business.

pub mod add;
pub mod chance;
pub mod combine;
pub mod pop;
pub mod query;
pub mod range;
pub mod remove;
pub mod revised;

use crate::resp::Reply;
use crate::value::zset::{Member, with_text};

/// Replies a member.
#[inline]
fn reply_member(reply: &mut Reply<'_>, member: Member<'_>) {
    with_text(member, |text| reply.bulk(text));
}

/// Replies members, with their scores if wanted: a flat list in RESP2, pairs in RESP3.
fn reply_members<'a>(
    reply: &mut Reply<'_>,
    members: impl ExactSizeIterator<Item = (Member<'a>, f64)>,
    with_scores: bool,
) {
    begin_members(reply, members.len(), with_scores);
    members.for_each(|(member, score)| reply_scored(reply, member, score, with_scores));
}

/// The header of `count` members.
fn begin_members(reply: &mut Reply<'_>, count: usize, with_scores: bool) {
    let is_flat = with_scores && !reply.resp3;
    reply.array(if is_flat { 2 * count } else { count });
}

/// One member of a list.
#[inline]
fn reply_scored(reply: &mut Reply<'_>, member: Member<'_>, score: f64, with_score: bool) {
    if with_score && reply.resp3 {
        reply.array(2);
    }
    reply_member(reply, member);
    if with_score {
        reply.double(score);
    }
}
