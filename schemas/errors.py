"""Tape's errors, by what the user can do about them."""


class TapeError(Exception):
    """Base of all errors that Tape raises on purpose; the message says what to do."""


class ConfigError(TapeError):
    """An option, key or file of the configuration is wrong: correct it."""


class VenueError(TapeError):
    """A venue sent or did something that its protocol does not allow."""


class SchemaError(TapeError):
    """Bytes, a schema or the registry do not fit the catalogue."""


class StoreError(TapeError):
    """Kafka, the database or the local stack could not be used: start or repair it."""


class DivergenceError(TapeError):
    """A proof failed: what was derived again is not what was recorded."""
