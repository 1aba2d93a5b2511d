"""Words of DDEX that the import reads and the export writes."""

from rights.models import RoleCode

# Among a party's proprietary ids: the schema of ERN 4.3.2 has no element for it.
IPI_BASE = "IpiBaseNumber"
STUDIO_PRODUCER = "StudioProducer"
# Roles of the standard that we have under another name.
ROLES = {
    "Artist": RoleCode.ASSOCIATED_PERFORMER, "PrimaryArtist": RoleCode.MAIN_ARTIST,
    STUDIO_PRODUCER: RoleCode.PRODUCER,
}  # fmt: skip
# How an export says that a recording is track 3 of a related release: "HasAsTrack3".
TRACK_OF = "HasAsTrack"
