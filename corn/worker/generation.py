"""Generation of the code, as a template loads it: application, hooks and credentials, audited before any fork.

If the audit fails, the process executes itself again with a lower preload mode, because an import cannot be undone.
"""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import replace
from typing import Any, NoReturn

from corn import logs
from corn.errors import ApplicationError
from corn.ipc.channel import Channel
from corn.ipc.messages import SteppedDown
from corn.ipc.template_setup import Setup
from corn.server.tls.context import TLSContexts
from corn.tls.vault import Vault
from corn.worker import preload
from corn.worker.anchored_paths import anchored, current_directory
from corn.worker.audit.fork_safety import Hazard, fingerprint, hazards
from corn.worker.audit.import_monitor import ImportMonitor
from corn.worker.forking import exit_handlers
from corn.worker.forking.fork import fork_hangs, fork_is_replaced, lost_threads
from corn.worker.hooks.loader import HookFile, load_hooks
from corn.worker.importer import put_first_on_path
from corn.worker.logging_config import apply_log_config
from corn.worker.optional_modules import import_optional_modules
from corn.worker.process_attributes import ProcessAttributes


def _hook_on_fork() -> str:
    return "a debugger's hook on fork" if "pydevd" in sys.modules else "a hook on fork (os.register_at_fork)"


class Generation:
    """Code of the workers of a template, and their configuration."""

    def __init__(self, setup: Setup, channel: Channel) -> None:
        self.setup = setup
        self.config = setup.parsed_config()
        self.application: Any = None
        self.hooks = HookFile({})
        self.monitor = ImportMonitor()
        self.loaded_at = 0
        self.vault = None if setup.vault is None else Vault(setup.vault)
        self.tls: TLSContexts | None = None
        self._recorder = preload.Recorder()
        self._attributes = ProcessAttributes()
        self._obstacle = ""
        self._channel = channel

    def load(self) -> list[str]:
        """Load by the preload mode and prepare the heap for sharing; returns notes for the log.

        Does not return if the mode has to step down.
        """
        if self.setup.forks and fork_is_replaced() and fork_hangs():
            self.setup = replace(self.setup, preload="none", forks=False)
        if self.setup.forks and (lost := lost_threads()):
            self._obstacle = f"a thread of sitecustomize or a .pth file ({lost}) would be missing in forked processes"
            if self.setup.preload == "none" or not self.setup.strict:
                self.setup = replace(self.setup, preload="none", forks=False)
        import_optional_modules(self.config, development=self.setup.development)
        gc.disable()  # a collection would free memory that later allocations reuse, which unshares its pages
        monitor = self.monitor
        if self.setup.preload != "none":
            monitor.begin()
        if self.config.log_config is not None and self.setup.preload == "app":
            put_first_on_path(self.config.app_dir)
            apply_log_config(self.config.log_config)
        start = current_directory()
        if self.setup.development and self.setup.modules:
            self._load_packages()
        else:
            self.application = self._load_application()
        if current_directory() != start:
            self.config = anchored(self.config, start)
        self._load_hooks()
        monitor.end()
        found = hazards(monitor) if self.setup.preload != "none" else []
        notes = [str(hazard) for hazard in found]
        if self.setup.forks and self._obstacle:
            notes.append(self._obstacle)
        if any(hazard.fatal for hazard in found) or (found and not self.setup.strict):
            self._step_down(found)
        if self.setup.forks and fork_hangs():
            self._start_over(replace(self.setup, preload="none", forks=False))
        gc.collect()
        exit_handlers.flush_files()
        gc.freeze()
        self.loaded_at = exit_handlers.file_clock()
        notes = [f"{note}; forking anyway, because --preload names this mode" for note in notes]
        if not self.setup.forks:
            obstacle = self._obstacle or f"{_hook_on_fork()} blocks forked processes"
            notes.append(f"{obstacle}: each worker is started as a fresh interpreter")
        return notes

    def load_without_application(self) -> None:
        """Load for a worker in a fresh interpreter, which imports the application itself."""
        import_optional_modules(self.config, development=self.setup.development)
        self._load_hooks()
        self.loaded_at = exit_handlers.file_clock()

    def set_log_level(self, levels: str) -> None:
        """Set the level for workers that start from now on."""
        self.config = replace(self.config, log_level=levels)

    def _load_hooks(self) -> None:
        """Load the hooks, and make the SSL contexts, which one of them may change."""
        self.hooks = load_hooks(self.config)
        if self.vault is not None:
            self.tls = TLSContexts(self.config, self.vault.load(), hook=self.hooks.ssl_context)

    def _load_application(self) -> Any:
        if self.setup.preload == "app":
            sys.meta_path.insert(0, self._recorder)
        try:
            return preload.load(self.setup.preload, self.config, self.setup.modules)
        except ApplicationError as error:
            # From Python 3.14 on, asyncio.get_event_loop() makes no loop; a worker has a loop during the import.
            if self.setup.preload == "app" and isinstance(error.__cause__, RuntimeError) and "loop" in str(error):
                self._step_down([Hazard(f"asks for an event loop ({error})", self.config.app or "")])
            raise
        finally:
            if self._recorder in sys.meta_path:
                sys.meta_path.remove(self._recorder)

    def _load_packages(self) -> None:
        """Load the packages one by one, in development, and leave out only those that are unsafe to fork."""
        before = fingerprint()
        for name in preload.load_each(self.setup.modules):
            if fingerprint() == before:
                continue
            found = hazards(self.monitor)
            if found:
                self._leave_out(
                    {name, *(module for each in found for module in each.modules)}, "; ".join(map(str, found))
                )
            before = fingerprint()

    def _leave_out(self, culprits: set[str], why: str) -> NoReturn:
        packages = sorted({each.partition(".")[0] for each in culprits if each})
        self._channel.send(SteppedDown(f"{', '.join(packages)}: not preloaded, because {why}", packages))
        kept = [name for name in self.setup.modules if name.partition(".")[0] not in packages]
        self._start_over(replace(self.setup, modules=kept, preload="deps" if kept else "none"))

    def _step_down(self, found: list[Hazard]) -> NoReturn:
        mode = self.setup.preload
        lower = "none" if any(preload.is_library_module(each.importing) for each in found) else preload.LOWER[mode]
        why = "; ".join(map(str, found))
        blamed = sorted({module for each in found for module in each.modules})
        blamed = blamed or [(self.config.app or "").partition(":")[0]]  # so that a change of it leads to another try
        modules = self.setup.modules
        if mode == "app":
            modules = self._recorder.library_modules() or ["sys"]  # empty would mean: unknown
        reason = f"not safe to fork with --preload {mode}: {why}; using {lower}"
        self._channel.send(SteppedDown(reason, mode=lower, blamed=blamed, modules=list(modules)))
        self._start_over(replace(self.setup, preload=lower, modules=modules))

    def _start_over(self, setup: Setup) -> NoReturn:
        self.monitor.end()
        preload.discard()
        self._attributes.restore()
        for fd in self.setup.inherited:
            os.set_inheritable(fd, True)
        logs.flush_standard_streams()
        arguments = [*sys.orig_argv[:-1], str(setup.write())]
        os.execve(sys.executable, arguments, self._attributes.environment)  # noqa: S606 - itself
