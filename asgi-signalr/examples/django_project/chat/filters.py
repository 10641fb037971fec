"""What Django does around its requests, around what happens on hubs: old database connections are closed, and more."""

from typing import Any

from asgi_signalr import HubFilter, InvocationContext, LifetimeContext, Scope
from asgi_signalr.filters import Connected, Disconnected, Invoke
from asgiref.sync import sync_to_async
from django.core.signals import request_finished, request_started


class AsRequests(HubFilter):
    """Let each call be a request to Django: for SignalR(filters=[AsRequests()])."""

    async def invoke(self, context: InvocationContext, next: Invoke) -> Any:
        await begin(context.context.scope)
        try:
            return await next(context)
        finally:
            await end()

    async def on_connected(self, context: LifetimeContext, next: Connected) -> None:
        await begin(context.context.scope)
        try:
            await next(context)
        finally:
            await end()

    async def on_disconnected(self, context: LifetimeContext, error: Exception | None, next: Disconnected) -> None:
        await begin(context.context.scope)
        try:
            await next(context, error)
        finally:
            await end()


async def begin(scope: Scope) -> None:
    """Begin a request to Django, in the thread in which its ORM runs."""
    await sync_to_async(request_started.send)(sender=AsRequests, scope=scope)


async def end() -> None:
    """End it."""
    await sync_to_async(request_finished.send)(sender=AsRequests)
