import asyncio
import time
from dataclasses import replace
from http import HTTPStatus

import pytest

from tests.venues.live.wire import CONFIG, QUICK, Client, bounded, refuse, running, until, venue
from venues.frames import Frame
from venues.live.limits import Attempts


@bounded
async def test_connection_says_hello_in_order_and_delivers_what_comes() -> None:
    before_us = time.time_ns() // 1000
    async with venue() as served, running(Client(served.url, "AAA", "BBB")) as client:
        await until(lambda: len(client.numbers("BBB")) > 10)
        assert served.sockets[0].said == ["sub AAA", "sub BBB"]
    frame = client.frames[0]
    assert (frame.venue, frame.connection, frame.request) == ("test-spot", "public-1#1", "")
    assert before_us < frame.receive_time < time.time_ns() // 1000
    assert client.kinds == ["connected"]
    assert len(client.states[0].subscriptions) == 2
    assert not client.missing("AAA")


@bounded
async def test_connection_comes_back_after_a_cut_and_subscribes_anew() -> None:
    async with venue() as served, running(Client(served.url, "AAA")) as client:
        await until(lambda: client.frames)
        served.live[0].connection.transport.abort()
        await until(lambda: client.kinds == ["connected", "lost", "connected"])
        lost = client.states[1]
        assert (lost.connection, lost.reason) == ("public-1#1", "cut without a word")
        await until(lambda: client.frames[-1].connection == "public-1#2")
        assert served.sockets[1].said == ["sub AAA"]


@pytest.mark.parametrize("code", [1012, 4001])
@bounded
async def test_loss_tells_the_venues_reason(code: int) -> None:
    async with venue() as served, running(Client(served.url, "AAA")) as client:
        await until(lambda: client.frames)
        await served.live[0].connection.close(code, "maintenance")
        await until(lambda: "lost" in client.kinds)
        assert client.states[1].reason == f"closed by the venue: {code} maintenance"


@bounded
async def test_half_open_socket_is_found_and_replaced() -> None:
    async with venue() as served, running(Client(served.url, "AAA")) as client:
        await until(lambda: client.frames)
        # Nothing is read nor sent any more, yet the line stays up.
        served.is_mute = lambda place: place == 0
        served.sockets[0].connection.transport.pause_reading()
        stopped = time.monotonic()
        await until(lambda: client.kinds == ["connected", "lost", "connected"])
        assert time.monotonic() - stopped < 4 * CONFIG.silence_s
        assert client.states[1].reason.startswith("half open: nothing came for 0.")
        served.sockets[0].connection.transport.abort()


@bounded
async def test_socket_that_answers_pings_but_brings_no_data_is_replaced() -> None:
    async with venue() as served, running(Client(served.url, "AAA")) as client:
        await until(lambda: client.frames)
        served.is_mute = lambda place: place == 0
        await until(lambda: client.kinds == ["connected", "lost", "connected"])
        assert "no market data" in client.states[1].reason


@bounded
async def test_quiet_market_is_not_reconnected_again_and_again() -> None:
    async with venue() as served, running(Client(served.url, "AAA")) as client:
        served.is_mute = lambda _: True
        await asyncio.sleep(5 * CONFIG.silence_s)
        # At one and at three times silence_s; then not before seven.
        assert client.kinds.count("lost") == 2


@bounded
async def test_refused_subscription_is_told_once_and_the_others_go_on() -> None:
    async with venue() as served, running(Client(served.url, "AAA", "GONE")) as client:
        await until(lambda: len(client.numbers()) > 10)
        (refused,) = (state for state in client.states if state.kind == "refused")
        assert refused.reason == "no such symbol: GONE"
        assert [each.symbol for each in refused.subscriptions] == ["GONE-USDT"]
        served.live[0].connection.transport.abort()
        await until(lambda: client.kinds.count("connected") == 2)
        await until(lambda: client.frames[-1].connection == "public-1#2")
        assert client.kinds.count("refused") == 1
        assert len(served.sockets) == 2


@bounded
async def test_second_socket_takes_over_before_the_venues_cut_and_nothing_is_missing() -> None:
    limits = replace(QUICK, max_age_s=1.0)
    async with venue() as served, running(Client(served.url, "AAA", limits=limits)) as client:
        await until(lambda: client.kinds.count("handover") == 3)
        await until(lambda: client.frames[-1].connection == "public-1#4")
        assert client.kinds == ["connected", *["handover"] * 3]
        assert client.states[1].connection == "public-1#2"
        assert client.states[1].reason == "before the venue's cut at 1.0 s"
        assert [seen.connection.close_code for seen in served.sockets] == [1000] * 3 + [None]
    assert not client.missing()


