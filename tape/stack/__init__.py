"""The local stack: Kafka, a schema registry and PostgreSQL as child processes, no Docker, no root.

In: `StackConfig` (folder, ports, heap) and which parts have an external address.
Out: `addresses(settings)`, the settings with the running parts' addresses filled in.
"""

from tape.stack.addresses import addresses

__all__ = ["addresses"]
