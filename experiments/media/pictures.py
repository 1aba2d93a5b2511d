"""Look at a picture that somebody sent: it is what it claims to be, and can be shown small.

Its size is read from its first bytes and bounded before anything is decoded. FFmpeg (PyAV), which
decodes sound here already, decodes it with one decoder, that of its format. The file itself is
stored as it came and served with the type that was found here, never with one that was claimed.
"""

import io
from dataclasses import dataclass

import numpy as np

from backline.media import headers, png
from backline.media.headers import BadPicture
from portal.database import long_work

# The longest side of a thumbnail, in pixels; what is no larger has none.
THUMBNAIL = 512
# A picture and its demuxer and decoder in FFmpeg.
DEMUXERS = {"png": "png_pipe", "jpeg": "jpeg_pipe", "webp": "webp_pipe"}
DECODERS = {"png": {"png", "apng"}, "jpeg": {"mjpeg"}, "webp": {"webp"}}


@dataclass(frozen=True)
class Picture:
    """What a file is: its media type, pixels, and a smaller PNG if it is large."""

    media_type: str
    width: int
    height: int
    thumbnail: bytes = b""


def look(data: bytes) -> Picture:
    """Return what the picture is; raises BadPicture for what is none, too large or damaged."""
    long_work.forbid_in_transaction("A picture is decoded")
    claim = headers.read(data)
    small = _decode(data, claim)
    return Picture(f"image/{claim.format}", claim.width, claim.height, small)


def _decode(data: bytes, claim: headers.Claim) -> bytes:
    """Decode the whole picture; return a thumbnail, or nothing for a small one."""
    import av  # noqa: PLC0415 - the web process starts without FFmpeg.

    try:
        with av.open(
            io.BytesIO(data), "r", format=DEMUXERS[claim.format], options={"err_detect": "explode"}
        ) as container:
            stream = container.streams.video[0]
            if stream.codec_context.name not in DECODERS[claim.format]:
                raise BadPicture("The picture is of another format inside.")
            stream.codec_context.thread_count = 1
            frame = next(container.decode(stream))
            if (frame.width, frame.height) != (claim.width, claim.height):
                raise BadPicture("The picture has another size than its first bytes say.")
            scale = THUMBNAIL / max(frame.width, frame.height)
            if scale >= 1:
                return b""
            width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
            small = frame.reformat(width=width, height=height, format="rgba").to_ndarray()
    except (av.error.FFmpegError, StopIteration, IndexError, ValueError) as error:
        if isinstance(error, BadPicture):
            raise
        raise BadPicture("The picture is damaged: it cannot be decoded to its end.") from error
    return png.write(_without_alpha(np.asarray(small)))


def _without_alpha(pixels: np.ndarray) -> np.ndarray:
    """Return the pixels without a channel that says nothing."""
    return pixels if pixels[:, :, 3].min() < 255 else pixels[:, :, :3]
