"""Why a report cannot be written as a file."""


class Refused(ValueError):
    """The report cannot be written as such a file; the sentence is for the person."""

    code = "refused"
