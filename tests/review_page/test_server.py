"""Who may ask the page's server for what. Requests are made by hand, so that every header can be a lie."""

import asyncio
import io
import json
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image
from shelves import evidence_of, shelf_of

pytest.importorskip("starlette", reason="the extra review is not installed")

import beyondcam as bc
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Threshold, find_shelf, level_threshold, write_evidence
from beyondcam.review_page import Desk, make_app, worst_first
from beyondcam.review_page.desk import Asked
from beyondcam.reviews import open_reviews
from conftest import call, complaint, shelf_for

OWN = {"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"}
TOKEN = "a-secret"


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    def __init__(self, desk: Desk) -> None:
        self.desk, self._app = desk, make_app(desk, TOKEN, 8000)

    def __call__(
        self, path: str, body: Any = None, *, method: str | None = None, headers: Mapping[str, str] = OWN
    ) -> Answer:
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given = {"content-length": str(len(content)), **headers} if content else headers
        scope = {
            "type": "http", "method": method or ("GET" if body is None else "POST"), "path": path,
            "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http",
            "headers": [(k.encode(), v.encode()) for k, v in given.items()],
            "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 1), "http_version": "1.1",
        }  # fmt: skip
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self._app(scope, receive, send))
        start = sent[0]
        found = {k.decode().lower(): v.decode() for k, v in start["headers"]}
        return Answer(start["status"], found, b"".join(m.get("body", b"") for m in sent))


@pytest.fixture
def client(discs: str, tmp_path: Path) -> Client:
    levels = np.full((48, 48), 200)
    levels[:10] = 90
    shelf_of(discs, tmp_path / "run", {"p01": levels, "p05": levels})
    images = bc.open_images(discs, "all")
    shelf, tau = find_shelf(tmp_path / "run", images, "own"), Threshold(level_threshold(100))
    write_evidence(shelf, "p02", evidence_of(np.stack([levels, 255 - levels]), (0, 1)))
    order = worst_first(images, shelf, tau, None).results
    return Client(Desk(images, shelf, tau, open_reviews(tmp_path / "run", images), "eva", order))


SKIP = {"image": 0, "state": "skipped", "levels": {}, "seen": None}


def test_of_two_who_decide_at_once_one_is_told_so(client: Client, tmp_path: Path) -> None:
    """Each in a process of their own, which here are threads with a view of the folder each."""
    own = client.desk
    desks = [own, replace(own, reviews=open_reviews(tmp_path / "run", own.images), who="ann")]
    for image in range(3):
        asked = Asked(image=image, state="rejected", levels={}, seen=None)
        ready = Barrier(2)

        def decide(desk: Desk, asked: Asked = asked, ready: Barrier = ready) -> str | None:
            ready.wait()
            try:
                desk.decide(asked)
            except BeyondcamError as error:
                return str(error)
            return None

        with ThreadPoolExecutor(2) as pool:
            told = list(pool.map(decide, desks))
        assert sorted(message is None for message in told) == [False, True]
        assert "rejected elsewhere, by " in next(filter(None, told))


def test_the_page_and_its_parts_are_served_below_the_token(client: Client) -> None:
    for path, kind in (
        ("", "text/html"),
        ("page.css", "text/css"),
        ("page.js", "text/javascript"),
        ("mask.js", "text/javascript"),
        ("stage.js", "text/javascript"),
    ):
        answer = client(f"/{TOKEN}/{path}", headers={"host": "localhost:8000"})
        assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, kind)
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert b"http" not in answer.body.replace(b"http://www.w3.org", b"")  # nothing comes from elsewhere


@pytest.mark.parametrize(
    "path", ["/", "/list", "//list", f"/{TOKEN}x/list", f"/x/{TOKEN}/list", "*", "/é/list"]
)
def test_without_the_token_there_is_nothing(client: Client, path: str) -> None:
    answer = client(path)
    assert answer.status == 403
    assert "token" in answer.json["error"]


