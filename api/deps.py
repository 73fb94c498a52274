"""What handlers are given: the context, who calls, and in which namespace. The only reader of `app.state`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request
from pydantic import AfterValidator

from api.auth import Principal, require
from api.context import ApiContext
from api.middleware import SLASH
from shared.errors import NotFound
from shared.models.api_key import Permission

_NOWHERE = ""  # a namespace id that nothing belongs to


@dataclass(frozen=True, slots=True)
class Access:
    """A caller inside one namespace."""

    principal: Principal
    namespace_id: str
    unresolved: str | None = None  # the name, when a list was asked of a namespace that does not exist


def context(request: Request) -> ApiContext:
    """Everything the process holds."""
    held: ApiContext = request.app.state.context
    return held


ContextDep = Annotated[ApiContext, Depends(context)]
NamespaceHeader = Annotated[
    str | None, Header(alias="X-Namespace", description="Id or name of the namespace.")
]
NamespaceQuery = Annotated[str | None, Query(description="The namespace, where the header is not sent.")]


def _with_slash(value: str) -> str:
    return value.replace(SLASH, "/")


# An id or name in a path; a slash in it is sent as %2F.
PathName = Annotated[str, Path(description="Id or name."), AfterValidator(_with_slash)]
PathId = Annotated[str, Path(description="Id."), AfterValidator(_with_slash)]


async def _authenticated(request: Request, context: ApiContext, permission: Permission) -> Principal:
    header = request.headers.get("authorization")
    principal = await context.authenticator.authenticate(header.encode("latin-1") if header else None)
    require(principal, permission)
    return principal


@dataclass(frozen=True, slots=True)
class _OfInstallation:
    """Whoever holds a key with this permission."""

    permission: Permission

    async def __call__(self, request: Request, context: ContextDep) -> Principal:
        return await _authenticated(request, context, self.permission)


@dataclass(frozen=True, slots=True)
class _OfNamespace:
    """Whoever holds such a key, in the namespace that the header or the query names."""

    permission: Permission
    unknown_is_empty: bool = (
        False  # lists: an unknown namespace is an empty list and a warning (contract 1.1)
    )

    async def __call__(
        self,
        request: Request,
        context: ContextDep,
        x_namespace: NamespaceHeader = None,
        namespace: NamespaceQuery = None,
    ) -> Access:
        principal = await _authenticated(request, context, self.permission)
        name = x_namespace or namespace
        try:
            return Access(principal, await context.namespaces.resolve(principal, name))
        except NotFound:
            if not self.unknown_is_empty:
                raise
            return Access(principal, _NOWHERE, unresolved=name)


@dataclass(frozen=True, slots=True)
class _OfPath:
    """Whoever holds such a key, in the namespace of the path; a header naming another one is ignored."""

    permission: Permission

    async def __call__(self, request: Request, context: ContextDep, namespace: PathName) -> Access:
        principal = await _authenticated(request, context, self.permission)
        return Access(principal, await context.namespaces.resolve(principal, namespace))


def _recheck(request: Request, context: ContextDep) -> Callable[[], Awaitable[object]]:
    return partial(_authenticated, request, context, "read")


# For answers that go on: raises when the caller's key may not read any more.
RecheckDep = Annotated[Callable[[], Awaitable[object]], Depends(_recheck)]

# Callers of what belongs to the installation.
ReaderDep = Annotated[Principal, Depends(_OfInstallation("read"))]
WriterDep = Annotated[Principal, Depends(_OfInstallation("write"))]
DeleterDep = Annotated[Principal, Depends(_OfInstallation("delete"))]
AdminDep = Annotated[Principal, Depends(_OfInstallation("admin"))]

# Callers of what belongs to a namespace.
ReadAccess = Annotated[Access, Depends(_OfNamespace("read"))]
WriteAccess = Annotated[Access, Depends(_OfNamespace("write"))]
DeleteAccess = Annotated[Access, Depends(_OfNamespace("delete"))]
ListAccess = Annotated[Access, Depends(_OfNamespace("read", unknown_is_empty=True))]
PathReadAccess = Annotated[Access, Depends(_OfPath("read"))]
PathWriteAccess = Annotated[Access, Depends(_OfPath("write"))]
