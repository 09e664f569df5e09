"""Which addresses may be asked at all: never those that no request from here should reach."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Services that hand out a machine's credentials to whoever asks from it, outside the link-local ranges. Sources: the
# documentation of AWS (IMDS over IPv6), Google Cloud (metadata over IPv6), Azure (WireServer), Alibaba and Oracle.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("fd00:ec2::254", "fd20:ce::254", "168.63.129.16", "100.100.100.200", "192.0.0.192")
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are an IPv4 address."""
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
"""RFC 1122 section 3.2.1.3; Linux connects 0.0.0.0 to this machine."""


def why_refused(address: Address, *, private: bool) -> str | None:
    """Why nothing may be sent to `address`; None where it may. `private`: the private ranges are allowed."""
    inner = _carried(address)
    if inner in _METADATA or inner.is_link_local:
        return f"{address} is link-local or a metadata service; that is never allowed"
    reserved = inner.is_reserved and not inner.is_loopback  # ::1 lies in a reserved range
    if inner.is_multicast or inner.is_unspecified or inner in _THIS_NETWORK or reserved:
        return f"{address} is no address of one machine; that is never allowed"
    local = not inner.is_global or (isinstance(inner, ipaddress.IPv6Address) and inner.is_site_local)
    if local and not private:
        return f"{address} is private or this machine's own; say private: true where that is meant"
    return None


def _carried(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
