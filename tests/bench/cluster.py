"""The reconciler over a real API server: how fast, how large and how quiet it is."""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import httpx

from reconciler.kinds.catalogue import kinds
from reconciler.sources.base import Key
from reconciler.sources.kubernetes.access import Access
from reconciler.sources.kubernetes.api import Api
from reconciler.sources.kubernetes.watch import Watch
from tests.bench.figure import Figure
from tests.bench.ground import server
from tests.bench.telling import Receiver
from tests.e2e.controlplane import ControlPlane, missing_programs
from tests.e2e.operating import operating
from tests.e2e.process import Process
from tests.e2e.team import KEY
from tests.e2e.vendor import Vendor
from tests.e2e.waiting import until
from tests.integration.conftest import make_ledger

ROOT: Final = Path(__file__).parents[2]
NAMESPACE: Final = "bench"
PATH: Final = f"/apis/costhook.io/v1alpha1/namespaces/{NAMESPACE}/providers"
QUIET_SECONDS: Final = 30.0
APPLIED: Final = 5
"""Providers that are applied one by one."""
PLURALS: Final = {name: kind.plural for name, kind in kinds().items()}


async def figures(server_url: str, providers: int, quiet: float = QUIET_SECONDS) -> AsyncIterator[Figure]:
    """The figures for so many Providers; none where there is no control plane to be had. `quiet`: seconds of that."""
    if missing_programs():
        return
    urls = [await make_ledger(server_url) for _ in range(2)]
    measured = _measured(urls, providers, quiet)
    while (figure := await asyncio.to_thread(next, measured, None)) is not None:
        yield figure


def _measured(urls: Sequence[str], providers: int, quiet: float) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="costhook-bench-") as name, Vendor() as vendor:
        vendor.books[NAMESPACE].keys.add(KEY)
        folder = Path(name)
        with Bench(folder / "cluster", vendor).running() as bench:
            baseline = bench.baseline(providers)
            bench.clear()
            with operating(bench.plane.admin_kubeconfig, urls[0], folder / "a.log", settings=LOUDLY) as process:
                yield bench.ready(process, providers, baseline)
                yield from bench.quiet(process, providers, quiet)
                with serving(urls[0], folder / "api.log") as api:
                    yield bench.readable(api)
                    yield bench.told(api)
            bench.clear()
            bench.create(providers * 5, suspend=True)
            with operating(bench.plane.admin_kubeconfig, urls[1], folder / "b.log", settings=LOUDLY) as process:
                bench.until_reason("Suspended", providers * 5)
                size = _megabytes(process.pid)
            yield Figure(name="reconciler_megabytes", ratio=size, goal=200, at_most=True, detail={"of": providers * 5})


@contextmanager
def serving(database_url: str, log: Path) -> Iterator[httpx.Client]:
    """The API as a process, and a client of it."""
    environment = {"COSTHOOK_DATABASE_URL": database_url}
    with Process("serve", "--listen", "127.0.0.1:0", log=log, environment=environment) as process:
        until(lambda: re.search(r"http://[\d.:]+", process.said()), process.said)
        [base] = re.findall(r"http://[\d.:]+", process.said())
        with httpx.Client(base_url=base) as client:
            yield client


LOUDLY: Final = {"COSTHOOK_LOG_LEVEL": "info", "COSTHOOK_LOG_FORMAT": "json", "COSTHOOK_ALLOW_LOOPBACK": "true"}


