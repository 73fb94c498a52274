"""Collections: a record in Redis and a place in the document store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import orjson

from api.cursors import Cursors
from api.directory import CollectionDirectory
from api.paging import Page
from api.pool import DocumentPool
from api.schemas.collections import (
    Collection,
    CollectionChange,
    CollectionClone,
    CollectionCreate,
    CollectionFeatures,
    CollectionListBody,
    FeatureExtractor,
)
from api.services.alerts.attachments import Attachments
from api.services.resources.changes import changed
from api.services.resources.collection_features import (
    Models,
    extractor_of,
    features,
    ignored,
    text_embedding,
    vector_indexes,
)
from api.services.resources.listing import Lister, Listing
from shared import ids, keys
from shared.clock import utc_now_iso
from shared.documents.store import CollectionRef, CollectionShape, DocumentStore, TextEmbedding, VectorConfig
from shared.errors import Conflict, InvalidInput, KennelError, OutcomeUnknown
from shared.models.alert import all_attachments
from shared.models.resource import Resource
from shared.redis_link import Argument
from shared.stores.alerts import attachment_links
from shared.stores.resources import ResourceStore

# Where documents of a batch go that names no collection. Hidden unless asked for.
DIRECT_UPSERT = "_direct_upsert"

_CHANGEABLE = {"collection_name", "description", "enabled", "metadata"}
_CLONED = ("description", "source", "feature_extractor", "input_schema", "enabled", "metadata")


class CollectionService:
    def __init__(
        self,
        store: ResourceStore,
        directory: CollectionDirectory,
        pool: DocumentPool,
        cursors: Cursors,
        models: Models,
        namespaces: ResourceStore,
        attachments: Attachments,
    ) -> None:
        """`models` are the embedding models of the installation, the default first."""
        self._models = models
        self._namespaces = namespaces
        self._store = store
        self._directory = directory
        self._pool = pool
        self._attachments = attachments
        self._lister = Lister(store, cursors)

    async def create(self, namespace_id: str, request: CollectionCreate) -> bytes:
        """The new collection.

        Raises:
            Conflict: the name is taken.
            InvalidInput: the name is one of ours, input_schema is malformed, no such extractor, or an alert
                that would not run here.
        """
        _refuse_reserved(request.collection_name)
        _check_schema(request.input_schema)
        return await self._create(namespace_id, request)

    async def _create(
        self, namespace_id: str, request: CollectionCreate, *, is_system: bool = False
    ) -> bytes:
        extractor = extractor_of(request)
        embedding = text_embedding(extractor, self._models)
        collection = _collection(ids.collection_id(), request, extractor, is_system=is_system)
        collection.alert_applications = await self._attachments.checked(
            namespace_id, request.alert_applications or ()
        )
        ref = CollectionRef(namespace_id, collection.collection_id)
        # First its place, then its record: a crash in between leaves an empty file, not a broken collection.
        declared = await self._declared(namespace_id, embedding)
        collection.vector_indexes = vector_indexes(
            await self._pool.run(lambda documents: _made(documents, ref, embedding, declared))
        )
        try:
            await self._store.create(
                namespace_id,
                collection.collection_id,
                collection.collection_name,
                orjson.dumps(collection.model_dump()),
                parent=keys.resource("namespace", namespace_id),
                links=_links(collection.model_dump()),
            )
        except KennelError as error:
            if not isinstance(error, OutcomeUnknown):
                await self._pool.run(lambda documents: documents.drop_collection(ref))
            raise
        warnings = request.warnings() + ignored(extractor)
        return orjson.dumps({**collection.model_dump(), "document_count": 0, "warnings": warnings})

    async def _declared(
        self, namespace_id: str, embedding: TextEmbedding | None
    ) -> list[VectorConfig] | None:
        """The vectors that the namespace declares for all its collections.

        Raises:
            NotFound: the namespace is gone. InvalidInput: one has the name of the collection's own embedding.
        """
        namespace = (await self._namespaces.get(keys.INSTALLATION, namespace_id)).answer()
        configs = namespace["vector_configs"]
        if configs is None:
            return None
        if embedding is not None and embedding.model in {config["name"] for config in configs}:
            raise InvalidInput.at(
                ["feature_extractor"],
                f"the namespace declares vectors named {embedding.model!r}, as its model is; use another one",
            )
        return [VectorConfig(config["name"], config["dimension"], config["metric"]) for config in configs]

    async def change(self, namespace_id: str, id_or_name: str, request: CollectionChange) -> dict[str, Any]:
        """The collection as it is now.

        Raises:
            NotFound: no such collection. Conflict: the new name is taken. InvalidInput: it is one of ours, or
                an alert would not run here.
        """
        _refuse_reserved(request.collection_name)
        given = request.model_dump(exclude_none=True, include=_CHANGEABLE)
        if request.alert_applications is not None:
            given["alert_applications"] = await self._attachments.checked(
                namespace_id, request.alert_applications
            )

        async def change(found: Resource) -> tuple[dict[str, Any], None]:
            return {**found.answer(), **given}, None

        found, body = await changed(self._store, namespace_id, id_or_name, change, links_of=_links)
        names = (found.answer()["collection_name"], body["collection_name"])
        self._directory.forget(namespace_id, found.resource_id, *names)
        return {**await self.get(namespace_id, found.resource_id), "warnings": request.warnings()}

    async def clone(self, namespace_id: str, id_or_name: str, request: CollectionClone) -> dict[str, Any]:
        """A new, empty collection like an existing one. Raises as `create`."""
        source = (await self._store.get(namespace_id, id_or_name)).answer()
        kept = {name: source[name] for name in _CLONED if source[name] is not None}
        given = request.model_dump(exclude_none=True, include=set(CollectionClone.model_fields))
        body = await self.create(namespace_id, CollectionCreate.model_validate({**kept, **given}))
        copy = {**orjson.loads(body), "warnings": request.warnings()}
        return {"collection": copy, "source_collection_id": source["collection_id"]}

    async def direct_upsert_id(self, namespace_id: str) -> str:
        """Id of the namespace's hidden collection, made on first use."""
        found = await self._store.find(namespace_id, DIRECT_UPSERT)
        if found is None:
            with suppress(Conflict):  # another request was faster
                await self._create(
                    namespace_id, CollectionCreate(collection_name=DIRECT_UPSERT), is_system=True
                )
            found = await self._store.get(namespace_id, DIRECT_UPSERT)
        return found.resource_id

    async def get(self, namespace_id: str, id_or_name: str) -> dict[str, Any]:
        """The collection with its number of documents."""
        found = await self._store.get(namespace_id, id_or_name)
        ref = CollectionRef(namespace_id, found.resource_id)
        count, shape = await self._pool.run(lambda documents: (documents.count(ref), documents.shape(ref)))
        return {**found.answer(), "document_count": count, "vector_indexes": vector_indexes(shape)}

    async def features(self, namespace_id: str, id_or_name: str) -> CollectionFeatures:
        """What a search of the collection can name."""
        found = await self._store.get(namespace_id, id_or_name)
        ref = CollectionRef(namespace_id, found.resource_id)
        return CollectionFeatures(
            features=features(await self._pool.run(lambda documents: documents.shape(ref)))
        )

    async def page(self, namespace_id: str, request: CollectionListBody, page: Page) -> Listing:
        visible = None if request.include_system else _is_user_made
        return await self._lister.page(namespace_id, request, page, visible=visible)

    async def ids(self, namespace_id: str) -> list[str]:
        """Every collection of the namespace, newest first."""
        return await self._store.ids(namespace_id)

    async def count_documents(self, namespace_id: str) -> int:
        """Documents of all collections of the namespace."""
        refs = [CollectionRef(namespace_id, each) for each in await self.ids(namespace_id)]
        return await self._pool.run(lambda documents: sum(documents.count(ref) for ref in refs))

    async def delete(self, namespace_id: str, id_or_name: str) -> Resource:
        """Delete the record, then the documents. Its alerts are let go.

        Returns:
            What was deleted.
        """
        found = await self._store.get(namespace_id, id_or_name)
        name = found.answer()["collection_name"]
        await self._store.delete(namespace_id, found.resource_id, name)
        self._directory.forget(namespace_id, found.resource_id, name)
        ref = CollectionRef(namespace_id, found.resource_id)
        await self._pool.run(lambda documents: documents.drop_collection(ref))
        return found

    async def delete_all(self, namespace_id: str) -> None:
        """Every record of a namespace that is hidden already; the documents go with the namespace."""
        ids = await self._store.ids(namespace_id)
        for body in await self._store.bodies(ids):
            answer = orjson.loads(body)
            await self._store.delete(namespace_id, answer["collection_id"], answer["collection_name"])


