"""What the service answers to those who may ask: the same numbers as Python, typed descriptions, pages that work
without scripts.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser

import httpx
import numpy as np
import pytest

from osler.adapters.onnx_session import Session
from osler.engine.deploy import onnx_answer, onnx_bytes
from osler.engine.predict import rows_cohort
from osler.service.audit import broken_line
from tests.predictors import fitted, rows_of
from tests.service.conftest import Server

ENSEMBLE = "ensemble:members=logistic+boosting,folds=2,repeats=1"
ROW = {"age": 63.5, "creatinine": 1.4, "ward": "south", "smoker": True, "admitted": "2021-05-04"}


def predicted(server: Server, model: str, rows: list[dict]) -> list[dict]:
    """What the service predicts."""
    with server.client() as client:
        answer = client.post(f"/models/{model}/predict", json={"rows": rows})
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


@pytest.mark.parametrize(
    ("model", "spec", "column"),
    [("clinic", ENSEMBLE, "died_prob_yes"), ("diabetes", "linear", "progression_pred"), ("gbsg2", "cox", "cens_pred")],
)
def test_http_python_and_onnx_agree(server: Server, model: str, spec: str, column: str):
    one = fitted(model, spec)
    rows = json.loads(json.dumps(rows_of(one, 100), default=str))
    served = np.array([answer[column] for answer in predicted(server, model, rows)])
    python = one.predictor.predict(one.cohort).table[column].head(100).to_numpy()
    assert np.abs(served - python).max() <= 1e-6
    onnx = onnx_answer(Session(onnx_bytes(one.predictor)), one.cohort)
    value = onnx.event_probability(one.predictor.horizon) if onnx.times is not None else onnx.value[:, -1]
    assert np.abs(served - value[:100]).max() <= 1e-6


def test_a_single_row_and_the_default_model(server: Server):
    with server.client() as client:
        wrapped = client.post("/predict", json={"rows": [ROW]}).json()
        bare = client.post("/predict", json=ROW).json()
    assert wrapped["model"] == bare["model"] == "clinic"
    assert wrapped["predictions"] == bare["predictions"]
    answer = bare["predictions"][0]
    assert answer["died_prob_no"] + answer["died_prob_yes"] == pytest.approx(1.0)
    assert answer["in_domain"] is True
    assert answer["refusals"] == []


def test_requests_that_come_together_get_their_own_answers(server: Server):
    one = fitted("clinic", ENSEMBLE)
    rows = [{**ROW, "age": 30.0 + i} for i in range(48)]
    expected = one.predictor.predict(rows_cohort(one.predictor, rows)).table["died_prob_yes"].to_list()
    found: dict[int, float] = {}

    def ask(first: int) -> None:
        with server.client() as client:
            for i in range(first, 48, 12):
                found[i] = client.post("/predict", json=rows[i]).json()["predictions"][0]["died_prob_yes"]

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(48)] == pytest.approx(expected, abs=1e-9)


def test_many_rows_go_aside_and_agree(server: Server):
    rows = [{**ROW, "age": 20.0 + i / 50} for i in range(3000)]
    many = predicted(server, "clinic", rows)
    few = predicted(server, "clinic", rows[:3])
    assert len(many) == 3000
    assert [a["died_prob_yes"] for a in many[:3]] == pytest.approx([a["died_prob_yes"] for a in few], abs=1e-9)


def test_unusable_cells_are_refused_and_new_ones_are_out_of_domain(server: Server):
    impossible, strange, partial = predicted(
        server, "clinic", [{**ROW, "age": 700}, {**ROW, "ward": "a new ward"}, {"age": 60}]
    )
    assert impossible["refusals"] == [
        {"column": "age", "reason": "impossible: age must be from 0 to 122", "action": "set missing"}
    ]
    assert strange["in_domain"] is False
    assert strange["refusals"] == []
    assert partial["in_domain"] is False


@pytest.mark.parametrize(
    ("row", "code", "says"),
    [
        ({"agee": 1}, "column-unknown", "did you mean 'age'?"),
        ({**ROW, "age": "63"}, "column-kind", "row 1, column 'age' must be a number or null"),
        ({**ROW, "age": True}, "column-kind", "column 'age'"),
        ({**ROW, "smoker": "sometimes"}, "column-kind", "column 'smoker' must be true, false or null"),
        ({**ROW, "admitted": "soon"}, "column-kind", "column 'admitted' must be a date"),
        ({**ROW, "admitted": 20240229}, "column-kind", "column 'admitted'"),
        ({**ROW, "ward": ["south"]}, "column-kind", "column 'ward' must be a text"),
        ({}, "input", "at least one column"),
    ],
)
def test_a_wrong_row_is_named_without_its_value(server: Server, row: dict, code: str, says: str):
    with server.client() as client:
        answer = client.post("/predict", json={"rows": [row]})
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == code
    assert says in problem["detail"]
    assert problem["request"] == answer.headers["x-request-id"]
    assert not re.search(r"sometimes|soon|2024", problem["detail"].replace("2024-02-29", ""))


def test_openapi_is_typed_by_the_columns(server: Server):
    with server.client() as client:
        described = client.get("/openapi.json").json()
    call = described["paths"]["/models/clinic/predict"]["post"]
    row = call["requestBody"]["content"]["application/json"]["schema"]["properties"]["rows"]["items"]
    assert list(row["properties"]) == ["age", "creatinine", "ward", "smoker", "admitted"]
    assert row["additionalProperties"] is False
    age = row["properties"]["age"]
    assert {"type": "number"} in age["anyOf"]
    assert age["x-unit"] == "years"
    assert "in years" in age["description"]
    assert set(row["properties"]["ward"]["x-levels"]) == {"North", "south", "EAST Wing", "Zürich"}
    answer = call["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["predictions"]["items"]
    assert {"died_pred", "died_prob_no", "died_prob_yes", "died_set", "in_domain", "refusals"} == set(
        answer["properties"]
    )
    assert {"401", "413", "422", "429", "503"} <= set(call["responses"])
    assert described["security"] == [{"token": []}]
    assert len({p["post"]["operationId"] for n, p in described["paths"].items() if n.endswith("/predict")}) == 5


def test_card_health_and_models(server: Server):
    with server.client() as client:
        assert client.get("/health").json() == {"status": "ok", "model": "clinic", "task": "binary"}
        card = client.get("/models/gbsg2/card").json()
        assert card["task"] == "survival"
        assert card["horizon"] > 0
        assert card["card_text"] == "a card"
        listed = client.get("/models").json()
    assert [m["name"] for m in listed["models"]] == ["clinic", "diabetes", "gbsg2", "three"]


def test_explanations_add_up(server: Server):
    with server.client() as client:
        answer = client.post("/models/diabetes/explain", json={"rows": rows_of(fitted("diabetes", "linear"), 2)})
        assert answer.status_code == 200, answer.text
        too_many = client.post("/models/diabetes/explain", json={"rows": [{"age": 50.0}] * 101})
    made = answer.json()["explanations"]
    assert len(made) == 2
    assert sum(made[0]["attributions"].values()) + made[0]["base"] == pytest.approx(made[0]["prediction"], abs=1e-6)
    assert too_many.status_code == 413


# -- pages -----------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Fields, texts and everything that could run or load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.bad: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("input", "select", "textarea") and given.get("name"):
            self.fields[given["name"]] = given.get("value") or ""
        self.bad += [tag] if tag in ("script", "iframe", "object", "embed", "link", "img") else []
        self.bad += [
            k
            for k, v in attrs
            if k.startswith("on") or (k in ("src", "href", "action") and not (v or "").startswith("/"))
        ]

    def handle_data(self, data: str) -> None:
        self.text += data


@contextmanager
def logged_in(server: Server) -> Iterator[httpx.Client]:
    """A browser that has shown the token once."""
    with httpx.Client(
        base_url=server.address, headers={"accept": "text/html", "origin": server.address}, timeout=30
    ) as client:
        answer = client.post("/login", data={"token": server.token})
        assert answer.status_code == 303
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert "SameSite=Strict" in answer.headers["set-cookie"]
        assert server.token not in answer.headers["set-cookie"]
        yield client


def test_a_person_can_try_a_model_by_hand(server: Server):
    with logged_in(server) as client:
        empty = client.get("/")
        page = Page(empty.text)
        assert page.bad == []
        assert "default-src 'none'" in empty.headers["content-security-policy"]
        filled = {**page.fields, "c1": "63,5", "c2": "1.4", "c3": "south", "c4": "true", "c5": "2021-05-04"}
        answer = client.post("/", data=filled)
        assert answer.status_code == 200
        shown = Page(answer.text)
        expected = predicted(server, "clinic", [ROW])[0]["died_prob_yes"]
        assert f"{expected:.1%}" in shown.text
        assert "is like those that the model was trained on" in shown.text
        assert shown.fields["c1"] == "63,5"
        outside = client.post("/", data={**filled, "c1": "700", "c3": "<script>alert(1)</script>"})
        assert Page(outside.text).bad == []
        assert "outside of what the model was trained on" in outside.text
        assert "age was not used: impossible" in Page(outside.text).text
        wrong = client.post("/", data={**filled, "c1": "many"})
        assert wrong.status_code == 422
        assert "'age' must be a number" in Page(wrong.text).text


@pytest.mark.parametrize(
    ("model", "fields", "says"),
    [
        ("gbsg2", {"c2": "50"}, "cens until"),
        ("diabetes", {"c1": "50"}, "90% interval"),
        ("three", {"c1": "50"}, "stage = III"),
    ],
)
def test_every_task_has_its_page(server: Server, model: str, fields: dict[str, str], says: str):
    with logged_in(server) as client:
        page = Page(client.get(f"/models/{model}/").text)
        answer = client.post(f"/models/{model}/", data={**page.fields, **fields})
    assert answer.status_code == 200
    assert says in Page(answer.text).text


def test_a_form_of_another_session_or_origin_is_refused(server: Server):
    with logged_in(server) as client, logged_in(server) as other:
        mine, theirs = Page(client.get("/").text).fields, Page(other.get("/").text).fields
        assert mine["form key"] != theirs["form key"]
        assert client.post("/", data={**mine, "form key": theirs["form key"]}).status_code == 403
        assert client.post("/", data={"c1": "5"}).status_code == 403
        for headers in (
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"origin": server.address + ".evil.example"},
        ):
            assert client.post("/", data=mine, headers=headers).status_code == 403
        assert client.post("/", data=mine, headers={"sec-fetch-site": "cross-site"}).status_code == 403
        assert client.post("/logout", data=mine).status_code == 303
        assert client.get("/").status_code == 401


def test_audit_lines_are_whole_and_hold_no_values(server: Server):
    marked = {"age": 61.8371, "creatinine": 1.2177, "ward": "Marker-Ward-Q7", "smoker": False, "admitted": "2021-11-23"}
    predicted(server, "clinic", [marked] * 7)
    with server.client() as client:
        client.post("/predict", json={"rows": [{**marked, "age": "Secret-Age"}]})
        client.post("/predict", content=b'{"rows": [{"ward": "Torn-Json')
        client.get("/health?name=Secret-Query")
    lines = [json.loads(line) for line in server.audit.read_text().splitlines()]
    last = [line for line in lines if line["route"] == "predict"][-3:]
    assert [(line["rows"], line["status"], line["code"]) for line in last] == [
        (7, 200, ""), (0, 422, "column-kind"), (0, 415, "media-type")
    ]  # fmt: skip
    assert set(last[0]) == {
        "time",
        "request",
        "route",
        "model",
        "rows",
        "status",
        "code",
        "address",
        "previous",
        "hash",
    }
    assert broken_line(server.audit) == 0
    assert server.audit.stat().st_mode & 0o077 == 0
    written = server.audit.read_text() + server.log.read_text().replace(server.token, "")
    for secret in ("61.8371", "1.2177", "Marker-Ward", "2021-11-23", "Secret-", "Torn-Json", server.token):
        assert secret not in written
