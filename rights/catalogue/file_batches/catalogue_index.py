"""The recordings that the files of a batch may belong to, out of a catalogue of any size.

What the files could be found by is collected first. Only titles have to be read one by one, as no
database folds them as people do; of a million of them those are kept that a file has.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db.models import Q

from portal.database import bulk
from rights.catalogue import titles
from rights.catalogue.file_batches import matching, names
from rights.catalogue.file_batches.matching import File, Index, Known
from rights.models import Credit, Recording, ReleaseTrack, RoleCode

PART = 500


def load(files: Sequence[File]) -> Index:
    """Return the index for these files. It reads all titles: before a transaction, not in one."""
    pks = _by_title(files) | _by_codes(files)
    digests = sorted({file.sha256 for file in files if file.sha256})
    by_audio: dict[str, int] = {}
    for part in bulk.parts(digests, PART):
        by_audio.update(Recording.objects.filter(audio__in=part).values_list("audio_id", "pk"))
    return matching.index_of(_known(sorted(pks)), by_audio)


def _by_title(files: Iterable[File]) -> set[int]:
    wanted_titles = {reading.title for file in files for reading in file.readings}
    wanted_names = {names.stem_key(file.path) for file in files}
    found = set()
    rows = Recording.objects.order_by().values_list("pk", "title", "expected_file")
    for pk, title, expected in rows.iterator(chunk_size=5_000):
        if titles.key(title) in wanted_titles or (
            expected and names.stem_key(expected) in wanted_names
        ):
            found.add(pk)
    return found


def _by_codes(files: Iterable[File]) -> set[int]:
    codes: set[str] = set()
    hashes: set[str] = set()
    for file in files:
        codes |= {*file.isrcs_in_tags, *names.isrcs(file.path)}
        hashes |= set(file.hashes.values())
    found: set[int] = set()
    for part in bulk.parts(sorted(codes), PART):
        found |= set(Recording.objects.filter(isrc__in=part).values_list("pk", flat=True))
    for part in bulk.parts(sorted(hashes), PART):
        found |= set(Recording.objects.filter(expected_hash__in=part).values_list("pk", flat=True))
    return found


def _known(pks: Sequence[int]) -> list[Known]:
    artists, releases = _artists(pks), _releases(pks)
    rows = Recording.objects.filter(Q(pk__in=bulk.among(pks))).order_by("pk")
    columns = ("pk", "title", "isrc", "audio_id", "expected_file", "expected_hash")
    return [
        Known(
            pk,
            title,
            isrc,
            audio is not None,
            expected_file,
            expected_hash,
            sorted(artists[pk]),
            sorted(releases[pk]),
        )
        for pk, title, isrc, audio, expected_file, expected_hash in rows.values_list(*columns)
    ]


def _artists(pks: Sequence[int]) -> dict[int, set[str]]:
    """Return the keys of the main artists' names, as they are entered and as they are credited."""
    found = defaultdict[int, set[str]](set)
    rows = Credit.objects.filter(recording__in=bulk.among(pks), role=RoleCode.MAIN_ARTIST)
    for pk, *spellings in rows.values_list("recording", "party__name", "party__credited_as"):
        found[pk] |= {titles.key(name) for name in spellings if name}
    return found


def _releases(pks: Sequence[int]) -> dict[int, set[str]]:
    found = defaultdict[int, set[str]](set)
    rows = ReleaseTrack.objects.filter(recording__in=bulk.among(pks))
    for pk, title in rows.values_list("recording", "release__title"):
        found[pk].add(titles.key(title))
    return found
