"""The shop's own admin: orders to look at, and two things to do with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest

import django_durable as durable
from testproject.shop.models import Order, OrderLine, Payment, Shipment
from testproject.shop.orders import execution_of


class LookOnly:
    """Rows are made by the workflow, not by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class OrderLineInline(LookOnly, admin.TabularInline):
    model = OrderLine


class PaymentInline(LookOnly, admin.TabularInline):
    model = Payment


class ShipmentInline(LookOnly, admin.TabularInline):
    model = Shipment


@admin.register(Order)
class OrderAdmin(LookOnly, admin.ModelAdmin):
    list_display = ("number", "customer", "total", "status", "workflow")
    list_filter = ("status",)
    search_fields = ("number", "customer", "email")
    inlines = (OrderLineInline, PaymentInline, ShipmentInline)
    actions = ("approve", "reject", "restock")

    @admin.display(description="what its workflow does")
    def workflow(self, order: Order) -> str:
        execution = execution_of(order)
        if execution is None:
            return "-"
        detail = execution.waiting_for or (execution.error or {}).get("message")
        return f"{execution.status}: {detail}" if detail else execution.status

    @admin.action(description="Approve the selected orders", permissions=["view"])
    def approve(self, request: HttpRequest, orders: QuerySet[Order]) -> None:
        self._answer(request, orders, "approved")

    @admin.action(description="Reject the selected orders", permissions=["view"])
    def reject(self, request: HttpRequest, orders: QuerySet[Order]) -> None:
        self._answer(request, orders, "rejected")

    @admin.action(description="The goods are back in stock", permissions=["view"])
    def restock(self, request: HttpRequest, orders: QuerySet[Order]) -> None:
        self._tell(request, orders, lambda it: durable.send_event(it, "restocked"))

    def _answer(
        self, request: HttpRequest, orders: QuerySet[Order], answer: str
    ) -> None:
        self._tell(
            request,
            orders,
            lambda it: durable.provide_input(it, "go_ahead", answer, user=request.user),
        )

    def _tell(
        self, request: HttpRequest, orders: QuerySet[Order], tell: Callable[..., object]
    ) -> None:
        """Tell the execution of each order something, and the user what came of it."""
        for order in orders:
            try:
                tell(execution_of(order))
            except (durable.DurableError, PermissionDenied) as error:
                messages.warning(request, f"Order {order}: {error}")
            else:
                messages.success(request, f"Order {order} goes on.")


@admin.register(Payment)
class PaymentAdmin(LookOnly, admin.ModelAdmin):
    list_display = ("receipt", "order", "amount", "created_at", "refunded_at")
    list_select_related = ("order",)


@admin.register(Shipment)
class ShipmentAdmin(LookOnly, admin.ModelAdmin):
    list_display = ("tracking_code", "order", "created_at")
    list_select_related = ("order",)
