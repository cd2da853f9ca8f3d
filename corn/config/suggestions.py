"""Suggestions for unknown names: misspelt ones, and those of another server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

OF_PEER = "an option "


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggestion "; did you mean 'x'?" of the nearest known name, "" if none is near."""
    near = nearest(word, known)
    return f"; did you mean '{near}'?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """Known name that is most similar to `word`, "" if none is; hyphens before a name do not count."""
    import difflib  # only loaded for unknown names, because this process may become the master

    names = {each.lstrip("-"): each for each in known}
    return next((names[each] for each in difflib.get_close_matches(word.lstrip("-"), list(names), n=1)), "")


def is_typing_error(word: str, meant: str) -> bool:
    """True if two names differ in a letter or two, so that one is a misspelling of the other."""
    import difflib

    return bool(meant) and difflib.SequenceMatcher(None, word, meant).ratio() > 0.9


def describe_unknown(kind: str, words: Sequence[str], known: Iterable[str], prefix: str = "") -> str:
    """Describe all unknown names of a file or of the environment, each with a suggestion.

    `words` and `known` are without `prefix`, which would make any two names similar.
    """
    from corn.config.peers import counterpart, find_options

    options = list(known)
    plain = [word.replace("-", "_").lower() for word in words]
    foreign = find_options(plain)
    hints = []
    for word, name in zip(words, plain, strict=True):
        near = nearest(word if prefix else name, options)
        if name in foreign and not is_typing_error(word if prefix else name, near):
            form = "variable" if prefix else "key"
            hints.append(f"{OF_PEER}of {foreign[name].peer}; {counterpart(foreign[name], form)}")
        elif near:
            hints.append(f"did you mean '{prefix}{near}'?")
        else:
            hints.append("unset it, or see 'corn config --help' for the available options" if prefix else "")
    if len(words) == 1:
        return in_one_line(kind, prefix + words[0], hints[0])
    width = max(map(len, words)) + len(prefix)
    lines = [f"  {prefix + word:<{width}}  {hint}".rstrip() for word, hint in zip(words, hints, strict=True)]
    return "\n".join([f"{len(words)} unknown {kind}s", *lines])


def in_one_line(kind: str, word: str, hint: str) -> str:
    """Describe one unknown name in a sentence."""
    if hint.startswith(OF_PEER):
        return f"unknown {kind} '{word}' {hint.removeprefix(OF_PEER)}"
    return f"unknown {kind} '{word}'" + (f"; {hint}" if hint else "")
