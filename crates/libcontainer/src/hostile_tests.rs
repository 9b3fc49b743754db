//! Bytes that others may have written: a damaged state, a packet of a neighbour in a
//! joined namespace. `fuzz/` asks the same with coverage to guide it.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::state::{AfterGate, State, Summary};
use crate::sync::Received;

const STATE: &[u8] = include_bytes!("../../../fuzz/corpus/state/created.json");
const MESSAGE: &[u8] = br#"{"say":"failed","step":3,"path":"mounts[1]","errno":2,"call":"open"}"#;

/// What the stub says of a call that failed.
const FAILED: &[u8] = b"\xf1\xc0\0\0\x03\0\0\0\x01\0\0\0\x02\0\0\0";

/// `whole` with some of its bytes replaced, and cut off.
fn damaged(whole: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let place = 0..whole.len();
    let bytes = prop_oneof![any::<u8>(), Just(b'"'), Just(b'{'), Just(b'0'), Just(b'-')];
    (
        vec((place, bytes), 0..4),
        prop_oneof![3 => Just(whole.len()), 1 => 0..whole.len()],
    )
        .prop_map(move |(changes, length)| {
            let mut damaged = whole.to_vec();
            for (at, byte) in changes {
                damaged[at] = byte;
            }
            damaged.truncate(length);
            damaged
        })
}

#[test]
fn what_is_damaged_below_is_good() {
    assert!(State::decode(STATE).is_ok());
    assert!(AfterGate::decode(STATE).is_some());
    assert!(matches!(
        Received::decode(MESSAGE, None),
        Ok(Received::Init(..))
    ));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_state_is_refused_or_is_one(bytes in damaged(STATE)) {
        if let Ok(state) = State::decode(&bytes) {
            let again = serde_json::to_vec(&state).unwrap();
            prop_assert_eq!(&State::decode(&again), &Ok(state.clone()));
            // It may be told of as well, and the same is told.
            let summary = Summary::decode(&bytes).unwrap();
            let (told, known) = (summary.identity(), state.identity());
            prop_assert_eq!(told, known);
            prop_assert_eq!(&*summary.id, &state.id);
            prop_assert_eq!(&*summary.bundle, &state.bundle);
            prop_assert_eq!(&*summary.created, &state.created);
            prop_assert_eq!(summary.annotations, state.annotations);
        }
    }

    #[test]
    fn a_packet_is_a_message_or_an_error(
        bytes in prop_oneof![damaged(MESSAGE), damaged(FAILED), vec(any::<u8>(), 0..32)],
    ) {
        drop(Received::decode(&bytes, None));
    }
}
