"""The shop: the application whose workflows the demo and the tests run."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """The shop."""

    name = "testproject.shop"
    default_auto_field = "django.db.models.BigAutoField"
