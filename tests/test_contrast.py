"""Contrast of text in corn's own pages, computed from the variables of their style sheets (WCAG 2.2, 1.4.3, 1.4.11)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Of each style sheet: what text is written in, and what it stands on; then lines and their ground.
SHEETS = {
    "corn/admin/dashboard.css": (
        [
            (text, ground)
            for text in ("text", "dim", "first", "second", "good", "warn", "bad")
            for ground in ("back", "card")
        ]
        + [("text", "alarm"), ("bad", "alarm")],
        [
            ("first", "card"),
            ("second", "card"),
            ("good", "card"),
            ("bad", "card"),
            ("warn", "card"),
            ("first", "alarm"),
        ],
    ),
    "corn/diagnosis/html.css": (
        [(text, ground) for text in ("ink", "soft", "accent") for ground in ("ground", "sheet", "tint")]
        + [("ink", "mark")],
        [("focus", "ground"), ("accent", "tint")],
    ),
}


def variables(sheet: str, *, dark: bool) -> dict[str, str]:
    """The colours of a style sheet; those of the dark scheme replace the light ones."""
    light, dark_part = re.match(r"(.*?)@media \(prefers-color-scheme: dark\) \{(.*?\n\})", sheet, re.DOTALL).groups()
    colours = re.compile(r"--([a-z]+): (#[0-9a-f]{3,6})\b")
    return dict(colours.findall(light)) | (dict(colours.findall(dark_part)) if dark else {})


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(each * 2 for each in colour[1:])
    parts = [int(digits[index : index + 2], 16) / 255 for index in (0, 2, 4)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_known_colours_match_standard():
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", SHEETS)
def test_page_text_and_lines_have_enough_contrast(name, dark):
    sheet = (ROOT / name).read_text()
    colours = variables(sheet, dark=dark)
    texts, lines = SHEETS[name]
    low = {pair: contrast(*(colours[each] for each in pair)) for pair in texts}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}
    low = {pair: contrast(*(colours[each] for each in pair)) for pair in lines}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 3} == {}


@pytest.mark.parametrize("name", SHEETS)
def test_page_colours_are_variables_without_opacity(name):
    rules = re.sub(r":root \{.*?\}", "", (ROOT / name).read_text(), flags=re.DOTALL)
    assert re.findall(r"(?<![\w-])(?:#[0-9a-f]{3,6}|rgba?\()", rules) == []
    assert re.findall(r"[^{}]*\{[^}]*(?<!-)opacity:[^}]*\}", rules) == []


@pytest.mark.parametrize("name", SHEETS)
def test_page_colours_are_all_compared(name):
    sheet = (ROOT / name).read_text()
    used = set(re.findall(r"(?<![\w-])color: var\(--(\w+)\)", sheet))
    assert used <= {text for text, _ in SHEETS[name][0]}
