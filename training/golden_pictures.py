"""Makes assets/golden/pictures: small source pictures, and what Pillow makes of them.

    python training/golden_pictures.py assets/golden/pictures

Needs Pillow and numpy. Everything is synthetic and seeded: gradients, hard edges and patches of noise.

decode/NAME.EXT with decode/NAME.EXT.png     a file, and Image.open(file).convert("RGB") turned upright
resize/SOURCE.png with resize/NAME.png       a picture, and its resized and cropped 8-bit pixels
resize/cases.json                            which source, resize, crop and filter made each NAME
"""

import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

# width, height, resize, crop
SIZES = [
    (37, 53, 96, 96),
    (451, 300, 256, 224),
    (500, 333, 146, 128),
    (1, 1, 8, 7),
    (3, 400, 64, 56),
    (400, 3, 64, 56),
    (128, 128, 128, 112),
    (200, 160, 80, 80),
    (511, 467, 64, 56),
]

JPEG_KINDS = {
    "baseline": {},
    "progressive": dict(progressive=True),
    "restarts": dict(restart_marker_blocks=2),
}

# Adobe's segment as Pillow writes it for four channels: its last byte says that they are no YCCK.
ADOBE_PLAIN = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0"


def picture(width: int, height: int, seed: int) -> np.ndarray:
    """[height, width, 3] of 8 bits: a gradient, stripes and discs with hard edges, and a patch of noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([255 * x / max(width - 1, 1), 255 * y / max(height - 1, 1), 255 - 127.5 * (x / width + y / height)], 2)
    rgb[(x // 3 + y // 5) % 7 == 0] = [255, 255, 255]
    rgb[(x + 2 * y) % 31 < 2] = [0, 0, 0]
    for _ in range(4):
        cx, cy, r = random.uniform(0, width), random.uniform(0, height), random.uniform(1, min(width, height) / 4 + 2)
        rgb[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = random.integers(0, 256, 3)
    noise = (slice(height // 4, height // 4 + 48), slice(width // 3, width // 3 + 48))
    rgb[noise] = random.integers(0, 256, rgb[noise].shape)
    return np.clip(rgb, 0, 255).astype(np.uint8)


def resize_cases(folder: Path) -> None:
    cases = []
    for width, height, resize, crop in SIZES:
        source = f"source-{width}x{height}.png"
        image = Image.fromarray(picture(width, height, seed=width * height))
        image.save(folder / source, optimize=True)
        for name, filter in FILTERS.items():
            # torchvision's Resize and CenterCrop, in Pillow's terms.
            short = min(width, height)
            full = image.resize((resize * width // short, resize * height // short), filter)
            left, top = round((full.width - crop) / 2), round((full.height - crop) / 2)
            expected = f"{name}-{width}x{height}-{resize}-{crop}.png"
            full.crop((left, top, left + crop, top + crop)).save(folder / expected, optimize=True)
            cases.append(dict(source=source, expected=expected, resize=resize, crop=crop, filter=name))
    rows = ",\n  ".join(json.dumps(case) for case in cases)
    (folder / "cases.json").write_text(f"[\n  {rows}\n]\n")


def decode_cases(folder: Path) -> None:
    rgb = picture(41, 29, seed=1)
    image = Image.fromarray(rgb)
    alpha = picture(41, 29, seed=2)[..., 0]
    deep = (np.random.default_rng(3).integers(0, 65536, rgb.shape)).astype(np.uint16)

    def expect(name: str, expected: Image.Image | None = None) -> None:
        if expected is None:
            expected = ImageOps.exif_transpose(Image.open(folder / name)).convert("RGB")
        expected.save(folder / f"{name}.png", optimize=True)

    def save(name: str, image: Image.Image, **options) -> None:
        image.save(folder / name, **options)
        expect(name)

    save("rgb.png", image)
    save("grey.png", image.convert("L"))
    save("bits.png", image.convert("1"))
    save("grey-alpha.png", Image.merge("LA", [image.convert("L"), Image.fromarray(alpha)]))
    save("rgba.png", Image.fromarray(np.dstack([rgb, alpha])))
    save("palette.png", image.quantize(13))
    save("palette-alpha.png", Image.fromarray(np.dstack([rgb, alpha // 128 * 255])).quantize(13))
    (folder / "rgb16.png").write_bytes(png16(deep))
    expect("rgb16.png")
    # Pillow clips 16-bit grey at 255; what we want is its high byte.
    (folder / "grey16.png").write_bytes(png16(deep[..., :1]))
    expect("grey16.png", Image.fromarray((deep[..., 0] >> 8).astype(np.uint8)).convert("RGB"))

    save("plain.jpg", image, quality=90, subsampling="4:4:4")
    save("subsampled.jpg", image, quality=75, subsampling="4:2:0")
    save("progressive.jpg", image, quality=85, progressive=True)
    save("grey.jpg", image.convert("L"), quality=85)
    save("cmyk.jpg", image.convert("CMYK"), quality=95)
    for sampling in ["4:2:2", "4:2:0"]:
        for kind, options in JPEG_KINDS.items():
            save(f"{sampling.replace(':', '')}-{kind}.jpg", image, quality=60, subsampling=sampling, **options)
    for width, height in [(1, 1), (3, 2), (17, 9)]:
        save(f"420-{width}x{height}.jpg", Image.fromarray(picture(width, height, seed=4)), subsampling="4:2:0")
    save("stored-as-rgb.jpg", image, quality=85, keep_rgb=True)

    def rewrite(name: str, source: str, change) -> None:
        (folder / name).write_bytes(change((folder / source).read_bytes()))
        expect(name)

    # What Pillow cannot write, it can still read: the same blocks, declared to be others.
    for kind in ["baseline", "progressive"]:
        turned = (image.height, image.width, [0x12, 0x11, 0x11])
        rewrite(f"440-{kind}.jpg", f"422-{kind}.jpg", lambda data: declare(data, *turned))
    rewrite("411.jpg", "420-baseline.jpg", lambda data: declare(data, 93, 15, [0x41, 0x11, 0x11]))
    rewrite("ycck.jpg", "cmyk.jpg", lambda data: data.replace(ADOBE_PLAIN, ADOBE_PLAIN[:-1] + b"\2"))
    rewrite("cmyk-undeclared.jpg", "cmyk.jpg", lambda data: data.replace(ADOBE_PLAIN, b""))
    # Fine coefficients are missing, and blocks are smoothed.
    for scans in [1, 3, 6]:
        rewrite(f"first-scans-{scans}.jpg", "420-progressive.jpg", lambda data: first_scans(data, scans))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(f"orientation-{orientation}.jpg", image, quality=90, subsampling="4:4:4", exif=exif)

    save("lossless.webp", image, lossless=True)
    save("lossless-alpha.webp", Image.fromarray(np.dstack([rgb, alpha])), lossless=True, exact=True)
    save("lossy.webp", image, quality=80)
    exif = Image.Exif()
    exif[0x0112] = 6
    save("orientation-6.webp", image, lossless=True, exif=exif)
    save("orientation-6.png", image, exif=exif)


def segments(jpeg: bytes) -> list[tuple[int, bytes]]:
    """The marker and all bytes of each segment; a scan's data belongs to its header."""
    starts, at = [], 2
    while jpeg[at + 1] != 0xD9:
        starts.append(at)
        marker, at = jpeg[at + 1], at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        while marker == 0xDA and not (jpeg[at] == 0xFF and jpeg[at + 1] not in [0, *range(0xD0, 0xD8)]):
            at += 1
    return [(jpeg[start + 1], jpeg[start:end]) for start, end in zip(starts, starts[1:] + [at])]


