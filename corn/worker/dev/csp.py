"""Content-Security-Policy that allows one more script and nothing else (Content Security Policy, level 3). Pure.

A script element is judged by `script-src-elem`, where that is missing by `script-src`, and then by `default-src`; a
connection by `connect-src`, then `default-src` (6.8.3). Where the judge is `default-src`, the directive proper is
added with the same sources, so that nothing else changes.

A policy that has 'unsafe-inline' in force lets the script in already, and a hash beside it would end that for all the
others (6.7.3.2), so it is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

_SCRIPT = ("script-src-elem", "script-src", "default-src")
_CONNECT = ("connect-src", "default-src")
_OVERRIDES = ("'nonce-", "'sha256-", "'sha384-", "'sha512-", "'strict-dynamic'")


@dataclass(frozen=True, slots=True)
class ScriptPermission:
    """What a page needs: an inline script by its hash, and connections to `origin`, and to the page's own."""

    hash: str
    origin: str


def allow(header: str, wish: ScriptPermission) -> tuple[str, str]:
    """The value of the header as it should be, and the nonce for the script, "" where there is none to use.

    The value may hold several policies, and each must be content.
    """
    policies, nonces = [], []
    for policy in header.split(","):
        directives = _parse(policy)
        nonces.append(_nonce(directives))
        _allow_script(directives, wish.hash)
        _allow_connections(directives, ("'self'", wish.origin))
        policies.append("; ".join(" ".join([name, *sources]) for name, sources in directives.items()))
    return ", ".join(policies), nonces[0] if len(set(nonces)) == 1 else ""


def _parse(policy: str) -> dict[str, list[str]]:
    """Directives by name; of two with the same name, the first counts (2.2.1)."""
    directives: dict[str, list[str]] = {}
    for part in policy.split(";"):
        words = part.split()
        if words:
            directives.setdefault(words[0].lower(), words[1:])
    return directives


def _judge(directives: dict[str, list[str]], names: tuple[str, ...]) -> str:
    return next((name for name in names if name in directives), "")


def _nonce(directives: dict[str, list[str]]) -> str:
    for source in directives.get(_judge(directives, _SCRIPT), ()):
        if source.lower().startswith("'nonce-"):
            return source[7:].rstrip("'")
    return ""


def _allow_script(directives: dict[str, list[str]], source: str) -> None:
    judge = _judge(directives, _SCRIPT)
    if not judge:
        return
    sources = directives[judge]
    overridden = any(each.lower().startswith(_OVERRIDES) for each in sources)
    if "'unsafe-inline'" in [each.lower() for each in sources] and not overridden:
        return
    _add(directives, "script-src" if judge == "default-src" else judge, judge, (source,))


def _allow_connections(directives: dict[str, list[str]], sources: tuple[str, ...]) -> None:
    judge = _judge(directives, _CONNECT)
    if judge:
        _add(directives, "connect-src", judge, sources)


def _add(directives: dict[str, list[str]], name: str, judge: str, more: tuple[str, ...]) -> None:
    known = [each for each in directives[judge] if each.lower() != "'none'"]
    directives[name] = known + [each for each in more if each not in known]
