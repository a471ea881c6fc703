"""Where the local stack keeps what: data, logs, state, lock."""

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import StoreError


@dataclass(frozen=True, slots=True)
class Layout:
    """The folder of one stack."""

    home: Path

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives; the kernel lets go of it at any death."""
        return self.home / "stack.lock"

    @property
    def state(self) -> Path:
        """What runs, written by the supervisor; holds the database's password."""
        return self.home / "stack.json"

    @property
    def logs(self) -> Path:
        """Folder of the log files."""
        return self.home / "logs"

    def log(self, name: str) -> Path:
        """Log file of a service, or of the supervisor (`stack`)."""
        return self.logs / f"{name}.log"

    def data(self, name: str) -> Path:
        """Data folder of a service."""
        return self.home / name

    def create(self) -> None:
        """Make the folders; only their owner may look inside. StoreError where that cannot be."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the stack's folder {self.home} cannot be made: {error.strerror}; make it "
                "yours (chown), or choose another with TAPE_HOME or --set stack.home=FOLDER"
            ) from None
