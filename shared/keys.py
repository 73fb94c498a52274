"""Every Redis key of Kennel: what it holds, who writes it, how long it lives.

| key                                   | type   | content                                       | written by        | TTL               |
|---------------------------------------|--------|-----------------------------------------------|-------------------|-------------------|
| kennel:exec:<id>                      | hash   | the execution record (docs/record.md)         | Lua only          | result_ttl_s after the end |
| kennel:docs:<id>                      | list   | chunks of the result when it is over one page | finish            | with its record   |
| kennel:events:<id>                    | stream | what happened, <= 200 entries, once somebody follows | Lua only    | 1 day after the last; 10 minutes after the end |
| kennel:ckpt:<id>                      | hash   | what a later attempt goes on with, and its first rows | checkpoint | result_ttl_s, until the run ends |
| kennel:sum:<id>                       | string | line of an ended execution, its tombstone     | Lua only          | summary_ttl_s; result_ttl_s outside of the history |
| kennel:hist:<retriever id>            | zset   | execution ids by sequence number              | submit            | summary_ttl_s     |
| kennel:hist:<retriever id>:<status>   | zset   | the same, one per status but processing       | Lua only          | summary_ttl_s     |
| kennel.<class>                        | list   | the Celery queue of a priority class          | Lua, Celery       | permanent, <= queue_max |
| kennel.embed                          | list   | the Celery queue of embedding tasks           | Lua, Celery       | permanent, <= collections |
| kennel:pending:<queue>                | zset   | ids that wait, by sequence number; parked ones behind all others | Lua only          | permanent, <= queue_max |
| kennel:out:<queue>                    | hash   | namespace id -> its messages in the queue     | Lua only          | permanent, <= namespaces |
| kennel:parked:<queue>:<namespace id>  | zset   | executions that wait for their namespace's turn, by submission | Lua only | permanent, <= pending |
| kennel:parking                        | set    | "<queue> <namespace id>" of those             | Lua only          | permanent, <= namespaces of each queue |
| kennel:run_message                    | string | the template of an execution's message        | submit, sweep     | permanent         |
| kennel:limits                         | hash   | namespace id or "*" -> most executions that run, that wait ("-" = any number) | API | permanent, <= namespaces |
| kennel:delayed                        | zset   | executions that wait for another attempt, by when it is due (ms) | Lua only | permanent, <= pending |
| kennel:marks:<queue>                  | hash   | the two watermarks of the queue               | sweep             | permanent         |
| kennel:leases                         | zset   | running ids by lease end (ms)                 | Lua only          | permanent, <= running |
| kennel:seq                            | string | last sequence number                          | Lua only          | permanent         |
| kennel:sweep                          | hash   | when the sweep ran, until when it holds       | sweep             | permanent         |
| kennel:books                          | hash   | how many executions went from status to status, in all | Lua only | permanent         |
| kennel:books:<namespace id>           | hash   | the same, of one namespace                    | Lua only          | permanent; purged with the namespace |
| kennel:metrics                        | hash   | what workers measured: counters, buckets of histograms | heartbeat | permanent, <= 19 per stage id |
| kennel:flushed:<worker process>       | string | number of its last measurements that are in kennel:metrics | heartbeat | 1 h |
| kennel:workers                        | zset   | worker names by last heartbeat (ms)           | heartbeat         | permanent, pruned |
| kennel:stuck                          | zset   | "<worker process> <execution id>" of stages that cannot be ended, by last told of (ms) | tell_stuck | ends after 1 h |
| kennel:batch:<id>                     | hash   | a batch: its counters, marks, watchers        | Lua only          | result_ttl_s while none of its executions is open |
| kennel:batch:<id>:lines               | hash   | line number -> execution id, content digest, the caller's id (JSON) | submit_line | with its batch |
| kennel:batches:<namespace id>         | zset   | batch ids by sequence number                  | begin_batch       | summary_ttl_s     |
| kennel:idem:<digest>                  | string | execution or batch id, and body digest        | submit, begin_batch | idempotency_ttl_s |
| kennel:upsert:<digest>                | string | digest of the first body of an upsert's idempotency key | API       | idempotency_ttl_s |
| kennel:upsert:<digest>:answer         | string | what that upsert was answered (JSON)          | API               | idempotency_ttl_s |
| kennel:def:<retriever id>:<version>   | string | immutable definition snapshot                 | API               | permanent; result_ttl_s once its retriever is deleted |
| kennel:retriever:<id>                 | hash   | version, body (JSON)                          | API               | permanent         |
| kennel:collection:<id>                | hash   | version, body (JSON), ids of its alerts       | API               | permanent         |
| kennel:namespace:<id>                 | hash   | body (JSON)                                   | API               | permanent         |
| kennel:alert:<id>                     | hash   | version, body (JSON, channels sealed), retriever, schedule | Lua only | permanent         |
| kennel:alerts_of:<retriever id>       | set    | ids of the alerts that run it                 | Lua only          | permanent, <= alerts |
| kennel:attached:<alert id>            | hash   | collection id -> 1 (on the alert's schedule) or 0 | Lua only      | permanent, <= collections |
| kennel:names:<kind>:<scope>           | hash   | name -> id, unique within the scope           | API               | permanent         |
| kennel:ids:<kind>:<scope>             | zset   | ids by creation time (ms)                     | API               | permanent         |
| kennel:deleting                       | hash   | hidden namespace id -> task id, until purged  | API               | permanent         |
| kennel:deletion:<task id>             | string | id of a namespace of which nothing is left    | API               | summary_ttl_s     |
| kennel:secret                         | string | what cursors are signed with                  | API, once         | permanent         |
| kennel:work:<kind>                    | zset   | collections with texts to embed (embed) or documents to ask alerts about (alerts), by when worked on (ms) | Lua only | permanent, <= collections |
| kennel:catalogue                      | hash   | stage id -> catalogue entry (JSON)            | workers at start  | permanent         |
| kennel:key:<sha256>                   | string | an API key's record (JSON)                    | Lua only          | permanent         |
| kennel:keys                           | hash   | key name -> sha256                            | Lua only          | permanent, <= 10,000 |
| kennel:retired_keys                   | zset   | sha256 of secrets that were taken away, by when (ms) | Lua only   | permanent, <= 10,000 |
| kennel:webhook:<id>                   | hash   | version, body (JSON, channels sealed), what it is told of | Lua only | permanent, <= 100 |
| kennel:webhooks                       | zset   | webhook ids by creation time (ms)             | Lua only          | permanent, <= 100 |
| kennel:subscribers:<event type>       | hash   | lane -> timeout (ms) of who is told           | Lua only          | permanent, <= channels of all webhooks |
| kennel:health:<owner id>              | hash   | the present run of failed deliveries          | Lua only          | 30 days after the last failure |
| kennel:delivery:<id>                  | hash   | one event on its way to one channel           | Lua only          | 30 days           |
| kennel:delivery:<id>:attempts         | list   | how each try went (JSON)                      | Lua only          | with its delivery, <= 50 |
| kennel:deliveries:<owner id>          | zset   | delivery ids by creation time (ms)            | Lua only          | 30 days, <= 10,000 |
| kennel:deliveries:<owner id>:<status> | zset   | the same, one each for pending, delivered, failed | Lua only      | 30 days           |
| kennel:alert_due                      | zset   | "<alert id>" or "<alert id>/<collection id>" by when it is due (ms) | Lua only | permanent, <= scheduled alerts and attachments |
| kennel:alert_state:<alert id>         | hash   | when it fired last, where its condition holds, mark of its metric | finish            | permanent, until its alert is deleted |
| kennel:lanes                          | zset   | lanes by when to look at them (ms)            | Lua only          | permanent, <= channels |
| kennel:due:<lane>                     | zset   | deliveries by when they are due (ms)          | Lua only          | permanent, <= 10,000 |
| kennel:sending:<lane>                 | zset   | deliveries being sent, by lease end (ms)      | Lua only          | permanent, <= 4   |
| kennel.deliver                        | list   | the Celery queue of wake-ups for senders      | Lua, Celery       | permanent, <= 16  |
| kennel:deliver_message                | string | the template of such a wake-up                | sweep_deliveries  | permanent         |
| kennel.dispatch                       | list   | the Celery queue of tasks that start runs of alerts | Lua, Celery | permanent, <= collections |
| kennel.alerts                         | list   | the Celery queue of evaluations of alerts     | Lua, Celery       | permanent, <= queue_max |
| kennel:alert_runs:<namespace id>      | zset   | evaluations of all its alerts by sequence number, <= 10,000 | submit | summary_ttl_s     |
| kennel:wake:<api process>             | pub/sub| "<execution id> <revision> <status>"          | Lua only          | -                 |
| kennel:stop:<worker process>          | pub/sub| "<execution id> <epoch>" of what was cancelled | Lua only         | -                 |

`<retriever id>` is `adhoc_<namespace id>` for ad-hoc executions, and an alert id for its evaluations. `<scope>` is a namespace id, or "-" for
what belongs to the installation. `<lane>` is "<owner id>/<channel number>". Celery adds its own `_kombu.binding.*` sets (permanent, a few bytes).
"""