class Bench:
    """A cluster with one namespace, and a client of its own."""

    def __init__(self, folder: Path, vendor: Vendor) -> None:
        self.plane, self._vendor = ControlPlane(folder), vendor

    @contextmanager
    def running(self) -> Iterator[Bench]:
        with self.plane:
            self.plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
            self.plane.kubectl("wait", "--for=condition=Established", "crd", "--all")
            self.plane.kubectl("create", "namespace", NAMESPACE)
            secret = {"metadata": {"name": "key", "namespace": NAMESPACE}, "stringData": {"apiKey": KEY}}
            self.plane.apply({"apiVersion": "v1", "kind": "Secret", **secret})
            headers = {"Authorization": f"Bearer {self.plane.token}"}
            limits = httpx.Limits(max_connections=32)
            self._http = httpx.Client(
                base_url=self.plane.url, headers=headers, verify=self.plane.trust(), limits=limits, timeout=60
            )
            with self._http:
                yield self

    def create(self, count: int, *, suspend: bool = False) -> None:
        """Create Providers, as many at a time as the client has connections."""
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda number: self._create(number, suspend=suspend), range(count)))

    def clear(self) -> None:
        self._http.delete(PATH).raise_for_status()

    def ready(self, process: Process, count: int, baseline: float) -> Figure:
        """From the first Provider created to the last one Ready."""
        begun, cpu = perf_counter(), _processor_seconds(process.pid)
        self.create(count)
        self.until_reason("Succeeded", count)
        taken = perf_counter() - begun
        spent = _processor_seconds(process.pid) - cpu
        detail = {"seconds": taken, "baseline": baseline, "providers": count, "cpu_ms_each": 1000 * spent / count}
        return Figure(name="providers_ready", ratio=taken / baseline, goal=2.0, at_most=True, detail=detail)

    def readable(self, api: httpx.Client) -> Figure:
        """From `kubectl apply` returning to the cost being in GraphQL, the slowest of a few."""
        seconds = []
        for number in range(APPLIED):
            self.plane.apply(self._provider(f"applied{number}"))
            begun = perf_counter()
            until(partial(_cost, api, f"applied{number}"), every=0.01)
            seconds.append(perf_counter() - begun)
        return Figure(
            name="apply_to_graphql_seconds", ratio=max(seconds), goal=2, at_most=True, detail={"seconds": seconds}
        )

    def told(self, api: httpx.Client) -> Figure:
        """From a cost being in GraphQL to the alert that it causes being at its receiver, the median of a few."""
        seconds = []
        with Receiver().running() as receiver:
            self._apply("Channel", "oncall", {"type": "alertmanager", "alertmanager": {"url": receiver.url}})
            for name in [f"told{number}" for number in range(APPLIED)]:
                self._apply("Budget", name, {"amount": "1.00", "currency": "USD", "scope": {"providers": [name]}})
                levels = {"levels": [{"percent": 50}], "channels": [{"name": "oncall"}]}
                self._apply("Alert", name, {"budgetRef": {"name": name}, "on": "Spend", **levels})
                self.plane.apply(self._provider(name))
                until(partial(_cost, api, name), every=0.01)
                synced = perf_counter()
                until(partial(receiver.heard.__contains__, name), every=0.01)
                seconds.append(max(0.0, receiver.heard[name] - synced))
        median = statistics.median(seconds)
        return Figure(name="sync_to_alert_seconds", ratio=median, goal=5, at_most=True, detail={"seconds": seconds})

    def _apply(self, kind: str, name: str, spec: Mapping[str, Any]) -> None:
        metadata = {"name": name, "namespace": NAMESPACE}
        self.plane.apply({"apiVersion": "costhook.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})

    def until_reason(self, reason: str, count: int) -> None:
        """Watch until so many Providers are Ready, or not, for this reason; to list them all would be half the load."""
        found: set[str] = set()
        while len(found) < count:
            with self._http.stream("GET", PATH, params={"watch": "true", "resourceVersion": "0"}) as events:
                for line in events.iter_lines():
                    found |= {name for name, said in _reasons(json.loads(line)["object"]) if said == reason}
                    if len(found) >= count:
                        return

    def baseline(self, count: int) -> float:
        """The same with kopf alone: every Provider is seen, and one status written by the same client."""
        return asyncio.run(self._baseline(count))

    def quiet(self, process: Process, providers: int, seconds: float) -> Iterator[Figure]:
        """What the reconciler does while nothing is due."""
        waiting = threading.Event()
        calls, cpu = self._calls(), _processor_seconds(process.pid)
        waiting.wait(seconds)
        spent = _processor_seconds(process.pid) - cpu
        asked = self._calls() - calls
        detail = {"providers": providers, "seconds": seconds}
        yield Figure(name="idle_cpu_percent", ratio=100 * spent / seconds, goal=1, at_most=True, detail=detail)
        yield Figure(name="idle_calls_a_minute", ratio=60 * asked / seconds, goal=2, at_most=True, detail=detail)

    async def _baseline(self, count: int) -> float:
        access, seen = Access(self.plane.admin_kubeconfig), asyncio.Queue[Key]()

        def hear(type_: str | None, kind: str, found: dict[str, Any]) -> None:
            if type_ in (None, "ADDED"):
                seen.put_nowait(Key(kind, found["metadata"]["namespace"], found["metadata"]["name"]))

        watch = Watch(access, PLURALS, hear, lambda *_: None)
        watch.start(secrets=False)
        async with Api(access, PLURALS) as api:
            while not watch.watching:
                await asyncio.sleep(0.05)
            begun = perf_counter()
            created = asyncio.create_task(asyncio.to_thread(self.create, count))
            async with asyncio.TaskGroup() as tasks:
                for _ in range(count):
                    tasks.create_task(_write(api, await seen.get()))
            await created
            taken = perf_counter() - begun
        await watch.stop()
        return taken

    def _create(self, number: int, *, suspend: bool) -> None:
        body = json.dumps(self._provider(f"p{number}", suspend=suspend))
        self._http.post(PATH, content=body, headers=JSON).raise_for_status()

    def _provider(self, name: str, *, suspend: bool = False) -> dict[str, Any]:
        spec = {
            "type": "openai",
            "secretRef": {"name": "key"},
            "history": "5d",
            "suspend": suspend,
            "openai": {"baseURL": self._vendor.url(NAMESPACE)},
        }
        metadata = {"name": name, "namespace": NAMESPACE}
        return {"apiVersion": "costhook.io/v1alpha1", "kind": "Provider", "metadata": metadata, "spec": spec}

    def _calls(self) -> int:
        """Requests about our kinds that the API server has answered; none of them is this benchmark's own meanwhile."""
        counted = re.compile(r'^apiserver_request_total\{.*group="costhook\.io".*\} (\d+)', re.MULTILINE)
        return sum(int(number) for number in counted.findall(self._http.get("/metrics").text))


QUESTION: Final = (
    "query ($ns: String!, $name: String!) { provider(namespace: $ns, name: $name) { monthToDate { amount } } }"
)
JSON: Final = {"Content-Type": "application/json"}


def _cost(api: httpx.Client, name: str) -> bool:
    """Whether GraphQL tells what a Provider costs."""
    asked = {"query": QUESTION, "variables": {"ns": NAMESPACE, "name": name}}
    found = api.post("/graphql", json=asked).json()["data"]["provider"]
    return bool(found and found["monthToDate"])


def _reasons(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The name of a Provider with the reason that its condition Ready gives."""
    for condition in found.get("status", {}).get("conditions", ()):
        if condition["type"] == "Ready":
            yield found["metadata"]["name"], condition["reason"]


def _megabytes(process: int) -> float:
    """Memory that a process holds now."""
    status = Path(f"/proc/{process}/status").read_text()
    [kibibytes] = re.findall(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kibibytes) / 1024


def _processor_seconds(process: int) -> float:
    """Time that a process has had of a processor, in its own name and in the kernel's."""
    after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


async def _write(api: Api, key: Key) -> None:
    found = await api.read(key)
    assert found is not None
    change = {"op": "add", "path": "/status", "value": {"observedGeneration": 1}}
    await api.patch(key, found["metadata"]["resourceVersion"], [change], status=True)


async def main(providers: int, quiet: float) -> list[Figure]:
    """Measure by itself: `python -m tests.bench.cluster 1000 30`, for Providers and seconds of quiet."""
    found = []
    with server() as url:
        async for figure in figures(url, providers, quiet):
            sys.stdout.write(f"{figure.line}\n")
            sys.stdout.flush()
            found.append(figure)
    return found


if __name__ == "__main__":
    counts = dict(enumerate(sys.argv[1:]))
    asyncio.run(main(int(counts.get(0, 1_000)), float(counts.get(1, QUIET_SECONDS))))
