"""Final addresses: the settings with the local stack's filled in where no other is given."""

from pydantic import SecretStr

from schemas.errors import StoreError
from tape.config import Settings
from tape.stack.layout import Layout
from tape.stack.state import State

PARTS = {
    "kafka": "kafka.bootstrap",
    "registry": "registry.url",
    "postgres": "database.url",
}
"""Service of the local stack -> the setting that gives an external address in its place."""


def local_services(settings: Settings) -> tuple[str, ...]:
    """The services for which no external address is set."""
    external = {
        "kafka": settings.kafka.bootstrap,
        "registry": settings.registry.url,
        "postgres": settings.database.url.get_secret_value(),
    }
    return tuple(name for name, address in external.items() if not address)


def addresses(settings: Settings, *, only: tuple[str, ...] = tuple(PARTS)) -> Settings:
    """The settings with the addresses of the local stack's services.

    `only` names the services that the caller needs. StoreError when one of them has no
    external address and does not run here.
    """
    wanted = [name for name in local_services(settings) if name in only]
    if not wanted:
        return settings
    state = State.read(Layout(settings.stack.home).state)
    found = {name: _address(name, state) for name in wanted}
    update: dict[str, object] = {}
    if "kafka" in found:
        update["kafka"] = settings.kafka.model_copy(update={"bootstrap": found["kafka"]})
    if "registry" in found:
        update["registry"] = settings.registry.model_copy(update={"url": found["registry"]})
    if "postgres" in found:
        url = SecretStr(found["postgres"])
        update["database"] = settings.database.model_copy(update={"url": url})
    return settings.model_copy(update=update)


def _address(name: str, state: State | None) -> str:
    setting = PARTS[name]
    hint = f"`tape up` starts it, or set {setting} (TAPE_{setting.upper().replace('.', '__')})"
    if state is None or not state.is_alive or state.phase in ("stopping", "stopped", "failed"):
        raise StoreError(f"the local {name} is not running: {hint}")
    service = state.services.get(name)
    if service is None:
        raise StoreError(
            f"the local stack runs without {name} (it was started while {setting} was set): "
            "`tape down`, then `tape up`"
        )
    return service.address
