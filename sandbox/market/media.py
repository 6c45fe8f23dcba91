"""Tiny pictures, animations and videos for tokens, made from the mint: the same one looks the same everywhere."""

from __future__ import annotations

import colorsys
import struct
import zlib
from hashlib import blake2b

CONTENT_TYPES = {"png": "image/png", "gif": "image/gif", "mp4": "video/mp4"}

_CELLS = 5
_CELL_PIXELS = 64
_SIDE = _CELLS * _CELL_PIXELS
_FRAME_CENTISECONDS = 50


def content(mint: str, kind: str) -> bytes:
    """Give the bytes of `png`, `gif` or `mp4`. The MP4 is a valid container without a track: nothing to see."""
    match kind:
        case "png":
            return _png(mint)
        case "gif":
            return _gif(mint)
        case "mp4":
            return _mp4()
        case _:
            raise ValueError(f"unknown kind of picture: {kind}")


def _cells(mint: str) -> tuple[list[list[int]], bytes, bytes]:
    """Five rows of five cells, 0 or 1, mirrored; background and foreground as RGB."""
    digest = blake2b(mint.encode(), digest_size=18).digest()
    half = (_CELLS + 1) // 2
    rows: list[list[int]] = []
    for row in range(_CELLS):
        left = [digest[row * half + column] & 1 for column in range(half)]
        rows.append(left + left[-2::-1])
    hue = digest[-1] / 255
    return rows, _rgb(hue, 0.93, 0.35), _rgb(hue + 0.45, 0.42, 0.65)


def _rgb(hue: float, lightness: float, saturation: float) -> bytes:
    return bytes(round(255 * part) for part in colorsys.hls_to_rgb(hue % 1, lightness, saturation))


def _png(mint: str) -> bytes:
    rows, background, foreground = _cells(mint)
    lines = b"".join((b"\0" + b"".join(bytes([cell]) * _CELL_PIXELS for cell in row)) * _CELL_PIXELS for row in rows)
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _png_chunk(b"IHDR", header),
            _png_chunk(b"PLTE", background + foreground),
            _png_chunk(b"IDAT", zlib.compress(lines, 9)),
            _png_chunk(b"IEND", b""),
        )
    )


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _gif(mint: str) -> bytes:
    """Two frames, the second with the colours changed over; for ever."""
    rows, background, foreground = _cells(mint)
    pixels = [cell for row in rows for cell in row]
    frames = (pixels, [1 - cell for cell in pixels])
    head = b"GIF89a" + struct.pack("<HHBBB", _CELLS, _CELLS, 0x80, 0, 0) + background + foreground
    loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
    return head + loop + b"".join(_gif_frame(frame) for frame in frames) + b"\x3b"


def _gif_frame(pixels: list[int]) -> bytes:
    """One image of two colours; its LZW stream says "clear" before every pixel, so that no table ever grows."""
    control = b"\x21\xf9\x04\x04" + struct.pack("<H", _FRAME_CENTISECONDS) + b"\x00\x00"
    place = b"\x2c" + struct.pack("<HHHHB", 0, 0, _CELLS, _CELLS, 0)
    clear, end, width = 4, 5, 3
    codes = [code for pixel in pixels for code in (clear, pixel)] + [end]
    bits = sum(code << (number * width) for number, code in enumerate(codes))
    data = bits.to_bytes((len(codes) * width + 7) // 8, "little")
    return control + place + b"\x02" + bytes([len(data)]) + data + b"\x00"


def _mp4() -> bytes:
    identity = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    movie_header = struct.pack(">IIIIIIH10x", 0, 0, 0, 1000, 1000, 0x10000, 0x0100) + identity + bytes(24)
    movie_header += struct.pack(">I", 1)
    return (
        _box(b"ftyp", b"isom" + struct.pack(">I", 512) + b"isomiso2mp41")
        + _box(b"moov", _box(b"mvhd", movie_header))
        + _box(b"mdat", b"")
    )


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data
