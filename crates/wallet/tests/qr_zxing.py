"""Spoils pictures of QR codes as cameras do, and reads them with zxing-cpp.

    qr_zxing.py make FOLDER   NAME.png -> NAME__VARIANT.png, for every NAME.png beside a NAME.bin
    qr_zxing.py read FOLDER   reads every NAME__VARIANT.png, compares with NAME.bin

Needs zxing-cpp, Pillow and numpy (zxing-cpp takes pictures as arrays).
"""

import pathlib
import sys

import numpy
import zxingcpp
from PIL import Image, ImageFilter

MODULE_PIXELS = 8

# degrees, scale, sigma of the blur in modules. The names say which readers are asked: see qr_readers.rs.
VARIANTS = {
    "as-drawn": (0, 1, 0),
    "quarter-turn": (90, 1, 0),
    "half-turn": (180, 1, 0),
    "three-quarter-turn": (270, 1, 0),
    "turned-7": (7, 1, 0),
    "turned-15": (15, 1, 0),
    "half-size": (0, 0.5, 0),
    "three-quarter-size": (0, 0.75, 0),
    "double-size": (0, 2, 0),
    "soft": (0, 1, 1 / 4),
    "soft-half-size-turned": (180, 0.5, 1 / 4),
    "soft-turned-7": (7, 1.5, 1 / 4),
    "blurred": (0, 1, 1 / 3),
    "blurred-turned-15": (15, 1, 1 / 3),
}


def spoil(picture, degrees, scale, sigma):
    if scale != 1:
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.BICUBIC)
    if degrees:
        picture = picture.rotate(degrees, Image.BICUBIC, expand=True, fillcolor=255)
    if sigma:
        picture = picture.filter(ImageFilter.GaussianBlur(sigma * scale * MODULE_PIXELS))
    return picture


def make(folder):
    for message in sorted(folder.glob("*.bin")):
        picture = Image.open(message.with_suffix(".png")).convert("L")
        for name, change in VARIANTS.items():
            spoil(picture, *change).save(folder / f"{message.stem}__{name}.png", compress_level=1)


def read(folder):
    failures = 0
    pictures = sorted(folder.glob("*__*.png"))
    for path in pictures:
        message = (folder / (path.stem.split("__")[0] + ".bin")).read_bytes()
        codes = zxingcpp.read_barcodes(numpy.asarray(Image.open(path)), formats=zxingcpp.BarcodeFormat.QRCode)
        if [bytes(code.bytes) for code in codes] != [message]:
            failures += 1
            print(f"{path.stem}: {len(codes)} codes, not the message")
    print(f"read {len(pictures) - failures} of {len(pictures)}")
    return failures == 0 and pictures


if __name__ == "__main__":
    command, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    if command == "make":
        make(folder)
    elif not read(folder):
        sys.exit(1)