@pytest.mark.parametrize(
    "host", ["", "evil.example", "127.0.0.1", "127.0.0.1:8001", "127.0.0.1:8000.evil.example"]
)
def test_another_host_is_refused(client: Client, host: str) -> None:
    """A site may have its own name mean 127.0.0.1, and so read what is served there."""
    origin = {"origin": f"http://{host}"}
    assert client(f"/{TOKEN}/list", headers={"host": host}).status == 403
    assert client(f"/{TOKEN}/decide", SKIP, headers={"host": host} | origin).status == 403
    assert not client.desk.reviews.current()


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "https://127.0.0.1:8000", "http://127.0.0.1"]
)
def test_another_origin_decides_nothing(client: Client, origin: str | None) -> None:
    headers = {"host": OWN["host"]} | ({} if origin is None else {"origin": origin})
    for path, body in (("decide", SKIP), ("undo", {"key": "x"})):
        assert client(f"/{TOKEN}/{path}", body, headers=headers).status == 403
    if origin is not None:
        assert client(f"/{TOKEN}/list", headers=headers).status == 403
    assert not client.desk.reviews.current()


def test_ids_are_numbers_of_the_list_and_never_paths(client: Client) -> None:
    for kind in ("photos", "evidence", "facts", "masks"):
        for name in ("p01", "..", "../../run/config.json", "%2e%2e", "-1", "0x0", "1.0"):
            assert client(f"/{TOKEN}/{kind}/{name}").status == 404
        for number in (3, 99, 10**30):
            answer = client(f"/{TOKEN}/{kind}/{number}")
            assert answer.status == 422
            assert "there is no image" in answer.json["error"]
    assert client(f"/{TOKEN}/decide", SKIP | {"image": -1}).status == 422
    assert client(f"/{TOKEN}/../page.py").status == 404
    assert client(f"/{TOKEN}/server.py").status == 404


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"[" * 60_000, {}, SKIP | {"state": "corrected"}, SKIP | {"image": "p01"},
        SKIP | {"levels": {"blue": 256}}, SKIP | {"levels": {"blue": -1}}, SKIP | {"levels": {"red": 3}},
        SKIP | {"levels": {"blue": 1.5}}, SKIP | {"seen": 7}, SKIP | {"more": 1},
    ],
)  # fmt: skip
def test_what_is_no_decision_is_refused_in_one_line(client: Client, body: Any) -> None:
    answer = client(f"/{TOKEN}/decide", body)
    assert answer.status == 422
    assert answer.json["error"].isprintable()
    assert not client.desk.reviews.current()


def test_more_than_a_decision_needs_is_not_read(client: Client) -> None:
    assert client(f"/{TOKEN}/decide", b" " * 70_000).status == 403
    assert client(f"/{TOKEN}/decide", SKIP, headers=OWN | {"content-length": "9" * 30}).status == 403
    assert client(f"/{TOKEN}/decide", SKIP, headers=OWN | {"content-length": ""}).status == 403
    assert client(f"/{TOKEN}/decide", method="DELETE").status == 405


def test_photo_and_evidence_are_what_the_package_has(client: Client) -> None:
    listed = [image["id"] for image in client(f"/{TOKEN}/list").json["images"]]
    n = listed.index("p02")
    assert client(f"/{TOKEN}/evidence/{n}").body == client.desk.shelf.path("p02").read_bytes()
    facts = client(f"/{TOKEN}/facts/{n}").json
    assert facts["shape"] == [2, 48, 48]
    assert facts["targets"] == [{"class": c, "suggested": 100, "level": 100, "on": True} for c in (0, 1)]
    assert facts["decision"] is None
    (client.desk.images.file_of("p02") or Path()).write_bytes(b"gone")
    assert "p02.png" in client(f"/{TOKEN}/photos/{n}").json["error"]


def test_a_decision_is_on_disk_as_it_was_left(client: Client) -> None:
    n = list(client.desk.order).index("p02")
    asked = {"image": n, "state": "accepted", "levels": {"red": 60}, "seen": None}
    answer = client(f"/{TOKEN}/decide", asked).json
    (decision,) = open_reviews(client.desk.reviews.folder.parents[2], client.desk.images).current().values()
    assert (decision.image, decision.state, decision.who) == ("p02", "accepted", "eva")
    assert (decision.recipe, decision.levels, decision.off) == ("own", {"red": 60}, ("blue",))
    expected = np.zeros((48, 48), np.uint8)
    expected[:10] = 2  # red has 165 there, 55 elsewhere
    assert (client.desk.reviews.read(decision) == expected).all()
    assert answer["states"][n] == "a"
    facts = client(f"/{TOKEN}/facts/{n}").json
    assert facts["targets"][0] == {"class": 0, "suggested": 100, "level": 100, "on": False}
    assert facts["targets"][1] == {"class": 1, "suggested": 100, "level": 60, "on": True}
    assert facts["decision"]["key"] == decision.key == answer["key"]
    assert (np.array(Image.open(io.BytesIO(client(f"/{TOKEN}/masks/{n}").body))) == expected).all()
    assert client(f"/{TOKEN}/list").json["history"] == [[n, decision.key]]
    assert client(f"/{TOKEN}/undo", {"key": decision.key}).json["states"] == "---"
    assert client(f"/{TOKEN}/masks/{n}").status == 422


