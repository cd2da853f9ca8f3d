"""Pidfile: what a master finds in its place, and symbolic links, which are not followed."""

import os

import pytest

from corn.config import Config
from corn.supervisor.process.pidfile import Pidfile


@pytest.fixture
def precious(tmp_path):
    file = tmp_path / "precious"
    file.write_text("root's")
    return file


@pytest.mark.parametrize("left", ["", "999999999\n", f"{os.getppid()}\n", "1\n"])
def test_pidfile_of_no_running_master_is_replaced(tmp_path, left):
    (tmp_path / "corn.pid").write_text(left)
    Pidfile(Config(pid=str(tmp_path / "corn.pid")), predecessor=None).publish()
    assert (tmp_path / "corn.pid").read_text() == f"{os.getpid()}\n"


def test_pidfile_temporary_name_that_is_symlink_is_not_followed(tmp_path, precious):
    (tmp_path / f".corn.pid.{os.getpid()}").symlink_to(precious)
    Pidfile(Config(pid=str(tmp_path / "corn.pid")), predecessor=None).publish()
    assert (tmp_path / "corn.pid").read_text() == f"{os.getpid()}\n"
    assert precious.read_text() == "root's"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["corn.pid", "precious"]


def test_pidfile_that_is_symlink_is_replaced(tmp_path, precious):
    pidfile = Pidfile(Config(pid=str(tmp_path / "corn.pid")), predecessor=None)
    (tmp_path / "corn.pid").symlink_to(precious)
    pidfile.publish()
    assert not (tmp_path / "corn.pid").is_symlink()
    assert precious.read_text() == "root's"
    pidfile.remove()
    assert [each.name for each in tmp_path.iterdir()] == ["precious"]
