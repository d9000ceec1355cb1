"""How alike two screens are, as people see it: a number that a clock, a cursor or a font does not change much."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from instantiator.display.rfb import Screen
from provenance.errors import ThawError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image as PillowImage

    Picture = NDArray[np.float64]
    """Rows of grey, 0 to 1."""

_SMALL = (160, 100)
_WINDOW = 10
# The constants of SSIM for values from 0 to 1: (0.01)^2 and (0.03)^2.
_LIGHT, _CONTRAST = 1e-4, 9e-4


class PictureUnreadable(ThawError):
    """A reference screenshot cannot be read."""

    code = "picture-unreadable"


def likeness(one: Picture, other: Picture) -> float:
    """1 for the same, about 0 for what has nothing in common: mean structural similarity (SSIM) at 160x100.

    At that size letters are grey areas and a cursor is nothing; where windows are, and what they show, is left.
    The formula is equation 13 of Wang, Bovik, Sheikh and Simoncelli 2004 (doi:10.1109/TIP.2003.819861), over
    windows of 10x10 side by side.
    """
    first, second = (_windows(picture) for picture in (one, other))
    mean_1, mean_2 = first.mean(axis=1), second.mean(axis=1)
    both = ((first - mean_1[:, None]) * (second - mean_2[:, None])).mean(axis=1)
    light = (2 * mean_1 * mean_2 + _LIGHT) / (mean_1**2 + mean_2**2 + _LIGHT)
    shape = (2 * both + _CONTRAST) / (first.var(axis=1) + second.var(axis=1) + _CONTRAST)
    return float((light * shape).mean())


def _windows(picture: Picture) -> Picture:
    import numpy as np
    from PIL import Image

    shrunk = Image.fromarray(picture.astype(np.float32)).resize(_SMALL, Image.Resampling.BOX)
    width, height = _SMALL
    tiles = np.asarray(shrunk, dtype=np.float64).reshape(
        height // _WINDOW, _WINDOW, width // _WINDOW, _WINDOW
    )
    windows: Picture = tiles.swapaxes(1, 2).reshape(-1, _WINDOW * _WINDOW)
    return windows


def read_grey(file: Path) -> Picture:
    """A picture file in grey; raises `PictureUnreadable`."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("L"), dtype=np.float64) / 255
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise PictureUnreadable(
            f"the picture cannot be read: {error}",
            where=str(file),
            hint="put a PNG of the whole screen there: the session page has a button that makes one",
        ) from error


def grey_of(screen: Screen) -> Picture:
    """A screen in grey."""
    import numpy as np

    return np.asarray(_image_of(screen).convert("L"), dtype=np.float64) / 255


def write_png(screen: Screen, file: Path) -> None:
    """Keep a screen as a picture file."""
    _image_of(screen).save(file, format="PNG")


def _image_of(screen: Screen) -> PillowImage:
    from PIL import Image

    return Image.frombytes("RGB", (screen.width, screen.height), screen.pixels, "raw", "BGRX")
