"""``heliograph run``: what is reported, where it goes, and what happens when something is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from heliograph.report.document import loads
from tests.cli.conftest import environment


def test_the_report_follows_the_program(shop, heliograph):
    """The program's output is its own; the report is on stderr and tells who ran and who failed."""
    ran = heliograph("run", "shop.py", "--loud")

    assert (ran.code, ran.out) == (0, "sold --loud\n")
    assert ran.report.splitlines()[1].startswith("heliograph · shop.py --loud ─")
    assert ran.report.splitlines()[2].startswith("3 dispatches · 6 receiver calls · 3 failed · ")
    assert ran.rows("paid", "send_robust") == ["paid  ×3  send_robust"]
    assert ran.rows("__main__.receipt  ×3") == ["__main__.receipt  ×3"]
    assert "✗ FAILED ConnectionError  shop.py:15  captured" in ran.report
    assert "__main__.search  lost  shop.py:17" in ran.report
    assert "canary" not in ran.report


def test_a_program_that_fails_is_reported_all_the_same(shop, heliograph):
    """The traceback comes first, then the report; the exit code is the program's."""
    shop.write_text(shop.read_text() + "\nraise ValueError('wrong')\n")

    ran = heliograph("run", "shop.py")

    assert ran.code == 1
    assert ran.err.endswith("ValueError: wrong\n")
    assert "3 dispatches" in ran.report


@pytest.mark.parametrize(
    ("options", "seen", "unseen"),
    [
        (["--level", "all"], "├─ __main__.receipt  ×3", "SLOW"),
        (["--level", "errors"], "__main__.credit  ×3", "├─ __main__.receipt"),
        (["--level", "SLOW", "--slow", "0"], "__main__.receipt  ×3  SLOW", "never ran"),
        (["--level", "off"], "The level is off: nothing was observed.", "receipt"),
    ],
)
def test_the_level_and_the_threshold_are_options(shop, heliograph, options, seen, unseen):
    """Options go before the script."""
    ran = heliograph("run", *options, "shop.py")

    assert ran.code == 0
    assert seen in ran.report
    assert unseen not in ran.report


def test_the_environment_has_settings_too(shop, heliograph):
    """What has no option is set in the environment, and an option beats it."""
    excluded = {"OTEL_PYTHON_HELIOGRAPH_EXCLUDED_RECEIVERS": "__main__.credit", "OTEL_PYTHON_HELIOGRAPH_LEVEL": "off"}

    ran = heliograph("run", "--level", "all", "shop.py", env=excluded)

    assert "__main__.receipt" in ran.report
    assert "__main__.credit" not in ran.report


def test_a_name_that_matches_nothing_is_remarked_on(shop, heliograph):
    """A slip in a filter is said at the end, when all that could match is known."""
    ran = heliograph("run", "shop.py", env={"OTEL_PYTHON_HELIOGRAPH_EXCLUDED_SIGNALS": "__main__.payed,lost"})

    [remark] = [line for line in ran.report.splitlines() if "payed" in line]
    assert remark.startswith("excluded_signals: '__main__.payed' matches nothing that is known here.")
    assert "Did you mean __main__.paid" in remark


def test_a_signal_has_the_name_that_it_was_given(write, heliograph):
    """Receivers of a signal with a name of its own are found among those that were called."""
    write(
        "script.py",
        """
        import heliograph
        paid = heliograph.Signal(name="shop.paid")
        paid.connect(receipt := lambda **_: None)
        paid.send(None)
        """,
    )

    ran = heliograph("run", "script.py")

    assert ran.rows("paid") == ["paid", "__main__.<lambda>  paid"]
    assert "never called" not in ran.report


