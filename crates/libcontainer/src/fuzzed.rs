//! What `fuzz/` reaches of this crate; in no other build.

use crate::state::State;
use crate::sync::Received;

/// A state file: one that is read is written and read again as the same.
pub fn state(bytes: &[u8]) {
    if let Ok(state) = State::decode(bytes) {
        let again = serde_json::to_vec(&state).ok();
        let again = again.and_then(|bytes| State::decode(&bytes).ok());
        assert!(again.as_ref() == Some(&state), "{state:?} became {again:?}");
    }
}

/// A packet of the conversation.
pub fn message(bytes: &[u8]) {
    drop(Received::decode(bytes, None));
}
