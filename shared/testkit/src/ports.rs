//! Loopback ports that stay free while their server is down.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports of PostgreSQL and RabbitMQ, which are promised to an instance also while it is down.
const SERVERS: Range<u16> = 20_000..26_000;
/// Ports of all else. Both ranges end below the one from which Linux takes the ports of outgoing connections (32768 and
/// up): a server that is stopped and started again would find a port of that one taken now and then, and a client that
/// keeps trying to reach it can even end up connected to itself.
const OTHERS: Range<u16> = 26_000..32_000;

static ASKED: AtomicU32 = AtomicU32::new(0);

/// A port of 127.0.0.1 that nobody listens on now and that no outgoing connection will take.
///
/// # Panics
/// If all ports of the range are in use.
#[must_use]
pub fn free_port() -> u16 {
    search(&OTHERS, &HashSet::new())
}

/// A port for an instance of the servers, none of those that are promised to others.
pub(crate) fn free_server_port(promised: &HashSet<u16>) -> u16 {
    search(&SERVERS, promised)
}

fn search(range: &Range<u16>, promised: &HashSet<u16>) -> u16 {
    // Processes start at different places, so that two of them seldom look at the same port at once.
    let start = std::process::id().wrapping_mul(131);
    for _ in range.clone() {
        let offset = start.wrapping_add(ASKED.fetch_add(1, Ordering::Relaxed)) % u32::from(range.end - range.start);
        let port = range.start + u16::try_from(offset).unwrap_or_default();
        if !promised.contains(&port) && is_free(port) {
            return port;
        }
    }
    panic!("no free loopback port in {range:?}")
}

/// Whether a server could listen on this port of 127.0.0.1 now.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_or_promised_is_not_given() {
        let port = free_port();
        let only = port..port + 1;
        let found = |promised: HashSet<u16>| std::panic::catch_unwind(|| search(&only, &promised)).ok();
        assert_eq!(found(HashSet::new()), Some(port));
        assert_eq!(found(HashSet::from([port])), None);
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_eq!(found(HashSet::new()), None);
    }
}
