"""The figures of the Statistics page."""

from sqlalchemy import distinct, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from .hubs.statistics import StatisticsHub, signalr
from .models import Answer, Option


class StatisticsService:
    """Counts the answers of all users."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def generate(self) -> dict[str, float]:
        """The statistics as the page shows them; averages are per user who has answered at least once.

        `totalAnswers` numbers them: answers are only ever added, so that the newer statistics count more of them.
        """
        counts = select(
            func.count(Answer.id),
            func.count(Answer.id).filter(Option.is_correct),
            func.count(distinct(Answer.user_id)),
        ).join_from(Answer, Option, Answer.option_id == Option.id)
        total, correct, users = (await self.session.execute(counts)).one()
        incorrect = total - correct
        return {
            "correctAnswers": correct,
            "incorrectAnswers": incorrect,
            "totalAnswers": total,
            "correctAnswersAverage": correct / max(users, 1),
            "incorrectAnswersAverage": incorrect / max(users, 1),
            "totalAnswersAverage": total / max(users, 1),
        }

    async def notify_updates(self) -> None:
        """Send the new statistics to every open Statistics page."""
        hub = signalr.hub_context(StatisticsHub)
        statistics = await self.generate()
        await hub.clients.all.send("updateStatistics", statistics)
