"""A program that is observed runs as Python would have run it: each is run both ways and compared."""

from __future__ import annotations

import sys
import zipapp

import pytest

SELF_PORTRAIT = """
    '''What it says of itself.'''
    import sys
    print(__name__, __doc__, __file__, __package__, getattr(__spec__, "name", None), type(__loader__).__name__, __cached__)
    print(type(__builtins__).__name__, sorted(name for name in globals() if name != "__annotations__"))
    print(sys.argv, sys.path[0], sys.modules["__main__"].__dict__ is globals())
"""


@pytest.fixture
def same(python, heliograph):
    """Runs a program with Python and with ``heliograph run``; returns how it ended, once that is the same."""

    def same(*words, env=None, **options):
        expected = python(*words, env=env, **options)
        ran = heliograph("run", *words, env=env, **options)
        assert (ran.code, ran.out, ran.err) == (expected.code, expected.out, expected.err)
        assert ran.report.startswith("\nheliograph · ")
        return ran

    return same


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("one", "two words", ""),
        ("--save", "x.json", "--level", "nonsense", "-m", "--help"),
        ("--", "-x", "--"),
        ("-",),
        ("*", "$HOME", "%PATH%"),
    ],
    ids=" ".join,
)
def test_a_script_finds_what_it_always_found(write, same, arguments):
    """Its arguments, whatever they look like; its name, its file, its module, its search path."""
    write("portrait.py", SELF_PORTRAIT)

    ran = same("portrait.py", *arguments)

    assert ran.out.splitlines()[-1].startswith(f"{['portrait.py', *arguments]} ")


def test_a_script_in_another_folder_imports_from_there(write, same):
    """The first place to search is the script's folder, not the one it is started in."""
    write("tools/helper.py", "name = 'helper'")
    write("tools/portrait.py", f"{SELF_PORTRAIT}\n    import helper; print(helper.__file__)")

    assert same("tools/portrait.py").out.endswith("helper.py\n")


def test_a_script_behind_a_link_imports_from_where_it_is(write, same, folder):
    """A link leads to the folder of what it stands for."""
    write("tools/helper.py", "name = 'helper'")
    write("tools/portrait.py", f"{SELF_PORTRAIT}\n    import helper; print(helper.__file__)")
    (folder / "link.py").symlink_to(folder / "tools" / "portrait.py")

    same("link.py")


def test_a_safe_path_stays_safe(write, same):
    """Where Python was told to put no folder before the others, none is put there."""
    write("script.py", "import sys; print('' in sys.path, [path for path in sys.path if 'work' in path[-4:]])")

    assert same("script.py", env={"PYTHONSAFEPATH": "1"}).out == "False []\n"


def test_a_module_finds_what_it_always_found(write, same):
    """``-m`` runs a module by its name; everything after it is the module's."""
    write("package/__init__.py", "print('package is imported as', __name__)")
    write("package/portrait.py", SELF_PORTRAIT)

    same("-m", "package.portrait", "-m", "--save", "x", "--")


def test_a_package_runs_its_main(write, same):
    """``-m`` with a package runs its ``__main__``."""
    write("package/__init__.py", "")
    write("package/__main__.py", f"{SELF_PORTRAIT}\n    from . import helper")
    write("package/helper.py", "print('helped by', __package__)")

    assert same("-m", "package", "x").out.endswith("helped by package\n")


def test_folders_and_archives_run_their_main(write, same, folder):
    """What Python runs by its ``__main__.py``, a folder or a zip file, is run."""
    write("app/__main__.py", SELF_PORTRAIT)
    zipapp.create_archive(folder / "app", folder / "app.pyz")

    same("app", "x")
    same("app.pyz", "x")


def test_compiled_scripts_run(write, same, folder, python):
    """A ``.pyc`` is a script as well."""
    write("script.py", "print('compiled', __name__)")
    python("-c", "import py_compile; py_compile.compile('script.py', 'script.pyc')")

    assert same("script.pyc").out == "compiled __main__\n"


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("print('done')", 0),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit(0)", 0),
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit('a message')", 1),
        ("import sys; sys.exit(['an', 'object'])", 1),
        ("raise SystemExit(7)", 7),
        ("def f():\n    raise ValueError('wrong')\nf()", 1),
        ("try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('a') from error", 1),
        ("try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise KeyError('a')", 1),
        ("raise ExceptionGroup('several', [ValueError(1), TypeError(2)])", 1),
        ("def f(:", 1),
        ("import nowhere", 1),
        ("raise BrokenPipeError('epipe')", 1),
        ("raise EOFError", 1),
        ("raise GeneratorExit", 1),
        ("import click; raise click.UsageError('of the program')", 1),
        ("import click; raise click.exceptions.Exit(5)", 1),
        ("import sys; sys.excepthook = lambda *_: print('my hook', file=sys.stderr)\nraise ValueError", 1),
        ("import os, sys; sys.stdout.close(); sys.exit(4)", 4),
        ("import warnings\nwarnings.warn('old', DeprecationWarning)", 0),
        ("import inspect\ndef f(): pass\nprint(inspect.getsource(f), inspect.getfile(f))", 0),
        ("import pickle\nclass C: pass\nprint(type(pickle.loads(pickle.dumps(C()))) is C)", 0),
    ],
)
def test_a_program_ends_as_it_ends(write, same, program, code):
    """Exit code, traceback and all: nobody can tell from them that somebody watched."""
    write("script.py", program)

    assert same("script.py").code == code


