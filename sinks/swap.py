"""Putting rebuilt tables in the live ones' place, under readers that go on reading."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from sinks.rows import Position
from sinks.storage import Connection
from sinks.store import connect
from sinks.tables import Table

_LOOK_S = 0.05
# The live sink's own transaction may take as long as this.
_SINK_TIMEOUT_MS = 30_000
# The live sink is held up this long while older readers end.
_HOLD_S = 2.0
# While the locks are waited for new readers wait behind us; and, so that of two that wait for
# each other it is us who give in, it must not last as long as PostgreSQL waits for a deadlock.
_SHARE_OF_DEADLOCK_TIMEOUT = 0.8

CatchUp = Callable[[dict[Position, int]], int]
"""Fills the rebuilt tables up to these offsets."""


class Busy(Exception):
    """Readers are in the way; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Swap:
    """One change of places: of tables, their offsets and what else is kept of them.

    `connection` is the one that fills the new tables; the change is made over another.
    """

    connection: Connection
    url: str
    tape: str
    shadow: str
    trash: str
    specs: Sequence[Table]
    topics: Sequence[str]

    def run(self, catch_up: CatchUp, patience_s: float) -> None:
        """Hold the sink, fill up, let older readers end, change places. Busy: they did not.

        A reader that began before the new tables were full could see less in them, if its
        transaction has one snapshot for all statements; so all transactions that are older than
        the last row must end first, for which `patience_s` is given at each step.
        """
        self._let_end(patience_s)
        with connect(self.url) as holder:
            pid = holder.info.backend_pid
            try:
                with holder.transaction():
                    _set_timeout(holder, _SINK_TIMEOUT_MS)
                    # The live sink takes this lock first, too: it waits, then sees that it moved.
                    catch_up(live_offsets(holder, self.tape, self.topics, lock=True))
                    self._let_end(min(patience_s, _HOLD_S), pid)
                    self._lock(holder, patience_s)
                    self._move(holder)
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
                raise Busy(str(error).strip()) from error

    def _running(self, holder: int) -> dict[str, int]:
        """The transactions that are open now, with their process, and could see less or wait long.

        Not those that wait for us; not those whose next statement sees its own present; not those
        that are at their first statement (who has one, ends with it) and read none of our tables.
        """
        rows = self.connection.execute(
            "SELECT l.virtualtransaction, l.pid FROM pg_locks l"
            " JOIN pg_stat_activity a ON a.pid = l.pid"
            " WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.granted"
            " AND a.datname = current_database() AND a.backend_type = 'client backend'"
            " AND l.pid NOT IN (pg_backend_pid(), %(holder)s)"
            " AND NOT coalesce(a.state LIKE 'idle in %%' AND a.backend_xmin IS NULL, false)"
            " AND NOT coalesce(a.state = 'active' AND a.xact_start = a.query_start AND NOT EXISTS"
            " (SELECT FROM pg_locks k JOIN pg_class c ON c.oid = k.relation"
            "  JOIN pg_namespace n ON n.oid = c.relnamespace"
            "  WHERE k.pid = l.pid AND n.nspname = %(tape)s), false)"
            " AND NOT %(holder)s = ANY(pg_blocking_pids(l.pid))",
            {"holder": holder, "tape": self.tape},
        ).fetchall()
        return {str(transaction): int(str(pid)) for transaction, pid in rows}

    def _let_end(self, patience_s: float, holder: int = 0) -> None:
        """Wait until all transactions that are open now have ended."""
        older = self._running(holder)
        deadline = time.monotonic() + patience_s
        while older:
            if time.monotonic() > deadline:
                pids = ", ".join(map(str, sorted(set(older.values()))))
                raise Busy(f"transactions of the processes {pids} are open since before")
            time.sleep(_LOOK_S)
            now = self._running(holder)
            older = {transaction: pid for transaction, pid in older.items() if transaction in now}

    def _lock(self, holder: Connection, patience_s: float) -> None:
        """Lock all live tables, trying again while readers hold one and ask for another.

        A try is shorter than any reader's wait for a deadlock, and gives all its locks back when
        it fails; the next begins at the table that it failed at, since whoever holds that one
        might ask for those that we would hold by then.
        """
        names = [table.name for table in self._live(holder)]
        deadline = time.monotonic() + min(patience_s, _HOLD_S)
        moment_s = _SHARE_OF_DEADLOCK_TIMEOUT * _deadlock_timeout(holder)
        while busy := self._busy_table(holder, names, moment_s):
            if time.monotonic() > deadline:
                raise Busy(f"readers of {busy} are in the way")
            names.remove(busy)
            names.insert(0, busy)

    def _busy_table(self, holder: Connection, names: Sequence[str], moment_s: float) -> str:
        """Lock these tables in this order; the one that could not be had, or ''."""
        ends = time.monotonic() + moment_s
        name = ""
        try:
            with holder.transaction():
                for name in names:
                    _set_timeout(holder, max(1, int((ends - time.monotonic()) * 1_000)))
                    holder.execute(
                        sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(
                            sql.Identifier(self.tape, name)
                        )
                    )
                _set_timeout(holder, max(1, int((ends - time.monotonic()) * 1_000)))
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            return name
        return ""

    def _live(self, holder: Connection) -> list[Table]:
        rows = holder.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s", (self.tape,)
        ).fetchall()
        there = {name for (name,) in rows}
        return [table for table in self.specs if table.name in there]

    def _move(self, holder: Connection) -> None:
        holder.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self.trash)))
        for table in self._live(holder):
            self._grant_alike(holder, table)
            _set_schema(holder, table, self.tape, self.trash)
        for table in self.specs:
            _set_schema(holder, table, self.shadow, self.tape)
        self._take_over(holder, "table_definitions", "topic")
        self._take_over(holder, "offsets", "topic")
        if any(table.sampled for table in self.specs):
            self._take_over(holder, "quote_samples", "")

    def _grant_alike(self, holder: Connection, table: Table) -> None:
        """Whoever may read the live table may read the new one."""
        rows = holder.execute(
            "SELECT CASE grantee WHEN 0 THEN '' ELSE grantee::regrole::text END, privilege_type"
            " FROM pg_class c, aclexplode(c.relacl)"
            " WHERE c.oid = %s::regclass AND grantee <> c.relowner",
            (sql.Identifier(self.tape, table.name).as_string(holder),),
        ).fetchall()
        for grantee, privilege in rows:
            holder.execute(
                sql.SQL("GRANT {} ON {} TO {}").format(
                    sql.SQL(str(privilege)),
                    sql.Identifier(self.shadow, table.name),
                    sql.SQL(str(grantee) or "PUBLIC"),
                )
            )

    def _take_over(self, holder: Connection, name: str, column: str) -> None:
        """Move the shadow's bookkeeping of the topics to the live tables."""
        live, shadow = sql.Identifier(self.tape, name), sql.Identifier(self.shadow, name)
        where: sql.Composable = sql.SQL("")
        if column:
            where = sql.SQL("WHERE {} = ANY({})").format(
                sql.Identifier(column), sql.Literal(list(self.topics))
            )
        holder.execute(sql.SQL("DELETE FROM {} {}").format(live, where))
        holder.execute(
            sql.SQL(
                "WITH taken AS (DELETE FROM {} {} RETURNING *) INSERT INTO {} SELECT * FROM taken"
            ).format(shadow, where, live)
        )


