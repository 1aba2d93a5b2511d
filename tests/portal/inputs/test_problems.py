"""What is wrong with a form, in the order of its fields, each with the id that a link needs."""

import pytest
from django import forms
from django.template import Context, Template
from django.template.loader import render_to_string

from portal.inputs import problems
from portal.inputs.problems import Problem


class Sent(forms.Form):
    name = forms.CharField()
    sizes = forms.MultipleChoiceField(choices=[("s", "small")], widget=forms.CheckboxSelectMultiple)
    one = forms.ChoiceField(choices=[("a", "A")], widget=forms.RadioSelect)
    plain = forms.ChoiceField(choices=[("a", "A")])
    seal = forms.CharField(widget=forms.HiddenInput)

    def clean(self) -> None:
        self.add_error(None, "Nothing fits <b>together</b>.")


def test_each_field_that_is_wrong_is_named_with_its_id() -> None:
    required = "This field is required."
    assert problems.of_form(Sent({})) == [
        Problem("Nothing fits <b>together</b>."),
        Problem(f"Name: {required}", "id_name"),
        # Boxes have no id together: the first one has the focus.
        Problem(f"Sizes: {required}", "id_sizes_0"),
        Problem(f"One: {required}", "id_one_0"),
        Problem(f"Plain: {required}", "id_plain"),
        # What is hidden cannot have the focus.
        Problem(f"Seal: {required}"),
    ]


def test_a_form_that_nobody_sent_has_no_problems() -> None:
    assert problems.of_form(Sent()) == []


def test_every_link_has_its_field_on_the_page() -> None:
    form = Sent({})
    fields = form.as_div()
    for problem in problems.of_form(form):
        assert not problem.ident or f'id="{problem.ident}"' in fields, problem


def test_what_was_typed_is_no_markup() -> None:
    page = render_to_string("portal/errors.html", {"form": Sent({})})
    assert "&lt;b&gt;together&lt;/b&gt;" in page
    assert '<a href="#id_name">Name: This field is required.</a>' in page


def test_without_problems_there_is_no_list() -> None:
    for context in ({"form": Sent()}, {}):
        assert render_to_string("portal/errors.html", context).strip() == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Name must be shorter.", "Name must be shorter."),
        ("The name is taken.", "The name is taken."),
        ("Names are shorter.", "Name: Names are shorter."),
        ("Say another name.", "Name: Say another name."),
    ],
)
def test_a_sentence_that_begins_with_the_field_is_not_named_again(text: str, shown: str) -> None:
    form = Sent({"name": "x"})
    form.add_error("name", text)
    assert problems.of_fields(form, ["name"]) == [Problem(shown, "id_name")]


def test_a_title_says_whether_something_is_wrong() -> None:
    page = "{% load problems %}<title>{% title_mark %}Names</title>"
    for context, title in (
        ({"form": Sent({})}, "Error: Names"),
        ({"problems": [Problem("Bad.")]}, "Error: Names"),
        ({"form": Sent()}, "Names"),
        ({"problems": []}, "Names"),
        ({}, "Names"),
    ):
        assert Template(page).render(Context(context)) == f"<title>{title}</title>"
