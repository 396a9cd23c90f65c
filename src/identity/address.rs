//! The client's address.

use std::net::{IpAddr, SocketAddr};

/// The address of the client behind `trusted_hops` proxies.
///
/// With 0 it is what Envoy says (`source.address`), and `x-forwarded-for` has no effect. With N it
/// is the Nth entry of `x-forwarded-for` from the right, since a client can write whatever it likes
/// to the left of what trusted proxies add. Where Envoy itself adds an entry
/// (`use_remote_address: true`) that one counts. A request that has fewer entries did not come
/// through those proxies: it is known by what Envoy says.
///
/// `forwarded` are the values of all `x-forwarded-for` headers in their order.
pub fn client_ip<'a>(
    forwarded: impl Iterator<Item = &'a [u8]> + Clone,
    source_address: &[u8],
    trusted_hops: u32,
) -> Option<IpAddr> {
    let entries = forwarded.flat_map(|value| value.split(|b| *b == b','));
    let claimed = || {
        let hops = usize::try_from(trusted_hops).ok().filter(|hops| *hops > 0)?;
        let from_left = entries.clone().count().checked_sub(hops)?;
        entries.clone().nth(from_left).and_then(parse)
    };
    claimed().or_else(|| parse(source_address))
}

/// What a limit counts an address by. Of IPv6 only the /64: one customer owns all of it.
pub fn limiter_key(address: IpAddr) -> [u8; 16] {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => (v6.to_bits() & NETWORK_64).to_be_bytes(),
    }
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:80`.
fn parse(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let bare = || text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let address = text.parse::<SocketAddr>().map(|socket| socket.ip());
    Some(address.or_else(|_| bare().parse::<IpAddr>()).ok()?.to_canonical())
}

const NETWORK_64: u128 = !(u64::MAX as u128);

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(forwarded: &[&str], source: &str, hops: u32) -> String {
        client_ip(forwarded.iter().map(|v| v.as_bytes()), source.as_bytes(), hops)
            .map_or_else(|| "none".to_owned(), |ip| ip.to_string())
    }

    #[test]
    fn entries_count_from_the_right_over_all_headers() {
        let forwarded = ["203.0.113.9, 198.51.100.1", "198.51.100.2"];
        for (hops, expected) in [
            (0, "192.0.2.1"),
            (1, "198.51.100.2"),
            (2, "198.51.100.1"),
            (3, "203.0.113.9"),
            (4, "192.0.2.1"),
            (u32::MAX, "192.0.2.1"),
        ] {
            assert_eq!(ip(&forwarded, "192.0.2.1:4711", hops), expected, "{hops} hops");
        }
    }

    #[test]
    fn what_a_client_writes_to_the_left_changes_nothing() {
        for spoof in ["1.1.1.1", "1.1.1.1, 2.2.2.2", "", ",,,", "rubbish", "\u{e9}"] {
            let forwarded = format!("{spoof}, 198.51.100.7");
            assert_eq!(ip(&[&forwarded], "192.0.2.1:1", 1), "198.51.100.7", "{spoof:?}");
            assert_eq!(ip(&[spoof], "192.0.2.1:1", 0), "192.0.2.1", "{spoof:?}");
        }
    }

    #[test]
    fn reads_every_way_an_address_is_written() {
        for (source, expected) in [
            ("192.0.2.1:80", "192.0.2.1"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
            ("/var/run/socket", "none"),
            ("", "none"),
            ("[", "none"),
        ] {
            assert_eq!(ip(&[], source, 0), expected, "{source:?}");
        }
    }

    #[test]
    fn a_limit_counts_ipv6_by_its_64_bit_network() {
        let key = |text: &str| limiter_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_ne!(key("0.0.0.0"), key("::"));
    }
}
