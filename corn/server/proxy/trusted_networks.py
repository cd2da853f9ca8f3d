"""Networks of trusted proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from corn.server.asgi.scope import Address
from corn.server.proxy.addresses import pack

_MAX_REMEMBERED = 1024
_MAPPED = bytes(10) + b"\xff\xff"  # prefix of an IPv4 peer on a dual-stack listener (RFC 4291, 2.5.5.2)


class TrustedNetworks:
    """List of networks; `*` is every address. A peer on a Unix socket is always trusted."""

    def __init__(self, networks: Iterable[str]) -> None:
        names = tuple(networks)
        parsed = [ipaddress.ip_network(each) for each in names if each != "*"]
        self._everyone = "*" in names
        self._unix = bool(names)
        self._masks = {
            size: [(int(each.netmask), int(each.network_address)) for each in parsed if each.max_prefixlen == 8 * size]
            for size in (4, 16)
        }
        self._remembered: dict[str, bool] = {}

    def trusts(self, peer: Address) -> bool:
        """True if the connection's peer is trusted."""
        return self._unix if peer is None else self.contains(peer[0])

    def contains(self, host: str) -> bool:
        """True if an address is in one of the networks; False for a text that is no address."""
        if self._everyone:
            return True
        known = self._remembered.get(host)
        if known is None:
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            known = self._remembered[host] = self._look_up(host)
        return known

    def _look_up(self, host: str) -> bool:
        packed = pack(host.partition("%")[0])
        if packed is None:
            return False
        forms = (packed, packed[12:]) if packed.startswith(_MAPPED) else (packed,)
        return any(
            int.from_bytes(form, "big") & mask == network for form in forms for mask, network in self._masks[len(form)]
        )
