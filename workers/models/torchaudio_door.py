"""The only module that imports torchaudio.

Its wheels are linked to CUDA: on a machine without it, loading the native extension fails, and the
whole import with it. The transforms do not need the extension, so an empty stub is put in its place
before the import; with CUDA torchaudio is imported as it is.
"""

import sys
from types import ModuleType

import torch

if not torch.cuda.is_available() and "torchaudio" not in sys.modules:
    stub = ModuleType("torchaudio._extension")
    # Read at import by functional.filtering and functional._alignment.
    stub._IS_TORCHAUDIO_EXT_AVAILABLE = False  # type: ignore[attr-defined]
    stub.fail_if_no_align = lambda function: function  # type: ignore[attr-defined]
    sys.modules["torchaudio._extension"] = stub

from torchaudio import functional, transforms

__all__ = ["functional", "transforms"]
