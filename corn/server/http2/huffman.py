"""Huffman decoder of HPACK (RFC 7541, 5.2): one transition for each byte, computed when it is first needed.

A state is the position in the code's tree at the end of a byte; it maps the next byte to the text that this completes,
and to the state that follows. Requests use few of the 65,536 transitions, and only so many are remembered.
"""

from __future__ import annotations

from typing import ClassVar

from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

_MAX_TRANSITIONS = 1 << 14  # transitions, of all states together: two megabytes
_END = 256  # the symbol that never comes
_MAX_PADDING = 7

Tree = dict[int, "Tree | int"]


class InvalidHuffmanError(ValueError):
    """String that no encoder makes."""


class _State(dict[int, "tuple[bytes, _State]"]):
    """State of the decoder; `is_end`: a string may end here, after a padding of ones that is shorter than a byte."""

    __slots__ = ("_tree", "is_end")
    remembered: ClassVar[int] = 0  # transitions of all states

    def __init__(self, tree: Tree, *, is_end: bool) -> None:
        super().__init__()
        self._tree = tree
        self.is_end = is_end

    def __missing__(self, byte: int) -> tuple[bytes, _State]:
        tree, text = self._tree, b""
        ones = -1 if tree is not _TREE else 0  # bits since the last symbol, as long as all are ones
        for place in range(7, -1, -1):
            bit = byte >> place & 1
            ones = ones + 1 if bit and ones >= 0 else -1
            following = tree[bit]
            if not isinstance(following, int):
                tree = following
                continue
            if following == _END:
                raise InvalidHuffmanError
            text += bytes((following,))
            tree, ones = _TREE, 0
        transition = text, _state(tree, is_end=0 <= ones <= _MAX_PADDING)
        if _State.remembered < _MAX_TRANSITIONS:
            _State.remembered += 1
            self[byte] = transition
        return transition


def decode_huffman(data: bytes) -> bytes:
    """Decode a string; raises InvalidHuffmanError."""
    state, parts = _START, []
    for byte in data:
        text, state = state[byte]
        parts.append(text)
    if not state.is_end:
        raise InvalidHuffmanError
    return b"".join(parts)


def _grow_tree() -> Tree:
    root: Tree = {}
    for symbol, (code, length) in enumerate(zip(REQUEST_CODES, REQUEST_CODES_LENGTH, strict=True)):
        tree = root
        for place in range(length - 1, 0, -1):
            following = tree.setdefault(code >> place & 1, {})
            assert isinstance(following, dict)
            tree = following
        tree[code & 1] = symbol
    return root


def _state(tree: Tree, *, is_end: bool) -> _State:
    key = id(tree), is_end
    state = _states.get(key)
    if state is None:
        state = _states[key] = _State(tree, is_end=is_end)
    return state


_TREE = _grow_tree()
_states: dict[tuple[int, bool], _State] = {}
_START = _state(_TREE, is_end=True)
