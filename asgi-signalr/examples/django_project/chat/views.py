from asgiref.sync import async_to_sync
from chat.hubs import chat
from django.http import HttpRequest, HttpResponse


def announce(request: HttpRequest) -> HttpResponse:
    async_to_sync(chat.clients.all.send)("said", "server", "hello")
    return HttpResponse(status=204)


async def announce_too(request: HttpRequest) -> HttpResponse:
    await chat.clients.all.send("said", "server", "hello")
    return HttpResponse(status=204)
