//! A filter that somebody else compiled: `struct sock_filter`s of this machine in base64.

use super::assemble::MOST_INSTRUCTIONS;
use crate::SeccompProgram;

/// Size of one `struct sock_filter`.
const INSTRUCTION: usize = 8;

/// Reads it; `None` when the text is no such filter. Whether the program is a sound one
/// is for the kernel to say.
pub(crate) fn read(text: &str) -> Option<SeccompProgram> {
    let bytes = decode(text)?;
    let (instructions, rest) = bytes.as_chunks::<INSTRUCTION>();
    if !rest.is_empty() || !(1..=MOST_INSTRUCTIONS).contains(&instructions.len()) {
        return None;
    }
    let pack = |&[c0, c1, jt, jf, k0, k1, k2, k3]: &[u8; INSTRUCTION]| {
        let code = u64::from(u16::from_ne_bytes([c0, c1]));
        let k = u64::from(u32::from_ne_bytes([k0, k1, k2, k3]));
        code << 48 | u64::from(jt) << 40 | u64::from(jf) << 32 | k
    };
    Some(SeccompProgram {
        instructions: instructions.iter().map(pack).collect(),
        flags: 0,
        notifies: false,
    })
}

/// RFC 4648, section 4, with or without padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end().trim_end_matches('=');
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    for group in text.as_bytes().chunks(4) {
        let mut bits = 0u32;
        for place in 0..4 {
            let digit = group.get(place).map_or(Some(0), |&byte| digit(byte))?;
            bits = bits << 6 | digit;
        }
        let [_, a, b, c] = bits.to_be_bytes();
        match group.len() {
            4 => bytes.extend([a, b, c]),
            3 => bytes.extend([a, b]),
            2 => bytes.push(a),
            _ => return None,
        }
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::{decode, read};

    /// The examples of RFC 4648, section 10.
    #[test]
    fn base64() {
        for (text, plain) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg", "foob"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode(text).as_deref(), Some(plain.as_bytes()), "{text}");
        }
        assert_eq!(
            (decode("Z"), decode("Zm9v\nYmFy"), decode("Z-9v")),
            (None, None, None)
        );
        assert_eq!(decode("++//"), Some(vec![0xfb, 0xef, 0xff]));
    }

    #[test]
    fn instructions() {
        // BPF_RET | BPF_K of SECCOMP_RET_ALLOW, as a little-endian machine has it.
        if cfg!(target_endian = "little") {
            let program = read("BgAAAAAA/38=").expect("a program");
            assert_eq!(program.instructions, [0x0006_0000_7fff_0000]);
        }
        for wrong in ["", "BgAAAAAA/w==", "BgAA*AAA/38="] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let many = "BgAAAAAA/38GAAAAAAD/fwYAAAAAAP9/".repeat(4096 / 3 + 1);
        assert_eq!(read(&many), None);
    }
}
