//! Lines and dot-stuffed data, with bounds.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt};

/// RFC 5321: 1,000 bytes of a text line, its end included.
const LONGEST_LINE: u64 = 1_000;
/// The most bytes of one mail.
pub(super) const LONGEST_DATA: usize = 1 << 20;
/// A client that says nothing for so long has gone.
const IDLE: Duration = Duration::from_secs(300);

/// The next line, without its end; None when the client has closed.
///
/// # Errors
/// `InvalidData` if it is too long or does not end with CR LF, `TimedOut` if none comes.
pub(super) async fn read_line(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    tokio::time::timeout(IDLE, stream.take(LONGEST_LINE).read_until(b'\n', &mut line)).await??;
    if line.is_empty() {
        return Ok(None);
    }
    match line.strip_suffix(b"\r\n") {
        Some(text) if !text.contains(&b'\r') => Ok(Some(text.to_vec())),
        _ => Err(invalid("a line is too long or does not end with CR LF")),
    }
}

/// What follows DATA, up to the line with a single dot, stuffed dots taken out.
///
/// # Errors
/// As [`read_line`]; `InvalidData` too if it is longer than [`LONGEST_DATA`], `UnexpectedEof` if it ends before.
pub(super) async fn read_data(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut data = Vec::new();
    loop {
        let line = read_line(stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line == b"." {
            return Ok(String::from_utf8_lossy(&data).into_owned());
        }
        data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        data.extend_from_slice(b"\r\n");
        if data.len() > LONGEST_DATA {
            return Err(invalid("the mail is too long"));
        }
    }
}

/// Takes whatever the client sends, and says nothing, until it has gone.
///
/// # Errors
/// If the connection breaks, or `TimedOut` if the client stays for too long.
pub(super) async fn ignore(mut stream: impl AsyncRead + Unpin) -> io::Result<()> {
    tokio::time::timeout(IDLE, tokio::io::copy(&mut stream, &mut tokio::io::sink()))
        .await?
        .map(drop)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stuffed_dots_are_taken_out() {
        let data = read_data(&mut &b"one\r\n..two\r\n.\r\nQUIT\r\n"[..]).await.unwrap();
        assert_eq!(data, "one\r\n.two\r\n");
    }

    #[tokio::test]
    async fn what_is_too_long_or_cut_off_or_badly_ended_is_refused() {
        let long = [b'x'; 1_001];
        let kind = async |input: &[u8]| read_data(&mut &*input).await.unwrap_err().kind();
        assert_eq!(kind(&long).await, io::ErrorKind::InvalidData);
        assert_eq!(kind(b"bare line feed\n.\r\n").await, io::ErrorKind::InvalidData);
        assert_eq!(kind(b"cut off\r\n").await, io::ErrorKind::UnexpectedEof);
        let endless = b"a line\r\n".repeat(LONGEST_DATA / 8 + 1);
        assert_eq!(kind(&endless).await, io::ErrorKind::InvalidData);
    }
}
