"""The schema registry: Apicurio, its data in a file database (H2) in its own folder."""

import http.client
import urllib.error
import urllib.request

from tape.config import StackConfig
from tape.stack import java
from tape.stack.artifacts import Cache
from tape.stack.layout import Layout
from tape.stack.ports import HOST, accepts
from tape.stack.process import Command


class Registry:
    """Apicurio as a service of the stack."""

    name = "registry"

    def __init__(self, config: StackConfig, layout: Layout, cache: Cache) -> None:
        self.ports = {"stack.registry_port": config.registry_port}
        self.heap_mb = config.heap_mb
        self.folder = layout.data(self.name)
        self.program = cache.registry_folder / "quarkus-run.jar"

    @property
    def address(self) -> str:
        """URL of its Confluent API."""
        return f"http://{HOST}:{self.ports['stack.registry_port']}/apis/ccompat/v7"

    def prepare(self) -> Command | None:
        """Nothing but the folder."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        return None

    def prepared(self) -> None:
        """Nothing was prepared."""

    def command(self) -> Command:
        """The server; every setting that is not its default."""
        environment = {
            "APICURIO_STORAGE_KIND": "sql",
            "APICURIO_STORAGE_SQL_KIND": "h2",
            # Each commit is in the file before it is answered: an id once given survives kill -9.
            "APICURIO_DATASOURCE_URL": f"jdbc:h2:file:{self.folder}/registry;WRITE_DELAY=0",
            "APICURIO_DATASOURCE_JDBC_INITIAL_SIZE": "2",
            "APICURIO_DATASOURCE_JDBC_MIN_SIZE": "2",
            "APICURIO_DATASOURCE_JDBC_MAX_SIZE": "20",
            "APICURIO_CCOMPAT_MAX_SUBJECTS": "100000",
            "QUARKUS_HTTP_HOST": HOST,
            "QUARKUS_HTTP_PORT": str(self.ports["stack.registry_port"]),
            "QUARKUS_HTTP_ACCESS_LOG_ENABLED": "false",
            "QUARKUS_MANAGEMENT_HOST": HOST,
            # Not used by us; 0 takes a free one.
            "QUARKUS_MANAGEMENT_PORT": "0",
            "QUARKUS_LOG_CONSOLE_FORMAT": "%d{yyyy-MM-dd'T'HH:mm:ss.SSS} %p [%c{2.}] %s%e%n",
        }
        memory = [f"-Xmx{self.heap_mb}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        argv = [java.EXECUTABLE, *java.QUIET, *memory, "-jar", str(self.program)]
        return Command(argv, environment)

    def is_ready(self) -> bool:
        """Whether it lists its subjects."""
        return accepts(self.ports["stack.registry_port"]) and answers(self.address)


def answers(url: str, timeout_s: float = 1.0) -> bool:
    """Whether a registry at this URL lists its subjects, or wants a password for it."""
    try:
        with urllib.request.urlopen(f"{url}/subjects", timeout=timeout_s) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        return error.code in (401, 403)
    except (OSError, http.client.HTTPException, ValueError):
        return False
