"""Pictures: arrays, tensors, PIL images and files, as PNG or as the file is."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from backline.media import headers, png
from backline.media.base import Encoded, Media, NotLoggable, array_of
from backline.media.packs import MAX_IMAGE_BYTES, MAX_PIXELS

Pixels = npt.NDArray[np.uint8]


class Image(Media):
    """A picture, with a caption.

    `image` is one of

    - an array (height, width) or (height, width, channels) with 1, 3 or 4 channels: integers from 0
      to 255, booleans, or floats from 0 to 1. Nothing is scaled: floats beyond that are refused;
    - a tensor of torch with the same values, as (height, width) or (channels, height, width);
    - a PIL image;
    - the path of a PNG, JPEG or WebP file, which is sent as it is.

    At most 16 megapixels and 6 MB. A list of images under one name is logged together.
    """

    def __init__(self, image: Any, caption: str = "") -> None:
        super().__init__(caption)
        self._image = image

    def encode(self) -> Encoded:
        return picture(self._bytes())

    def _bytes(self) -> bytes:
        image = self._image
        if isinstance(image, str | os.PathLike):
            return _file(Path(image))
        if hasattr(image, "save") and hasattr(image, "mode") and hasattr(image, "size"):
            return _pil(image)
        return png.write(_pixels(array_of(image), channels_first=hasattr(image, "detach")))


def picture(data: bytes) -> Encoded:
    """Return a picture file as it is sent; raises NotLoggable for what is none, or too large."""
    if len(data) > MAX_IMAGE_BYTES:
        raise NotLoggable(
            f"The picture has {len(data) / 1e6:.1f} MB as a file; at most "
            f"{MAX_IMAGE_BYTES / 1e6:.0f} are sent. Make it smaller, or save it as JPEG or WebP."
        )
    try:
        headers.read(data)
    except headers.BadPicture as error:
        raise NotLoggable(str(error)) from error
    return Encoded("image", data=data)


def _file(path: Path) -> bytes:
    if path.stat().st_size > MAX_IMAGE_BYTES:
        raise NotLoggable(f"{path.name} has more than {MAX_IMAGE_BYTES / 1e6:.0f} MB.")
    return path.read_bytes()


def _pil(image: Any) -> bytes:
    width, height = image.size
    _check_size(width, height)
    file = io.BytesIO()
    # PNG has no CMYK, no float and no YCbCr.
    kept = image if image.mode in {"1", "L", "LA", "P", "RGB", "RGBA"} else image.convert("RGB")
    kept.save(file, "PNG")
    return file.getvalue()


def _pixels(values: npt.NDArray[Any], *, channels_first: bool) -> Pixels:
    if values.ndim == 3 and channels_first:
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 2:
        values = values[:, :, np.newaxis]
    if values.ndim != 3 or values.shape[2] not in {1, 3, 4} or not values.size:
        order = "channels, height, width" if channels_first else "height, width, channels"
        raise NotLoggable(
            f"A picture has the shape (height, width) or ({order}) with 1, 3 or 4 channels; this "
            f"one has {values.shape} with the channels last."
        )
    _check_size(values.shape[1], values.shape[0])
    return _bytes_of(values)


def _bytes_of(values: npt.NDArray[Any]) -> Pixels:
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind not in "iuf":
        raise NotLoggable(f"A picture is of numbers, not of {values.dtype}.")
    low, high = values.min(), values.max()
    if values.dtype.kind == "f":
        # Also false for NaN.
        if not (low >= 0 and high <= 1):
            raise NotLoggable(
                f"The values of a picture in floats go from 0 to 1; these go from {low:.4g} to "
                f"{high:.4g}. Scale them, or give integers from 0 to 255."
            )
        return np.round(values * 255).astype(np.uint8)
    if low < 0 or high > 255:
        raise NotLoggable(
            f"The values of a picture in integers go from 0 to 255; these go from {low} to {high}."
        )
    return values.astype(np.uint8)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise NotLoggable(
            f"The picture has {width * height / 1e6:.0f} megapixels; at most "
            f"{MAX_PIXELS / 1e6:.0f} are sent. Make it smaller."
        )
