"""The user of Django's own sign-in, for hubs beside a Django project."""

from importlib import import_module
from io import BytesIO
from typing import Any

from asgi_signalr import Scope
from chat.filters import begin, end
from django.conf import settings
from django.contrib.auth import aget_user
from django.core.handlers.asgi import ASGIRequest


async def django_user(scope: Scope) -> Any:
    """Find the user of Django's session cookie: for SignalR(user=django_user)."""
    request = ASGIRequest({"method": "GET", **scope}, BytesIO())
    store = import_module(settings.SESSION_ENGINE).SessionStore
    request.session = store(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    await begin(scope)
    try:
        return await aget_user(request)
    finally:
        await end()
