"""Waiting for a module that the program may import: told once, right after, and without a trace."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from heliograph.adapters.imported import when_imported

Noted = list[str]


@pytest.fixture(autouse=True)
def python() -> Iterator[None]:
    """Finders, paths and modules are afterwards what they were before."""
    path, finders, modules = sys.path[:], sys.meta_path[:], set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    assert sys.meta_path == finders


@pytest.fixture
def package(tmp_path) -> Path:
    """A package ``kitchen`` whose module ``kitchen.oven`` is at 200 degrees."""
    folder: Path = tmp_path / "kitchen"
    folder.mkdir()
    (folder / "__init__.py").write_text("from kitchen import oven\n")
    (folder / "oven.py").write_text("import sys\ndegrees = 200\n")
    sys.path.insert(0, str(tmp_path))
    importlib.invalidate_caches()
    return folder


@pytest.fixture
def noted() -> Noted:
    """What was done and undone."""
    return []


@pytest.fixture
def do(noted) -> Callable[[ModuleType], Callable[[], None]]:
    """Notes that the oven is hot, and that it was switched off."""

    def do(module):
        noted.append(f"hot: {module.degrees}")
        return lambda: noted.append("off")

    return do


def test_a_module_is_not_imported_by_whoever_waits_for_it(package, noted, do):
    """It may never be."""
    undo = when_imported("kitchen.oven", do)

    assert "kitchen" not in sys.modules
    assert importlib.util.find_spec("kitchen") is not None
    assert noted == []
    undo()
    importlib.import_module("kitchen")
    assert noted == []


def test_who_waits_is_told_when_the_module_has_run(package, noted, do):
    """Once, before whoever imported it goes on."""
    undo = when_imported("kitchen.oven", do)
    import kitchen  # type: ignore[import-not-found]

    assert noted == ["hot: 200"]
    assert kitchen.oven.degrees == 200
    undo()
    undo()
    assert noted == ["hot: 200", "off"]


def test_a_module_that_is_there_need_not_be_waited_for(package, noted, do):
    """It is told of at once, and Python's finders are left alone."""
    importlib.import_module("kitchen")
    finders = sys.meta_path[:]
    undo = when_imported("kitchen.oven", do)

    assert noted == ["hot: 200"]
    assert sys.meta_path == finders
    undo()
    assert noted == ["hot: 200", "off"]


def test_the_module_is_as_it_would_be(package, do):
    """Its loader is Python's own and has nothing that it would not have."""
    undo = when_imported("kitchen.oven", do)
    waited_for = importlib.import_module("kitchen.oven")
    undo()
    del sys.modules["kitchen.oven"]
    plain = importlib.import_module("kitchen.oven")

    assert type(waited_for.__loader__) is type(plain.__loader__)
    assert vars(waited_for.__loader__) == vars(plain.__loader__)
    assert waited_for.__spec__ == plain.__spec__
    assert vars(waited_for).keys() == vars(plain).keys()


def test_several_may_wait(package, noted, do):
    """In the order in which they began to; one that gave up is not told."""
    undos = [when_imported("kitchen.oven", do) for _ in range(3)]
    undos[1]()
    importlib.import_module("kitchen")

    assert noted == ["hot: 200", "hot: 200"]
    for undo in undos:
        undo()
    assert noted == ["hot: 200", "hot: 200", "off", "off"]


def test_a_failing_import_fails_as_it_would_and_is_waited_for_again(package, noted, do):
    """A module that needs something which is not there yet."""
    source = (package / "oven.py").read_text()
    (package / "oven.py").write_text("raise LookupError('no gas')\n")
    undo = when_imported("kitchen.oven", do)
    with pytest.raises(LookupError, match="no gas"):
        importlib.import_module("kitchen")
    assert noted == []

    (package / "oven.py").write_text(source)
    importlib.invalidate_caches()
    importlib.import_module("kitchen")
    assert noted == ["hot: 200"]
    undo()


def test_an_error_of_whoever_waits_does_not_reach_the_import(package, caplog):
    """It is logged, and the module works."""

    def fail(module):
        raise LookupError("no oven glove")

    with caplog.at_level(logging.ERROR, "heliograph"):
        undo = when_imported("kitchen.oven", fail)
        module = importlib.import_module("kitchen.oven")
    undo()

    assert module.degrees == 200
    assert [record.getMessage() for record in caplog.records] == [
        "heliograph could not prepare kitchen.oven; it works as it would without heliograph."
    ]


def test_a_module_in_an_archive_is_waited_for(tmp_path, noted, do):
    """There one loader serves all modules."""
    archive = tmp_path / "kitchen.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("kitchen/__init__.py", "")
        packed.writestr("kitchen/oven.py", "from kitchen import hob\ndegrees = 220\n")
        packed.writestr("kitchen/hob.py", "flames = 4\n")
    sys.path.insert(0, str(archive))
    undo = when_imported("kitchen.oven", do)
    assert importlib.util.find_spec("kitchen.oven") is not None
    assert importlib.import_module("kitchen.hob").flames == 4
    assert noted == []
    assert importlib.import_module("kitchen.oven").hob.flames == 4
    undo()

    assert noted == ["hot: 220", "off"]


def test_a_module_that_is_nowhere_is_not_found(package, noted, do):
    """The import fails as it would."""
    undo = when_imported("kitchen.grill", do)
    with pytest.raises(ModuleNotFoundError, match=r"kitchen\.grill"):
        importlib.import_module("kitchen.grill")
    undo()

    assert noted == []


def test_a_module_that_another_thread_is_importing_is_told_of_once_it_is_complete(package, noted, do):
    """Never half of it."""
    (package / "oven.py").write_text("import sys\nsys.reached.set()\nassert sys.go_on.wait(60)\ndegrees = 250\n")
    vars(sys).update(reached=threading.Event(), go_on=threading.Event())
    importing = threading.Thread(target=importlib.import_module, args=["kitchen.oven"])
    importing.start()
    try:
        assert vars(sys)["reached"].wait(60)
        waiting = threading.Thread(target=when_imported, args=["kitchen.oven", do])
        waiting.start()
        assert noted == []
    finally:
        vars(sys)["go_on"].set()
        importing.join()
    waiting.join()
    del vars(sys)["reached"], vars(sys)["go_on"]

    assert noted == ["hot: 250"]
