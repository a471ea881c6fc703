"""Files: hashed, unpacked and found sound before anything of them is used."""

import gzip
import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from schemas.errors import ConfigError
from venues.history.files import examine

TEXT = b"".join(b"line %d of a file that is long enough to be packed\n" % i for i in range(50_000))


def zipped(data: bytes, members: int = 1) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for index in range(members):
            archive.writestr(f"{index}.csv", data)
    return packed.getvalue()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "gzip members": lambda data: gzip.compress(data[:99]) + gzip.compress(data[99:]),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "zstd frames": lambda data: (
        zstandard.ZstdCompressor().compress(data[:99])
        + zstandard.ZstdCompressor().compress(data[99:])
    ),
    "zip": zipped,
    "none": bytes,
}


@pytest.mark.parametrize("packing", PACKINGS)
def test_sound_file_is_read_whole_with_its_hash_and_progress(packing: str, tmp_path: Path) -> None:
    packed = PACKINGS[packing](TEXT)
    path = tmp_path / "file"
    path.write_bytes(packed)
    source = examine(path)
    assert (source.sha256, source.size) == (hashlib.sha256(packed).hexdigest(), len(packed))
    read: list[int] = []
    with source.open(read.append) as file:
        assert file.read() == TEXT
    assert sum(read) >= len(packed)


@pytest.mark.parametrize("packing", ["gzip", "gzip members", "zstd", "zstd frames", "zip"])
@pytest.mark.parametrize("share", [0.2, 0.99])
def test_file_cut_short_is_refused_by_name(packing: str, share: float, tmp_path: Path) -> None:
    packed = PACKINGS[packing](TEXT)
    path = tmp_path / "cut"
    path.write_bytes(packed[: int(len(packed) * share)])
    with pytest.raises(ConfigError, match="cut short or damaged"):
        examine(path)


@pytest.mark.parametrize("packing", ["gzip", "zip"])
def test_damaged_byte_is_found_by_the_checksum(packing: str, tmp_path: Path) -> None:
    packed = bytearray(PACKINGS[packing](TEXT))
    packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / "damaged"
    path.write_bytes(packed)
    with pytest.raises(ConfigError, match="cut short or damaged"):
        examine(path)


def test_missing_and_empty_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        examine(tmp_path / "absent")
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigError, match="empty"):
        examine(tmp_path / "empty")


def test_archive_of_several_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.zip"
    path.write_bytes(zipped(TEXT, members=2))
    with pytest.raises(ConfigError, match="holds 2 files"):
        examine(path)
