"""Which announced recording a file belongs to: by what is known of both, and never by a guess.

In this order: the hash that the recording was announced with, the ISRC in the file's tags, the one
in its name or its folder's, the file name that it was announced with, its title. What fits several,
or says two things, is left to a person. Nothing here reads the database.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rights.catalogue import titles
from rights.catalogue.file_batches import names
from rights.models import BatchFile

State = BatchFile.State
How = BatchFile.How
# Of the recordings that a file may belong to, so many are listed.
MOST_CANDIDATES = 10


@dataclass(frozen=True)
class File:
    """What is known of a file. `isrcs` and the texts are those of its tags."""

    pk: int
    path: str
    sha256: str = ""
    sha1: str = ""
    md5: str = ""
    isrcs: Sequence[str] = ()
    title: str = ""
    artist: str = ""
    album: str = ""

    @property
    def hashes(self) -> dict[str, str]:
        """The hashes by their methods, as recordings are announced with them."""
        all_hashes = {"sha256": self.sha256, "sha1": self.sha1, "md5": self.md5}
        return {method: f"{method}:{digits}" for method, digits in all_hashes.items() if digits}

    @property
    def isrcs_in_tags(self) -> list[str]:
        return names.valid_isrcs(list(self.isrcs))

    @property
    def readings(self) -> list[names.Reading]:
        """What its title may be. A tag with the artist's name speaks of that artist."""
        artist = (titles.key(self.artist),) if self.artist.strip() else ()
        in_tags = [
            names.Reading(reading.title, (*reading.others, *artist), unusual=reading.unusual)
            for reading in names.readings(self.title)
        ]
        in_name = [
            names.Reading(reading.title, (*reading.others, *artist), unusual=reading.unusual)
            for reading in names.readings(names.stem(self.path))
        ]
        return in_tags + in_name

    @property
    def around(self) -> list[str]:
        """The names of its folders and of its album, which may name an artist or a release."""
        parts = [*names.folders_and_name(self.path)[:-1], self.album]
        return [titles.key(part.replace("_", " ")) for part in parts if part.strip()]


@dataclass(frozen=True)
class Known:
    """A recording that a file may belong to; `artists` and `releases` are keys of their names."""

    pk: int
    title: str
    isrc: str = ""
    has_file: bool = False
    expected_file: str = ""
    expected_hash: str = ""
    artists: Collection[str] = ()
    releases: Collection[str] = ()


@dataclass(frozen=True)
class Finding:
    """What was found in looking for a file's recording."""

    state: State
    how: str = ""
    recording: int | None = None
    candidates: Sequence[int] = ()
    sentence: str = ""


@dataclass
class Index:
    """The recordings that any file of a batch may belong to, by what they are found by."""

    by_hash: Mapping[str, Sequence[Known]] = field(default_factory=dict)
    by_isrc: Mapping[str, Known] = field(default_factory=dict)
    by_file: Mapping[str, Sequence[Known]] = field(default_factory=dict)
    by_title: Mapping[str, Sequence[Known]] = field(default_factory=dict)
    # The recordings of files that are in the catalogue, by SHA-256.
    by_audio: Mapping[str, int] = field(default_factory=dict)


def index_of(recordings: Iterable[Known], by_audio: Mapping[str, int] | None = None) -> Index:
    hashes, files = defaultdict[str, list[Known]](list), defaultdict[str, list[Known]](list)
    by_title = defaultdict[str, list[Known]](list)
    by_isrc = {}
    for known in recordings:
        by_title[titles.key(known.title)].append(known)
        if known.expected_hash:
            hashes[known.expected_hash].append(known)
        if known.expected_file:
            files[names.stem_key(known.expected_file)].append(known)
        if known.isrc:
            by_isrc[known.isrc] = known
    return Index(hashes, by_isrc, files, by_title, by_audio or {})


# --- One file ---------------------------------------------------------------------------------


def find(file: File, index: Index) -> Finding:
    """Return what one file is, whatever the others of its batch are."""
    if file.sha256 in index.by_audio:
        return Finding(
            State.HERE,
            recording=index.by_audio[file.sha256],
            sentence="These very bytes are in the catalogue already: there is nothing to do.",
        )
    hashed = [known for one in file.hashes.values() for known in index.by_hash.get(one, ())]
    if hashed:
        words = "More than one recording was announced with this hash."
        return _certain(file, _announced_first(hashed), How.HASH, words)
    in_tags, in_name = file.isrcs_in_tags, names.isrcs(file.path)
    return _contradiction_of_isrcs(in_tags, in_name, index) or _by_codes_and_names(
        file, index, next(iter(in_tags or in_name), ""), in_tags=bool(in_tags)
    )