from __future__ import annotations

CATALOGUE = "kennel:catalogue"
DELETING = "kennel:deleting"
SECRET = "kennel:secret"
API_KEYS = "kennel:keys"
LEASES = "kennel:leases"
DELAYED = "kennel:delayed"
LIMITS = "kennel:limits"
PARKING = "kennel:parking"
BOOKS = "kennel:books"
METRICS = "kennel:metrics"
WORKERS = "kennel:workers"
ALERT_DUE = "kennel:alert_due"
INSTALLATION = "-"

# The prefixes that scripts build keys from; shared/scripts.py hands this table to Lua.
LUA = {
    "RECORD": "kennel:exec:",
    "DOCUMENTS": "kennel:docs:",
    "CHECKPOINT": "kennel:ckpt:",
    "EVENTS": "kennel:events:",
    "SUMMARY": "kennel:sum:",
    "HISTORY": "kennel:hist:",
    "PENDING": "kennel:pending:",
    "DELAYED": DELAYED,
    "OUT": "kennel:out:",
    "PARKED": "kennel:parked:",
    "PARKING": PARKING,
    "RUN_MESSAGE": "kennel:run_message",
    "LIMITS": LIMITS,
    "MARKS": "kennel:marks:",
    "LEASES": LEASES,
    "BOOKS": BOOKS,
    "METRICS": METRICS,
    "FLUSHED": "kennel:flushed:",
    "SEQUENCE": "kennel:seq",
    "SWEEP": "kennel:sweep",
    "WORKERS": WORKERS,
    "STUCK": "kennel:stuck",
    "WAKE": "kennel:wake:",
    "STOP": "kennel:stop:",
    "WORK": "kennel:work:",
    "BATCH": "kennel:batch:",
    "BATCHES": "kennel:batches:",
    "IDEMPOTENCY": "kennel:idem:",
    "RETRIEVER": "kennel:retriever:",
    "COLLECTION": "kennel:collection:",
    "NAMESPACE": "kennel:namespace:",
    "ALERT": "kennel:alert:",
    "ALERTS_OF": "kennel:alerts_of:",
    "ATTACHED": "kennel:attached:",
    "ALERT_DUE": ALERT_DUE,
    "ALERT_STATE": "kennel:alert_state:",
    "DEFINITION": "kennel:def:",
    "DELETING": DELETING,
    "DELETION": "kennel:deletion:",
    "RETIRED_KEYS": "kennel:retired_keys",
    "WEBHOOK": "kennel:webhook:",
    "WEBHOOKS": "kennel:webhooks",
    "SUBSCRIBERS": "kennel:subscribers:",
    "HEALTH": "kennel:health:",
    "DELIVERY": "kennel:delivery:",
    "DELIVERIES": "kennel:deliveries:",
    "LANES": "kennel:lanes",
    "LANE_DUE": "kennel:due:",
    "LANE_SENDING": "kennel:sending:",
    "ALERT_RUNS": "kennel:alert_runs:",
    "DELIVER_QUEUE": "kennel.deliver",
    "DELIVER_MESSAGE": "kennel:deliver_message",
}


