"""Directories below the watched ones, and the file systems they are on."""

from corn.reload.files import directories_below, files_in, needs_polling
from corn.reload.filters import WatchFilter

MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
40 22 0:50 / /mnt/share rw - nfs4 server:/x rw
41 22 0:51 / /mnt/my\\040code rw - 9p host rw
42 40 8:1 / /mnt/share/local rw - ext4 /dev/sdb1 rw
"""


def test_ignored_directories_and_links_are_left_out(tmp_path):
    for name in ("package/inner", "node_modules/x", ".git/objects", "__pycache__"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "package" / "a.py").write_text("")
    (tmp_path / "package" / "a.bin").write_text("")
    rules = WatchFilter((str(tmp_path),))
    found = sorted(each.removeprefix(str(tmp_path)) for each in directories_below(str(tmp_path), rules))
    assert found == ["", "/package", "/package/inner"]
    assert list(files_in(str(tmp_path / "package"), rules)) == [str(tmp_path / "package" / "a.py")]


def test_what_is_gone_is_empty(tmp_path):
    gone = str(tmp_path / "gone")
    assert list(directories_below(gone, WatchFilter((gone,)))) == [gone]
    assert list(files_in(gone, WatchFilter((gone,)))) == []


def test_file_systems_that_change_elsewhere_are_polled():
    assert needs_polling("/home/me/project", MOUNTS) == ""
    assert needs_polling("/mnt/share/project", MOUNTS) == "nfs4"
    assert needs_polling("/mnt/share/local/project", MOUNTS) == ""
    assert needs_polling("/mnt/my code", MOUNTS) == "9p"
    assert needs_polling("/anywhere", "") == ""
