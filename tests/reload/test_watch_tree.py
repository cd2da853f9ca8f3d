"""Watched directories: below the roots, behind symbolic links, and their file systems."""

import os

import pytest

from corn.reload.files import files_in
from corn.reload.filters import WatchFilter
from corn.reload.watch_tree import scan

MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
40 22 0:50 / {root}/share rw - nfs4 server:/x rw
41 22 0:51 / {root}/my\\040code rw - 9p host rw
42 40 8:1 / {root}/share/local rw - ext4 /dev/sdb1 rw
43 22 0:52 / {root}/hidden rw - nfs server:/y rw
44 43 8:1 / {root}/hidden rw - ext4 /dev/sdc1 rw
"""


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    return root


def scanned(root, mounts=""):
    return scan([str(root)], WatchFilter((str(root),)), mounts)


def names(paths, root):
    return sorted(os.path.relpath(each, root) for each in paths)


def test_ignored_directories_are_skipped(root):
    for name in ("package/inner", "node_modules/x", ".git/objects", "__pycache__"):
        (root / name).mkdir(parents=True)
    (root / "package" / "a.py").write_text("")
    (root / "package" / "a.bin").write_text("")
    assert names(scanned(root).directories, root) == [".", "package", "package/inner"]
    rules = WatchFilter((str(root),))
    assert list(files_in(str(root / "package"), rules)) == [str(root / "package" / "a.py")]


def test_missing_root_is_empty(root):
    gone = root / "gone"
    assert scanned(gone).directories == set()
    assert list(files_in(str(gone), WatchFilter((str(gone),)))) == []


def test_symlinked_directory_is_watched_by_link_name(root, tmp_path):
    (tmp_path / "elsewhere" / "inner").mkdir(parents=True)
    (root / "package").symlink_to(tmp_path / "elsewhere")
    assert names(scanned(root).directories, root) == [".", "package", "package/inner"]


def test_directory_reached_twice_is_watched_once(root):
    (root / "b" / "inner").mkdir(parents=True)
    (root / "a").symlink_to(root / "b")
    assert names(scanned(root).directories, root) == [".", "b", "b/inner"]


def test_circular_symlinks_are_not_followed(root, tmp_path):
    (tmp_path / "other").mkdir()
    (root / "self").symlink_to(root)
    (root / "up").symlink_to(tmp_path)
    (root / "top").symlink_to("/")
    (root / "loop").symlink_to("loop")
    (root / "nothing").symlink_to("is-not-there")
    assert names(scanned(root).directories, root) == ["."]
    assert list(files_in(str(root), WatchFilter((str(root),)))) == []


def test_symlink_to_huge_directory_is_skipped_and_reported(root, tmp_path):
    for number in range(1100):
        (tmp_path / "data" / str(number)).mkdir(parents=True)
    (root / "data").symlink_to(tmp_path / "data")
    tree = scanned(root)
    assert names(tree.directories, root) == ["."]
    assert tree.left_out == [str(root / "data")]


def test_symlinked_environment_is_ignored(root, tmp_path):
    (tmp_path / "venv-of-it" / "lib").mkdir(parents=True)
    (tmp_path / "venv-of-it" / "pyvenv.cfg").write_text("")
    (root / "env").symlink_to(tmp_path / "venv-of-it")
    assert names(scanned(root).directories, root) == ["."]


def test_symlinked_file_is_known_by_its_target(root, tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "common.py").write_text("")
    (tmp_path / "shared" / "data.bin").write_text("")
    (root / "main.py").symlink_to(tmp_path / "shared" / "common.py")
    (root / "data.bin").symlink_to(tmp_path / "shared" / "data.bin")
    tree = scanned(root)
    assert tree.links == {str(tmp_path / "shared" / "common.py"): str(root / "main.py")}
    assert tree.outside() == {str(tmp_path / "shared")}


def test_symlinked_file_in_symlinked_directory_is_known_by_watched_name(root, tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "common.txt").write_text("")
    (root / "package").symlink_to(tmp_path / "shared")
    (root / "main.py").symlink_to(tmp_path / "shared" / "common.txt")
    tree = scanned(root)
    assert tree.links == {str(root / "package" / "common.txt"): str(root / "main.py")}
    assert tree.outside() == set()


def test_directories_with_names_not_utf_8_are_polled(root):
    (root / "good").mkdir()
    (root / "odd").mkdir()
    os.mkdir(os.fsencode(root) + b"/caf\xe9")
    with open(os.fsencode(root / "odd") + b"/\xff.py", "w"):
        pass
    assert names(map(os.fsencode, scanned(root).polled), os.fsencode(root)) == [b".", b"caf\xe9", b"odd"]


def test_network_volumes_are_polled_and_siblings_are_not(root):
    for name in ("share/package", "share/local/package", "my code", "beside", "hidden"):
        (root / name).mkdir(parents=True)
    polled = scanned(root, MOUNTS.format(root=root)).polled
    assert {os.path.relpath(each, root): why for each, why in polled.items()} == {
        "share": "on nfs4",
        "share/package": "on nfs4",
        "my code": "on 9p",
    }


def test_project_on_network_volume_is_polled(root):
    (root / "package").mkdir()
    mounts = f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n40 22 0:50 / {root.parent} rw - fuse.sshfs me@host: rw\n"
    assert names(scanned(root, mounts).polled, root) == [".", "package"]