def live_offsets(
    connection: Connection, tape: str, topics: Sequence[str], lock: bool = False
) -> dict[Position, int]:
    """How far the live tables are; with `lock` they stay there until the transaction ends."""
    rows = connection.execute(
        sql.SQL(
            "SELECT topic, partition, next_offset FROM {} WHERE topic = ANY(%s)"
            " ORDER BY topic, partition {}"
        ).format(sql.Identifier(tape, "offsets"), sql.SQL("FOR UPDATE" if lock else "")),
        (list(topics),),
    ).fetchall()
    return {(str(t), int(str(p))): int(str(offset)) for t, p, offset in rows}


def _deadlock_timeout(connection: Connection) -> float:
    """Seconds that PostgreSQL waits before it looks for a deadlock."""
    row = connection.execute(
        "SELECT extract(epoch FROM current_setting('deadlock_timeout')::interval)"
    ).fetchone()
    return float(str((row or (1,))[0]))


def _set_timeout(connection: Connection, milliseconds: int) -> None:
    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(milliseconds)))


def _set_schema(connection: Connection, table: Table, source: str, target: str) -> None:
    connection.execute(
        sql.SQL("ALTER TABLE IF EXISTS {} SET SCHEMA {}").format(
            sql.Identifier(source, table.name), sql.Identifier(target)
        )
    )
