"""Sign or read one file in a process of its own: the only module that imports c2pa.

JSON comes in on stdin and goes out on stdout. The file may be anybody's: a parser that crashes on
it, or needs more memory or time than there is, takes no request down with it, and the private key
is in no process that talks to anybody. Nothing that a file refers to is fetched.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any

import c2pa

MEMORY = 3 * 1024**3
SECONDS = 120
# At most this many validation codes are reported; a hostile file may have thousands.
MAX_CODES = 20
# Assertions reported of every manifest: how it was made, and what machines may do with it.
REPORTED_LABELS = ("training", "mining", "actions", "metadata", "iptc", "exif", "backline")
MAX_MANIFESTS = 100


def settings(anchors: str) -> dict[str, Any]:
    return {
        "trust": {"trust_anchors": anchors},
        "verify": {
            "verify_trust": True,
            "verify_after_sign": True,
            # Off: the library would request an address that it found inside the file.
            "remote_manifest_fetch": False,
            "ocsp_fetch": False,
        },
        "builder": {"thumbnail": {"enabled": False}},
    }


def sign(job: dict[str, Any], context: c2pa.Context) -> dict[str, Any]:
    manifest = job["manifest"]
    source, target, media_type = Path(job["source"]), Path(job["target"]), job["media_type"]
    info = c2pa.C2paSignerInfo(
        c2pa.C2paSigningAlg.ES256, job["chain"].encode(), Path(job["key"]).read_bytes(), None
    )
    had_manifest = _read(source, media_type, context)["state"] != "none"
    if had_manifest:
        # Its own history stays as the parent; signing over it would silently drop it.
        manifest["assertions"] = [
            assertion
            for assertion in manifest["assertions"]
            if assertion["label"] != "c2pa.actions.v2"
        ]
    builder = c2pa.Builder(manifest, context=context)
    if had_manifest:
        builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
    with source.open("rb") as original, target.open("w+b") as signed:
        signed_manifest = builder.sign(c2pa.Signer.from_info(info), media_type, original, signed)
    return {"manifest": signed_manifest.hex()} | _read(target, media_type, context)


def read(job: dict[str, Any], context: c2pa.Context) -> dict[str, Any]:
    return _read(Path(job["source"]), job["media_type"], context)


def _read(path: Path, media_type: str, context: c2pa.Context) -> dict[str, Any]:
    """Read a file; `state` is none, Invalid, Valid (by a signer that is not trusted) or Trusted."""
    with path.open("rb") as file:
        try:
            reader = c2pa.Reader(media_type, file, context=context)
        except c2pa.C2paError.ManifestNotFound:
            return {"state": "none"}
        state = str(reader.get_validation_state())
        store = json.loads(reader.json())
    active = store["manifests"][store["active_manifest"]]
    return {
        "manifests": [
            {
                "active": manifest is active,
                "assertions": [
                    [assertion["label"], assertion["data"]]
                    for assertion in manifest.get("assertions", ())
                    if any(word in assertion["label"].casefold() for word in REPORTED_LABELS)
                ][:MAX_MANIFESTS],
            }
            for manifest in list(store["manifests"].values())[:MAX_MANIFESTS]
        ],
        "state": state,
        "assertions": {
            assertion["label"]: assertion["data"] for assertion in active.get("assertions", ())
        },
        "serial": active.get("signature_info", {}).get("cert_serial_number", ""),
        "codes": [status["code"] for status in store.get("validation_status", ())][:MAX_CODES],
    }


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    job = json.load(sys.stdin)
    verbs = {"sign": sign, "read": read}
    try:
        context = c2pa.Context(c2pa.Settings.from_dict(settings(job["anchors"])))
        answer = verbs[job["verb"]](job, context)
    except c2pa.C2paError as error:
        answer = {"error": str(error)[:500]}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
