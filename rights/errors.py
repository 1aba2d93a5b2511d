"""The refusal that every verb of this room raises."""


class Refused(ValueError):
    """Something that cannot be so or be done.

    `code` is for machines, the text is a sentence a person can act on, `field` names the
    form field it belongs beside (None: the whole form).
    """

    def __init__(self, code: str, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.field = field


def required(text: str, *, field: str, longest: int) -> str:
    """The text without outer spaces, or Refused where it is missing or too long."""
    text = text.strip()
    if not text:
        raise Refused("required", f"The {field} is missing.", field=field)
    if len(text) > longest:
        raise Refused("too_long", f"The {field} is longer than {longest} characters.", field=field)
    return text