def declare(jpeg: bytes, width: int, height: int, sampling: list[int]) -> bytes:
    """The same scans under another size and other sampling factors, which must need as many blocks."""
    def changed(segment: bytes) -> bytes:
        segment = bytearray(segment)
        struct.pack_into(">HH", segment, 5, height, width)
        segment[11 : 11 + 3 * len(sampling) : 3] = bytes(sampling)
        return bytes(segment)

    frame = (0xC0, 0xC2)
    return jpeg[:2] + b"".join(changed(s) if marker in frame else s for marker, s in segments(jpeg)) + jpeg[-2:]


def first_scans(jpeg: bytes, count: int) -> bytes:
    """A progressive file that ends after some scans."""
    kept, scans = jpeg[:2], 0
    for marker, segment in segments(jpeg):
        kept, scans = kept + segment, scans + (marker == 0xDA)
        if scans == count:
            break
    return kept + jpeg[-2:]


def png16(samples: np.ndarray) -> bytes:
    """A 16-bit PNG of [height, width, 1 or 3]; Pillow writes no 16-bit colour."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 3: 2}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def main() -> None:
    root = Path(sys.argv[1])
    for name, make in {"decode": decode_cases, "resize": resize_cases}.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        make(root / name)


if __name__ == "__main__":
    main()
