//! Fuzz entry of the decoders: any bytes as JSON, MessagePack and packed structures.

use super::{cjson, cmsgpack, structs};
use crate::script::context::Context;
use crate::script::lua::Lua;

/// Feeds `bytes` to every decoder; what they accept must have left its values on the stack. The first byte says how to
/// split them where a format is needed as well.
pub fn fuzz_decoders(bytes: &[u8]) {
    const LIMIT_BYTES: usize = 64 << 20;
    let mut lua = Lua::new(Context::default(), LIMIT_BYTES);
    let stack = &mut lua.stack();
    for depth_max in [3, 200] {
        if cjson::decode_text(stack, bytes, depth_max, depth_max > 3).is_ok() {
            assert_eq!(stack.top(), 1, "one value of JSON");
        }
        stack.truncate(0);
    }
    if let Ok(count) = cmsgpack::unpack_bytes(stack, bytes, 0, 0) {
        assert_eq!(stack.top(), count, "as many values as are told");
    }
    stack.truncate(0);
    let Some((&at, rest)) = bytes.split_first() else {
        return;
    };
    let (format, data) = rest.split_at(usize::from(at).min(rest.len()));
    if let Ok(count) = structs::unpack_bytes(stack, format, data, usize::from(at & 3)) {
        assert_eq!(stack.top(), count, "as many values as are told");
    }
}
