"""Names of options in errors: as the user gave them, not as flags that occur neither in a file nor in a call."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping

from corn.config.sources import CALL, COMMAND_LINE, DEFAULT
from corn.config.values import BY_NAME
from corn.errors import CornError

_FLAG = re.compile(r"--([a-z][a-z0-9-]*)")


@contextlib.contextmanager
def options_named_as_given(origins: Mapping[str, str], *, in_call: bool = False) -> Iterator[None]:
    """Within the block, the message of a CornError names options as `named_as_given` does."""
    try:
        yield
    except CornError as error:
        error.args = (named_as_given(str(error), origins, in_call=in_call), *error.args[1:])
        raise


def named_as_given(message: str, origins: Mapping[str, str], *, in_call: bool = False) -> str:
    """Name each option of an error by its origin (see `Resolved`).

    The option that the message begins with is named with its source, as in `corn.toml: user: `; others may be remedies.
    `in_call`: the options are arguments of a call, as also if the application is, and are named as such.
    """
    in_call = in_call or origins.get("app") == CALL

    def name(match: re.Match[str]) -> str:
        option = match[1].replace("-", "_")
        origin = origins.get(option, DEFAULT)
        is_subject = match.start() == 0 and message[match.end() : match.end() + 1] == ":"
        if option not in BY_NAME or origin == COMMAND_LINE:
            return match[0]
        if is_subject and origin not in (CALL, DEFAULT):
            return origin if origin.isupper() else f"{origin}: {option}"
        return option if in_call else match[0]

    return _FLAG.sub(name, message)
