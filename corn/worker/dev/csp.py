"""Content-Security-Policy that allows one more script and nothing else (Content Security Policy, level 3). Pure.

A script element is subject to `script-src-elem`, which falls back to `script-src` and then to `default-src`; a
connection to `connect-src`, then `default-src` (6.8.3). Where `default-src` applies, the specific directive is added
with the same sources, so that nothing else changes.

A policy with an effective 'unsafe-inline' allows the script already, and an additional hash would disable
'unsafe-inline' for all other scripts (6.7.3.2), so such a policy is not changed.
"""

from __future__ import annotations

from corn.frozen import frozen

_SCRIPT = ("script-src-elem", "script-src", "default-src")
_CONNECT = ("connect-src", "default-src")
_OVERRIDES = ("'nonce-", "'sha256-", "'sha384-", "'sha512-", "'strict-dynamic'")


@frozen
class ScriptPermission:
    """Permissions that a page needs: an inline script by its hash, and connections to `origin` and to its own."""

    hash: str
    origin: str


def allow(header: str, permission: ScriptPermission) -> tuple[str, str]:
    """The adapted value of the header, and the nonce for the script, "" if there is none to use.

    The value may hold several policies, and each must allow the script.
    """
    policies, nonces = [], []
    for policy in header.split(","):
        directives = _parse(policy)
        nonces.append(_nonce(directives))
        _allow_script(directives, permission.hash)
        _allow_connections(directives, ("'self'", permission.origin))
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


def _effective(directives: dict[str, list[str]], names: tuple[str, ...]) -> str:
    return next((name for name in names if name in directives), "")


def _nonce(directives: dict[str, list[str]]) -> str:
    for source in directives.get(_effective(directives, _SCRIPT), ()):
        if source.lower().startswith("'nonce-"):
            return source[7:].rstrip("'")
    return ""


def _allow_script(directives: dict[str, list[str]], source: str) -> None:
    directive = _effective(directives, _SCRIPT)
    if not directive:
        return
    sources = directives[directive]
    overridden = any(each.lower().startswith(_OVERRIDES) for each in sources)
    if "'unsafe-inline'" in [each.lower() for each in sources] and not overridden:
        return
    _add(directives, "script-src" if directive == "default-src" else directive, directive, (source,))


def _allow_connections(directives: dict[str, list[str]], sources: tuple[str, ...]) -> None:
    directive = _effective(directives, _CONNECT)
    if directive:
        _add(directives, "connect-src", directive, sources)


def _add(directives: dict[str, list[str]], name: str, directive: str, more: tuple[str, ...]) -> None:
    known = [each for each in directives[directive] if each.lower() != "'none'"]
    directives[name] = known + [each for each in more if each not in known]
