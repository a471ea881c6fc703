"""CryptoPanic's posts in both forms of its API, and the Fear & Greed index."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from venues.simulator.server.venue import Answer

PAGE = 20
MOST_POSTS = 200
DAY_S = 86_400
_CLASSES = (
    (25, "Extreme Fear"),
    (46, "Fear"),
    (54, "Neutral"),
    (75, "Greed"),
    (100, "Extreme Greed"),
)
V1, V2 = "/api/v1/posts/", "/api/developer/v2/posts/"


class NewsStand:
    """The posts published so far, newest first by page.

    `key`: the auth_token that CryptoPanic's addresses want; empty: any or none will do.
    """

    def __init__(self, key: str, seed: int) -> None:
        self._key = key
        self._seed = seed
        self._posts: list[dict[str, Any]] = []

    def publish(self, answer: bytes) -> None:
        """Take the posts of one of the model's answers."""
        self._posts[:0] = reversed(msgspec.json.decode(answer)["results"])
        del self._posts[MOST_POSTS:]

    @property
    def published(self) -> list[int]:
        """Ids of the posts that can be read, newest first."""
        return [post["id"] for post in self._posts]

    def edit(self, title: str) -> int | None:
        """Change the newest post, as editors and voters do; its id, or None if there is none."""
        if not self._posts:
            return None
        post = self._posts[0]
        votes = post["votes"]
        post |= {"title": title, "votes": {**votes, "important": votes["important"] + 5}}
        identity: int = post["id"]
        return identity

    def posts(self, path: str, query: Mapping[str, str], base: str) -> Answer:
        """A page of posts; `base` is the address that `next` is made of."""
        if path not in {V1, V2}:
            return Answer('{"status":"404","info":"not found"}', 404)
        if self._key and query.get("auth_token") != self._key:
            return Answer('{"status":"Incomplete","info":"Token not found"}', 401)
        wanted = {code for code in query.get("currencies", "").split(",") if code}
        found = [post for post in self._posts if not wanted or wanted & _codes(post)]
        page = max(1, int(query["page"])) if query.get("page", "").isdigit() else 1
        rows = found[(page - 1) * PAGE : page * PAGE]
        if path == V2:
            rows = [_second_form(post) for post in rows]
        kept = "&".join(f"{k}={v}" for k, v in query.items() if k != "page")
        address = f"{base}{path}?{kept}{'&' if kept else ''}page="
        body = {
            "count": len(found),
            "next": f"{address}{page + 1}" if len(found) > page * PAGE else None,
            "previous": f"{address}{page - 1}" if page > 1 else None,
            "results": rows,
        }
        if path == V2:
            del body["count"]
        return Answer(msgspec.json.encode(body))

    def fear_and_greed(self, query: Mapping[str, str], now_us: int) -> Answer:
        """The last days' values, newest first; the newest says when it changes."""
        text = query.get("limit", "1")
        limit = int(text) if text.isdigit() else 1
        now_s = now_us // 1_000_000
        today = now_s // DAY_S
        days = range(today, today - (min(limit, 3_000) or 3_000), -1)
        rows = [_day(day, self._seed) for day in days]
        rows[0]["time_until_update"] = str((today + 1) * DAY_S - now_s)
        body = {"name": "Fear and Greed Index", "data": rows, "metadata": {"error": None}}
        return Answer(msgspec.json.encode(body))


def _codes(post: dict[str, Any]) -> set[str]:
    return {currency["code"] for currency in post["currencies"]}


def _second_form(post: dict[str, Any]) -> dict[str, Any]:
    """A post as the developer API gives it: `instruments`, a description, no `currencies`."""
    source = {key: post["source"][key] for key in ("title", "region", "domain")}
    return {
        "id": post["id"],
        "slug": post["slug"],
        "title": post["title"],
        "description": f"{post['title']}.",
        "published_at": post["published_at"],
        "created_at": post["created_at"],
        "kind": "news",
        "source": {**source, "type": "feed"},
        "original_url": post["url"],
        "url": post["url"],
        "instruments": [
            {**{key: currency[key] for key in ("code", "title", "slug", "url")}}
            for currency in post["currencies"]
        ],
        "votes": post["votes"],
    }


def _day(day: int, seed: int) -> dict[str, Any]:
    """A value that wanders slowly, the same for the same day and seed."""
    wave = math.sin(day * 0.07 + seed) * 24 + math.sin(day * 0.9 + 2 * seed) * 8
    value = max(1, min(99, round(50 + wave)))
    name = next(name for most, name in _CLASSES if value <= most)
    return {"value": str(value), "value_classification": name, "timestamp": str(day * DAY_S)}
