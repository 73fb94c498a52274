"""What the API process holds: its connections and the services made from them."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Self

from api.auth import Authenticator
from api.cursors import Cursors
from api.directory import CollectionDirectory, NamespaceDirectory, RetrieverDirectory
from api.event_stream import OpenStreams
from api.pool import DocumentPool
from api.services.access.api_keys import ApiKeyService
from api.services.alerts.alerts import AlertService
from api.services.alerts.attachments import Attachments
from api.services.documents.aggregation import DocumentAggregationService
from api.services.documents.changes import DocumentChangeService
from api.services.documents.documents import DocumentService
from api.services.documents.lists import DocumentListService
from api.services.documents.upsert_once import UpsertOnce
from api.services.documents.wakeup import Wakeup
from api.services.operations.deep_health import DeepHealthService
from api.services.operations.health import HealthService
from api.services.operations.metrics import MetricsService
from api.services.operations.stats import StatsService
from api.services.resources.catalogue import CatalogueService
from api.services.resources.collections import CollectionService
from api.services.resources.namespaces import NamespaceService
from api.services.resources.retrievers import RetrieverService
from api.services.webhooks.channels import ChannelReader
from api.services.webhooks.deliveries import WebhookDeliveryService
from api.services.webhooks.owned_deliveries import OwnedDeliveries
from api.services.webhooks.sealing import ChannelVault
from api.services.webhooks.webhooks import WebhookService
from api.wakeups import Wakeups
from shared.documents import open_document_store
from shared.embeddings.models import embedding_models
from shared.logs import log_event
from shared.outbound.addresses import parse_allow_list
from shared.outbound.guard import OutboundGuard
from shared.redis_link import RedisLink
from shared.settings import Settings
from shared.stores.alert_runs import AlertRunStore
from shared.stores.alerts import AlertStore
from shared.stores.batches import BatchStore
from shared.stores.books import BookStore
from shared.stores.catalogue import CatalogueStore
from shared.stores.collection_work import WorkRequests
from shared.stores.execution_events import EventStore
from shared.stores.executions import ExecutionStore
from shared.stores.limits import LimitStore
from shared.stores.resources import DeletedNamespaces, ResourceStore
from shared.stores.upsert_answers import UpsertAnswers
from shared.stores.webhooks import DeliveryLog, WebhookStore
from shared.vault import Vault

_CLOSE_TIMEOUT_S = 2.0

logger = logging.getLogger("kennel.api")


@dataclass(frozen=True, slots=True)
class ApiContext:
    """One per process, on `app.state.context`."""

    settings: Settings
    redis: RedisLink
    pool: DocumentPool
    cursors: Cursors
    authenticator: Authenticator
    namespaces: NamespaceDirectory
    collections: CollectionDirectory
    retrievers: RetrieverDirectory
    catalogue: CatalogueService
    api_key_service: ApiKeyService
    namespace_service: NamespaceService
    collection_service: CollectionService
    document_service: DocumentService
    document_changes: DocumentChangeService
    document_lists: DocumentListService
    document_aggregation: DocumentAggregationService
    retriever_service: RetrieverService
    alert_service: AlertService
    alert_runs: AlertRunStore
    webhook_service: WebhookService
    webhook_deliveries: WebhookDeliveryService
    deliveries: OwnedDeliveries
    limits: LimitStore
    health: HealthService
    deep_health: DeepHealthService
    stats: StatsService
    metrics: MetricsService
    executions: ExecutionStore
    events: EventStore
    streams: OpenStreams
    batches: BatchStore
    wakeups: Wakeups

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Connects lazily: nothing is asked of Redis yet. Call it inside a running loop."""
        redis = RedisLink(settings.redis_url, timeout_s=settings.redis_timeout_s)
        pool = DocumentPool(open_document_store(settings))
        cursors = Cursors(redis)
        health = HealthService(redis, settings)
        books = BookStore(redis)
        authenticator = Authenticator(redis)
        namespace_store = ResourceStore(redis, "namespace")
        collection_store = ResourceStore(redis, "collection")
        retriever_store = ResourceStore(redis, "retriever")
        alert_store = ResourceStore(redis, "alert")
        namespaces = NamespaceDirectory(namespace_store)
        collections = CollectionDirectory(collection_store)
        retrievers = RetrieverDirectory(retriever_store)
        catalogue = CatalogueService(CatalogueStore(redis))
        collection_service = CollectionService(
            collection_store,
            collections,
            pool,
            cursors,
            embedding_models(settings),
            namespace_store,
            Attachments(alert_store, retrievers),
        )
        retriever_service = RetrieverService(
            redis=redis,
            store=retriever_store,
            directory=retrievers,
            collections=collections,
            catalogue=catalogue,
            cursors=cursors,
            settings=settings,
        )
        upsert_answers = UpsertAnswers(redis, ttl_s=settings.idempotency_ttl_s)
        wakeup = Wakeup(WorkRequests(redis))
        channel_reader, channel_vault = _channel_reader(settings), ChannelVault(Vault(settings.data_dir))
        webhook_service = WebhookService(WebhookStore(redis), channel_vault, channel_reader)
        deliveries = OwnedDeliveries(DeliveryLog(redis), cursors)
        alert_service = AlertService(
            store=alert_store,
            alerts=AlertStore(redis),
            collections=collection_store,
            retrievers=retrievers,
            channels=channel_reader,
            vault=channel_vault,
            cursors=cursors,
            redis=redis,
            settings=settings,
        )
        return cls(
            settings=settings,
            redis=redis,
            pool=pool,
            cursors=cursors,
            authenticator=authenticator,
            namespaces=namespaces,
            collections=collections,
            retrievers=retrievers,
            catalogue=catalogue,
            api_key_service=ApiKeyService(redis, namespaces, authenticator),
            namespace_service=NamespaceService(
                store=namespace_store,
                deleted=DeletedNamespaces(redis, task_ttl_s=settings.summary_ttl_s),
                directory=namespaces,
                collections=collection_service,
                retrievers=retriever_service,
                alerts=alert_service,
                pool=pool,
                cursors=cursors,
            ),
            collection_service=collection_service,
            document_service=DocumentService(
                collections, collection_service, pool, wakeup, UpsertOnce(upsert_answers)
            ),
            document_lists=DocumentListService(collections, pool, cursors),
            document_aggregation=DocumentAggregationService(namespace_store, collections, pool),
            document_changes=DocumentChangeService(collections, collection_service, pool, wakeup),
            retriever_service=retriever_service,
            alert_service=alert_service,
            alert_runs=AlertRunStore(redis, summary_ttl_s=settings.summary_ttl_s),
            webhook_service=webhook_service,
            webhook_deliveries=WebhookDeliveryService(webhook_service, DeliveryLog(redis), deliveries),
            deliveries=deliveries,
            limits=LimitStore(redis),
            health=health,
            deep_health=DeepHealthService(health, redis, pool, settings),
            stats=StatsService(books, namespaces),
            metrics=MetricsService(books, settings),
            executions=ExecutionStore(redis, settings),
            events=EventStore(redis),
            streams=OpenStreams(settings.streams_max),
            batches=BatchStore(redis, settings),
            wakeups=Wakeups(settings.redis_url),
        )

    async def close(self) -> None:
        """In this order, each within a bounded time: a connection that hangs must not hold up a stop."""
        for close in (self.namespace_service.close, self.wakeups.close, self.redis.close):
            try:
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await close()
            except TimeoutError:
                log_event(logger, "api.close_timed_out", level=logging.WARNING, what=close.__qualname__)


def _channel_reader(settings: Settings) -> ChannelReader:
    guard = OutboundGuard(parse_allow_list(settings.outbound_allow))
    return ChannelReader(guard, has_mail=bool(settings.smtp_url.get_secret_value()))
