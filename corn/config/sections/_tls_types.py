"""The kinds of options that only TLS knows."""

from __future__ import annotations

from dataclasses import dataclass

_HIDDEN = "********"


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that is never shown."""

    metavar: str = "TEXT"

    def parse(self, raw: object) -> str:
        if not isinstance(raw, str) or not raw:
            raise ValueError("expected a text that is not empty")
        return raw

    def show(self, value: str) -> str:
        return _HIDDEN if value else ""


@dataclass(frozen=True, slots=True)
class ClientCertificates:
    """Whether clients are asked for a certificate: a word, or the number that stands for it in Python and uvicorn."""

    @property
    def metavar(self) -> str:
        return "|".join(_WORDS)

    def parse(self, raw: object) -> str:
        text = str(raw).lower()
        if isinstance(raw, (int, str)) and not isinstance(raw, bool):
            if text in _WORDS:
                return text
            if text in ("0", "1", "2"):
                return _WORDS[int(text)]
        raise ValueError(f"expected one of {', '.join(_WORDS)}")

    def show(self, value: str) -> str:
        return value


_WORDS = ("none", "optional", "required")
