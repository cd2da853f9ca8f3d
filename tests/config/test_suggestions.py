"""Suggestions for unknown names in files and in the environment."""

import pytest

from corn.config.suggestions import describe_unknown, did_you_mean, in_one_line, is_typing_error

KNOWN = ["workers", "port", "timeout_boot"]
FLAGS = ["--uds", "--host", "-w"]


@pytest.mark.parametrize(("word", "hint"), [("prot", "; did you mean 'port'?"), ("zzz", "")])
def test_nearest_known_name_is_suggested_if_there_is_one(word, hint):
    assert did_you_mean(word, KNOWN) == hint


@pytest.mark.parametrize(("word", "hint"), [("--bogus", ""), ("--hots", "; did you mean '--host'?")])
def test_hyphens_do_not_make_flags_similar(word, hint):
    assert did_you_mean(word, FLAGS) == hint


@pytest.mark.parametrize(("word", "is_one"), [("worekrs", False), ("workerss", True), ("threads", False), ("", False)])
def test_misspelling_is_one_letter_in_many(word, is_one):
    assert is_typing_error(word, "workers") == is_one


def test_nothing_is_misspelling_of_no_name():
    assert not is_typing_error("workers", "")


@pytest.mark.parametrize(
    ("words", "prefix", "said"),
    [
        (["prot"], "", "unknown option 'prot'; did you mean 'port'?"),
        (["zzz"], "", "unknown option 'zzz'"),
        (
            ["ZZZ"],
            "CORN_",
            "unknown option 'CORN_ZZZ'; unset it, or see 'corn config --help' for the available options",
        ),
    ],
)
def test_one_unknown_name_is_described_in_one_line(words, prefix, said):
    assert describe_unknown("option", words, KNOWN, prefix).startswith(said)


def test_several_unknown_names_are_listed_each_with_its_hint():
    listed = describe_unknown("option", ["prot", "zzz", "worker_class"], KNOWN).splitlines()
    assert listed[0] == "3 unknown options"
    assert listed[1] == "  prot          did you mean 'port'?"
    assert listed[2] == "  zzz"
    assert listed[3].startswith("  worker_class  an option of gunicorn; ")


def test_option_of_other_server_is_named_as_such():
    said = describe_unknown("option", ["worker_class"], KNOWN)
    assert said.startswith("unknown option 'worker_class' of gunicorn; ")
    assert in_one_line("option", "x", "") == "unknown option 'x'"
