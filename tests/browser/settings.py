"""The settings of the site that is looked at: with links that answer."""

from tests.settings import *  # noqa: F403

DURABLE = {"default": {"ANSWER_LINKS": {"base_url": "http://127.0.0.1"}}}
