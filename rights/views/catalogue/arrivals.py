"""What a person reads at once after a file has come: warnings, and what it sounds like."""

from collections.abc import Collection

from django.contrib import messages
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from rights.catalogue import catalogue, sound_questions
from rights.models import Recording, SoundQuestion


def say(request: HttpRequest, recording: Recording) -> None:
    """Tell what is odd about the recording's own file, and which others it sounds like."""
    for warning in recording.warnings:
        messages.warning(request, warning)
    say_questions(request, recording)


def say_questions(request: HttpRequest, recording: Recording, known: Collection[int] = ()) -> None:
    """Tell which recordings it sounds like, without the questions that were `known` before."""
    for question in sound_questions.open_about(recording).exclude(pk__in=known):
        messages.warning(request, question_words(question))


def question_words(question: SoundQuestion) -> SafeString:
    likeness = "has the very same samples as" if question.same_samples else "sounds like"
    return format_html(
        "“{}” {} “{}”, which had that sound before. “{}” is used for nothing until a rights admin "
        'has said what they are to each other. <a href="{}">Listen to both and answer</a>',
        question.recording,
        likeness,
        question.other,
        question.recording,
        reverse("rights:sound_question", args=[question.pk]),
    )


def say_same_named(request: HttpRequest, recording: Recording) -> None:
    """Tell which recordings of the same artist have the same title: it may be here twice."""
    if others := catalogue.same_named(recording):
        links = format_html_join(
            ", ",
            '<a href="{}">“{}”{}</a>',
            (
                (other.get_absolute_url(), other, "" if other.audio_id else " (announced)")
                for other in others
            ),
        )
        messages.warning(
            request,
            format_html(
                "The same artist has another recording of this title here: {}. If it is the same "
                "recording, enter nothing more for this one.",
                links,
            ),
        )
