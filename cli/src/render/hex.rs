//! Bytes that may be anything.

use std::fmt::Write as _;

/// How many bytes a line shows.
const LINE: usize = 16;

/// Bytes for people: where they are, hexadecimal, and what of them can be printed.
pub fn dump(bytes: &[u8]) -> String {
    let lines = bytes.chunks(LINE).enumerate().map(|(line, bytes)| {
        let numbers: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let letters: String = bytes.iter().map(|byte| printable(*byte)).collect();
        let width = 3 * LINE - 1;
        format!("  {:06x}  {:width$}  {letters}", line * LINE, numbers.join(" "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Bytes for scripts: hexadecimal.
pub fn plain(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn printable(byte: u8) -> char {
    if byte.is_ascii_graphic() || byte == b' ' {
        byte.into()
    } else {
        '.'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_seen_and_never_obeyed() {
        let bytes: Vec<u8> = (0x18..0x29).chain([0xff]).collect();
        assert_eq!(
            dump(&bytes),
            "  000000  18 19 1a 1b 1c 1d 1e 1f 20 21 22 23 24 25 26 27  ........ !\"#$%&'\n\
             \x20 000010  28 ff                                            (."
        );
        assert_eq!((plain(&bytes[..2]), dump(&[])), ("1819".to_owned(), String::new()));
    }
}
