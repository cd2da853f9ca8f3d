"""Which peers are believed when they say for whom they speak."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from corn.server.asgi.scope import Address

_MAX_REMEMBERED = 1024


class TrustedNetworks:
    """A list of networks; `*` is everyone. A peer on a Unix socket has no address, but the permission to connect."""

    def __init__(self, networks: Iterable[str]) -> None:
        names = tuple(networks)
        self._everyone = "*" in names
        self._unix = bool(names)
        self._networks = [ipaddress.ip_network(each) for each in names if each != "*"]
        self._remembered: dict[str, bool] = {}

    def believes(self, peer: Address) -> bool:
        """Whether the connection's other end is trusted."""
        if peer is None or peer[1] is None:
            return self._unix
        return self.contains(peer[0])

    def contains(self, host: str) -> bool:
        """Whether an address is in one of the networks; what is no address is not."""
        if self._everyone:
            return True
        known = self._remembered.get(host)
        if known is None:
            known = self._look_up(host)
            if len(self._remembered) < _MAX_REMEMBERED:
                self._remembered[host] = known
        return known

    def _look_up(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)  # how a dual-stack listener names an IPv4 peer
        return any(each in network for network in self._networks for each in (address, mapped) if each is not None)
