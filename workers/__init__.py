"""Celery workers: claim executions, run their stages, publish progress. Never imports api/."""
