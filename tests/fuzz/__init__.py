"""Coverage-guided fuzzing of everything that reads bytes from outside: `make fuzz`.

targets.py says what must hold for any input, corpus/ holds inputs to begin with, one directory for each target, and
`python -m tests.fuzz TARGET` looks for new ones with atheris. What it finds becomes a file of the corpus, which
test_corpus.py replays in each run of the tests.
"""
