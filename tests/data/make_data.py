#!/usr/bin/env python3
"""Makes every file of this folder but PROVENANCE.md, and prints what tests/processing/resize_test.cpp
and tests/processing/formats/{jpeg,webp}_test.cpp keep of Pillow's results as numbers.

    apt-get install libjpeg-turbo-progs            cjpeg 2.1.5
    pip install pillow==13.0.0 numpy scikit-image==0.26.0
    python tests/data/make_data.py                 writes, and prints the checksums
"""
import hashlib
import io
import struct
import subprocess
import zlib
from pathlib import Path

import numpy
import skimage
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent
PHOTOS = Path(skimage.__file__).parent / "data"
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def save_png(image, name):
    path = HERE / name
    path.parent.mkdir(exist_ok=True)
    image.save(path, optimize=True)


def photos():
    """Three photographs, 320 pixels wide, and one upright cut; each squashed to 224 x 224."""
    cuts = {}
    for name in "coffee.png", "chelsea.png", "rocket.jpg":
        original = Image.open(PHOTOS / name).convert("RGB")
        height = round(original.height * 320 / original.width)
        small = original.resize((320, height), Image.Resampling.LANCZOS)
        cuts[name.partition(".")[0]] = small
        if name == "rocket.jpg":
            cuts["rocket_upright"] = original.crop((212, 0, 440, original.height))
    for name, cut in cuts.items():
        save_png(cut, f"photos/{name}.png")
        for filter_name, resample in FILTERS.items():
            save_png(cut.resize((224, 224), resample), f"resized/{name}_{filter_name}.png")


def pattern(height, width, channels):
    """The picture that the tests make for themselves: (37 x + 59 y + 91 c) mod 256."""
    y, x, c = numpy.mgrid[:height, :width, :channels]
    return ((37 * x + 59 * y + 91 * c) % 256).astype(numpy.uint8)


def fnv1a(data):
    hashed = 2166136261
    for byte in data:
        hashed = (hashed ^ byte) * 16777619 % 2**32
    return hashed