def _collection(
    collection_id: str, request: CollectionCreate, extractor: FeatureExtractor, *, is_system: bool
) -> Collection:
    now = utc_now_iso()
    return Collection(
        collection_id=collection_id,
        collection_name=request.collection_name,
        description=request.description,
        source=request.source.model_dump(exclude_none=True),
        feature_extractor={
            **extractor.model_dump(exclude_none=True),
            "feature_extractor_id": f"{extractor.feature_extractor_name}_{extractor.version}",
        },
        input_schema=request.input_schema,
        metadata=request.metadata,
        enabled=request.enabled,
        created_at=now,
        updated_at=now,
        is_system=is_system,
    )


def _links(body: dict[str, Any]) -> list[Argument]:
    return attachment_links(all_attachments(body))


def _made(
    documents: DocumentStore,
    ref: CollectionRef,
    embedding: TextEmbedding | None,
    declared: Sequence[VectorConfig] | None,
) -> CollectionShape:
    documents.create_collection(ref, embedding, declared)
    return documents.shape(ref)


def _refuse_reserved(name: str | None) -> None:
    if name == DIRECT_UPSERT:
        raise InvalidInput.at(["collection_name"], "is reserved; choose another name", value=DIRECT_UPSERT)


def _check_schema(schema: dict[str, Any] | None) -> None:
    """Clients cannot read an input_schema without `properties` (contract 7)."""
    if schema is None:
        return
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not all(
        isinstance(field, dict) and isinstance(field.get("type"), str) for field in properties.values()
    ):
        raise InvalidInput.at(["input_schema"], 'must be {"properties": {name: {"type": …}, …}}')


def _is_user_made(answer: dict[str, Any]) -> bool:
    return not answer["is_system"]
