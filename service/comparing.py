"""Accepting a comparison: every one of its generations is checked before any is queued."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from pydantic import ValidationError

from jobs.comparison import Axis, Comparison
from jobs.comparison_request import ComparisonRequest
from jobs.grid import VARIED, Variant, parsed, variants
from jobs.labels import distinct, labels, short_names, shown
from jobs.order import ANYONE, Order, Repeated, Terms
from jobs.request import MAX_SEED, GenerationRequest, RequestProblems
from service.gateway import Gateway
from service.idempotency import replayed
from service.pointers import problem_items
from service.problems import ProblemItem, Refusal, not_found, summed_up
from service.submission import checked, refusing, replaying


def accepted(gateway: Gateway, request: ComparisonRequest, terms: Terms) -> tuple[Comparison, bool]:
    """The comparison, and whether it is one that the idempotency key had made before."""
    try:
        with replaying(gateway, terms):
            return submit(gateway, request, terms), False
    except Repeated as repeated:
        assert terms.once is not None
        return found(gateway, replayed(repeated, terms.once)), True


def submit(gateway: Gateway, request: ComparisonRequest, terms: Terms = ANYONE) -> Comparison:
    """Queue all of its generations, or refuse it with every reason there is. May raise Repeated."""
    if request.seed is None:  # one for all
        request = request.model_copy(update={"seed": secrets.randbelow(MAX_SEED + 2 - request.n)})
    try:
        compared = variants(request)
    except RequestProblems as wrong:
        items = [ProblemItem(pointer=one.pointer, code=one.code, detail=one.detail) for one in wrong.problems]
        raise Refusal(422, "invalid_request", summed_up(items), errors=items) from None
    orders = _orders(gateway, compared)
    with refusing(gateway, sum(order.nfe_total for order in orders), len(orders)):
        return gateway.comparisons.create(orders, _labels(compared, orders), _axes(request), gateway.bound(terms))


def found(gateway: Gateway, id: str) -> Comparison:
    """The comparison, or a refusal with 404, also when it is another tenant's."""
    comparison = gateway.comparisons.get(id)
    if comparison is None or comparison.tenant != gateway.tenant:
        raise not_found(f"comparison {id}")
    return comparison


def _labels(compared: Sequence[Variant], orders: Sequence[Order]) -> list[str]:
    resolved = [order.request.model_dump(mode="json", include=set(VARIED)) for order in orders]
    made = labels([variant.varied for variant in compared], resolved)
    return distinct(one.label or label for one, label in zip(compared, made, strict=True))


def _axes(request: ComparisonRequest) -> list[Axis]:
    grid = request.grid or {}
    names = short_names([parsed(pointer) for pointer in grid])
    return [
        Axis(pointer=pointer, name=names[parsed(pointer)], values=tuple(distinct(map(shown, values))))
        for pointer, values in grid.items()
    ]


def _orders(gateway: Gateway, compared: Sequence[Variant]) -> list[Order]:
    """One for each; or one refusal with all that is wrong with any of them, said of the client's own body."""
    orders, codes, items = [], [], []
    names = labels([variant.varied for variant in compared])
    for variant, name in zip(compared, names, strict=True):
        try:
            orders.append(checked(gateway, _read(variant)))
        except Refusal as refusal:
            if refusal.status != 422:
                raise
            codes.append(refusal.code)
            items += [_moved(item, variant, name) for item in refusal.errors]
    if items:
        items = list({(item.pointer, item.code, item.detail): item for item in items}.values())
        raise Refusal(422, min(codes), summed_up(items), errors=items)  # invalid_request before unsupported
    return orders


def _read(variant: Variant) -> GenerationRequest:
    try:
        return GenerationRequest.model_validate(variant.body)
    except ValidationError as error:
        items = problem_items(error.errors(), variant.body)
        raise Refusal(422, "invalid_request", summed_up(items), errors=items) from None


def _moved(item: ProblemItem, variant: Variant, name: str) -> ProblemItem:
    """To where the client wrote what is wrong; or to a value of the grid that is part of what is."""
    for at, origin in variant.origins.items():
        if item.pointer == at or item.pointer.startswith(f"{at}/"):
            return item.model_copy(update={"pointer": origin + item.pointer.removeprefix(at)})
    for at, origin in variant.origins.items():
        if item.pointer and at.startswith(f"{item.pointer}/"):
            return item.model_copy(update={"pointer": origin, "detail": f"with {name}: {item.detail}"})
    return item
