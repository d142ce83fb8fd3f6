"""Which texts name a label, and under which spelling."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcmvae.errors import InvalidInput
from rcmvae.label_name import MAX_LABEL, label_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("7", "7"),
        ("ankle boot", "ankle boot"),
        ("e\u0301te\u0301", "\u00e9t\u00e9"),
        ("\u212b", "\u00c5"),
        ("\u2764\ufe0f", "\u2764\ufe0f"),
        ("\u0e01\u0e34", "\u0e01\u0e34"),
        ("x" * MAX_LABEL, "x" * MAX_LABEL),
        ("e\u0301" * MAX_LABEL, "\u00e9" * MAX_LABEL),
    ],
)
def test_two_spellings_are_one_name(text: str, name: str) -> None:
    assert label_name("label", text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        " 9",
        "9 ",
        "\u00a09",
        "a\u3000b",
        "x" * (MAX_LABEL + 1),
        "x" * 100_000,
        "a\0b",
        "a\tb",
        "a\nb",
        "a\x7f",
        "a\u0085",
        "\udfff",
        "a\u200b",
        "a\u202eb",
        "\ue000",
        "\u0344" * (MAX_LABEL // 2 + 1),
        "\u0301a",
        "a\u034fb",
        "\u3164",
        "\u115f",
        "\u2800",
    ],
)
def test_texts_that_name_nothing_are_refused_by_field(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        label_name("items[3].label", text)
    assert refused.value.field == "items[3].label"
    assert refused.value.expected.startswith(f"1 to {MAX_LABEL} printable characters")
    assert len(refused.value.actual) < 12 * MAX_LABEL
    assert refused.value.actual.startswith(("'", '"'))


@given(st.text(max_size=80))
def test_a_name_is_a_fixed_point_and_refusal_does_not_depend_on_spelling(text: str) -> None:
    decomposed = unicodedata.normalize("NFD", text)
    try:
        name = label_name("label", text)
    except InvalidInput:
        with pytest.raises(InvalidInput):
            label_name("label", decomposed)
        return
    assert name == label_name("label", name) == label_name("label", decomposed)
    assert 1 <= len(name) <= MAX_LABEL
    assert unicodedata.is_normalized("NFC", name)
    assert not any(unicodedata.category(character)[0] == "C" for character in name)
