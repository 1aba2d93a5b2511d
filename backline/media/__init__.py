"""What a program logs beside numbers: pictures, histograms, tables, figures, texts, sound.

    run.log({"loss": 0.3, "spec": backline.Image(picture), "w": backline.Histogram(w)}, step=7)

Nothing is encoded before it is logged, and nothing of it raises into a training: what cannot be
logged is said once by its name. `packs` has the form on the wire and its bounds.
"""

from backline.media.base import Media, NotLoggable
from backline.media.figures import Figure
from backline.media.histograms import Histogram
from backline.media.images import Image
from backline.media.sounds import Audio
from backline.media.tables import ConfusionMatrix, Table
from backline.media.texts import Text

__all__ = [
    "Audio",
    "ConfusionMatrix",
    "Figure",
    "Histogram",
    "Image",
    "Media",
    "NotLoggable",
    "Table",
    "Text",
]