@bounded
async def test_announced_shutdown_leads_to_a_handover_without_a_gap() -> None:
    async with venue() as served, running(Client(served.url, "AAA")) as client:
        await until(lambda: client.frames)
        await served.sockets[0].connection.send("shutdown soon")
        await until(lambda: client.kinds == ["connected", "handover"])
        assert client.states[1].reason == "soon"
        await until(lambda: client.frames[-1].connection == "public-1#2")
        await asyncio.sleep(0.05)
    assert not client.missing()


@bounded
async def test_handover_waits_for_the_data_of_the_second_socket() -> None:
    async with venue() as served, running(Client(served.url, "AAA")) as client:
        await until(lambda: client.frames)
        served.is_mute = lambda place: place == 1
        await served.sockets[0].connection.send("shutdown soon")
        await until(lambda: len(served.sockets) == 2)
        await asyncio.sleep(0.2)
        assert client.kinds == ["connected"]
        served.is_mute = lambda _: False
        await until(lambda: client.kinds == ["connected", "handover"])
    assert not client.missing()


@bounded
async def test_second_socket_that_brings_nothing_does_not_take_over() -> None:
    async with venue() as served, running(Client(served.url, "AAA")) as client:
        await until(lambda: client.frames)
        served.is_mute = lambda place: place == 1
        await served.sockets[0].connection.send("shutdown soon")
        await until(lambda: client.kinds == ["connected", "handover"])
        assert client.states[1].connection == "public-1#3"
    assert not client.missing()


@bounded
async def test_first_socket_stays_while_the_venue_takes_no_second() -> None:
    async with venue() as served, running(Client(served.url, "AAA")) as client:
        await until(lambda: client.frames)
        served.answer = refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        await served.sockets[0].connection.send("shutdown soon")
        await until(lambda: len(served.asked_at) > 5)
        assert client.kinds == ["connected"]
        served.answer = lambda _: None
        await until(lambda: client.kinds == ["connected", "handover"])
    assert not client.missing()


@bounded
async def test_first_socket_cut_before_there_is_a_second_is_lost() -> None:
    async with venue() as served, running(Client(served.url, "AAA")) as client:
        await until(lambda: client.frames)
        served.answer = refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        await served.sockets[0].connection.send("shutdown soon")
        await until(lambda: len(served.asked_at) > 2)
        served.sockets[0].connection.transport.abort()
        await until(lambda: client.kinds == ["connected", "lost"])
        served.answer = lambda _: None
        await until(lambda: client.kinds == ["connected", "lost", "connected"])


@bounded
async def test_first_socket_cut_after_the_second_is_subscribed_is_a_handover() -> None:
    async with venue() as served, running(Client(served.url, "AAA")) as client:
        await until(lambda: client.frames)
        served.is_mute = lambda place: place == 1
        await served.sockets[0].connection.send("shutdown soon")
        await until(lambda: len(served.sockets) == 2 and served.sockets[1].symbols)
        await asyncio.sleep(0.05)
        served.sockets[0].connection.transport.abort()
        await until(lambda: client.kinds == ["connected", "handover"])


@bounded
async def test_venues_own_ping_and_text_pings_keep_the_connection() -> None:
    limits = replace(QUICK, ping=b"ping", ping_every_s=0.2)
    async with venue() as served, running(Client(served.url, "AAA", limits=limits)) as client:
        await until(lambda: client.frames)
        answered = await served.sockets[0].connection.ping(b"7")
        await asyncio.wait_for(answered, 1)
        await asyncio.sleep(1.0)
        pings = served.sockets[0].said.count("ping")
        assert 3 <= pings <= 8
        assert client.kinds == ["connected"]


@bounded
async def test_hello_keeps_to_the_venues_rate_of_messages() -> None:
    limits = replace(QUICK, messages_per_s=5.0)
    names = [f"S{number}" for number in range(12)]
    async with venue() as served:
        served.listed |= set(names)
        async with running(Client(served.url, *names, limits=limits)) as client:
            await until(lambda: "connected" in client.kinds)
            await until(lambda: len(served.sockets[0].said) == 12)
        at = served.sockets[0].said_at
        assert all(later - first > 0.8 for first, later in zip(at, at[5:], strict=False))


