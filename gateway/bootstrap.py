"""THE wiring place: reads from top to bottom what a gateway is made of. Tests replace what crosses the process border."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

from classifiers.base import Query
from classifiers.deidentify import Deidentifier
from classifiers.fields import FieldFinder
from connectors import chat_lines, mime, transcripts, web_chat
from connectors.mail_authenticity import Authenticity, AuthenticityOptions
from gateway import config, home, plan, terms, wording
from gateway.acceptance import Acceptance
from gateway.alarms import Alarms, robots_of
from gateway.announcing import Announcer
from gateway.answer import AnswerByMail, Mailer
from gateway.answering import Answering, new_message_id
from gateway.attachments import Attachments, Opener
from gateway.call_joining import Histories
from gateway.caution import Caution
from gateway.champion import StoredChampion
from gateway.check_sender import CheckSender
from gateway.clock import Clock, SystemClock
from gateway.cloudevents import CloudEvents
from gateway.config import Settings, secret_file
from gateway.correcting import Correcting
from gateway.correspondence import Ours, ours_of
from gateway.deliver import Deliver, Sender
from gateway.desk import Desk
from gateway.drift import Drift
from gateway.endpoints import Endpoints, check_departments, keyring_of
from gateway.erasing import Erasing
from gateway.examples import Examples
from gateway.feed import Feed
from gateway.flow import FLOW, Gate, Step
from gateway.intake import Intake, Parser
from gateway.joining import Joiner
from gateway.learning_service import Learning
from gateway.mailboxes import Mailboxes
from gateway.mailer import MailServer, SmtpMailer
from gateway.metrics import Metrics
from gateway.oplog import OperatorLog
from gateway.outbound import Outbound
from gateway.outbound import Sender as FromUs
from gateway.plan import Plan
from gateway.polling import Polls
from gateway.quarantine import Quarantine
from gateway.reconcile import NightlyReconciliation, Reconciliation
from gateway.records import Records
from gateway.redelivery import Redelivery
from gateway.reply_desk import ReplyDesk
from gateway.reply_token import ReplyTokens
from gateway.retrain_watch import RetrainWatch
from gateway.retraining import Rules
from gateway.senders import endpoints_of
from gateway.staffing import Staffing
from gateway.statuses import Statuses
from gateway.store import deliveries, installation, jobs, mailboxes, migrations, plans, trackers
from gateway.store.engine import Store
from gateway.talking import TalkDesk, TalkOptions
from gateway.trackers.making import Surroundings, polled_of
from gateway.triage import Champion, Triage
from gateway.worker import Worker, again
from models.attachment import AttachmentLimits
from models.complaint import Customer
from models.errors import BadSetting
from models.submission import Channel, Receipt, Submission

# How each channel's bytes are read.
PARSERS: Mapping[Channel, Parser] = {
    Channel.EMAIL: mime.parse,
    Channel.CHAT: web_chat.parse,
    Channel.PHONE: transcripts.parse,
}

# How a file is taken out of the bytes that it came in.
OPENERS: Mapping[Channel, Opener] = {
    Channel.EMAIL: mime.file_of,
    Channel.CHAT: chat_lines.file_of,
}


@dataclass(slots=True)
class App:
    """A gateway, wired. `accept` takes submissions in; `worker` does the rest."""

    settings: Settings
    clock: Clock
    log: OperatorLog
    metrics: Metrics
    plan: Plan
    store: Store
    acceptance: Acceptance
    champion: Champion
    records: Records
    caution: Caution
    correcting: Correcting
    announcer: Announcer
    endpoints: Endpoints
    worker: Worker
    api_token: str
    examples: Examples
    drift: Drift
    learning: Learning
    # What a retraining goes by, and who begins those that wait while this gateway serves.
    retraining_rules: Rules
    retrain_watch: RetrainWatch
    staffing: Staffing
    desk: Desk
    attachments: Attachments
    # How we are reached, which is never how a customer is.
    ours: Ours
    # What customers are told, and by whom.
    answering: Answering
    replies: ReplyDesk
    mailboxes: Mailboxes
    talks: TalkDesk
    quarantine: Quarantine
    cloudevents: CloudEvents
    feed: Feed
    statuses: Statuses
    polls: Polls
    redelivery: Redelivery
    reconciliation: Reconciliation
    nightly_reconciliation: NightlyReconciliation
    # Who tells people, and what looks for what they are to be told.
    alarms: Alarms
    erasing: Erasing

    def accept(self, submission: Submission) -> Receipt:
        """Takes a submission in; returns after commit, and tells the worker."""
        receipt = self.acceptance.accept(submission)
        self.worker.wake()
        return receipt

    def offer(self, submission: Submission, told: Callable[[Receipt | Exception], None]) -> None:
        """Takes a submission in; returns at once. `told` is called from another thread, after commit or with the error."""

        def tell(answer: Receipt | Exception) -> None:
            told(answer)
            self.worker.wake()

        self.acceptance.offer(submission, tell)

    def close(self) -> None:
        """Gives everything back. The worker must have been stopped."""
        self.acceptance.close()
        self.endpoints.close()
        self.alarms.robots.close()
        self.store.close()


def open_store(settings: Settings, *, checkpoints: bool = False) -> Store:
    """The store of these settings, migrated."""
    home.prepare(settings.home)
    store = Store(settings.store_url, checkpoints=checkpoints)
    migrations.upgrade(store)
    return store


def load_plan(settings: Settings) -> Plan:
    """The plan in force: the file of the settings, else plan.toml in the home, else the shipped one."""
    if settings.plan.file:
        return plan.load(settings.home / settings.plan.file)
    own = settings.home / "plan.toml"
    return plan.load(own if own.exists() else None)


def tracker_secret(settings: Settings) -> str:
    """The signing secret of the tracker's endpoint, made at its first use."""
    return keyring_of(settings, "tracker", SystemClock()).secrets().new


