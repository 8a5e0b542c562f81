"""What ``manage.py check`` says of the doors."""

from __future__ import annotations

import pytest
from django.core import checks

from django_durable.checks import check_doors_have_urls, check_links_are_private

KEYS = {"keys": ["k" * 32]}


@pytest.mark.parametrize(
    "instance",
    [{"ANSWER_LINKS": {}}, {"WEBHOOK": KEYS}, {"ANSWER_LINKS": {}, "WEBHOOK": KEYS}],
)
def test_a_door_without_a_url_is_told_of(settings, instance):
    settings.DURABLE = {"default": instance}
    assert check_doors_have_urls() == []

    settings.ROOT_URLCONF = "django.contrib.auth.urls"
    [warning] = check_doors_have_urls()

    assert warning.id == "durable.W106"
    assert "include" in warning.hint


@pytest.mark.parametrize("durable", [{}, {"default": {"WEBHOOK": {}}}])
def test_without_a_door_or_with_a_wrong_setting_nothing_is_said_of_urls(
    settings, durable
):
    settings.DURABLE = durable
    settings.ROOT_URLCONF = "django.contrib.auth.urls"

    assert check_doors_have_urls() == check_links_are_private() == []


def test_a_process_that_serves_no_urls_needs_none(settings):
    settings.DURABLE = {"default": {"WEBHOOK": KEYS}}
    settings.ROOT_URLCONF = None

    assert check_doors_have_urls() == []


@pytest.mark.parametrize(
    ("base_url", "is_safe"),
    [
        ("http://shop.example.com", False),
        ("https://shop.example.com", True),
        ("", True),
    ],
)
def test_links_in_plain_text_are_told_of_before_they_are_deployed(
    settings, base_url, is_safe
):
    settings.DURABLE = {"default": {"ANSWER_LINKS": {"base_url": base_url}}}

    told = [
        found.id
        for found in checks.run_checks(
            tags=["security"], include_deployment_checks=True
        )
    ]

    assert ("durable.W107" not in told) is is_safe
    assert "durable.W107" not in [
        found.id for found in checks.run_checks(tags=["security"])
    ]
