"""The form of a comment."""

from typing import Any

from django import forms

from experiments.discussion import comments
from portal.inputs.forms import Form


class CommentForm(Form):
    text = forms.CharField(
        label="Comment",
        max_length=comments.LONGEST,
        widget=forms.Textarea(attrs={"rows": 3, "data-mentions": ""}),
        error_messages={"required": "Write something first."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Several of them stand on one page, one for each thread.
        super().__init__(*args, **kwargs)
        self.fields["text"].widget.attrs["aria-label"] = "Comment, in Markdown"
