"""Checks a folder of manifests without talking to anybody: what a server would refuse, and what a sync would miss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler.connectors.base import CredentialKey
from reconciler.connectors.registry import BUILT_IN, AnyConnector, Registry, installed
from reconciler.errors import NeedsPerson
from reconciler.kinds.catalogue import kinds
from reconciler.kinds.provider import ProviderSpec
from reconciler.kinds.reading import read, settings_faults, settings_of
from reconciler.objects import Manifest
from reconciler.problems import Problem
from reconciler.sources import keyfiles
from reconciler.sources.base import Key
from reconciler.sources.folder import look
from reconciler.sources.state import State, secret_name


def check(directory: Path, registry: Registry | None = None) -> list[Problem]:
    """Everything that is wrong with the manifests below `directory`, by file and line; empty when all is well."""
    if not directory.is_dir():
        return [Problem(str(directory), "", "there is no such folder")]
    root = directory.resolve()
    state = look(root, kinds(), State())
    problems = [problem for found in state.problems.values() for problem in found]
    for manifest in _good(state):
        if manifest.key.kind == "Provider":
            problems += _Provider(root, state, manifest).problems(registry or installed())
    if not state.files and not problems:
        problems.append(Problem(str(directory), "", "holds no manifests; they are files named *.yaml or *.yml"))
    return sorted(problems, key=_position)


def _good(state: State) -> Iterator[Manifest]:
    for opened in state.files.values():
        for manifest in opened.contents.manifests:
            held = state.held.get(manifest.key)
            if held is not None and held.good and held.resource.place == manifest.item.place():
                yield manifest


def _position(problem: Problem) -> tuple[str, int]:
    file, _, line = problem.place.rpartition(":")
    return (file, int(line)) if file and line.isdigit() else (problem.place, 0)


class _Provider:
    """What only the connector of a Provider can tell."""

    def __init__(self, root: Path, state: State, manifest: Manifest) -> None:
        self.root, self.state, self.manifest = root, state, manifest
        self.spec: Mapping[str, Any] = manifest.spec

    def problems(self, registry: Registry) -> Iterator[Problem]:
        try:
            connector = registry.connector(self.spec["type"])
        except NeedsPerson as error:
            yield self._problem(("spec", "type"), str(error))
            return
        wrong = list(self._settings(connector))
        yield from wrong
        if not wrong and not self.spec.get("suspend", False):
            yield from self._secret(connector)

    def _settings(self, connector: AnyConnector) -> Iterator[Problem]:
        if connector.__module__.startswith(BUILT_IN):
            return
        item = self.manifest.item
        for fault in settings_faults(self.spec.get("settings"), connector, lambda path: item.text(("spec", *path))):
            yield self._problem(("spec", *fault.path), fault.message)

    def _secret(self, connector: AnyConnector) -> Iterator[Problem]:
        keys = self._keys(connector)
        name = secret_name(self.spec)
        if name is None:
            for key in (each for each in keys if each.required):
                yield self._problem(("spec",), f"secretRef is missing: a Secret with the key {key.name}: {key.says}")
            return
        try:
            values = self._values(name)
        except NeedsPerson as error:
            yield self._problem(("spec", "secretRef"), str(error))
            return
        for nth, key in enumerate(keys):
            wanted = self.spec["secretRef"].get("key") if nth == 0 else None
            if key.required and not values.get(wanted or key.name):
                yield self._problem(("spec", "secretRef"), self._missing(name, wanted or key.name, key.says))

    def _keys(self, connector: AnyConnector) -> Sequence[CredentialKey]:
        """The keys of the Secret that its settings need."""
        spec = read(kinds()["Provider"], self.spec)
        assert isinstance(spec, ProviderSpec)
        return connector.credential_keys(settings_of(spec, connector))

    def _values(self, name: str) -> Mapping[str, str]:
        declared = self.state.secrets.get(Key("Secret", self.manifest.key.namespace, name))
        values = declared.values if declared is not None else None
        return {**(values or {}), **keyfiles.read(self.root, name)}

    def _missing(self, name: str, key: str, says: str) -> str:
        return (
            f"no Secret {name} with a key {key} in namespace {self.manifest.key.namespace}: put the value into "
            f"{keyfiles.FOLDER}/{name}/{key}, or declare a v1 Secret. {says}"
        )

    def _problem(self, path: tuple[str | int, ...], message: str) -> Problem:
        return self.manifest.item.problem(path, message, self.manifest.key)
