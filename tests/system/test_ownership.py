"""Change of file ownership, without following symbolic links."""

import os
import socket
from pathlib import Path

import pytest

from corn.config import Config
from corn.errors import ConfigError, CornError
from corn.ipc.control_paths import make_home
from corn.net.listeners import Listener, open_listeners
from corn.supervisor.control.socket_file import plan_control_socket
from corn.supervisor.process.pidfile import Pidfile
from corn.supervisor.process.privileges import ProcessUser, chown_sockets
from corn.system.ownership import chown_directory, chown_socket, opened_directory

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


@pytest.fixture
def redirected(tmp_path):
    """Directory of another user, with links of that user to a directory of root and to one of its own."""
    home = tmp_path / "home"
    for each in (home, home / "own", tmp_path / "of-root"):
        each.mkdir()
    for name, target in (("to-root", tmp_path / "of-root"), ("to-own", home / "own"), ("relative", Path("own/../own"))):
        (home / name).symlink_to(target)
    for each in (home, home / "own", home / "to-root", home / "to-own", home / "relative"):
        os.chown(each, USER, USER, follow_symlinks=False)
    (tmp_path / "link-of-root").symlink_to(home / "to-own")
    (tmp_path / "bad-link-of-root").symlink_to(home / "to-root")
    return tmp_path


def listen(path):
    for each in open_listeners(Config(bind=(f"unix:{path}",))):
        each.sock.close()


def write_pidfile(path):
    pidfile = Pidfile(Config(pid=str(path)), predecessor=None)
    pidfile.reserve(ProcessUser(USER, USER, None, "a user"))
    pidfile.publish()


def make_control_socket(path):
    plan_control_socket(str(path), "http://127.0.0.1:8000", 0, None)().close(keep_file=True)


MAKERS = [listen, write_pidfile, make_control_socket]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("way", ["home/to-root", "bad-link-of-root", "home/own/../to-root"])
def test_directory_behind_link_of_other_user_is_refused(redirected, make, way):
    with pytest.raises(CornError, match=r"symbolic link of another user"):
        make(redirected / way / "x.sock")
    assert list((redirected / "of-root").iterdir()) == []


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("way", ["home/to-own", "home/relative", "link-of-root", "home/own", "of-root"])
def test_directory_of_link_owner_is_used(redirected, make, way):
    make(redirected / way / "x.sock")
    assert [each.name for each in (redirected / way).iterdir()] == ["x.sock"]


def test_socket_behind_replaced_directory_keeps_owner(redirected):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(redirected / "of-root" / "x.sock"))
        with pytest.raises(PermissionError):
            chown_socket(redirected / "home" / "to-root" / "x.sock", USER, USER)
        assert owner(redirected / "of-root" / "x.sock") == (0, 0)


def test_circle_of_links_is_refused(tmp_path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(OSError, match="symbolic links"), opened_directory(tmp_path / "one"):
        pass
