"""The refusal that every verb of the rights app raises."""

from portal.inputs.text import clean_line, clean_prose, unreadable


class Refused(ValueError):
    """A value that is not valid, or an act that cannot be done.

    `code` is for machines, the text is a sentence a person can act on, `field` names the
    form field it belongs beside (None: the whole form).
    """

    def __init__(self, code: str, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.field = field


def required(text: str, *, field: str, longest: int, prose: bool = False) -> str:
    """Return the text as it is stored, `prose` with its lines. Raises Refused where it is missing,
    too long or no text."""
    text = clean_prose(text) if prose else clean_line(text)
    if sentence := unreadable(text):
        raise Refused("unreadable", sentence, field=field)
    if not text:
        raise Refused("required", f"The {field} is missing.", field=field)
    if len(text) > longest:
        raise Refused("too_long", f"The {field} is longer than {longest} characters.", field=field)
    return text
