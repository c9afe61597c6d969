"""What the command line says about the words themselves, before any command runs."""

from __future__ import annotations

import pytest

from orchestrator.cli.main import near_options, run, split_list


def test_the_bare_command_prints_its_help_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert lines[0] == "Usage: orchestrator [OPTIONS] COMMAND [ARGS]..."
    assert "Commands:" in lines
    assert "\\n" not in printed.err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--lr", "No such option: --lr; did you mean --learning-rates?"),
        ("--learning-ratio", "No such option: --learning-ratio; did you mean --learning-rates?"),
        ("--sedes", "No such option: --sedes; did you mean --seeds?"),
        ("--res", "No such option: --res; did you mean --resume?"),
        ("--re", "No such option: --re; did you mean --resume or --report?"),
        ("--gpu", "No such option: --gpu"),
    ],
)
def test_an_unknown_option_gets_the_near_one_or_none(
    option: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sweep", option, "0.1"]) == 2
    assert capsys.readouterr().err == f"orchestrator: {message}\n"


def test_several_options_may_be_near() -> None:
    assert near_options("--se", ["--seeds", "--seed", "--spec"]) == ["--seeds", "--seed"]
    assert near_options("--", []) == []


@pytest.mark.parametrize("words", [("0.01,", "0.03,", "0.1"), ("0.01", ",0.03", ",0.1"), ("0.01", ",", "0.03,", "0.1")])
def test_a_list_that_spaces_split_is_shown_as_it_must_be_written(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sweep", "--seeds", "0", "--learning-rates", *words, "--epochs", "1"]) == 2
    assert capsys.readouterr().err == (
        "orchestrator: Spaces split a list into several arguments: write 0.01,0.03,0.1 or '0.01, 0.03, 0.1'\n"
    )


def test_other_surplus_arguments_are_not_taken_for_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert split_list(["--seeds", "0,3", "surplus"]) is None
    assert run(["sweep", "--seeds", "0,3", "surplus"]) == 2
    assert "surplus" in capsys.readouterr().err
