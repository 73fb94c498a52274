"""Kennel beside a naive FastAPI + Celery application, in one run: `make bench`. See docs/benchmarks.md."""
