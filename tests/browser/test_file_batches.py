"""The pages of file batches, narrow and wide, dark and light; a folder sent by a browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from portal.models import User
from rights.models import BatchFile, FileBatch
from tests.browser.test_axe import log_in, serious
from tests.catalogue import make_party
from tests.rights.catalogue.file_batches.files import (
    announce,
    attached,
    looked_at,
    sound,
    states,
    work_off,
    zipped,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize(("theme", "width"), [("dark", 390), ("light", 1440)])
def test_file_batch_pages(
    page: Page, live_server: LiveServer, rosa: User, tmp_path: Path, *, theme: str, width: int
) -> None:
    bea, other = make_party(rosa, "Bea Voice"), make_party(rosa, "Ada Remix")
    for title, party in (("Song", bea), ("Intro", bea), ("Intro", other), ("Copy", other)):
        announce(rosa, title, party)
    attached(rosa, {"Song.wav": sound(300)})
    done = attached(rosa, {"Copy.flac": sound(300, "FLAC"), "broken.wav": b"no sound"})
    announce(rosa, "Second", bea, isrc="QZABC2600001")
    long_name = "A long folder/with another folder in it/and a name that goes on and on (mix 3).wav"
    files = {"Intro.wav": sound(400), "01 - Second.wav": sound(500), long_name: sound(600)}
    batch = looked_at(rosa, {"album.zip": zipped(files), "cover.jpg": b"x"})
    log_in(page, live_server, rosa)
    page.context.add_cookies([{"name": "theme", "value": theme, "url": live_server.url}])
    page.set_viewport_size({"width": width, "height": 900})
    findings = {}
    for name, path in {
        "list": "/rights/files/",
        "new": "/rights/files/new/",
        "matched": batch.get_absolute_url(),
        "unmatched": f"{batch.get_absolute_url()}?show=unmatched",
        "nothing": f"{batch.get_absolute_url()}?show=nothing",
        "attached": f"{done.get_absolute_url()}?show=attached",
        "refused": f"{done.get_absolute_url()}?show=refused",
        "discard": f"{batch.get_absolute_url()}discard/",
        "announced": "/rights/recordings/?file=announced",
    }.items():
        answer = page.goto(live_server.url + path)
        assert answer is not None
        assert answer.status == 200, path
        page.wait_for_load_state("networkidle")
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        findings[name] = serious(page) + ([f"{wide} px wider than the window"] if wide > 0 else [])
        page.screenshot(path=tmp_path / f"{name}-{width}.png", full_page=True)
    assert {path: found for path, found in findings.items() if found} == {}


def test_a_folder_is_sent_with_its_names_ticked_and_attached(
    page: Page, live_server: LiveServer, rosa: User, tmp_path: Path
) -> None:
    song = announce(rosa, "Song", isrc="QZABC2600001")
    folder = tmp_path / "An album"
    inside = folder / "QZABC2600001"
    inside.mkdir(parents=True)
    (inside / "audio.wav").write_bytes(sound(300))
    (folder / "booklet.pdf").write_bytes(b"x")
    log_in(page, live_server, rosa)
    page.goto(f"{live_server.url}/rights/files/new/")
    page.get_by_label("Or a whole folder").set_input_files(folder)
    page.get_by_role("button", name="Send the files").click()
    page.wait_for_url("**/rights/files/*/")
    batch = FileBatch.objects.get()
    assert set(states(batch)) == {"An album/QZABC2600001/audio.wav", "An album/booklet.pdf"}
    work_off()
    # The page finds out by itself.
    page.get_by_label("Attach An album/QZABC2600001/audio.wav to Song").check()
    page.get_by_role("button", name="Attach those that are ticked").click()
    page.get_by_text("Being attached").first.wait_for()
    work_off()
    page.get_by_role("link", name="Attached 1").wait_for()
    song.refresh_from_db()
    assert song.audio_id == batch.files.get(state=BatchFile.State.ATTACHED).sha256


def test_it_works_without_javascript(
    page: Page, live_server: LiveServer, rosa: User, tmp_path: Path
) -> None:
    announce(rosa, "Song")
    for name, pitch in (("Song.wav", 300), ("x.wav", 400)):
        (tmp_path / name).write_bytes(sound(pitch))
    log_in(page, live_server, rosa)
    assert page.context.browser is not None
    plain = page.context.browser.new_context(
        java_script_enabled=False, storage_state=page.context.storage_state()
    )
    quiet = plain.new_page()
    quiet.goto(f"{live_server.url}/rights/files/new/")
    quiet.get_by_label("Files or zips").set_input_files([tmp_path / "Song.wav", tmp_path / "x.wav"])
    quiet.get_by_role("button", name="Send the files").click()
    work_off()
    quiet.reload()
    quiet.get_by_role("button", name="Leave out Song.wav").click()
    quiet.goto(f"{quiet.url.partition('?')[0]}?show=unmatched")
    row = quiet.get_by_role("row").filter(has_text="x.wav")
    row.get_by_text("Choose", exact=False).first.click()
    row.get_by_label("Recording").fill("Song")
    row.get_by_role("button", name="Match", exact=True).click()
    quiet.goto(quiet.url.partition("?")[0])
    quiet.get_by_role("button", name="Attach the matched file").click()
    work_off()
    quiet.reload()
    batch = FileBatch.objects.get()
    assert states(batch) == {
        "Song.wav": BatchFile.State.LEFT_OUT,
        "x.wav": BatchFile.State.ATTACHED,
    }
    plain.close()