def _by_codes_and_names(file: File, index: Index, isrc: str, *, in_tags: bool) -> Finding:
    expected = _expected(file, index)
    if known := index.by_isrc.get(isrc):
        if expected and known not in expected:
            words = (
                f"Its ISRC {isrc} is that of one recording, and its name was announced for another."
            )
            return _uncertain([known, *expected], words)
        return _certain(file, [known], How.ISRC_IN_TAGS if in_tags else How.ISRC_IN_NAME, "")
    if expected:
        words = "More than one recording was announced with this file name."
        return _certain(file, expected, How.EXPECTED_NAME, words, isrc)
    return _by_title(file, index, isrc)


def _contradiction_of_isrcs(
    in_tags: Sequence[str], in_name: Sequence[str], index: Index
) -> Finding | None:
    for where, codes in (("tags", in_tags), ("name", in_name)):
        if len(codes) > 1:
            return _uncertain(
                _with_isrcs(codes, index), f"Its {where} give several ISRCs: {', '.join(codes)}."
            )
    if in_tags and in_name and in_tags != in_name:
        return _uncertain(
            _with_isrcs([*in_tags, *in_name], index),
            f"Its tags say ISRC {in_tags[0]}, and its name {in_name[0]}.",
        )
    return None


def _with_isrcs(codes: Iterable[str], index: Index) -> list[Known]:
    return [index.by_isrc[code] for code in codes if code in index.by_isrc]


def _expected(file: File, index: Index) -> list[Known]:
    """Return the recordings that were announced with this file's name; those whose folders fit too
    before the others."""
    fits = _announced_first(index.by_file.get(names.stem_key(file.path), ()))
    folders = names.folders_and_name(file.path)[:-1]
    closer = []
    for known in fits:
        wanted = names.folders_and_name(known.expected_file)[:-1]
        if wanted and _folded(folders[-len(wanted) :]) == _folded(wanted):
            closer.append(known)
    return closer or fits


def _folded(parts: Iterable[str]) -> list[str]:
    return [names.stem_key(part) for part in parts]


def _announced_first(recordings: Iterable[Known]) -> list[Known]:
    """Return those without a file, each once; all of them only where every one has its file."""
    once = list({known.pk: known for known in recordings}.values())
    return [known for known in once if not known.has_file] or once


def _certain(file: File, fits: Sequence[Known], how: How, several: str, isrc: str = "") -> Finding:
    """Return the match if there is one fit, and nothing that the file says is against it."""
    if len(fits) > 1:
        return _uncertain(fits, several)
    known = fits[0]
    if known.has_file:
        return _has_file(known, how)
    if words := _against(file, known, isrc):
        return _uncertain([known], words)
    return Finding(State.MATCHED, how, known.pk)


def _has_file(known: Known, how: How) -> Finding:
    return Finding(
        State.HAS_FILE,
        how,
        known.pk,
        sentence=f"“{known.title}” has its file already, and a file is never exchanged.",
    )


def _uncertain(fits: Iterable[Known], sentence: str) -> Finding:
    pks = dict.fromkeys(known.pk for known in fits)
    return Finding(State.AMBIGUOUS, candidates=list(pks)[:MOST_CANDIDATES], sentence=sentence)


def _against(file: File, known: Known, isrc: str) -> str:
    """Return what the file says against this recording; empty if nothing."""
    if isrc and known.isrc and isrc != known.isrc:
        return f"The file's ISRC is {isrc}, and “{known.title}” has {known.isrc}."
    method = known.expected_hash.partition(":")[0]
    if known.expected_hash and file.hashes.get(method, known.expected_hash) != known.expected_hash:
        return f"“{known.title}” was announced with the hash of another file."
    return ""


# --- By title ---------------------------------------------------------------------------------


def _by_title(file: File, index: Index, isrc: str) -> Finding:
    """Match by the title, where exactly one announced recording has it; the artist narrows."""
    fits: dict[int, Known] = {}
    named, doubted = set[int](), set[int]()
    for reading in file.readings:
        for known in index.by_title.get(reading.title, ()):
            agrees = _agrees(known, (*reading.others, *file.around))
            if agrees:
                named.add(known.pk)
            elif reading.unusual:
                continue
            elif reading.others and known.artists:
                doubted.add(known.pk)
            fits[known.pk] = known
    chosen = [known for known in fits.values() if known.pk in named] or list(fits.values())
    if not chosen:
        return Finding(State.UNMATCHED, sentence=_why_unmatched(isrc))
    chosen = _announced_first(chosen)
    if len(chosen) == 1 and not chosen[0].has_file and chosen[0].pk in doubted - named:
        words = f"Its title is that of “{chosen[0].title}”, but it names another artist."
        return _uncertain(chosen, words)
    several = "More than one recording has this title, and nothing says which is meant."
    return _certain(file, chosen, How.TITLE, several, isrc)


