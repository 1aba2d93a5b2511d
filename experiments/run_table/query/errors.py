"""What a query line that cannot be read is answered with."""


class BadQuery(ValueError):
    """The query line cannot be read; the message is a sentence for the person who wrote it.

    `position` and `length` are the characters that are wrong, for a caret below them; `suggestion`
    is what to write there instead, where something is close.
    """

    code = "bad_query"

    def __init__(
        self, sentence: str, position: int = 0, length: int = 1, suggestion: str = ""
    ) -> None:
        super().__init__(sentence)
        self.position, self.length, self.suggestion = position, max(length, 1), suggestion
