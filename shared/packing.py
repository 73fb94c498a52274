"""Details of executions as the record keeps them: what stands behind the documents is deflated.

Most of that part is the same in every detail, so a preset dictionary (RFC 1950, FDICT) leaves little of it.
Documents stay as they are: they are large, and a poll would pay for unpacking them.
"""

from __future__ import annotations

import zlib

_MARK = b"\0"  # between the two parts; JSON holds no such byte
_BEHIND_DOCUMENTS = b',"documents_retained":'
_LEVEL = 2
_WINDOW_BITS = 12  # 4 kB: holds the dictionary; a larger one takes longer to set up
_MEMORY_LEVEL = 2  # as above: its tables are copied for every call

# Part of the stored form: records that are kept were packed with it, so it must not change (see the tests).
_DICTIONARY = (
    b'"scroll_id":"after":"offset":0,"page_number":1,"has_previous":false,"next_cursor":"keyset""scroll"'
    b'"facets":[{"field":"","values":[{"value":"","count":"limits":[{"resource":"stage","id":"","reason":"'
    b'","next_step":"","stage":"","completeness":{"embeddings":"complete","page":"complete","overall":"complete"}'
    b'"metadata":{"feature_search""attribute_filter""sort_relevance""sort_attribute""group_by""aggregate""search'
    b',"documents_retained":false,"total_returned":0,"pagination":{"method":"offset"'
    b',"documents_retained":true,"total_returned":1,"pagination":{"method":"cursor","limit":20,"page_size":20,'
    b'"returned":0,"total":0,"has_next":true,"cursor":"","has_next":false,"cursor":null},"stage_statistics":'
    b'{"stages":{"":{"input_count":0,"output_count":0,"duration_ms":0.0,"efficiency":0.0,"cache_hit":false,'
    b'"stage_cache_hit":false},"":{"input_count":20,"output_count":10,"duration_ms":1.0,"efficiency":1.0,'
    b'"cache_hit":false,"stage_cache_hit":false}},"total_time_ms":0.0,"credits_used":0.0},"budget":{'
    b'"credits_used":0.0,"credits_remaining":null,"time_used_ms":0.0,"max_credits":null,"max_time_ms":null},'
    b'"degraded":[],"warnings":[],"interpretation":{"provided_input_keys":["query","top_k"],"inferred_inputs":{},'
    b'"ignored_input_keys":[],"relaxations":[]},"is_partial":false,"partial_from_stage":null,'
    b'"resumed_from_stage":null,"cache_hit":false,"optimization_applied":false}'
)

# Fixed codes (RFC 1951, 3.2.6): a text this short gains nothing by codes of its own, which take time to make.
_PRIMED = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL, zlib.Z_FIXED, _DICTIONARY)


def packed(detail: bytes) -> bytes:
    """A detail (shared.models.execution.Detail.to_json) in its stored form."""
    behind = max(detail.rfind(_BEHIND_DOCUMENTS), 0)
    deflate = _PRIMED.copy()  # half as long as to read the dictionary again
    return detail[:behind] + _MARK + deflate.compress(detail[behind:]) + deflate.flush()


def unpacked(stored: bytes) -> bytes:
    """The detail that was packed; one that never was, as it is."""
    documents, mark, rest = stored.partition(_MARK)
    if not mark:
        return stored
    return documents + zlib.decompressobj(_WINDOW_BITS, zdict=_DICTIONARY).decompress(rest)
