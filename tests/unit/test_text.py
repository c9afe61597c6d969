"""Text for people: nothing in it does anything to a terminal."""

import io
import unicodedata

import pytest
from rich.console import Console

from nn.errors import printable
from orchestrator.cli.shared.output import complain, print_table, say
from worker.text import csv_cell, one_line

#: A title for the window, a bell, a return to the line's beginning, half a character, and a turn of direction.
HOSTILE = "a\x1b]0;pwn\x07b\rc\udce9d\u202ee\x9bf"
SHOWN = r"a\x1b]0;pwn\x07b\rc\udce9d\u202ee\x9bf"


def test_what_acts_on_a_terminal_is_written_out() -> None:
    assert printable(HOSTILE) == SHOWN
    assert printable("two\nlines of 7ë█漢") == "two\nlines of 7ë█漢"
    assert one_line("two\nlines") == "two\\nlines"
    assert one_line("two\u2028lines\u2029more") == r"two\u2028lines\u2029more"
    # What is not shown, too,
    for name in (
        "ZERO WIDTH SPACE",
        "SOFT HYPHEN",
        "HANGUL FILLER",
        "TAG LATIN SMALL LETTER A",
        "WORD JOINER",
        "ZERO WIDTH NO-BREAK SPACE",
        "HALFWIDTH HANGUL FILLER",
        "VARIATION SELECTOR-16",
    ):
        assert printable(unicodedata.lookup(name)) == ascii(unicodedata.lookup(name))[1:-1]
    # and with that every character that acts, and few others.
    directions = ("RLO", "LRO", "RLE", "LRE", "RLI", "LRI")
    every = "".join(map(chr, range(0x20000)))
    acting = {c for c in every if unicodedata.category(c) in ("Cc", "Cs") or unicodedata.bidirectional(c) in directions}
    written_out = set(every) - set(printable(every))
    assert acting - written_out == {"\n"}
    others = written_out - acting
    assert {unicodedata.category(c) for c in others} <= {"Cf", "Cn", "Lo", "Mn", "Zl", "Zp"}
    assert len(others) < 80


@pytest.mark.parametrize(
    ("value", "text", "cell"),
    [
        ("=1+1", None, "'=1+1"),
        (" =1+1", None, "' =1+1"),
        ("\u3000@a", None, "'\u3000@a"),
        ("\uff1d1+1", None, "'\uff1d1+1"),
        ("\u200b=1+1", None, "\\u200b=1+1"),
        ("\x1b[31m\u202e", None, "\\x1b[31m\\u202e"),
        (["=1+1", "b"], "=1+1,b", "'=1+1,b"),
        ([-3, 2], "-3,2", "-3,2"),
        (-0.1, None, -0.1),
        (None, "none", "none"),
    ],
)
def test_a_cell_is_no_formula_and_no_escape(value: object, text: str | None, cell: object) -> None:
    assert csv_cell(value, text) == cell


def test_every_way_to_print_a_foreign_text_writes_it_out(capsys: pytest.CaptureFixture[str]) -> None:
    printed = io.StringIO()
    console = Console(file=printed)
    say(console, HOSTILE)
    print_table(console, (HOSTILE,), [(HOSTILE,)], is_text=True)
    print_table(console, ("mass [kg] [/]",), [])
    complain(HOSTILE)
    assert printed.getvalue().count(SHOWN) == 3
    assert "mass [kg] [/]" in printed.getvalue()
    assert capsys.readouterr().err == f"{SHOWN}\n"


def test_a_table_in_a_pipe_is_as_wide_as_it_is_and_ends_without_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    printed = io.StringIO()
    print_table(Console(file=printed), ("first", "second"), [("1" * 30, "2" * 30)], spare=("first",))
    say(Console(file=printed), "a sentence of more than twenty columns")
    lines = printed.getvalue().split("\n")
    assert lines[3].split() == ["1" * 30, "2" * 30]
    assert lines[-2] == "a sentence of more than twenty columns"
    assert all(line == line.rstrip() for line in lines)


def test_a_cell_of_megabytes_is_cut() -> None:
    printed = io.StringIO()
    print_table(Console(file=printed, width=80), ("what",), [("x " * 2**20,)], is_text=True)
    assert printed.getvalue().count("x ") < 1000 < len(printed.getvalue()) < 3000


def test_a_narrow_terminal_goes_without_spare_columns_and_never_without_figures() -> None:
    def shown(width: int) -> list[str]:
        printed = io.StringIO()
        console = Console(file=printed, width=width, force_terminal=True, color_system=None)
        headings = ("first", "second", "third")
        print_table(console, headings, [("1" * 10, "2" * 10, "3" * 10)], spare=("second", "third"))
        return [line.split() for line in printed.getvalue().split("\n")][3]

    assert shown(60) == ["1" * 10, "2" * 10, "3" * 10]
    assert shown(30) == ["1" * 10, "3" * 10]
    assert shown(20) == ["1" * 10]
    # At last, words wrap, but no figures.
    assert shown(10) == ["1" * 10]


def test_a_terminal_wraps_sentences_at_words_and_commands_never(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.StringIO()
    monkeypatch.setattr(printed, "isatty", lambda: True)
    console = Console(file=printed, width=20, color_system=None)
    whole = ["go on with: orchestrator watch night-run", "  orchestrator watch night-run"]
    for text in ("a sentence of more than twenty columns", "in/a/folder/of/a/long/name and more", *whole):
        say(console, text)
    wrapped = ["a sentence of more", "than twenty columns", "in/a/folder/of/a/long/name", "and more"]
    assert printed.getvalue().splitlines() == wrapped + whole