def hashes():
    """What Pillow makes of the pattern at sizes that break resizers, as FNV-1a of the bytes."""
    sizes = [(1, 1, 7, 7), (7, 7, 1, 1), (7, 5, 5, 7), (255, 257, 7, 7), (257, 255, 7, 1),
             (7, 255, 224, 224), (255, 257, 256, 256), (257, 255, 224, 257), (255, 7, 224, 7),
             (9, 80, 64, 64), (274, 249, 224, 224), (275, 249, 224, 224), (300, 60, 32, 48),
             (33, 21, 448, 448)]
    for H, W, H2, W2 in sizes:
        image = Image.fromarray(pattern(H, W, 3))
        made = [fnv1a(image.resize((W2, H2), resample).tobytes()) for resample in FILTERS.values()]
        print(f"    {{{H}, {W}, {H2}, {W2}, 0x{made[0]:08x}, 0x{made[1]:08x}}},")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, interlace=0):
    """A PNG of these rows, for the kinds that Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def adam7(pixels):
    """The rows of the seven passes of an interlaced PNG."""
    passes = [(0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2),
              (1, 2, 0, 1)]  # first row and step, first column and step
    return [row[x::step_x].tobytes() for y, step_y, x, step_x in passes
            for row in pixels[y::step_y] if row[x::step_x].size]


def fnv1a(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return value


def jpegs():
    """A smooth picture with an edge, 23 x 17, in every kind of JPEG; cjpeg writes what Pillow does not."""
    folder = HERE / "pictures/jpeg"
    folder.mkdir(exist_ok=True)
    y, x = numpy.mgrid[:17, :23]
    smooth = numpy.stack([11 * x, 15 * y, 255 - 5 * x - 8 * y], -1).astype(numpy.uint8)
    smooth[4:11, 7:18] = smooth[4:11, 7:18, ::-1]
    image = Image.fromarray(smooth)

    def cjpeg(name, *options):
        ppm = io.BytesIO()
        image.save(ppm, "PPM")
        command = ["cjpeg", "-quality", "90", *options]
        data = subprocess.run(command, input=ppm.getvalue(), capture_output=True, check=True).stdout
        (folder / f"{name}.jpg").write_bytes(data)
        return data

    samples = {"444": "1x1", "422": "2x1", "420": "2x2", "440": "1x2", "411": "4x1", "410": "4x2"}
    for name, sample in samples.items():
        cjpeg(name, "-sample", sample)
    for name in ("444", "422", "420"):
        cjpeg(f"{name}_progressive", "-progressive", "-sample", samples[name])
    cjpeg("420_arithmetic", "-arithmetic", "-sample", "2x2")
    cjpeg("420_arithmetic_progressive", "-arithmetic", "-progressive", "-sample", "2x2")
    cjpeg("420_restart", "-restart", "1B", "-sample", "2x2")
    cjpeg("grey", "-grayscale")

    # Three components: what says which colours they are.
    jfif = b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
    adobe = [b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0" + bytes([i]) for i in range(3)]
    rgb = cjpeg("rgb_adobe0", "-rgb", "-sample", "1x1")  # ids R, G, B
    ycc = (folder / "444.jpg").read_bytes()              # ids 1, 2, 3
    assert rgb.count(adobe[0]) == 1 and ycc.count(jfif) == 1
    (folder / "rgb.jpg").write_bytes(rgb.replace(adobe[0], b""))
    (folder / "rgb_adobe1.jpg").write_bytes(rgb.replace(adobe[0], adobe[1]))
    (folder / "rgb_jfif.jpg").write_bytes(rgb.replace(adobe[0], jfif))
    (folder / "rgb_jfif_adobe0.jpg").write_bytes(rgb.replace(adobe[0], jfif + adobe[0]))
    (folder / "123.jpg").write_bytes(ycc.replace(jfif, b""))
    (folder / "123_adobe0.jpg").write_bytes(ycc.replace(jfif, adobe[0]))
    (folder / "123_adobe1.jpg").write_bytes(ycc.replace(jfif, adobe[1]))

    # Four.
    inks = io.BytesIO()
    black = (40 + 3 * x).astype(numpy.uint8)
    Image.fromarray(numpy.dstack([255 - smooth, black]), "CMYK").save(inks, "JPEG", quality=90)
    cmyk = inks.getvalue()
    assert cmyk.count(adobe[0]) == 1
    (folder / "cmyk.jpg").write_bytes(cmyk.replace(adobe[0], b""))
    for i in range(3):
        (folder / f"cmyk_adobe{i}.jpg").write_bytes(cmyk.replace(adobe[0], adobe[i]))
    (folder / "cmyk_jfif.jpg").write_bytes(cmyk.replace(adobe[0], jfif))

    for path in sorted(folder.iterdir()):
        pixels = numpy.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
        print(f'{{"{path.stem}", 0x{fnv1a(pixels.tobytes()):016x}}},')


def webps():
    """A smooth picture with an edge, 23 x 17, in every kind of WebP."""
    folder = HERE / "pictures/webp"
    folder.mkdir(exist_ok=True)
    y, x = numpy.mgrid[:17, :23]
    smooth = numpy.stack([11 * x, 15 * y, 255 - 5 * x - 8 * y], -1).astype(numpy.uint8)
    smooth[4:11, 7:18] = smooth[4:11, 7:18, ::-1]
    alpha = (13 * x * y % 256).astype(numpy.uint8)
    image, clear = Image.fromarray(smooth), Image.fromarray(numpy.dstack([smooth, alpha]))
    part = clear.crop((4, 2, 15, 13))
    image.save(folder / "lossy.webp", quality=80)
    image.save(folder / "lossless.webp", lossless=True)
    clear.save(folder / "lossy_alpha.webp", quality=80, exact=True)
    clear.save(folder / "lossless_alpha.webp", lossless=True, exact=True)
    image.save(folder / "animation.webp", save_all=True, append_images=[image.rotate(180)], lossless=True)
    # A first frame that is smaller than the canvas, which no writer here makes: the canvas made larger,
    # and a colour for what is outside.
    part.save(folder / "small_frame.webp", save_all=True, append_images=[part.rotate(180)], lossless=True,
              exact=True, background=(10, 200, 30, 255))
    data = bytearray((folder / "small_frame.webp").read_bytes())
    data[24:30] = struct.pack("<I", 22)[:3] + struct.pack("<I", 16)[:3]
    frame = data.index(b"ANMF") + 8
    data[frame:frame + 6] = struct.pack("<I", 2)[:3] + struct.pack("<I", 1)[:3]  # halves of 4 and 2
    (folder / "small_frame.webp").write_bytes(data)
    for path in sorted(folder.iterdir()):
        pixels = numpy.asarray(Image.open(path))
        print(f'{{"{path.stem}", {pixels.shape[2]}, 0x{fnv1a(pixels.tobytes()):016x}}},')


def pictures():
    """The pattern, 7 x 5, in every kind of file that image_file accepts."""
    folder = HERE / "pictures"
    folder.mkdir(exist_ok=True)
    rgb = pattern(5, 7, 3)
    grey = pattern(5, 7, 1)[:, :, 0]
    alpha = (255 - 7 * numpy.arange(35)).astype(numpy.uint8).reshape(5, 7)
    image, image_grey, image_alpha = map(Image.fromarray, (rgb, grey, alpha))
    rgba, la = image.copy(), image_grey.copy()
    rgba.putalpha(image_alpha)
    la.putalpha(image_alpha)
    palette = Image.fromarray(numpy.arange(35, dtype=numpy.uint8).reshape(5, 7), "P")
    palette.putpalette(rgb.tobytes())

    # The same colours, with nothing lost.
    image.save(folder / "rgb.png")
    rgba.save(folder / "rgba.png")
    palette.save(folder / "palette.png")
    palette.save(folder / "palette_transparent.png", transparency=3)
    image.save(folder / "rgb.bmp")
    rgba.save(folder / "rgba.bmp")
    palette.save(folder / "palette.bmp")
    palette.save(folder / "palette.gif")
    image.save(folder / "rgb.ppm")
    image.save(folder / "rgb.tga")
    rgba.save(folder / "rgba.tga", compression="tga_rle")
    (folder / "interlaced.png").write_bytes(png(7, 5, 8, 2, adam7(rgb), interlace=1))
    wide = rgb.astype(numpy.uint16) * 256 + rgb[::-1]  # the lower byte is noise
    (folder / "rgb16.png").write_bytes(png(7, 5, 16, 2, [row.astype(">u2").tobytes() for row in wide]))

    # Grey ones.
    image_grey.save(folder / "grey.png")
    la.save(folder / "grey_alpha.png")
    image_grey.save(folder / "grey.pgm")
    wide_grey = grey.astype(numpy.uint16) * 256 + grey[::-1]
    (folder / "grey16.png").write_bytes(
        png(7, 5, 16, 0, [row.astype(">u2").tobytes() for row in wide_grey]))
    bits = [bytes([0b10110010]), bytes([0b01001100]), bytes([0b11111110]), bytes([0]), bytes([0x54])]
    (folder / "one_bit.png").write_bytes(png(7, 5, 1, 0, bits))

    # JPEG: a smooth picture, 24 x 16, and beside it what Pillow makes of the file.
    y, x = numpy.mgrid[:16, :24]
    smooth = numpy.stack([10 * x, 15 * y, 255 - 5 * x - 8 * y], -1).astype(numpy.uint8)
    jpeg = Image.fromarray(smooth)
    inks = Image.fromarray(numpy.dstack([255 - smooth, numpy.full((16, 24), 20, numpy.uint8)]), "CMYK")
    kinds = {"baseline": (jpeg, dict(subsampling=0)), "subsampled": (jpeg, dict(subsampling=2)),
             "grey": (jpeg.convert("L"), {}), "cmyk": (inks, dict(subsampling=0))}
    for name, (source, options) in kinds.items():
        source.save(folder / f"{name}.jpg", quality=90, **options)
        read = Image.open(folder / f"{name}.jpg").convert("RGB")
        read.save(folder / f"{name}_jpg_expected.png", optimize=True)
    jpeg.save(folder / "progressive.jpg", quality=90, subsampling=0, progressive=True)
    noted = jpeg.getexif()
    noted[0x0112] = 6  # the camera was on its side
    jpeg.save(folder / "orientation.jpg", quality=90, subsampling=0, exif=noted)

    # Another format than the name says, and two that are not read.
    image.save(folder / "webp_named.png", "WEBP", lossless=True)
    image.save(folder / "tiff_named.png", "TIFF")
    (folder / "svg_named.png").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>\n')


if __name__ == "__main__":
    photos()
    pictures()
    jpegs()
    webps()
    hashes()
    for path in sorted(HERE.rglob("*.*")):
        if path.suffix not in (".py", ".md"):
            name = path.relative_to(HERE)
            print(hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, name)
