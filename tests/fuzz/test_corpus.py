"""Replay of the fuzzer's corpus, with each input cut short as well."""

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("name", TARGETS)
def test_corpus_of_target_finds_no_failure(name):
    inputs = [each.read_bytes() for each in sorted((CORPUS / name).iterdir())]
    assert inputs
    for data in inputs:
        for end in {len(data), *range(0, len(data), 7)}:
            TARGETS[name](data[:end])


def test_each_corpus_has_target():
    assert {each.name for each in CORPUS.iterdir()} == set(TARGETS)
