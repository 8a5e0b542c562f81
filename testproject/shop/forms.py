"""What people fill in: the order to process, a complaint, and what is offered for it."""

from __future__ import annotations

from typing import Any

from django import forms

from testproject.shop.models import Order


class OrderForm(forms.Form):
    """The order to be processed."""

    order = forms.ModelChoiceField(Order.objects.all())


class ComplaintForm(forms.Form):
    """What a customer complains about."""

    order = forms.ModelChoiceField(Order.objects.all())
    about = forms.ChoiceField(
        choices=[
            ("broken", "Something is broken"),
            ("late", "It came late, or not at all"),
            ("other", "Something else"),
        ]
    )
    received_on = forms.DateField(required=False, help_text="When the parcel came.")
    text = forms.CharField(widget=forms.Textarea, max_length=2_000)


class SettlementForm(forms.Form):
    """What the shop offers for what is broken."""

    offer = forms.ChoiceField(
        choices=[
            ("", "---------"),
            ("money", "Money back"),
            ("again", "The same again"),
            ("voucher", "A voucher"),
        ]
    )
    amount = forms.DecimalField(
        max_digits=8,
        decimal_places=2,
        min_value=0,
        required=False,
        help_text="For money back, and for a voucher.",
    )
    collected_on = forms.DateField(
        required=False, help_text="If the carrier is to fetch the broken goods."
    )
    tell_supplier = forms.BooleanField(
        required=False, label="Tell the supplier what broke"
    )
    remark = forms.CharField(
        required=False, widget=forms.Textarea({"rows": 3}), max_length=2_000
    )

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if found.get("offer") in ("money", "voucher") and not found.get("amount"):
            self.add_error("amount", "How much?")
        return found
