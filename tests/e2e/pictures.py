"""Pictures of displays, decoded: PNG and BMP by Pillow, raw frames as docs/displays.md describes them."""

import functools
import importlib
import io
import sys

from harness import venv

BLACK, WHITE, YELLOW, RED = (0, 0, 0), (255, 255, 255), (255, 255, 0), (255, 0, 0)
BLUE, GREEN = (0, 0, 255), (0, 255, 0)
# By the numbers of the panels' drivers.
BWRY = [BLACK, WHITE, YELLOW, RED]
SPECTRA6 = {0: BLACK, 1: WHITE, 2: YELLOW, 3: RED, 5: BLUE, 6: GREEN}


@functools.cache
def pillow():
    """Pillow's module Image."""
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    sys.path.append(str(venv("pictures").parent / "lib" / python / "site-packages"))
    return importlib.import_module("PIL.Image")


def decode(file):
    """(width, height), and the colours of all pixels from the upper left, of a PNG or BMP."""
    with pillow().open(io.BytesIO(file)) as image:
        return image.size, list(image.convert("RGB").getdata())


def decode_raw(frame, size, colours):
    """The colours of all pixels; `colours` is the number of grey bits, or as in the option."""
    width, height = size
    match colours:
        case "bwr" | "bwy":
            plane = len(frame) // 2
            accent = RED if colours == "bwr" else YELLOW
            black, third = unpack(frame[:plane], size, 1), unpack(frame[plane:], size, 1)
            return [BLACK if b == 0 else accent if t == 0 else WHITE for b, t in zip(black, third, strict=True)]
        case "bwry":
            return [BWRY[number] for number in unpack(frame, size, 2)]
        case "spectra6":
            return [SPECTRA6[number] for number in unpack(frame, size, 4)]
        case bits:
            greys = (number * 255 // (2**bits - 1) for number in unpack(frame, size, bits))
            return [(grey, grey, grey) for grey in greys]


def unpack(frame, size, bits):
    """The numbers of pixels, each row of which begins at a byte, the first pixel in the highest bits."""
    width, height = size
    row_bytes = -(-width * bits // 8)
    if len(frame) != row_bytes * height:
        raise ValueError(f"{len(frame)} bytes, not {height} rows of {row_bytes}")
    numbers, in_byte, mask = [], 8 // bits, 2**bits - 1
    for row in range(height):
        line = frame[row * row_bytes : (row + 1) * row_bytes]
        numbers += [line[x // in_byte] >> (8 - bits - x % in_byte * bits) & mask for x in range(width)]
    return numbers