def base_address(settings: Settings) -> str:
    """The address of the web server as seen from outside, without a slash at the end."""
    web = settings.web
    return web.public_url.rstrip("/") or f"{'https' if web.tls_certificate else 'http'}://{web.host}:{web.port}"


def mail_server(settings: Settings) -> MailServer | None:
    """The server by which answers leave; None where outgoing mail is off."""
    mail = settings.mail
    if not mail.enabled:
        return None

    def password() -> str:
        return mail.password or secret_file(settings.secrets_folder / "mail.password", "mail.password")

    hostname = mail.from_address.partition("@")[2]
    return MailServer(mail.host, mail.port, mail.tls, mail.tls_ca, mail.username, password, hostname, mail.timeout_seconds)


def staffing(settings: Settings, store: Store, *, clock: Clock | None = None, log: OperatorLog | None = None) -> Staffing:
    """People and programs of these settings; commands use it beside the gateway."""
    log = log or OperatorLog(settings.log.format, settings.log.level)
    return Staffing(store, clock or SystemClock(), log, home.secret(settings.secrets_folder, "api.token", home.token))


def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    log: OperatorLog | None = None,
    sender: Sender | None = None,
    champion: Champion | None = None,
    mailer: Mailer | None = None,
    serving: bool = True,
) -> App:
    """A gateway from its settings. `serving` is True for the one process that holds the home's lock."""
    clock = clock or SystemClock()
    log = log or OperatorLog(settings.log.format, settings.log.level)
    metrics = Metrics()
    in_force = load_plan(settings)
    store = Store(settings.store_url, checkpoints=serving)
    if serving:
        home.prepare(settings.home)
        store.hold_alone()
    migrations.upgrade(store)
    with store.write() as conn:
        plans.put_in_force(store, conn, in_force.version, in_force.sha256, in_force.body, clock.now())
        if serving and store.is_sqlite:
            # Under the home's lock nobody else can be at work: what a killed process had in hand is free again.
            jobs.release_all_leases(conn, clock.now())
            mailboxes.release_all(conn)
            trackers.release_all(conn)
        name = installation.name(store, conn)
    zone = ZoneInfo(settings.general.timezone)
    acceptance = Acceptance(store, clock, zone, log, metrics)
    own_terms = partial(terms.reader_of, settings.home, log)
    champion = champion or StoredChampion(
        store, clock, estates=in_force.estates, crowns=serving, reader=own_terms, log=log if serving else None
    )
    links = f"{base_address(settings)}/api/v1/complaints"
    ours = ours_of(settings.mail)
    records = Records(store, in_force, links, ours)
    metrics.watch_jobs(lambda: records.jobs(clock.now()))
    metrics.watch_log(lambda: log.lost)
    files = Attachments(store, OPENERS)
    endpoints = endpoints_of(Surroundings(settings, clock, store, files, log), name, base_address(settings), sender)
    check_departments([served.endpoint for served in endpoints.served.values()], list(in_force.departments))
    if serving:
        endpoints.warn(log)
        with store.write() as conn:
            deliveries.put_strangers_aside(conn, list(endpoints.served), clock.now())
    redelivery = Redelivery(store, clock, endpoints, log)
    metrics.watch_endpoints(redelivery.gauges)
    reconciliation = Reconciliation(store, clock, list(endpoints.served), zone)
    by_kind = {stage.kind: stage for stage in FLOW}
    node = settings.general.node or f"{socket.gethostname()}-{os.getpid()}"
    boxes = Mailboxes(settings, store, clock, log, node)
    metrics.watch_mailboxes(boxes.gauges)
    server = mail_server(settings)
    if server and serving:
        try:
            server.check()
        except BadSetting as error:
            log.write("AnswersWait", zh=error.zh, en=error.en)
    mailer = mailer or (SmtpMailer(server) if server else None)
    robots = robots_of(settings, store, clock, log, in_force, name, base_address(settings), mailer)
    alarms = Alarms(settings, store, clock, log, metrics, in_force, robots, by_kind["notice"], endpoints, boxes)
    if serving:
        alarms.put_strangers_aside()
    nightly = NightlyReconciliation(
        store,
        reconciliation,
        clock,
        log,
        zone,
        hour=settings.report.reconcile_hour,
        days=settings.report.reconcile_days,
        alarm=alarms.noticing.unexplained,
    )
    metrics.watch_unexplained(lambda: nightly.unexplained)
    announcer = Announcer(endpoints.audience, links, name)
    deliver_stage = by_kind["deliver"]
    stages = [stage for stage in FLOW if stage.kind not in ("deliver", "notice")]
    stages += [deliver_stage.of_queue(served.endpoint.name) for served in endpoints.working] + alarms.stages
    caution = Caution(store, settings.classifier.tolerated_error, log, tells=serving)
    examples = Examples(store, clock, Deidentifier(FieldFinder(in_force.estates)), log)
    drift = Drift(store, clock, champion, log)
    metrics.watch_drift(drift.gauges)
    correcting = Correcting(store, clock, in_force, announcer, log, examples)
    mail = settings.mail
    tokens = ReplyTokens(mail.reply_secret or home.secret(settings.secrets_folder, "reply.secret", home.token))
    answering = Answering(store, wording.load(settings.home), in_force, mail, zone, ours)
    outbound = Outbound(FromUs(mail.from_address, mail.from_name or mail.company, mail.plus_addresses, name), tokens)
    smtp = settings.smtp
    authenticity = Authenticity(
        AuthenticityOptions(smtp.senders, smtp.authserv_id, tuple(smtp.trusted_relays), tuple(smtp.dns_servers), smtp.dns_seconds)
    )
    histories = Histories(store, settings.phone.join_days)
    steps: dict[str, Step] = {
        "intake": Intake(
            store,
            PARSERS,
            Joiner(tokens, ours),
            announcer,
            authenticity.wanted,
            metrics,
            quiet=timedelta(seconds=settings.chat.quiet_seconds),
            longest_wait=timedelta(seconds=settings.chat.longest_wait_seconds),
            files=AttachmentLimits(settings.attachments.most, settings.attachments.largest_bytes),
        ),
        "triage": Triage(store, champion, caution, in_force, announcer, metrics, answering, histories, alarms.noticing, ours),
        "check_sender": CheckSender(store, authenticity),
        "answer": AnswerByMail(
            store,
            outbound,
            mailer,
            partial(new_message_id, mail.from_address),
            by_kind["answer"],
            again,
            metrics,
        ),
    }
    gates: dict[str, Gate] = {}
    for served in endpoints.working:
        stage = deliver_stage.of_queue(served.endpoint.name)
        dress = endpoints.dressed(served.endpoint.name)
        delivering = Deliver(store, served.endpoint, served.sender, dress, stage, again, log, metrics)
        steps[stage.name] = gates[stage.name] = delivering
    alarms.join(steps, gates)
    worker = Worker(store, clock, stages, steps, log, metrics, node, acceptance.give_way, gates)
    api_token = home.secret(settings.secrets_folder, "api.token", home.token)
    statuses = Statuses(store, clock, in_force, announcer, answering.tell, log)
    polls = Polls(store, clock, statuses, polled_of(endpoints, settings, store), log, node)
    metrics.watch_polls(polls.gauges)
    return App(
        settings,
        clock,
        log,
        metrics,
        in_force,
        store,
        acceptance,
        champion,
        records,
        caution,
        correcting,
        announcer,
        endpoints,
        worker,
        api_token,
        examples=examples,
        drift=drift,
        learning=Learning(store, clock, log),
        retraining_rules=Rules(
            in_force.gate, settings.classifier.tolerated_error, settings.learning.memory_years, settings.learning.promote_alone
        ),
        retrain_watch=RetrainWatch(
            store,
            clock,
            log,
            settings.learning,
            zone,
            config.environment(settings),
            settings.home / "log",
        ),
        staffing=staffing(settings, store, clock=clock, log=log),
        desk=Desk(store, correcting),
        attachments=files,
        answering=answering,
        ours=ours,
        replies=ReplyDesk(store, clock, answering, log),
        mailboxes=boxes,
        talks=TalkDesk(store, clock, records, finder_of(in_force), in_force.estates, log, talk_options(settings)),
        quarantine=Quarantine(store, clock, log, worker.wake_all),
        cloudevents=CloudEvents(name, base_address(settings)),
        feed=Feed(store, clock, name),
        redelivery=redelivery,
        reconciliation=reconciliation,
        nightly_reconciliation=nightly,
        alarms=alarms,
        statuses=statuses,
        polls=polls,
        erasing=Erasing(store, clock, announcer, log),
    )


def finder_of(plan: Plan) -> Callable[[str], Customer]:
    """Finds who writes, and from which home, in a text."""
    finder = FieldFinder(plan.estates)
    return lambda text: finder.find(Query(said=text))


def talk_options(settings: Settings) -> TalkOptions:
    """How long customers may be away and agents silent."""
    chat = settings.chat
    return TalkOptions(timedelta(minutes=chat.away_minutes), timedelta(minutes=chat.agent_silent_minutes))


def identity_secret(settings: Settings) -> str:
    """What sites sign with who their users are; made at its first use."""
    return settings.chat.identity_secret or home.secret(settings.secrets_folder, "chat.identity", home.token)
