"""Read the rows of a message: once all of it for what the recordings refer to, then they."""

from collections.abc import Iterator
from typing import IO

from rights.exchange.importing.ern.index import Index
from rights.exchange.importing.ern.recordings import Recording, is_described
from rights.exchange.importing.ern.xml import OTHER_RESOURCES, MessageFile
from rights.exchange.importing.rows import MAX_ROWS, BadFile, Row

# Covers come with every release: they alone are not worth a warning.
COVER = OTHER_RESOURCES["Image"]


class ErnReader:
    """Reads rows of a message; `portal` is our own address, which marks our own numbers."""

    def __init__(self, file: IO[bytes], *, portal: str = "") -> None:
        self._message = MessageFile(file)
        self._portal = portal

    def rows(self, after: int = 0) -> Iterator[Row]:
        index = self._index()
        passed_over = self._passed_over(index)
        number = 0
        for name, element in self._message.elements():
            if name != "SoundRecording":
                continue
            number += 1
            if number > MAX_ROWS:
                raise BadFile(f"The message has more than {MAX_ROWS:,} recordings.")
            if number > after:
                row = Recording(number, element, index).row
                for sentence in passed_over if number == 1 else ():
                    row.add_problem("message", sentence, warning=True)
                yield row

    def _index(self) -> Index:
        index = Index(portal=self._portal)
        for name, element in self._message.elements():
            index.language = self._message.language
            index.note(name, element)
            if name == "SoundRecording":
                index.described += is_described(element)
        index.settle()
        if not index.described:
            raise BadFile(self._why_empty(index))
        return index

    def _why_empty(self, index: Index) -> str:
        if index.recordings:
            return (
                f"The message only refers to {_count(index.recordings, SOUND_RECORDINGS)}: it says "
                f"neither title nor ISRC of any. {ASK_FOR_ALL}"
            )
        if self._message.others:
            return (
                f"The message has {_counted(self._message)}, but no sound recordings: only these "
                "are read. The sound of a video is entered by a message that has it as "
                "a SoundRecording, with an ISRC of its own: ask the sender for that."
            )
        if index.tracks:
            references = sorted(index.tracks)
            more = f" and {len(references) - 5} more" if len(references) > 5 else ""
            listed = ", ".join(reference[:20] for reference in references[:5])
            return (
                f"The message has no sound recordings: its releases only refer to {listed}{more}. "
                f"{ASK_FOR_ALL}"
            )
        return f"The message has no sound recordings: its ResourceList is empty. {ASK_FOR_ALL}"

    def _passed_over(self, index: Index) -> list[str]:
        """Say once what is not entered of the message, or that it does not mean what it says."""
        sentences = []
        if set(self._message.others) - {COVER}:
            sentences.append(
                f"The message also has {_counted(self._message)}: passed over, since only sound "
                "recordings are read."
            )
        if index.is_test:
            sentences.append(
                "The message calls itself a test (MessageControlType TestMessage): what it says "
                "may be made up."
            )
        return sentences


SOUND_RECORDINGS = ("sound recording", "sound recordings")
ASK_FOR_ALL = "Ask the sender for the whole message."


def _counted(message: MessageFile) -> str:
    parts = [_count(number, words) for words, number in message.others.most_common()]
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _count(number: int, words: tuple[str, str]) -> str:
    return f"{number:,} {words[number != 1]}"
