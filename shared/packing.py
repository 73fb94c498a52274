"""Details of executions as the record keeps them: what stands behind the documents is shortened.

Most of that part is the same in every detail: phrases, each of which is stored as one byte that JSON never
holds. zlib with a preset dictionary makes it as small in the same time, but gives up the interpreter's lock
twice in a call; in a worker whose threads run short executions, each of these costs more than the packing.
Documents stay as they are: they are large, and a poll would pay for unpacking them.
"""

from __future__ import annotations

import re

_MARK = b"\0"  # between the two parts
_BEHIND_DOCUMENTS = b',"documents_retained":'

# Part of the stored form: records that are kept were packed with them, so none may change, or change its
# place; more can be added, up to the byte 0x1f. One that is part of another stands behind it.
_PHRASES = (
    b',"documents_retained":false,"total_returned":0,"pagination":{"method":"cursor","limit":20,"page_size":20,'
    b'"returned":0,"total":0,"has_next":false,"cursor":null},"stage_statistics":{"stages":{',
    b'},"is_partial":false,"partial_from_stage":null,"resumed_from_stage":null,"cache_hit":false,'
    b'"optimization_applied":false}',
    b',"efficiency":0.0,"cache_hit":false,"stage_cache_hit":false',
    b',"cache_hit":false,"stage_cache_hit":false',
    b'":{"input_count":0,"output_count":0,"duration_ms":',
    b',"max_credits":null,"max_time_ms":null},"degraded":[],"warnings":[],"interpretation":{',
    b',"documents_retained":true,"total_returned":',
    b',"pagination":{"method":"cursor","limit":20,"page_size":20,"returned":',
    b',"has_next":false,"cursor":null},"stage_statistics":{"stages":{',
    b',"has_next":true,"cursor":"',
    b',"credits_remaining":null,"time_used_ms":',
    b'},"budget":{"credits_used":',
    b'},"total_time_ms":',
    b',"credits_used":',
    b'":{"input_count":',
    b',"output_count":',
    b',"duration_ms":',
    b',"efficiency":',
    b',"metadata":{"',
    b'"provided_input_keys":[',
    b'],"inferred_inputs":{},"ignored_input_keys":[',
    b'],"relaxations":[]',
    b',"completeness":{"embeddings":"complete","page":"complete","overall":"complete"}',
)
_CODES = tuple((phrase, bytes([code])) for code, phrase in enumerate(_PHRASES, start=1))
_PHRASE_OF = {code: phrase for phrase, code in _CODES}
_CODE = re.compile(rb"[\x01-\x1f]")


def packed(detail: bytes) -> bytes:
    """A detail (shared.models.execution.Detail.to_json) in its stored form."""
    behind = max(detail.rfind(_BEHIND_DOCUMENTS), 0)
    rest = detail[behind:]
    for phrase, code in _CODES:
        rest = rest.replace(phrase, code)
    return detail[:behind] + _MARK + rest


def unpacked(stored: bytes) -> bytes:
    """The detail that was packed; one that never was, as it is."""
    documents, mark, rest = stored.partition(_MARK)
    if not mark:
        return stored
    return documents + _CODE.sub(lambda match: _PHRASE_OF[match[0]], rest)
