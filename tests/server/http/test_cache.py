"""Bounded cache: neither the number of its values nor their size is left to a peer."""

from corn.server.http.cache import BoundedCache


def test_cache_keeps_limited_number_of_limited_values():
    computed = []
    cache = BoundedCache(lambda key: computed.append(key) or b"v" * key, len)
    assert cache[1024] == cache[1024] == b"v" * 1024
    assert computed == [1024]
    assert cache[1025] == cache[1025] == b"v" * 1025
    assert computed == [1024, 1025, 1025]
    for key in range(600):
        assert cache[key] == b"v" * key
        assert len(cache) <= 512
    assert cache[599] == b"v" * 599
    assert computed[-1] == 599
    assert len(computed) == 603