class TestSaving:
    """``--save FILE`` keeps the report instead of printing it."""

    def test_a_saved_report_is_printed_again(self, shop, heliograph, folder):
        """One line says where it is; the program's output is untouched, and so is what the report says."""
        printed = heliograph("run", "shop.py")
        ran = heliograph("run", "--save", "saved.json", "shop.py")
        again = heliograph("report", "saved.json")

        path = folder / "saved.json"
        assert (ran.code, ran.out, ran.report) == (0, "sold\n", "")
        assert ran.err == f"heliograph: the report is in {path}; print it: heliograph report {path}\n"
        assert json.loads(path.read_text())["heliograph_report"] == 1
        assert loads(path.read_bytes()).program == "shop.py"
        assert again.code == 0
        assert sorted(without_numbers(again.out)) == sorted(without_numbers(printed.report))
        assert sorted(one.name for one in folder.iterdir()) == ["saved.json", "shop.py"]

    def test_an_older_report_is_replaced(self, shop, heliograph, folder):
        """All of the new one, or all of the old one; the file's place is the one given, wherever the program goes."""
        (folder / "saved.json").write_text("old")
        shop.write_text(f"import os; os.chdir('/')\n{shop.read_text()}")

        heliograph("run", "--save", "saved.json", "shop.py")

        assert loads((folder / "saved.json").read_text()).totals.dispatches == 3

    def test_a_folder_that_is_not_there_is_said_before_anything_runs(self, shop, heliograph, folder):
        """A long run is not lost to a slip of the pen."""
        ran = heliograph("run", "--save", "nowhere/saved.json", "shop.py")

        assert (ran.code, ran.out, ran.report) == (2, "", "")
        assert f"there is no folder '{folder / 'nowhere'}' to save in. Create it first." in words(ran.err)

    def test_a_folder_is_no_file(self, shop, heliograph, folder):
        """What is there and is a folder cannot be a report."""
        ran = heliograph("run", "--save", ".", "shop.py")

        assert (ran.code, ran.out) == (2, "")
        assert "'.' is a folder. Name a file in it." in words(ran.err)

    def test_a_report_that_cannot_be_saved_is_printed(self, shop, heliograph, folder):
        """The folder went away while the program ran: it says so, prints the report, and ends as the program ends."""
        (folder / "reports").mkdir()
        shop.write_text(f"{shop.read_text()}\nimport os; os.rmdir('reports'); sys.exit(5)")

        ran = heliograph("run", "--save", "reports/saved.json", "shop.py")

        path = folder / "reports" / "saved.json"
        assert ran.code == 5
        assert ran.err == (
            f"heliograph: the report could not be saved to {path}: No such file or directory. Here it is instead.\n"
        )
        assert "3 dispatches" in ran.report

    @pytest.mark.skipif(sys.platform == "win32", reason="has no such devices")
    def test_a_device_is_written_to_and_stays(self, shop, heliograph):
        """A device or a pipe is never replaced by a file."""
        ran = heliograph("run", "--save", "/dev/null", "shop.py")

        assert ran.code == 0
        assert not Path("/dev/null").is_file()


def words(text: str) -> str:
    """Return *text* without the line breaks and frames that click puts into it."""
    return " ".join(text.replace("│", " ").split())


def without_numbers(text: str) -> list[str]:
    """Return the lines of a report without what differs from run to run."""
    return [
        "".join(char for char in line if not char.isdigit() and char not in " .mµs%<█▏▎▍▌▋▊▉")
        for line in text.splitlines()
    ]


