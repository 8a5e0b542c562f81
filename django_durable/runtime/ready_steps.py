"""The bodies of ready-made nodes: each is one durable call, filed under the node's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django_durable import codec
from django_durable.definition.paths import split
from django_durable.definition.waits import (
    CallWorkflow,
    Sleep,
    WaitForEvent,
    WaitForInput,
    WaitNode,
)
from django_durable.runtime import child_calls, durable_calls, input_calls
from django_durable.runtime.context import StepContext
from django_durable.runtime.parameters import bind, parameters_of
from django_durable.types import Tree

Given = Mapping[str, Any]
"""What functions of the data may ask for besides its keys: ``ctx``, ``item`` …"""


def run_ready(
    node: WaitNode, context: StepContext, tree: Tree, given: Given
) -> dict[str, Any] | None:
    """Run the durable call that ``node`` stands for, on the encoded data ``tree``."""
    name = split(context.step)[1]

    match node:
        case Sleep(delay=delay, until=until):
            if delay is not None:
                durable_calls.sleep(delay)
            else:
                durable_calls.sleep_until(_from_data(until, tree, given))
            return None
        case WaitForEvent():
            return {
                name: durable_calls.wait_for_event(
                    node.event, timeout=node.timeout, timeout_value=node.timeout_value
                )
            }
        case CallWorkflow():
            result = child_calls.call_workflow(
                node.workflow,
                _from_data(node.input, tree, given),
                ref=name,
                timeout=node.timeout,
                timeout_value=node.timeout_value,
                queue=node.queue,
            )
            return {name: result}
        case WaitForInput():
            return {name: _ask(node, name, tree, given)}
        case _:
            raise TypeError(f"{type(node).__name__} is not a node that can be run.")


def _ask(node: WaitForInput, name: str, tree: Tree, given: Given) -> Any:
    """Wait for the input that ``node`` describes."""
    return input_calls.wait_for_input(
        name,
        type=node.type,
        prompt=_prompt(node.prompt, tree, given),
        fields=node.fields,
        choices=node.choices,
        form=node.form,
        metadata=_from_data(node.metadata, tree, given),
        user=_from_data(node.user, tree, given),
        group=node.group,
        permission=node.permission,
        timeout=node.timeout,
        timeout_value=node.timeout_value,
        on_timeout=node.on_timeout,
    )


def _from_data(value: Any, tree: Tree, given: Given) -> Any:
    """Return ``value``, or what it returns when it is a function of the data."""
    return _call(value, tree, given) if callable(value) else value


def _call(function: Callable[..., Any], tree: Tree, given: Given) -> Any:
    """Return ``function`` of the data; its parameters are those of a step."""
    wanted = parameters_of(function, is_method=False)
    return function(**bind(wanted, tree, given).arguments)


class _Blanks(dict[str, Any]):
    """Leaves a placeholder as it is when the data has no such key."""

    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"


def _prompt(template: str, tree: Tree, given: Given) -> str:
    """Fill ``{key}`` of a prompt from the data; ``{item}`` and ``{index}`` in an item."""
    if "{" not in template:
        return template
    return template.format_map(_Blanks({**codec.decode(tree), **given}))
