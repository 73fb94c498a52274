"""The FastAPI + Celery application that tutorials show: what Kennel is measured against.

Do not tune it. Each part is what the documentation of Celery and FastAPI proposes first: a Redis result
backend, `delay`, progress by `update_state`, polls by `AsyncResult`.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.result import AsyncResult
from fastapi import FastAPI
from pydantic import BaseModel

STAGES = 3
RUN_TASK = "naive.run"
NOOP_TASK = "naive.noop"
REDIS_URL_VARIABLE = "NAIVE_REDIS_URL"


def make_celery(redis_url: str) -> Celery:
    """Celery with its defaults; the setting only says what it does anyway, and spares a warning."""
    made = Celery("naive", broker=redis_url, backend=redis_url)
    made.conf.broker_connection_retry_on_startup = True
    return made


celery_app = make_celery(os.environ.get(REDIS_URL_VARIABLE, "redis://127.0.0.1:6379/0"))


@celery_app.task(bind=True, name=RUN_TASK)  # type: ignore[untyped-decorator]
def run(self: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Three stages that do nothing but say that they have begun."""
    for stage in range(STAGES):
        self.update_state(state="PROGRESS", meta={"stage": stage, "of": STAGES})
    return {"inputs": inputs}


@celery_app.task(name=NOOP_TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def noop() -> None:
    """The least that Celery can do: no progress, no result."""


class Submission(BaseModel):
    inputs: dict[str, Any]


app = FastAPI()


@app.post("/executions")
def submit(body: Submission) -> dict[str, Any]:
    return {"execution_id": run.delay(body.inputs).id}


@app.get("/executions/{execution_id}")
def poll(execution_id: str) -> dict[str, Any]:
    result = AsyncResult(execution_id, app=celery_app)
    return {"execution_id": execution_id, "status": result.state, "info": result.info}
