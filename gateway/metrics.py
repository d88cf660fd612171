"""Figures for Prometheus, without personal data. The home of prometheus-client; one registry an App, never the global one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Metrics:
    """What is counted while the gateway works."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.received = Counter("jiesu_received", "Submissions committed.", ["channel"], registry=self.registry)
        self.duplicates = Counter("jiesu_duplicates", "Submissions offered again.", ["channel"], registry=self.registry)
        self.not_accepted = Counter("jiesu_not_accepted", "Submissions that could not be committed.", ["channel"], registry=self.registry)
        self.group = Histogram(
            "jiesu_commit_group_size",
            "Submissions committed in one transaction.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=self.registry,
        )
        self.jobs = Counter("jiesu_jobs", "Jobs by what came of them.", ["kind", "result"], registry=self.registry)
        self.step_seconds = Histogram("jiesu_step_seconds", "Time of one batch of a step.", ["kind"], registry=self.registry)
        self.verdicts = Counter("jiesu_verdicts", "Verdicts by class and decision.", ["klass", "decision"], registry=self.registry)
        self.attempts = Counter("jiesu_delivery_attempts", "Tries by how they ended.", ["endpoint", "code"], registry=self.registry)
        self.joined = Counter("jiesu_joined", "Mails that joined an older complaint, by how it was known.", ["by"], registry=self.registry)
        self.answers = Counter("jiesu_answers", "Answers by what became of them.", ["kind", "way", "state"], registry=self.registry)
        self.mail_attempts = Counter(
            "jiesu_mail_attempts", "Tries of mailing an answer by how they ended.", ["code"], registry=self.registry
        )
        self.robot_messages = Counter(
            "jiesu_robot_messages", "Messages of robots to people by how they ended.", ["robot", "code"], registry=self.registry
        )
        self.delivered_after = Histogram(
            "jiesu_accepted_to_delivered_seconds",
            "From acceptance to the endpoint's yes.",
            buckets=(0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 15, 60, 600, 3600, 86400),
            registry=self.registry,
        )

    def watch_jobs(self, look: Callable[[], tuple[dict[tuple[str, str], int], datetime | None, datetime]]) -> None:
        """Adds gauges that ask the store at each scrape: `look` gives job counts, when the oldest was due, and now."""
        self.registry.register(_Jobs(look))

    def watch_log(self, lost: Callable[[], int]) -> None:
        """Adds a gauge of log lines that could not be written."""
        Gauge("jiesu_log_lines_lost", "Lines of the operator log that could not be written.", registry=self.registry).set_function(lost)

    def watch_drift(self, look: Callable[[], Mapping[str, float]]) -> None:
        """Adds a gauge of how far incoming complaints have moved, by kind (`docs/examples.md`), as last measured."""
        self.registry.register(_Drift(look))

    def watch_mailboxes(self, look: Callable[[], Sequence[tuple[str, bool, float, int]]]) -> None:
        """Adds gauges of each mailbox: whether it is up, when it last was, and failures in a row, as `look` says at each scrape."""
        self.registry.register(_Mailboxes(look))

    def watch_endpoints(self, look: Callable[[], Mapping[str, tuple[str, int, float]]]) -> None:
        """Adds gauges that ask at each scrape: `look` gives by endpoint how it stands, how many wait, and the lag in seconds."""
        self.registry.register(_Endpoints(look))

    def watch_polls(self, look: Callable[[], Sequence[tuple[str, int, float]]]) -> None:
        """Adds gauges of each tracker that is asked: failures in a row, and when it last answered, as `look` says at each scrape."""
        self.registry.register(_Polls(look))

    def watch_unexplained(self, look: Callable[[], float]) -> None:
        """Adds a gauge of submissions that the last reconciliation could not account for."""
        Gauge("jiesu_unexplained", "Submissions that nothing accounts for.", registry=self.registry).set_function(look)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)


class _Drift(Collector):
    def __init__(self, look: Callable[[], Mapping[str, float]]) -> None:
        self._look = look

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        moved = GaugeMetricFamily("jiesu_drift", "How far complaints have moved from what the trained model knows.", labels=["kind"])
        for kind, figure in sorted(self._look().items()):
            moved.add_metric([kind], figure)
        yield moved


class _Endpoints(Collector):
    def __init__(self, look: Callable[[], Mapping[str, tuple[str, int, float]]]) -> None:
        self._look = look

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        stands = GaugeMetricFamily("jiesu_endpoint_up", "1 while it is sent to; 0 while it fails or is off.", labels=["endpoint", "state"])
        waiting = GaugeMetricFamily("jiesu_endpoint_waiting", "Deliveries that wait.", labels=["endpoint"])
        lag = GaugeMetricFamily("jiesu_endpoint_lag_seconds", "How long the oldest has waited.", labels=["endpoint"])
        for name, (state, count, seconds) in sorted(self._look().items()):
            stands.add_metric([name, state], 1.0 if state == "closed" else 0.0)
            waiting.add_metric([name], count)
            lag.add_metric([name], seconds)
        yield from (stands, waiting, lag)


class _Polls(Collector):
    def __init__(self, look: Callable[[], Sequence[tuple[str, int, float]]]) -> None:
        self._look = look

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        failures = GaugeMetricFamily("jiesu_tracker_poll_failures", "Looks in a row that failed.", labels=["endpoint"])
        last = GaugeMetricFamily("jiesu_tracker_poll_last_success_timestamp", "When the tracker last answered.", labels=["endpoint"])
        for name, count, at in self._look():
            failures.add_metric([name], count)
            last.add_metric([name], at)
        yield from (failures, last)


class _Jobs(Collector):
    def __init__(self, look: Callable[[], tuple[dict[tuple[str, str], int], datetime | None, datetime]]) -> None:
        self._look = look

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        counts, oldest, now = self._look()
        waiting = GaugeMetricFamily("jiesu_jobs_open", "Jobs not yet done.", labels=["kind", "state"])
        for (kind, state), count in sorted(counts.items()):
            waiting.add_metric([kind, state], count)
        yield waiting
        lag = (now - oldest).total_seconds() if oldest else 0.0
        yield GaugeMetricFamily("jiesu_oldest_due_seconds", "How long the job that waits longest is overdue.", value=max(lag, 0.0))


class _Mailboxes(Collector):
    def __init__(self, look: Callable[[], Sequence[tuple[str, bool, float, int]]]) -> None:
        self._look = look

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("jiesu_mailbox_up", "Whether the last look into a mailbox succeeded.", labels=["mailbox"])
        last = GaugeMetricFamily(
            "jiesu_mailbox_last_success_seconds", "When a look last succeeded (Unix time; 0: never).", labels=["mailbox"]
        )
        failures = GaugeMetricFamily("jiesu_mailbox_failures", "Looks in a row that failed.", labels=["mailbox"])
        for name, is_up, succeeded_at, failed in self._look():
            up.add_metric([name], float(is_up))
            last.add_metric([name], succeeded_at)
            failures.add_metric([name], failed)
        yield from (up, last, failures)
