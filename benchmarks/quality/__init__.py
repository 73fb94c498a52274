"""How good the search is, beside `bm25s`, on a judged collection: `make quality`. See docs/quality.md."""
