"""Forms of the pages of file batches."""

import json
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from django import forms

from portal.models import User
from rights.catalogue.file_batches import batches
from rights.forms.base import VerbForm
from rights.forms.picks import PickField
from rights.models import BatchFile, FileBatch, Recording

# Of the names of all files of a folder, as JSON.
LONGEST_PATHS = 400_000


class FilesInput(forms.FileInput):
    """A field for several files, or for all files of a folder."""

    allow_multiple_selected = True

    def __init__(self, **attrs: Any) -> None:
        super().__init__(attrs={"multiple": True, **attrs})

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:  # noqa: ARG002
        return files.getlist(name) if hasattr(files, "getlist") else files.get(name) or []


class FilesField(forms.FileField):
    """Several files; none are an empty list. What is wrong with one of them is not for the form."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_empty_file=True, **kwargs)

    def clean(self, data: Any, initial: Any = None) -> Any:
        return [super(FilesField, self).clean(file, initial) for file in data or ()]


class FilesForm(VerbForm):
    """A browser sends the names of a folder's files without the folders; static/js/folder.js adds
    them, and without it they are only missing."""

    BESIDE = MappingProxyType({"files": "sent"})

    sent = FilesField(
        label="Files or zips",
        widget=FilesInput(),
        help_text="WAV, FLAC, AIFF, MP3 or Ogg, or zips of them. Kept exactly as you send them.",
    )
    folder = FilesField(
        label="Or a whole folder",
        widget=FilesInput(webkitdirectory=True, **{"data-folder": "id_paths"}),
        help_text="With all that is in it. What is no sound is listed as passed over.",
    )
    paths = forms.CharField(
        widget=forms.HiddenInput, required=False, max_length=LONGEST_PATHS, strip=False
    )

    def save(self, *, by: User) -> FileBatch:
        data = self.cleaned_data
        paths = self._paths_of([str(file.name) for file in data["folder"]])
        sent = [
            *(batches.Sent(str(file.name), file, file.size) for file in data["sent"]),
            *(
                batches.Sent(path, file, file.size)
                for path, file in zip(paths, data["folder"], strict=True)
            ),
        ]
        return batches.receive(by=by, files=sent)

    def _paths_of(self, names: Sequence[str]) -> Sequence[str]:
        """Return these names of files after those of their folders, as far as they are known."""
        try:
            paths = json.loads(self.cleaned_data["paths"] or "[]")
        except (ValueError, RecursionError):
            return names
        if not isinstance(paths, list) or len(paths) != len(names):
            return names
        fit = (
            isinstance(path, str) and path.rpartition("/")[2] == name
            for path, name in zip(paths, names, strict=True)
        )
        return paths if all(fit) else names


class ChooseForm(VerbForm):
    recording = PickField("recording", help_text="Title, ISRC or number.")

    def save(self, *, by: User, file: BatchFile) -> BatchFile:
        recording: Recording = self.cleaned_data["recording"]
        return batches.choose(file, by=by, recording=recording)
