"""Watch filters of corn dev."""

import pytest

from corn.reload.filters import ASSET, COLD, RELOAD, WatchFilter

ROOT = "/work/project"


def rules(*, include=(), exclude=(), directories=(ROOT,), files=()):
    return WatchFilter(tuple(directories), tuple(include), tuple(exclude), tuple(files))


@pytest.mark.parametrize(
    ("path", "effect"),
    [
        ("main.py", RELOAD),
        ("package/deep/module.py", RELOAD),
        ("templates/page.html", RELOAD),
        (".env", RELOAD),
        (".env.local", RELOAD),
        ("settings.toml", RELOAD),
        ("static/app.js", ASSET),
        ("media/upload.mjs", ASSET),
        ("plot.png", ASSET),
        ("static/logo.svg", ASSET),
        ("static/font.woff2", ASSET),
        ("static/style.css", ASSET),
        ("pyproject.toml", COLD),
        ("fast.cpython-311-x86_64-linux-gnu.so", COLD),
        ("data.json", ""),
        ("notes.txt", ""),
        ("db.sqlite3", ""),
        (".hidden.py", ""),
        ("main.py~", ""),
        (".main.py.swp", ""),
        ("4913", ""),
        ("#main.py#", ""),
        ("__pycache__/main.cpython-311.pyc", ""),
        (".venv/lib/python3.11/site-packages/flask/app.py", ""),
        ("node_modules/react/index.js", ""),
        (".git/HEAD", ""),
        ("build.egg-info/x.py", ""),
    ],
)
def test_default_filters_select_effect_by_path(path, effect):
    assert rules().classify(f"{ROOT}/{path}").effect == effect


def test_file_outside_directories_is_ignored_with_reason():
    verdict = rules().classify("/work/other/main.py")
    assert not verdict.counts
    assert ROOT in verdict.why


def test_directory_with_same_prefix_is_ignored():
    assert not rules().classify("/work/project2/main.py").counts


@pytest.mark.parametrize("pattern", ["*.json", "data.json", "data/*.json", "data", "./data", "data/"])
def test_include_pattern_adds_files(pattern):
    path = f"{ROOT}/data/data.json"
    assert not rules().classify(path).counts
    verdict = rules(include=[pattern]).classify(path)
    assert verdict.effect == RELOAD
    assert pattern in verdict.why


@pytest.mark.parametrize("pattern", ["main.py", "*.py", "package", "package/*", "package/main.py"])
def test_exclude_pattern_overrides_include(pattern):
    path = f"{ROOT}/package/main.py"
    verdict = rules(include=["*.py"], exclude=[pattern]).classify(path)
    assert not verdict.counts
    assert pattern in verdict.why


def test_config_file_change_is_cold_reload():
    assert rules(files=["/etc/corn.toml"]).classify("/etc/corn.toml").effect == COLD


def test_watched_directory_within_ignored_one_counts():
    inner = f"{ROOT}/.venv/lib/site-packages/mine"
    both = rules(directories=[ROOT, inner])
    assert both.classify(f"{inner}/main.py").effect == RELOAD
    assert not both.classify(f"{ROOT}/.venv/lib/site-packages/other.py").counts


def test_ignored_directory_is_entered_only_by_pattern(tmp_path):
    root = str(tmp_path)
    plain = rules(directories=[root])
    assert plain.includes_directory(f"{root}/package")
    assert not plain.includes_directory(f"{root}/node_modules")
    assert not plain.includes_directory(f"{root}/.git")
    assert not rules(directories=[root], exclude=["data"]).includes_directory(f"{root}/data")
    assert rules(directories=[root], include=["node_modules/mine"]).includes_directory(f"{root}/node_modules")
    assert not rules(directories=[root], include=["*.js"]).includes_directory(f"{root}/node_modules")
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "pyvenv.cfg").write_text("")
    assert not plain.includes_directory(f"{root}/python")
