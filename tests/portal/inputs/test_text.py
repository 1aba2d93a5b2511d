"""Texts have one form, by whichever door they came, and a search finds them in any."""

import unicodedata

import pytest
from django import forms
from hypothesis import given
from hypothesis import strategies as st

from portal.inputs.forms import Form
from portal.inputs.text import clean_line, clean_prose, matching, matching_code, unreadable
from rights.models import Release, Work

# "I want": without its joiner another word.
PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  Bea \t Voice\n", "Bea Voice"),
        ("Beyonce\u0301", "Beyonc\u00e9"),
        ("Bea\u00a0Voice", "Bea Voice"),
        ("Bea\u3000Voice", "Bea Voice"),
        ("\ufeffBea\u200b Voi\u00adce\u200e", "Bea Voice"),
        ("Bea\x07 Voice\x7f", "Bea Voice"),
        ("one\r\ntwo\u2028three", "one two three"),
        # Joiners are part of words in Persian and of emoji.
        (PERSIAN, PERSIAN),
        ("\U0001f469\u200d\U0001f3a4", "\U0001f469\u200d\U0001f3a4"),
        ("\u200b\ufeff ", ""),
        ("\u3164", ""),
    ],
)  # fmt: skip
def test_a_line(text: str, cleaned: str) -> None:
    assert clean_line(text) == cleaned


def test_prose_keeps_its_lines_and_their_indents() -> None:
    assert clean_prose(" \r\nOne \r\n\r\n  two\u00a0\n\tthree\x07\n\n") == "One\n\n  two\n\tthree"


@given(st.text())
def test_what_is_clean_stays(text: str) -> None:
    for clean in (clean_line, clean_prose):
        assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize("text", ["a\0b", "a\x93b", "a\ud800b"])
def test_what_is_no_text_is_said_with_its_code(text: str) -> None:
    assert f"U+{ord(text[1]):04X}" in unreadable(clean_line(text))


class _Form(Form):
    name = forms.CharField(max_length=9)
    note = forms.CharField(widget=forms.Textarea, required=False)
    password = forms.CharField(widget=forms.PasswordInput, strip=False, required=False)
    hidden = forms.CharField(widget=forms.HiddenInput, required=False)


def test_a_form_cleans_before_it_checks() -> None:
    typed = {
        "name": "  Be\u200ba \t  Voice  ", "note": "a  \r\n b\x07", "password": " a  b\u00a0",
        "hidden": "a  b",
    }  # fmt: skip
    form = _Form(typed)
    assert form.is_valid(), form.errors
    assert form.cleaned_data == {
        "name": "Bea Voice", "note": "a\n b", "password": " a  b\u00a0", "hidden": "a  b",
    }  # fmt: skip
    assert "missing" not in str(_Form({"name": "\u200b"}).errors)
    assert not _Form({"name": "\u200b"}).is_valid()
    assert "no text" in str(_Form({"name": "a\x93b"}).errors["name"])


@pytest.mark.django_db
@pytest.mark.parametrize("stored", ["Beyonc\u00e9 \u00c9t\u00e9", "BEYONC\u00c9 \u00c9T\u00c9"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_search_finds_either_form(stored: str, form: str) -> None:
    row = Work.objects.create(title=unicodedata.normalize(form, stored))
    for typed in ("beyonc\u00e9", "BEYONCE\u0301", " Beyonc\u00e9\u00a0 "):
        assert list(Work.objects.filter(matching(typed, "title", "iswc"))) == [row]
    assert not Work.objects.filter(matching("beyonces", "title", "iswc")).exists()


@pytest.mark.django_db
def test_a_code_is_found_with_or_without_separators_and_zeros() -> None:
    work = Work.objects.create(title="A", iswc="T0345246801")
    for typed in ("t-034.524.680-1", "T0345", "\u200bT-034.524"):
        assert list(Work.objects.filter(matching_code(typed, "iswc"))) == [work]
    release = Release.objects.create(title="A", upc="036000291452")
    for typed in ("36000291452", "00036000291452", "0 36000 29145 2"):
        assert list(Release.objects.filter(matching_code(typed, "upc"))) == [release]
    for typed in ("T0", "", "---"):
        assert not Work.objects.filter(matching_code(typed, "iswc")).exists()
