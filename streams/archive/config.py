"""Settings of the archive: where it is, what goes there and when, what Kafka keeps."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas import catalogue


class ArchiveConfig(BaseModel):
    """The archive; empty `url`: there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = ""
    """A folder, s3://bucket/prefix (extra `archive`), or another URL that fsspec knows."""
    endpoint_url: str = ""
    """Address of an S3 store that is not Amazon's; keys come from AWS's own variables."""
    topics: tuple[str, ...] = ("tape", *(topic.name for topic in catalogue.DERIVED))
    """Logical topics that are archived: the tape and what is derived."""
    segment_records: Annotated[int, Field(ge=1)] = 1_000_000
    """Most records of a partition that become one segment."""
    segment_mb: Annotated[int, Field(ge=1, le=1024)] = 128
    """Most bytes of records in a segment, MiB; a reader holds two segments in memory."""
    segment_age_s: Annotated[float, Field(gt=0)] = 3600.0
    """Records do not wait longer than this for their segment to be full."""
    keep_records: Annotated[int, Field(ge=1_000)] = 1_000_000
    """Newest records of each partition that `tape archive prune` leaves on Kafka."""

    @field_validator("topics")
    @classmethod
    def _archivable(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = [topic.name for topic in catalogue.TOPICS if topic.kind != "internal"]
        for name in names:
            if name not in known:
                raise ValueError(f"topic {name!r} cannot be archived; known: {', '.join(known)}")
        return names
