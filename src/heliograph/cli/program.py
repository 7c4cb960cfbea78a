"""Runs a script or a module in this process, as ``python`` would have run it.

The program gets the ``__main__`` module, the arguments and the search path it would have had, and what it
leaves with (an exit code, an error) is what the process ends with.
"""

from __future__ import annotations

import builtins
import importlib.util
import pkgutil
import sys
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import NoReturn

__all__ = ["Program", "ProgramNotFoundError"]

INTERRUPTED = 130


class ProgramNotFoundError(Exception):
    """There is no such script or module.

    Attributes:
        exit_code: What ``python`` ends with in that case.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Program:
    """A script or a module and its arguments.

    Attributes:
        name: The script's path as given, or the module's name.
        arguments: What it finds in ``sys.argv`` after its own name.
        is_module: Whether it is a module.
    """

    name: str
    arguments: tuple[str, ...]
    is_module: bool = False

    def __str__(self) -> str:
        return " ".join([*(["-m"] if self.is_module else []), self.name, *self.arguments])

    @property
    def label(self) -> str:
        """Its name alone: the file's, or the module's."""
        return self.name if self.is_module else Path(self.name).name

    def check(self) -> None:
        """Raise an error if it is clear without running anything that there is no such script.

        Raises:
            ProgramNotFoundError: If the script cannot be opened.
        """
        if self.is_module or Path(self.name).is_dir():
            return
        try:
            Path(self.name).open("rb").close()
        except OSError as error:
            reason = f"[Errno {error.errno}] {error.strerror}"
            raise ProgramNotFoundError(f"can't open file {str(Path(self.name).absolute())!r}: {reason}", 2) from None

    def run(self) -> NoReturn:
        """Run it. Ends with ``SystemExit``, as it ends; what it does not catch is printed as ``python`` prints it.

        Raises:
            ProgramNotFoundError: If there is no such module, or nothing in it to run.
        """
        try:
            if self.is_module:
                self._run_module()
            else:
                self._run_script()
        except (SystemExit, ProgramNotFoundError):
            raise
        except BaseException as error:  # noqa: BLE001  # whatever the program does not catch
            _print_uncaught(error)
            sys.exit(INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1)
        sys.exit(0)

    def _run_script(self) -> None:
        sys.argv = [self.name, *self.arguments]
        if Path(self.name).is_dir() or zipfile.is_zipfile(self.name):
            self._run_folder()
            return
        path = str(Path(self.name).absolute())
        _search_first(str(Path(self.name).resolve().parent))
        main = _new_main(path, SourceFileLoader("__main__", path), None)
        exec(_script_code(path), main.__dict__)  # noqa: S102  # to run it is the point

    def _run_folder(self) -> None:
        path = str(Path(self.name).absolute())
        _search_first(path)
        spec = PathFinder.find_spec("__main__", [path])
        if spec is None:
            raise ProgramNotFoundError(f"can't find '__main__' module in {path!r}", 1)
        _run_spec(spec)

    def _run_module(self) -> None:
        sys.argv = ["-m", *self.arguments]
        _search_first(str(Path.cwd()))
        spec = _find_module(self.name)
        sys.argv[0] = spec.origin or self.name
        _run_spec(spec)


def _search_first(folder: str) -> None:
    if not sys.flags.safe_path:  # then Python has put no folder before the others, and neither do we
        sys.path[0] = folder


def _script_code(path: str) -> CodeType:
    with Path(path).open("rb") as file:
        compiled: CodeType | None = pkgutil.read_code(file)
    return compiled or compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)


def _find_module(name: str) -> ModuleSpec:
    if name.startswith("."):
        raise ProgramNotFoundError("Relative module names not supported", 1)
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # a package on the way there misses something else
        spec = None
    if spec is None:
        raise ProgramNotFoundError(f"No module named {name}", 1)
    if spec.submodule_search_locations is None:
        return spec
    inner = importlib.util.find_spec(f"{name}.__main__")
    if inner is None:
        what = f"No module named {name}.__main__; {name!r} is a package and cannot be directly executed"
        raise ProgramNotFoundError(what, 1)
    return inner


def _run_spec(spec: ModuleSpec) -> None:
    get_code = getattr(spec.loader, "get_code", None)
    code = get_code(spec.name) if get_code is not None else None
    if code is None:
        raise ProgramNotFoundError(f"No code object available for {spec.name}", 1)
    main = _new_main(spec.origin or spec.name, spec.loader, spec)
    exec(code, main.__dict__)  # noqa: S102  # to run it is the point


def _new_main(file: str, loader: object, spec: ModuleSpec | None) -> ModuleType:
    """Put a fresh ``__main__`` in the place of the command's own; it stays there until the process ends."""
    main = ModuleType("__main__")
    main.__dict__.update(
        __builtins__=builtins,
        __file__=file,
        __cached__=None if spec is None else spec.cached,
        __loader__=loader,
        __package__=None if spec is None else spec.parent,
        __spec__=spec,
    )
    sys.modules["__main__"] = main
    return main


def _print_uncaught(error: BaseException) -> None:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next  # the program did not put these frames there
    error.with_traceback(trace)
    with suppress(Exception):  # it may be closed, or nothing at all
        sys.stdout.flush()
    try:
        sys.excepthook(type(error), error, trace)
    except BaseException as broken:  # noqa: BLE001  # the program may have put its own there
        print("Error in sys.excepthook:", file=sys.stderr)
        sys.__excepthook__(type(broken), broken, broken.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(error), error, trace)
