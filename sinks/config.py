"""How to reach the database, and what the sinks store."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class DatabaseConfig(BaseModel):
    """The database; empty `url`: the local stack's PostgreSQL."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: SecretStr = SecretStr("")
    """postgresql://user:password@host:port/database"""
    quote_interval_ms: Annotated[int, Field(ge=0)] = 1_000
    """Top of book is stored at most this often per venue and symbol; 0: every quote."""
    chunk_interval_hours: Annotated[int, Field(ge=1)] = 24
    """Time covered by one hypertable chunk or native partition of a table that fills quickly."""
    sparse_chunk_interval_hours: Annotated[int, Field(ge=1)] = 168
    """The same of tables of rare events, like news or instruments."""
    retention_days: Annotated[int, Field(ge=0)] = 0
    """Chunks whose rows are all older are dropped; 0: none."""
    retention_days_of: dict[str, Annotated[int, Field(ge=0)]] = {}
    """The same for tables by name, like {"quotes": 30}."""
    compress_after_days: Annotated[int, Field(ge=0)] = 7
    """Age at which TimescaleDB compresses chunks, where its licence lets it; 0: never."""
    reader_role: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")] = "grafana"
    """Role that may read the tables and nothing else."""
    reader_password: SecretStr = SecretStr("")
    """Given: the sink creates that role, with this password; empty: it creates none."""

    def chunk_hours(self, sparse: bool) -> int:
        """Time that a chunk of a table covers, hours."""
        return self.sparse_chunk_interval_hours if sparse else self.chunk_interval_hours
