"""Receipts in place of verdicts: which of them are checked anew, and whether the others may count after that."""

import math
import random
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from labkit.errors import UsageError
from labkit.grading.crew import Order
from labkit.grading.grades import Grade, Outcome, Standing
from labkit.receipts import Receipt
from labkit.verify.report import Report, Verdict


def share(text: str) -> float:
    """The share that a text like `20%` means, between 0 and 1.

    Raises UsageError for anything else.
    """
    number = text.strip().removesuffix("%")
    try:
        percent = float(number)
    except ValueError:
        percent = math.nan
    if not (text.strip().endswith("%") and 0 <= percent <= 100):
        raise UsageError(f"--recheck {text}: how many of the receipts, in percent.", "labkit grade DIR --recheck 20%")
    return percent / 100


def graded(
    orders: Sequence[Order],
    receipts: Mapping[str, Receipt],
    share: float,
    grade: Callable[[Sequence[Order]], Generator[Grade, None, None]],
) -> Generator[Grade, None, None]:
    """Grade every submission with `grade`, but of those with a receipt (by their keys) only this share, 0 to 1.

    The others then stand by their receipts. If one that was checked anew says something else, all are checked.
    """
    now, rest = split(orders, receipts, share)
    trusted = True
    with closing(grade(now)) as found:
        for each in found:
            told = compared(each, receipts.get(each.key))
            trusted = trusted and told.receipt is not Standing.CONTRADICTED
            yield told
    if trusted:
        yield from (taken(order, receipts[order.begun.key]) for order in rest)
    elif rest:
        with closing(grade(rest)) as found:
            yield from (compared(each, receipts.get(each.key)) for each in found)


def split(orders: Sequence[Order], receipts: Mapping[str, Receipt], share: float) -> tuple[list[Order], list[Order]]:
    """What is graded now, and what may stand by its receipt after that.

    The sample of those with a receipt is drawn by chance, so that nobody knows it before: this share of them, one at
    least unless the share is 0.
    """
    signed = [order for order in orders if order.begun.key in receipts]
    drawn = {order.begun.key for order in random.SystemRandom().sample(signed, math.ceil(len(signed) * share))}
    now = [order for order in orders if order.begun.key not in receipts or order.begun.key in drawn]
    return now, [order for order in signed if order.begun.key not in drawn]


def compared(grade: Grade, receipt: Receipt | None) -> Grade:
    """The grade of work that was checked anew, with what has become of its receipt."""
    if receipt is None or not grade.outcome.is_verdict or grade.report is None:
        return grade
    same = grade.outcome is Outcome.VERIFIED and _passed(grade.report) == _passed(receipt.report)
    return replace(grade, receipt=Standing.CONFIRMED if same else Standing.CONTRADICTED)


def taken(order: Order, receipt: Receipt) -> Grade:
    """The grade by a receipt."""
    return replace(
        order.begun,
        outcome=Outcome.VERIFIED,
        when=receipt.when,
        report=receipt.report,
        receipt=Standing.TAKEN,
        folder=order.folder,
    )


def _passed(report: Report) -> dict[str, bool]:
    return {check.id: result.verdict is Verdict.PASSED for check, result in report.results}
