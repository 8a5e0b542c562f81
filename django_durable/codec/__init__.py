"""Values of the user <-> JSON trees that every database keeps as they are.

What JSON has is stored as it is, so that the ORM can query it; everything else is an
object with the key ``"$type"``. A user's own key ``"$type"`` is stored as ``"$$type"``
(``"$$type"`` as ``"$$$type"``, …), key by key, so that trees may be merged key by key.

What comes back is equal and of the same type, with these exceptions:

- An aware datetime keeps its instant and its offset from UTC, not the name of its zone.
- Subclasses of the built-in types come back as the built-in type (``SafeString`` as
  ``str``, ``OrderedDict`` as ``dict``); a queryset comes back as a list, a lazy
  translation as the text it was when it was stored.
- A model instance is a reference: it comes back as the row is when it is read.
- A dataclass comes back with the attributes it had; ``__post_init__`` is not run again.
- PostgreSQL's ``jsonb`` does not keep the order of keys.
"""

from django_durable.codec.comparing import is_same
from django_durable.codec.decoding import decode
from django_durable.codec.encoding import encode
from django_durable.codec.errors import describe_exception
from django_durable.codec.instances import Reference, fetch_instance, lazy_instance
from django_durable.codec.names import MAX_KEY, MAX_NAME, check_name
from django_durable.codec.sizes import check_size, dumps

__all__ = [
    "MAX_KEY",
    "MAX_NAME",
    "Reference",
    "check_name",
    "check_size",
    "decode",
    "describe_exception",
    "dumps",
    "encode",
    "fetch_instance",
    "is_same",
    "lazy_instance",
]