def test_a_tab_that_has_not_seen_the_last_decision_is_told_of_it(client: Client) -> None:
    first = client(f"/{TOKEN}/decide", SKIP).json["key"]
    answer = client(f"/{TOKEN}/decide", SKIP | {"state": "rejected"})
    assert answer.status == 409
    assert "skipped elsewhere, by eva" in answer.json["error"]
    assert client(f"/{TOKEN}/decide", SKIP | {"state": "rejected", "seen": first}).status == 200
    client(f"/{TOKEN}/undo", {"key": client(f"/{TOKEN}/list").json["history"][0][1]})
    client(f"/{TOKEN}/undo", {"key": first})
    assert "taken back elsewhere" in client(f"/{TOKEN}/decide", SKIP | {"seen": first}).json["error"]


def test_a_mask_is_kept_only_as_it_was_seen(client: Client) -> None:
    n = list(client.desk.order).index("p02")
    keep = SKIP | {"image": n, "state": "kept"}
    assert "no mask to keep" in client(f"/{TOKEN}/decide", keep).json["error"]
    first = client(f"/{TOKEN}/decide", keep | {"state": "accepted", "levels": {"red": 60}}).json
    (standing,) = client.desk.reviews.current().values()
    assert client(f"/{TOKEN}/decide", keep | {"seen": first["key"]}).json == first
    assert [*client.desk.reviews.current().values()] == [standing]
    rejected = client(f"/{TOKEN}/decide", keep | {"state": "rejected", "seen": first["key"]}).json["key"]
    answer = client(f"/{TOKEN}/decide", keep | {"seen": first["key"]})
    assert answer.status == 409
    assert "rejected elsewhere, by eva" in answer.json["error"]
    assert "no mask to keep" in client(f"/{TOKEN}/decide", keep | {"seen": rejected}).json["error"]


def test_a_folder_of_decisions_that_cannot_be_made_is_said_in_one_line(client: Client) -> None:
    folder = client.desk.reviews.folder
    folder.parents[1].write_bytes(b"no folder")
    answer = client(f"/{TOKEN}/decide", SKIP)
    assert answer.status == 422
    assert answer.json["error"].startswith(f"{folder}: could not be written")


def test_the_worst_come_first_by_confidence_else_by_the_classifiers_scores(
    discs: str, tmp_path: Path
) -> None:
    shelf_of(discs, tmp_path / "run", {})
    images = bc.open_images(discs, "all")
    own = find_shelf(tmp_path / "run", images, "own")
    levels = np.zeros((1, 48, 48))
    levels[0, :24] = 200
    for i, score in (("p01", 2.0), ("p05", 1.0)):
        write_evidence(own, i, replace(evidence_of(levels, (0,)), scores=(score,)))
    write_evidence(own, "p03", evidence_of(np.zeros((0, 48, 48)), ()))
    half = Threshold(0.3)
    found = worst_first(images, own, half, None)
    assert list(found.results) == ["p05", "p01", "p03"]
    assert found.results["p01"] == pytest.approx(1 / (1 + np.exp(-2)))
    assert set(found.left_out) == set(images.ids) - {"p01", "p03", "p05"}
    (other := tmp_path / "other").mkdir()
    (other / "classifier.safetensors").write_bytes(b"only hashed")
    second = shelf_for(other, images, "other", recipe="cam")
    for i, rows in (("p01", 12), ("p05", 24), ("p03", 0)):
        there = np.zeros((1, 48, 48))
        there[0, :rows] = 200
        write_evidence(second, i, evidence_of(there, (0,)) if rows else evidence_of(there[:0], ()))
    found = worst_first(images, own, half, (second, half))
    assert list(found.results) == ["p01", "p05", "p03"]
    assert found.results["p01"] == pytest.approx(0.5 / np.sqrt(1 + np.exp(-2)))


def test_without_the_extra_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name.startswith("beyondcam.review_page"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    complaint(lambda: call("review", tmp_path), "review needs an extra", "pip install 'beyondcam[review]'")
