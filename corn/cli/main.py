"""The console script `corn`, also run by `python -m corn`."""

from __future__ import annotations

import errno
import sys

from corn.system.collector import paused_collector

_EXPLAINED = (errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EIO)


def main() -> None:
    """Run the command in the command line, and exit with its exit code (see corn/errors.py)."""
    if sys.platform == "win32":
        print("corn: Windows is not supported; run corn on Linux, on macOS, or in WSL", file=sys.stderr)
        sys.exit(2)
    try:
        sys.exit(_run())
    except KeyboardInterrupt:
        sys.exit(130)


def _run() -> int:
    with paused_collector():
        import click

        from corn.cli.errors import report, report_usage
        from corn.cli.group import corn
        from corn.errors import ConfigError, CornError, explain

    try:
        return corn.main(prog_name="corn", standalone_mode=False) or 0
    except CornError as error:
        return report(error)
    except OSError as error:  # on a file that no option's check has covered, without free descriptors, or of an output
        if not error.filename and error.errno not in _EXPLAINED:
            raise
        return report(ConfigError(explain(error)))
    except click.UsageError as error:
        return report_usage(error)
    except click.Abort:
        return 130