def execution(execution_id: str) -> str:
    return f"kennel:exec:{execution_id}"


def result_documents(execution_id: str) -> str:
    return f"kennel:docs:{execution_id}"


def checkpoint(execution_id: str) -> str:
    return f"kennel:ckpt:{execution_id}"


def events(execution_id: str) -> str:
    return f"kennel:events:{execution_id}"


def summary(execution_id: str) -> str:
    return f"kennel:sum:{execution_id}"


def history(retriever_id: str, status: str | None = None) -> str:
    return f"kennel:hist:{retriever_id}" + (f":{status}" if status else "")


def batch(batch_id: str) -> str:
    return f"kennel:batch:{batch_id}"


def batch_lines(batch_id: str) -> str:
    return f"kennel:batch:{batch_id}:lines"


def batches(namespace_id: str) -> str:
    return f"kennel:batches:{namespace_id}"


def pending(queue: str) -> str:
    return f"kennel:pending:{queue}"


def parked(queue: str, namespace_id: str) -> str:
    return f"kennel:parked:{queue}:{namespace_id}"


def definition(retriever_id: str, version: int) -> str:
    return f"kennel:def:{retriever_id}:{version}"


def alert_state(alert_id: str) -> str:
    return f"kennel:alert_state:{alert_id}"


def work(kind: str) -> str:
    return f"kennel:work:{kind}"


def deletion(task_id: str) -> str:
    return f"kennel:deletion:{task_id}"


def resource(kind: str, resource_id: str) -> str:
    """`kind` is retriever, collection, namespace or alert."""
    return f"kennel:{kind}:{resource_id}"


def resource_names(kind: str, scope: str) -> str:
    return f"kennel:names:{kind}:{scope}"


def resource_ids(kind: str, scope: str) -> str:
    return f"kennel:ids:{kind}:{scope}"


def upsert(digest: str) -> str:
    return f"kennel:upsert:{digest}"


def upsert_answer(digest: str) -> str:
    return f"kennel:upsert:{digest}:answer"


def books(namespace_id: str) -> str:
    return f"{BOOKS}:{namespace_id}"


def api_key(key_hash: str) -> str:
    return f"kennel:key:{key_hash}"


def wake_channel(api_process: str) -> str:
    return f"kennel:wake:{api_process}"


def stop_channel(worker_process: str) -> str:
    return f"kennel:stop:{worker_process}"
