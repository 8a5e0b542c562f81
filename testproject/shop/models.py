"""What the shop stores. It knows nothing of workflows."""

from __future__ import annotations

from django.db import models


class Order(models.Model):
    """An order as a customer sent it, faults included."""

    class Status(models.TextChoices):
        NEW = "new"
        PAID = "paid"
        SHIPPED = "shipped"
        REFUNDED = "refunded"

    number = models.CharField(max_length=50, unique=True)
    customer = models.CharField(max_length=200)
    email = models.EmailField(blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.NEW)
    total = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("number",)

    def __str__(self) -> str:
        return self.number


class OrderLine(models.Model):
    """One article of an order. Price and quantity are ``None`` if they are no numbers."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    sku = models.CharField(max_length=50)
    name = models.CharField(max_length=200)
    quantity = models.BigIntegerField(null=True)
    price = models.DecimalField(max_digits=10, decimal_places=2, null=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.quantity} of {self.name}"


class Payment(models.Model):
    """Money that came for an order: once, or not at all. It may have gone back."""

    order = models.OneToOneField(Order, on_delete=models.CASCADE)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    receipt = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)
    refunded_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.receipt


class Shipment(models.Model):
    """The parcel of an order."""

    order = models.OneToOneField(Order, on_delete=models.CASCADE)
    tracking_code = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.tracking_code
