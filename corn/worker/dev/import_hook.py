"""Import hook of `corn dev` for the project's own modules: it never uses a stale .pyc file, and times each module.

CPython takes a .pyc file as current if it contains the size and the modification time, in whole seconds, of the source
(PEP 552, "timestamp-based"). It cannot distinguish two saves of equal length within a second. So a source that was
changed within the last two seconds is compiled from its text, and no .pyc file is written for it.

Modules of libraries are imported as usual.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType

from corn.system.paths import is_library_file, library_roots

_SETTLED_AFTER = 2.0  # seconds since the modification time


class ProjectImporter:
    """Importer of the project's modules; `seconds` maps their names to the time that their own code took."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self._within = [0.0]  # for each import under way, the time that imports within it took

    def install(self) -> None:
        """Put this hook before the interpreter's own, for directories that hold no libraries."""
        loaders = (
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (self._loader(), SOURCE_SUFFIXES),
            (SourcelessFileLoader, BYTECODE_SUFFIXES),
        )
        finder = FileFinder.path_hook(*loaders)

        def only_own(path: str) -> FileFinder:
            if not Path(path).is_dir() or is_library_file(f"{path or '.'}/module.py"):
                raise ImportError(path)
            return finder(path)  # type: ignore[return-value]

        library_roots()  # finding them imports modules, which must not call the hook before the roots are known
        sys.path_hooks.insert(0, only_own)
        sys.path_importer_cache.clear()

    def run(self, module: ModuleType, execute: Callable[[ModuleType], None]) -> None:
        """Execute a module and record the time that it took, less that of the modules it imported."""
        self.files[module.__name__] = getattr(module, "__file__", None) or ""
        began = time.perf_counter()
        self._within.append(0.0)
        try:
            execute(module)
        finally:
            took = time.perf_counter() - began
            self.seconds[module.__name__] = took - self._within.pop()
            self._within[-1] += took

    def _loader(self) -> type[SourceFileLoader]:
        owner = self

        class FreshLoader(SourceFileLoader):
            def get_code(self, fullname: str) -> CodeType | None:
                path = self.get_filename(fullname)
                if is_settled(path):
                    return super().get_code(fullname)
                code: CodeType = self.source_to_code(self.get_data(path), path)
                return code

            def exec_module(self, module: ModuleType) -> None:
                owner.run(module, super().exec_module)

        return FreshLoader


def is_settled(path: str) -> bool:
    """True if a file was last changed so long ago that its modification time identifies its version."""
    try:
        return abs(time.time() - Path(path).stat().st_mtime) >= _SETTLED_AFTER
    except OSError:
        return True
