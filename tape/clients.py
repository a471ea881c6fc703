"""Clients of the system's parts made from the settings; imported only where one is needed."""

from typing import TYPE_CHECKING

from tape.config import Settings

if TYPE_CHECKING:
    from schemas.registry import Registry
    from streams.archive.reader import Archive


def registry(settings: Settings) -> "Registry":
    """The schema registry that the settings name."""
    # Imported here: it brings an HTTP client, which a command's --help can do without.
    from schemas.registry import Registry  # noqa: PLC0415

    given = settings.registry
    return Registry(given.url, given.username, given.password.get_secret_value())


def archive(settings: Settings) -> "Archive | None":
    """The archive that the settings name; None where they name none."""
    if not settings.archive.url:
        return None
    from streams.archive.reader import Archive  # noqa: PLC0415 - brings pyarrow

    return Archive(settings.archive, settings.tape)