class TestBadInput:
    """What is wrong with the command line is said before anything runs, with exit code 2."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--level", "loud", "shop.py"], "'loud' is not one of 'off', 'errors', 'slow', 'all'."),
            (["--slow", "soon", "shop.py"], "'soon' is not a valid float range."),
            (["--slow", "-1", "shop.py"], "-1.0 is not in the range x>=0."),
            (["--slow", "nan", "shop.py"], "--slow cannot be nan. Valid: a number of seconds that is zero or more"),
            (["--slow", "inf", "shop.py"], "--slow cannot be inf. Valid: a number of seconds that is zero or more"),
            (
                ["--otlp", "localhost:4318", "shop.py"],
                "'localhost:4318' is no HTTP address. Pass one such as http://127.0.0.1:4318.",
            ),
            (["--otlp", "http://", "shop.py"], "'http://' is no HTTP address."),
            (["--otlp", "http://a:port", "shop.py"], "'http://a:port' is no HTTP address."),
            (["--nonsense", "shop.py"], "No such option"),
            ([], "Missing argument 'PROGRAM'."),
            (["-m"], "Missing argument 'PROGRAM'."),
        ],
    )
    def test_an_option_that_is_wrong(self, shop, heliograph, arguments, message):
        """The message has the value and what is valid."""
        ran = heliograph("run", *arguments)

        assert (ran.code, ran.out, ran.report) == (2, "", "")
        assert message in words(ran.err)

    @pytest.mark.parametrize(
        ("variable", "value", "message"),
        [
            ("LEVEL", "loud", "OTEL_PYTHON_HELIOGRAPH_LEVEL cannot be 'loud'. Valid: off, errors, slow, all."),
            ("SLOW", "soon", "OTEL_PYTHON_HELIOGRAPH_SLOW cannot be 'soon'. Valid: a number of seconds"),
        ],
    )
    def test_a_setting_in_the_environment_that_is_wrong(self, shop, heliograph, variable, value, message):
        """The message names the variable."""
        ran = heliograph("run", "shop.py", env={f"OTEL_PYTHON_HELIOGRAPH_{variable}": value})

        assert (ran.code, ran.out, ran.report) == (2, "", "")
        assert message in words(ran.err)

    def test_a_script_that_does_not_exist(self, heliograph, folder):
        """Nothing is saved or reported for a program that never ran."""
        ran = heliograph("run", "--save", "saved.json", "nowhere.py")

        assert (ran.code, ran.out, ran.report) == (2, "", "")
        assert ran.err.startswith("heliograph: can't open file '")
        assert not (folder / "saved.json").exists()


class TestReportCommand:
    """``heliograph report FILE``."""

    def test_a_file_that_is_no_report(self, shop, heliograph):
        """One clear line, no traceback."""
        ran = heliograph("report", "shop.py")

        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith("Error: shop.py: This is no saved report, because it is no JSON: Expecting value")

    def test_a_file_that_does_not_exist(self, heliograph):
        """The file is named."""
        ran = heliograph("report", "nowhere.json")

        assert (ran.code, ran.out) == (2, "")
        assert "'nowhere.json': No such file or directory" in words(ran.err)

    def test_a_report_can_come_through_a_pipe(self, shop, heliograph, folder):
        """A dash is the standard input, and --all shows what is folded otherwise."""
        heliograph("run", "--save", "saved.json", "shop.py")

        ran = heliograph("report", "--all", "-", input=(folder / "saved.json").read_text())

        assert ran.code == 0
        assert "✗ FAILED ConnectionError" in ran.out


class TestWithoutExtras:
    """The command line says which extra is missing."""

    @pytest.mark.parametrize("missing", ["click", "rich"])
    def test_the_cli_extra(self, write, heliograph, missing, folder):
        """Without click or rich there is a sentence and exit code 2."""
        write(f"site/{missing}.py", f"raise ModuleNotFoundError('none', name={missing!r})")

        ran = heliograph("run", "shop.py", env=path_with(folder / "site"))

        assert (ran.code, ran.out) == (2, "")
        assert ran.err == (
            f"heliograph: the command line needs {missing}, which is not installed. "
            "Install it: pip install 'heliograph[cli]'\n"
        )

    def test_the_otlp_extra(self, shop, write, heliograph, folder):
        """Without the exporter nothing runs that was to be exported."""
        write("site/sitecustomize.py", "import sys; sys.modules['opentelemetry.exporter.otlp'] = None")

        ran = heliograph("run", "--otlp", "http://127.0.0.1:4318", "shop.py", env=path_with(folder / "site"))

        assert (ran.code, ran.out, ran.report) == (2, "", "")
        assert "--otlp needs opentelemetry.exporter.otlp" in words(ran.err)
        assert "pip install 'heliograph[otlp]'" in words(ran.err)

    def test_the_demo_without_django(self, write, heliograph, folder):
        """The demo is a Django project."""
        write("site/sitecustomize.py", "import sys; sys.modules['django'] = None")

        ran = heliograph("demo", env=path_with(folder / "site"))

        assert (ran.code, ran.out) == (2, "")
        assert "pip install 'heliograph[django]'" in words(ran.err)


def path_with(folder):
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}


def test_a_closed_stderr_is_no_trouble(shop, heliograph):
    """A program that closes its standard error ends as it ends."""
    shop.write_text(f"{shop.read_text()}\nsys.stdout.flush(); sys.stderr.close(); sys.exit(6)")

    ran = heliograph("run", "shop.py")

    assert (ran.code, ran.out) == (6, "sold\n")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break differently")
def test_a_reader_that_goes_away_is_no_trouble(shop, heliograph, folder):
    """Neither the program's exit code nor its output depend on whether anybody reads the report to its end."""
    shop.write_text(f"{shop.read_text()}\nsys.exit(7)")
    heliograph("run", "--save", "saved.json", "shop.py")
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "heliograph", "run", "shop.py"],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=writer,
            text=True,
            check=False,
        )
        report = subprocess.run(
            [sys.executable, "-m", "heliograph", "report", "saved.json"],
            cwd=folder,
            env=environment(),
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)

    assert (ran.returncode, ran.stdout) == (7, "sold\n")
    assert (report.returncode, report.stderr) == (1, "")


def test_help_and_version(heliograph):
    """Every command explains itself."""
    assert heliograph("--version").out.startswith("heliograph ")
    for command in ((), ("run",), ("report",), ("demo",)):
        ran = heliograph(*command, "--help")
        assert (ran.code, ran.err) == (0, "")
        assert "Usage: heliograph" in ran.out
