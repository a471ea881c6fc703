"""Files on disk: their hash, an integrity pass, and their bytes unpacked while they are read."""

import gzip
import hashlib
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

import zstandard

from schemas.errors import ConfigError

Packing = Literal["none", "gzip", "zstd", "zip"]
OnRead = Callable[[int], None]

CHUNK = 1 << 20
# So little is unpacked at once by the check that a bomb fills no memory.
_PIECE = 1 << 10
# What zipfile raises for damaged archives, those that are encrypted and kinds that it cannot read.
_ZIP_ERRORS = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError,
    LookupError, struct.error,
)  # fmt: skip
_MAGIC: tuple[tuple[bytes, Packing], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
)


def no_progress(_: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was read whole once and found sound."""

    path: Path
    size: int
    sha256: str
    packing: Packing

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.path.name

    def open(self, on_read: OnRead = no_progress) -> BinaryIO:
        """The unpacked bytes; `on_read` is told of every read how many packed bytes it took."""
        raw = cast(BinaryIO, io.BufferedReader(_Counted(self.path, on_read), CHUNK))
        match self.packing:
            case "gzip":
                unpacked: io.RawIOBase = cast(io.RawIOBase, gzip.GzipFile(fileobj=raw))
            case "zstd":
                unpacked = cast(
                    io.RawIOBase,
                    zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True),
                )
            case "zip":
                archive = zipfile.ZipFile(raw)
                unpacked = cast(io.RawIOBase, archive.open(_only_member(archive, self.path)))
            case "none":
                return raw
        return cast(BinaryIO, io.BufferedReader(unpacked, CHUNK))


class _Counted(io.RawIOBase):
    """A file that tells how many bytes each read took."""

    def __init__(self, path: Path, on_read: OnRead) -> None:
        self._file = path.open("rb", buffering=0)
        self._on_read = on_read

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the base's Buffer
        count = self._file.readinto(buffer) or 0
        self._on_read(count)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def examine(path: Path, on_read: OnRead = no_progress) -> SourceFile:
    """Read a file whole once: its SHA-256, and whether it unpacks to its end.

    Raises ConfigError for a file that is missing, empty, cut short or damaged, so that nothing
    of it is written.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    with path.open("rb") as file:
        packing = _packing(file.read(4))
    digest = hashlib.sha256()
    unpacker = _Check(path, packing)
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            unpacker.feed(chunk)
            size += len(chunk)
            on_read(len(chunk))
    if not size:
        raise ConfigError(f"{path}: the file is empty")
    unpacker.finish()
    return SourceFile(path, size, digest.hexdigest(), packing)


def _packing(start: bytes) -> Packing:
    return next((packing for magic, packing in _MAGIC if start.startswith(magic)), "none")


class _Check:
    """Unpacks what it is fed and throws it away; raises ConfigError where it does not unpack."""

    def __init__(self, path: Path, packing: Packing) -> None:
        self._path = path
        self._packing = packing
        self._unpack = self._new()
        self._ended = packing in {"none", "zip"}

    def _new(self) -> "zlib._Decompress | zstandard.ZstdDecompressionObj | None":
        if self._packing == "gzip":
            return zlib.decompressobj(wbits=31)
        if self._packing == "zstd":
            return zstandard.ZstdDecompressor().decompressobj()
        return None

    def feed(self, chunk: bytes) -> None:
        if self._unpack is None:
            return
        try:
            for at in range(0, len(chunk), _PIECE):
                self._feed(chunk[at : at + _PIECE])
        except (zlib.error, zstandard.ZstdError) as error:
            raise self._damaged(str(error)) from None

    def _feed(self, chunk: bytes) -> None:
        while chunk and self._unpack is not None:
            if self._ended:
                if not chunk.strip(b"\0"):  # padding after the last member is allowed
                    return
                self._unpack, self._ended = self._new(), False
                assert self._unpack is not None
            self._unpack.decompress(chunk)
            self._ended = self._unpack.eof
            chunk = self._unpack.unused_data if self._ended else b""

    def finish(self) -> None:
        if not self._ended:
            raise self._damaged("it ends in the middle of its compressed data")
        if self._packing == "zip":
            self._check_zip()

    def _check_zip(self) -> None:
        try:
            with zipfile.ZipFile(self._path) as archive:
                _only_member(archive, self._path)
                broken = archive.testzip()
        except _ZIP_ERRORS as error:
            raise self._damaged(str(error)) from None
        if broken is not None:
            raise self._damaged(f"{broken} has a wrong checksum")

    def _damaged(self, why: str) -> ConfigError:
        return ConfigError(
            f"{self._path}: the {self._packing} file is cut short or damaged ({why}); "
            "nothing of it was imported: get it again"
        )


def _only_member(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    members = [info for info in archive.infolist() if not info.is_dir()]
    if len(members) != 1:
        raise ConfigError(
            f"{path}: the archive holds {len(members)} files; one is expected "
            "(as in the exchanges' dumps): unpack it and import its files"
        )
    return members[0]