def test_the_standard_input_is_the_programs(write, same):
    """What is piped in arrives."""
    write("script.py", "import sys; print(input(), sys.stdin.read())")

    assert same("script.py", input="first\nrest").out == "first rest\n"


def test_a_failing_hook_shows_both_errors(write, heliograph):
    """An excepthook that fails itself does not swallow the error."""
    write("script.py", "import sys; sys.excepthook = lambda *_: 1 / 0\nraise ValueError('first')")

    ran = heliograph("run", "script.py")

    assert ran.code == 1
    assert "Error in sys.excepthook:\n" in ran.err
    assert ran.err.endswith("ValueError: first\n")


def test_an_interrupted_program_ends_with_130(write, heliograph, python):
    """A program that is interrupted prints its traceback, and ends as shells expect."""
    write("script.py", "print('working')\nraise KeyboardInterrupt")

    ran = heliograph("run", "script.py")

    assert (ran.code, ran.out) == (130, "working\n")
    assert ran.err == python("script.py").err
    assert ran.report


def test_an_error_in_a_module_shows_no_frame_of_ours(write, heliograph):
    """The traceback begins in the program."""
    write("broken.py", "raise ValueError('wrong')")

    ran = heliograph("run", "-m", "broken")

    assert ran.code == 1
    assert ran.err.splitlines()[0] == "Traceback (most recent call last):"
    assert "heliograph" not in ran.err
    assert ran.err.endswith("ValueError: wrong\n")


def test_threads_and_exit_handlers_are_waited_for(write, same):
    """What a program leaves running when its last line is done still runs, and is still reported."""
    write(
        "script.py",
        """
        import atexit, threading
        import heliograph

        done = heliograph.Signal(name="shop.done")
        go_on = threading.Event()

        @heliograph.receiver(done)
        def note(who, **_):
            print(who)

        def work():
            go_on.wait()
            done.send(None, who="thread")

        threading.Thread(target=work).start()
        atexit.register(lambda: done.send(None, who="exit handler"))
        print("last line")
        go_on.set()
        """,
    )

    ran = same("script.py")

    assert ran.out == "last line\nthread\nexit handler\n"
    assert "__main__.note  ×2" in ran.report


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.skipif(sys.platform == "win32", reason="starts processes by forking")
def test_processes_can_be_started(write, same, method):
    """A pool finds the program's functions again, and only the first process reports."""
    write(
        "script.py",
        f"""
        import multiprocessing
        import heliograph

        done = heliograph.Signal(name="shop.done")

        def square(number):
            done.send(None)
            return number * number

        if __name__ == "__main__":
            with multiprocessing.get_context({method!r}).Pool(2) as pool:
                print(pool.map(square, range(4)))
        """,
    )

    ran = same("script.py")

    assert ran.out == "[0, 1, 4, 9]\n"
    assert ran.report.count("heliograph · ") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_process_reports_nothing(write, same):
    """A child that ends in the ordinary way has exit handlers too; it leaves the report to its parent."""
    write(
        "script.py",
        """
        import os, sys
        if os.fork() == 0:
            sys.exit(0)
        os.wait()
        print("parent")
        """,
    )

    assert same("script.py").report.count("heliograph · ") == 1


class TestNotFound:
    """What cannot be run is said as Python says it, with its exit codes."""

    def test_a_script_that_does_not_exist(self, heliograph, python, folder):
        """Nothing runs, and nothing is reported."""
        ran = heliograph("run", "nowhere.py", "x")

        assert (ran.code, ran.out, ran.report) == (2, "", "")
        expected = f"can't open file '{folder / 'nowhere.py'}': [Errno 2] No such file or directory\n"
        assert ran.err == f"heliograph: {expected}"
        assert python("nowhere.py").err.endswith(expected)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("nowhere", "No module named nowhere"),
            ("nowhere.at.all", "No module named nowhere.at.all"),
            ("package.nowhere", "No module named package.nowhere"),
            ("package", "No module named package.__main__; 'package' is a package and cannot be directly executed"),
            (".package", "Relative module names not supported"),
            ("script.x", "No module named script.x"),
        ],
    )
    def test_a_module_that_does_not_exist(self, heliograph, python, write, name, message):
        """The same words as Python's, and no report."""
        write("package/__init__.py", "")
        write("script.py", "")

        ran = heliograph("run", "-m", name)

        assert (ran.code, ran.err, ran.out, ran.report) == (1, f"heliograph: {message}\n", "", "")
        assert python("-m", name).code == 1

    def test_a_folder_without_main(self, heliograph, folder):
        """A folder is run by its ``__main__.py``."""
        (folder / "empty").mkdir()

        ran = heliograph("run", "empty")

        assert (ran.code, ran.report) == (1, "")
        assert ran.err == f"heliograph: can't find '__main__' module in '{folder / 'empty'}'\n"

    def test_a_package_that_misses_something_else(self, heliograph, write):
        """An error on the way to the module is the program's own, and is shown."""
        write("package/__init__.py", "import missing_thing")
        write("package/__main__.py", "")

        ran = heliograph("run", "-m", "package")

        assert ran.code == 1
        assert ran.err.endswith("ModuleNotFoundError: No module named 'missing_thing'\n")
