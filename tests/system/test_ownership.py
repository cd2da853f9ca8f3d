"""Change of file ownership, without following symbolic links."""

import os
import socket

import pytest

from corn.errors import ConfigError
from corn.ipc.control_paths import make_home
from corn.net.listeners import Listener
from corn.supervisor.process.privileges import ProcessUser, chown_sockets
from corn.system.ownership import chown_directory, chown_socket

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")

USER = 54321


def owner(path):
    return path.lstat().st_uid, path.lstat().st_gid


@pytest.fixture
def made(tmp_path):
    """Socket and directory of this process's user, and symbolic links to them and other files."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "socket"))
        (tmp_path / "directory").mkdir()
        (tmp_path / "file").write_text("root's")
        for name in ("socket", "directory", "file"):
            (tmp_path / f"to-{name}").symlink_to(tmp_path / name)
        yield tmp_path


def test_socket_and_directory_are_given_to_user(made):
    chown_socket(made / "socket", USER, USER)
    chown_directory(made / "directory", USER, -1)
    assert owner(made / "socket") == (USER, USER)
    assert owner(made / "directory") == (USER, 0)
    chown_socket(made / "socket", USER, -1)  # again, as after an upgrade


@pytest.mark.parametrize("give", [chown_socket, chown_directory])
@pytest.mark.parametrize("name", ["to-socket", "to-directory", "to-file", "file", "none"])
def test_symlink_target_keeps_owner(made, give, name):
    with pytest.raises(OSError, match=r"link|put in its place|Not a directory|No such file"):
        give(made / name, USER, USER)
    assert {owner(each) for each in made.iterdir()} == {(0, 0)}


def test_file_of_other_user_keeps_owner(made):
    os.chown(made / "socket", USER + 1, -1)
    with pytest.raises(PermissionError):
        chown_socket(made / "socket", USER, USER)


def test_listener_replaced_by_symlink_is_refused(made):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(made / "web.sock"))
        listener = Listener(sock, str(made / "web.sock"))
        (made / "web.sock").unlink()
        (made / "web.sock").symlink_to(made / "file")
        with pytest.raises(ConfigError, match=r"web\.sock cannot be given to user nobody: something else was put"):
            chown_sockets([listener], ProcessUser(USER, USER, None, "user nobody"))
    assert owner(made / "file") == (0, 0)


def test_control_socket_home_belongs_to_user(tmp_path):
    make_home(tmp_path / "corn-54321", USER)
    assert owner(tmp_path / "corn-54321") == (USER, 0)