def _agrees(known: Known, texts: Iterable[str]) -> bool:
    """Return whether one of the texts names an artist of the recording, or a release with it."""
    wanted = [f" {name} " for name in (*known.artists, *known.releases) if name]
    return any(name in f" {text} " for text in texts for name in wanted)


def _why_unmatched(isrc: str) -> str:
    if isrc:
        return f"No recording has its ISRC {isrc}, and none that was announced has its title."
    return "No recording was announced with its hash, its file name or its title."


# --- All files of a batch ---------------------------------------------------------------------


def find_all(
    files: Sequence[File],
    index: Index,
    *,
    taken: Mapping[int, str],
    others: Mapping[str, str],
    earlier: Sequence[File] = (),
) -> dict[int, Finding]:
    """Return what each file is, by its id. Of several files for one recording none is chosen.

    `taken` has the recordings that other files of the batch are chosen for, `others` the SHA-256
    of those files; both give the path of the file. `earlier` are the files that were found to be
    copies of others before: they need no finding, and their names still speak.
    """
    findings: dict[int, Finding] = {}
    first_paths = dict(others)
    copies = defaultdict[str, list[File]](list)
    for file in (*files, *earlier):
        copies[file.sha256].append(file)
    for file in files:
        if file.sha256 in first_paths and file.sha256 not in index.by_audio:
            findings[file.pk] = Finding(
                State.TWICE, sentence=_cut("It is the same file as “{}”.", first_paths[file.sha256])
            )
        else:
            first_paths[file.sha256] = file.path
            findings[file.pk] = _find_copies(file, copies[file.sha256], index)
    return findings | _rivals(files, findings, taken)


def _find_copies(file: File, copies: Sequence[File], index: Index) -> Finding:
    """Return what a file is that was sent under several names. Each speaks for it, whichever
    came first. Names that together fit several recordings are left to a person."""
    found = {copy.path: find(copy, index) for copy in (file, *copies)}
    told = {path: one for path, one in found.items() if one.state != State.UNMATCHED}
    if not told:
        return found[file.path]
    meant = {path: _meant(one) for path, one in told.items()}
    fits = list(dict.fromkeys(pk for pks in meant.values() for pk in pks))
    other = next((path for path in told if path != file.path), file.path)
    if len(fits) > 1 and any(set(pks) != set(fits) for pks in meant.values()):
        words = "It was sent as “{}” too, and its names together fit more than one recording."
        return Finding(
            State.AMBIGUOUS, candidates=fits[:MOST_CANDIDATES], sentence=_cut(words, other)
        )
    # All mean the same; a doubt that one of them raises is a doubt.
    doubts = [one for one in told.values() if one.state == State.AMBIGUOUS]
    best = (doubts or list(told.values()))[0]
    if file.path in told or best.sentence:
        return best
    return replace(best, sentence=_cut("It was sent as “{}” too, which says so.", other))


def _meant(finding: Finding) -> Sequence[int]:
    return finding.candidates if finding.recording is None else [finding.recording]


def _rivals(
    files: Sequence[File], findings: Mapping[int, Finding], taken: Mapping[int, str]
) -> dict[int, Finding]:
    """Return what becomes of files that were matched with one recording. The file that has the hash
    of its announcement stays matched; of the others none is better than another."""
    claims = defaultdict[int, list[File]](list)
    for file in files:
        finding = findings[file.pk]
        if finding.state == State.MATCHED and finding.recording is not None:
            claims[finding.recording].append(file)
    beaten: dict[int, Finding] = {}
    for recording, rivals in claims.items():
        best = [file for file in rivals if findings[file.pk].how == How.HASH]
        holder = taken.get(recording) or (best[0].path if len(best) == 1 else "")
        if not holder and len(rivals) == 1:
            continue
        for file in rivals:
            if not taken.get(recording) and best == [file]:
                continue
            other = holder or next(one.path for one in rivals if one.pk != file.pk)
            words = "“{}” is for the same recording, and it is another file. Choose one of them."
            beaten[file.pk] = Finding(
                State.AMBIGUOUS, candidates=[recording], sentence=_cut(words, other)
            )
    return beaten


def _cut(sentence: str, path: str) -> str:
    return sentence.format(path if len(path) <= 200 else f"…{path[-200:]}")
