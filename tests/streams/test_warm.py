"""Warming up derives through every stage, so nothing is left to compile."""

from schemas import catalogue
from streams import warm
from streams.outputs import Outputs


def test_warm_up_passes_every_derived_topic(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    seen = []

    def note(rows, schema_id: int) -> Outputs:  # type: ignore[no-untyped-def]
        seen.append(rows.topic)
        return original(rows, schema_id)

    original = warm.outputs_of
    monkeypatch.setattr(warm, "outputs_of", note)
    warm.warm_up()
    assert set(seen) == {topic.name for topic in catalogue.DERIVED}
