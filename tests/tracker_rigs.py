"""Real trackers in processes of their own: Redmine 5 and Request Tracker 5 from Debian's packages, on loopback, with files of their own.

Where they are not installed, the tests that want them are skipped with the one command that installs them.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.programs import free_port

REDMINE_HOME = Path("/usr/share/redmine")
RT_SERVER = Path("/usr/share/request-tracker5/libexec/rt-server")
INSTALL = "install one with: apt-get install --no-install-recommends redmine redmine-sqlite request-tracker5 rt5-db-sqlite rt5-standalone"
_BOOT_SECONDS = 90


class Rig:
    """A tracker that runs. `keys`: what opens it, by person; `told`: what else its preparation said."""

    def __init__(self, folder: Path, port: int, process: subprocess.Popen[bytes], told: dict[str, Any]) -> None:
        self.folder, self.port, self.process, self.told = folder, port, process, told
        self.url = f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(15)

    def ask(self, method: str, path: str, body: object = None, *, who: str = "staff") -> tuple[int, Any]:
        """One request as a person of the tracker would make it: the status, and the JSON or text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        key = self.told[who]
        headers = {"X-Redmine-API-Key": key, "Authorization": f"token {key}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        return answer.status, json.loads(text) if text.lstrip().startswith(("{", "[")) else text


def _until_it_answers(rig: Rig, path: str) -> None:
    until = time.monotonic() + _BOOT_SECONDS
    while True:
        assert rig.process.poll() is None, (rig.folder / "log.txt").read_text("utf-8", "replace")[-3000:]
        try:
            status, _ = rig.ask("GET", path)
        except OSError:
            status = 0
        if status == 200:
            return
        assert time.monotonic() < until, f"no answer in {_BOOT_SECONDS} s: {status}"
        time.sleep(0.2)


_REDMINE = """
ENV['RAILS_ENV'] = 'production'
require '/usr/share/redmine/config/environment'
require 'rack/handler/webrick'
require 'json'
Setting.rest_api_enabled = '1'
Setting.default_language = 'zh'
Redmine::DefaultData::Loader.load('zh')
role = Role.givable.first
project = Project.new(name: '投诉', identifier: 'tousu', is_public: false)
project.enabled_module_names = ['issue_tracking']
project.trackers = Tracker.all
project.save!
role.add_permission!(:view_issues, :add_issues, :edit_issues, :add_issue_notes, :set_notes_private, :view_private_notes)
person = lambda do |login, name|
  user = User.new(language: 'zh', firstname: name, lastname: '测试', mail: "#{login}@mail.example", admin: false)
  user.login = login
  user.password = SecureRandom.hex
  user.save!
  Member.create!(project: project, principal: user, roles: [role])
  user.api_key
end
field = IssueCustomField.create!(name: 'jiesu', field_format: 'string', is_for_all: true, is_filter: true, trackers: Tracker.all)
dull = IssueCustomField.create!(name: 'dull', field_format: 'string', is_for_all: true, is_filter: false, trackers: Tracker.all)
told = { bot: person.call('jiesu', '接诉'), staff: person.call('staff', '王'), field: field.id, dull: dull.id,
         statuses: IssueStatus.all.to_h { |s| [s.name, s.id] }, priorities: IssuePriority.all.to_h { |s| [s.name, s.id] } }
File.write(File.join(FOLDER, 'told.json'), JSON.generate(told))
Rack::Handler::WEBrick.run(Rails.application, Host: '127.0.0.1', Port: PORT, AccessLog: [], Logger: WEBrick::Log.new('/dev/null'))
"""


def redmine(folder: Path) -> Rig:
    """A Redmine with a project `tousu`, an account for us (`bot`), one for staff, and a custom field `jiesu`."""
    port = free_port()
    for name in ("config", "files", "log", "tmp/cache", "tmp/pdf", "public"):
        (folder / name).mkdir(parents=True)
    database = {"production": {"adapter": "sqlite3", "database": str(folder / "redmine.sqlite3"), "timeout": 20000}}
    # JSON is YAML too.
    (folder / "config/database.yml").write_text(json.dumps(database))
    (folder / "config/secret_key.txt").write_text(secrets.token_hex(64))
    (folder / "Gemfile").write_text(f'eval_gemfile "{REDMINE_HOME}/Gemfile"\ngem "webrick"\n')
    (folder / "serve.rb").write_text(f"FOLDER = {json.dumps(str(folder))}\nPORT = {port}\n{_REDMINE}", "utf-8")
    # An instance is looked for below Debian's folder; from there it is up to the root and down to ours.
    environment = {**os.environ, "REDMINE_INSTANCE": f"../../../..{folder}", "BUNDLE_GEMFILE": str(folder / "Gemfile"), "LANG": "C.UTF-8"}
    with (folder / "log.txt").open("wb") as log:
        migrate = [str(REDMINE_HOME / "bin/rake"), "db:migrate"]
        migrating = {**environment, "RAILS_ENV": "production"}
        subprocess.run(migrate, cwd=REDMINE_HOME, env=migrating, stdout=log, stderr=log, timeout=_BOOT_SECONDS, check=True)
        process = subprocess.Popen(["ruby", str(folder / "serve.rb")], cwd=folder, env=environment, stdout=log, stderr=log)
    rig = Rig(folder, port, process, {"staff": ""})
    try:
        until = time.monotonic() + _BOOT_SECONDS
        while not (folder / "told.json").exists():
            assert process.poll() is None and time.monotonic() < until, (folder / "log.txt").read_text("utf-8", "replace")[-3000:]
            time.sleep(0.1)
        time.sleep(0.1)
        rig.told = json.loads((folder / "told.json").read_text("utf-8"))
        _until_it_answers(rig, "/users/current.json")
    except BaseException:
        rig.stop()
        raise
    return rig


_RT_CONFIG = """
use utf8;
Set($rtname, 'test.example');
Set($Organization, 'test.example');
Set($WebDomain, '127.0.0.1');
Set($WebPort, {port});
Set($WebBaseURL, 'http://127.0.0.1:{port}');
Set($WebPath, '');
Set($DatabaseType, 'SQLite');
Set($DatabaseName, '{folder}/rt.sqlite3');
Set($MailCommand, 'testfile');
Set($LogToSyslog, undef);
Set($LogToSTDERR, 'error');
Set($LogToFile, undef);
Set($Timezone, 'Asia/Shanghai');
$RT::MasonDataDir = '{folder}/mason';
$RT::MasonSessionDir = '{folder}/session';
Set($WebSessionClass, 'Apache::Session::File');
Set(%GnuPG, Enable => 0);
Set(%SMIME, Enable => 0);
1;
"""
_RT_SEED = """
use strict; use warnings; use utf8;
use lib '/usr/share/request-tracker5/lib';
use RT; RT::LoadConfig(); RT::Init();
use JSON;
my $sys = RT->SystemUser;
my %out;
my $queue = RT::Queue->new($sys);
my ($ok, $msg) = $queue->Create(Name => 'tousu'); die $msg unless $ok;
my $cf = RT::CustomField->new($sys);
($ok, $msg) = $cf->Create(Name => 'jiesu', Type => 'FreeformSingle', LookupType => RT::Ticket->CustomFieldLookupType, Queue => $queue->id);
die $msg unless $ok;
for my $login ('bot', 'staff') {
    my $u = RT::User->new($sys);
    my $name = $login eq 'staff' ? '王测试' : '接诉';
    ($ok, $msg) = $u->Create(Name => $login, EmailAddress => "$login\\@mail.example", RealName => $name, Privileged => 1);
    die $msg unless $ok;
    for my $right (qw(SeeQueue ShowTicket ShowTicketComments CreateTicket CommentOnTicket ReplyToTicket ModifyTicket
                      SeeCustomField ModifyCustomField)) {
        ($ok, $msg) = $u->PrincipalObj->GrantRight(Right => $right, Object => $queue); die "$right $msg" unless $ok;
    }
    my $token = RT::AuthToken->new($sys);
    my ($tok, $tmsg, $secret) = $token->Create(Owner => $u->id, Description => 'tests'); die $tmsg unless $tok;
    $out{$login} = $secret;
}
print JSON->new->encode(\\%out), "\\n";
"""


def request_tracker(folder: Path) -> Rig:
    """An RT with a queue `tousu`, an account for us (`bot`), one for staff, and a custom field `jiesu`."""
    port = free_port()
    for name in ("d", "mason", "session"):
        (folder / name).mkdir(parents=True)
    (folder / "RT_SiteConfig.pm").write_text(_RT_CONFIG.replace("{port}", str(port)).replace("{folder}", str(folder)), "utf-8")
    (folder / "seed.pl").write_text(_RT_SEED, "utf-8")
    environment = {**os.environ, "RT_SITE_CONFIG": str(folder / "RT_SiteConfig.pm"), "RT_SITE_CONFIG_DIR": str(folder / "d")}
    setup = ["/usr/sbin/rt-setup-database-5", "--action", "init", "--skip-create", "--dba-password", ""]
    with (folder / "log.txt").open("wb") as log:
        subprocess.run(setup, cwd=folder, env=environment, stdout=log, stderr=log, timeout=_BOOT_SECONDS, check=True)
        seeded = subprocess.run(
            ["perl", "seed.pl"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, timeout=_BOOT_SECONDS, check=True
        )
        serve = [str(RT_SERVER), "--server", "Standalone", "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen(serve, cwd=folder, env=environment, stdout=log, stderr=log)
    rig = Rig(folder, port, process, json.loads(seeded.stdout))
    try:
        _until_it_answers(rig, "/REST/2.0/rt")
    except BaseException:
        rig.stop()
        raise
    return rig
