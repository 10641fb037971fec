from asgi_signalr import Hub, SignalR
from chat.filters import AsRequests
from chat.users import django_user
from django.contrib.auth.models import User

signalr = SignalR(user=django_user, filters=[AsRequests()])


@signalr.hub("/chat", authorize=True)
class Chat(Hub):
    async def say(self, text: str) -> None:
        await self.clients.all.send("said", str(self.context.user), text)

    async def names(self) -> list[str]:
        return [user.username async for user in User.objects.order_by("username")]


chat = signalr.hub_context(Chat)
