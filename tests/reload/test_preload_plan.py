"""Packages that a warm template loads."""

from corn.reload.preload_plan import packages_to_load, shadowed

NOTHING = frozenset()


def nowhere(_):
    return False


def test_preload_plan_keeps_import_order():
    imported = [["b", "/l/b.py"], ["a", ""], ["b.c", "/l/b/c.py"]]
    assert packages_to_load(imported, nowhere, NOTHING) == ["b", "a", "b.c"]


def test_preload_plan_omits_watched_and_excluded_modules():
    imported = [["mine", "/work/mine.py"], ["bad", "/l/bad.py"], ["bad.sub", ""], ["corn.hooks", ""], ["good", ""]]
    assert packages_to_load(imported, lambda file: file.startswith("/work/"), frozenset({"bad"})) == ["good"]


def test_preload_plan_ends_at_monkey_patching_module():
    imported = [["json", ""], ["gevent.monkey", ""], ["socket", ""]]
    assert packages_to_load(imported, nowhere, NOTHING) == ["json"]


def test_project_module_shadows_package():
    assert shadowed(["redis.py", "main.py"], ["redis", "redis.client", "json"]) == {"redis"}
