"""The only importer of c2pa: one file signed or read, in a process of its own.

JSON comes in at stdin and goes out at stdout. What is read may be anybody's file: a parser that
dies of it, or wants more memory or time than there is, takes no request with it, and the private
key is in no process that talks to anybody. Nothing that a file names is fetched.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any

import c2pa

MEMORY = 3 * 1024**3
SECONDS = 120
# The validation codes worth telling; a hostile file may have thousands.
CODES = 20
# What of all manifests is told: how it was made, and what machines may do with it.
TELLING = ("training", "mining", "actions", "metadata", "iptc", "exif", "backline")
MOST = 100


def settings(anchors: str) -> dict[str, Any]:
    return {
        "trust": {"trust_anchors": anchors},
        "verify": {
            "verify_trust": True,
            "verify_after_sign": True,
            # Off, or the library asks an address that it found inside the file.
            "remote_manifest_fetch": False,
            "ocsp_fetch": False,
        },
        "builder": {"thumbnail": {"enabled": False}},
    }


def sign(asked: dict[str, Any], context: c2pa.Context) -> dict[str, Any]:
    manifest = asked["manifest"]
    source, target, media_type = Path(asked["source"]), Path(asked["target"]), asked["media_type"]
    info = c2pa.C2paSignerInfo(
        c2pa.C2paSigningAlg.ES256, asked["chain"].encode(), Path(asked["key"]).read_bytes(), None
    )
    before = _read(source, media_type, context)["state"] != "none"
    if before:
        # Its own history is kept as the parent; signing over it would drop it without a word.
        manifest["assertions"] = [
            assertion
            for assertion in manifest["assertions"]
            if assertion["label"] != "c2pa.actions.v2"
        ]
    builder = c2pa.Builder(manifest, context=context)
    if before:
        builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
    with source.open("rb") as original, target.open("w+b") as signed:
        kept = builder.sign(c2pa.Signer.from_info(info), media_type, original, signed)
    return {"manifest": kept.hex()} | _read(target, media_type, context)


def read(asked: dict[str, Any], context: c2pa.Context) -> dict[str, Any]:
    return _read(Path(asked["source"]), asked["media_type"], context)


def _read(path: Path, media_type: str, context: c2pa.Context) -> dict[str, Any]:
    """`state` is none, Invalid, Valid (by a signer that is not trusted) or Trusted."""
    with path.open("rb") as file:
        try:
            reader = c2pa.Reader(media_type, file, context=context)
        except c2pa.C2paError.ManifestNotFound:
            return {"state": "none"}
        state = str(reader.get_validation_state())
        found = json.loads(reader.json())
    active = found["manifests"][found["active_manifest"]]
    return {
        "manifests": [
            {
                "active": manifest is active,
                "assertions": [
                    [said["label"], said["data"]]
                    for said in manifest.get("assertions", ())
                    if any(word in said["label"].casefold() for word in TELLING)
                ][:MOST],
            }
            for manifest in list(found["manifests"].values())[:MOST]
        ],
        "state": state,
        "assertions": {
            assertion["label"]: assertion["data"] for assertion in active.get("assertions", ())
        },
        "serial": active.get("signature_info", {}).get("cert_serial_number", ""),
        "codes": [status["code"] for status in found.get("validation_status", ())][:CODES],
    }


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked = json.load(sys.stdin)
    verbs = {"sign": sign, "read": read}
    try:
        context = c2pa.Context(c2pa.Settings.from_dict(settings(asked["anchors"])))
        answer = verbs[asked["verb"]](asked, context)
    except c2pa.C2paError as error:
        answer = {"error": str(error)[:500]}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