@bounded
async def test_all_connections_of_an_address_keep_to_its_rate_of_new_ones() -> None:
    limits, attempts = replace(QUICK, connections_per_s=4.0), Attempts()
    async with venue() as served:
        served.answer = refuse(HTTPStatus.BAD_GATEWAY)
        clients = [Client(served.url, "AAA", limits=limits, attempts=attempts) for _ in range(3)]
        runs = [asyncio.create_task(client.connection.run()) for client in clients]
        await asyncio.sleep(2.0)
        for client in clients:
            await client.connection.close()
        await asyncio.gather(*runs)
        at = served.asked_at
        assert len(at) >= 5
        assert all(later - first > 0.8 for first, later in zip(at, at[4:], strict=False))


@bounded
async def test_server_that_never_answers_the_handshake_is_left_in_time() -> None:
    opened: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: opened.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(Client(f"ws://127.0.0.1:{port}/", "AAA")) as client:
        await until(lambda: len(opened) == 2)
        assert client.kinds == []
    server.close()
    for writer in opened:
        writer.close()


@bounded
async def test_handshake_answered_too_late_leaves_no_socket_behind() -> None:
    async with venue() as served:
        served.thinks_s = 0.3
        hasty = CONFIG.model_copy(update={"connect_timeout_s": 0.1})
        async with running(Client(served.url, "AAA", config=hasty)) as client:
            await until(lambda: len(served.asked_at) > 4)
            served.thinks_s = 0.0
            await until(lambda: client.frames)
            await asyncio.sleep(0.4)
            assert len(served.live) == 1


@bounded
async def test_retry_after_of_a_refused_handshake_is_kept() -> None:
    async with venue() as served, running(Client(served.url, "AAA")) as client:
        served.answer = refuse(HTTPStatus.TOO_MANY_REQUESTS, Retry_After="1")
        await until(lambda: len(served.asked_at) == 1)
        served.answer = lambda _: None
        await until(lambda: client.kinds == ["connected"])
        assert 1.0 < served.asked_at[1] - served.asked_at[0] < 3.0


@bounded
async def test_close_is_orderly_and_leaves_nothing_running() -> None:
    before = asyncio.all_tasks()
    async with venue() as served:
        async with running(Client(served.url, "AAA")) as client:
            await until(lambda: client.frames)
        came = len(client.frames)
        await until(lambda: served.sockets[0].connection.close_code == 1000)
        await asyncio.sleep(0.05)
        assert len(client.frames) == came
        assert client.kinds == ["connected"]
    assert asyncio.all_tasks() == before


@bounded
async def test_close_ends_a_connection_that_still_tries() -> None:
    async with venue() as served:
        served.answer = refuse(HTTPStatus.BAD_GATEWAY)
        async with running(Client(served.url, "AAA")):
            await until(lambda: served.asked_at)


@bounded
async def test_message_in_fragments_is_one_frame() -> None:
    async with venue() as served, running(Client(served.url, "AAA")) as client:
        await until(lambda: served.sockets)
        await served.sockets[0].connection.send(iter(['{"whole"', ":", "true}"]))
        await until(lambda: any(frame.data == b'{"whole":true}' for frame in client.frames))


@bounded
async def test_message_that_cannot_be_read_is_left_to_the_feed() -> None:
    async with venue() as served, running(Client(served.url, "AAA")) as client:
        await until(lambda: served.sockets)
        await served.sockets[0].connection.send(b"\xff\xfe not text")
        await until(lambda: any(frame.data.startswith(b"\xff") for frame in client.frames))
        assert client.kinds == ["connected"]


@bounded
async def test_what_the_callback_raises_is_raised_by_run() -> None:
    async with venue() as served:
        client = Client(served.url, "AAA")

        def fail(_frame: Frame) -> None:
            raise KeyError("a mistake of ours")

        client.connection._on_frame = fail
        with pytest.raises(KeyError, match="a mistake of ours"):
            await client.connection.run()


@bounded
async def test_resubscribe_asks_for_the_book_whole_again() -> None:
    async with venue() as served, running(Client(served.url, "AAA")) as client:
        await until(lambda: client.frames)
        await client.connection.resubscribe(client.connection.plan.subscriptions[0])
        await until(lambda: any(b"book" in frame.data for frame in client.frames))
        assert served.sockets[0].said == ["sub AAA", "book AAA"]
