"""Memory of preload modes: entries that are stale, foreign or damaged are ignored."""

import os

import pytest

from corn.config import Config
from corn.ipc.messages import SteppedDown
from corn.supervisor.preload_memory import PreloadMemory, PreloadMode, cache_directory


@pytest.fixture
def config(tmp_path):
    (tmp_path / "threads.py").write_text("x = 1\n")
    return Config(app="main:app", app_dir=str(tmp_path))


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache" / "corn"


def stepped_down(mode="deps", blamed=("threads",), modules=("json",)):
    return SteppedDown("why", mode=mode, blamed=list(blamed), modules=list(modules))


def test_preload_mode_is_recalled_for_same_application(config, cache):
    PreloadMemory(cache).note(config, stepped_down())
    found = PreloadMemory(cache).recall(config)
    assert (found.mode, found.modules, list(found.blamed)) == ("deps", ["json"], ["threads"])
    assert PreloadMemory(cache).recall(Config(app="other:app", app_dir=config.app_dir)) is None


def test_second_step_down_keeps_all_blamed_modules(config, cache):
    memory = PreloadMemory(cache)
    memory.note(config, stepped_down())
    memory.note(config, stepped_down(mode="none", blamed=["email"], modules=[]))
    assert memory.recall(config).mode == "none"
    assert set(memory.recall(config).blamed) == {"threads", "email"}


def test_preload_mode_is_forgotten_when_blamed_module_changes(config, cache, tmp_path):
    PreloadMemory(cache).note(config, stepped_down())
    (tmp_path / "threads.py").write_text("x = 1  # fixed\n")
    assert PreloadMemory(cache).recall(config) is None


def test_preload_mode_without_writable_cache_is_kept_in_memory(config, tmp_path):
    (tmp_path / "file").write_text("")
    for directory in (None, tmp_path / "file" / "corn"):
        memory = PreloadMemory(directory)
        memory.note(config, stepped_down())
        assert memory.recall(config).mode == "deps"


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff", b'{"mode": "app", "modules": [], "blamed": {}}', b"[" * 100_000]
)
def test_damaged_cache_file_is_ignored(config, cache, content):
    PreloadMemory(cache).note(config, stepped_down())
    (file,) = cache.iterdir()
    file.write_bytes(content)
    assert PreloadMemory(cache).recall(config) is None


def test_cache_file_writable_by_others_is_ignored(config, cache):
    PreloadMemory(cache).note(config, stepped_down())
    (file,) = cache.iterdir()
    file.chmod(0o622)
    assert PreloadMemory(cache).recall(config) is None


def test_message_without_lower_mode_is_not_remembered(config, cache):
    memory = PreloadMemory(cache)
    memory.note(config, stepped_down(mode=""))
    memory.note(config, stepped_down(mode="app"))
    assert memory.recall(config) is None
    assert PreloadMode("none").holds(config)


def test_cache_directory_follows_systemd_then_xdg_then_home(monkeypatch):
    for name in ("CACHE_DIRECTORY", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    assert cache_directory() is None
    monkeypatch.setenv("HOME", "/home/x")
    assert str(cache_directory()) == "/home/x/.cache/corn"
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert str(cache_directory()) == "/c/corn"
    monkeypatch.setenv("CACHE_DIRECTORY", "/var/cache/shop:/other")
    assert os.fspath(cache_directory()) == "/var/cache/shop/corn"
