"""Where an installation may connect to: addresses x settings, each pair asserted (architecture.md, 'outbound HTTP')."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from config.up import PRIVATE_NETWORKS
from metrics import sources
from metrics.connectors import REGISTRY
from metrics.errors import ConnectorError
from metrics.http import HttpClient, Limits, OutboundPolicy, parse_networks
from metrics.models import Backend
from metrics.outbound import own_addresses, resolve
from tests.doubles.source_server import Reply, source_server

# bin/up's own, what compose and production begin with, and a line somebody wrote.
SETTINGS = {
    "bin/up": parse_networks(PRIVATE_NETWORKS.split(",")),
    "empty": (),
    "explicit": parse_networks(["10.1.0.0/16", "fd12:3456::/32", "127.0.0.1", "100.64.0.0/10"]),
}
OK, ALLOW, HTTPS, NEVER, OWN = "ok", "OUTBOUND_ALLOW", "over https only", "never called", "own database or broker"

# address, what happens with bin/up's settings, with none, with the explicit line; over https.
ADDRESSES = [
    # Metadata and link-local, however written.
    ("169.254.169.254", NEVER, NEVER, NEVER),
    ("169.254.170.2", NEVER, NEVER, NEVER),
    ("169.254.0.1", NEVER, NEVER, NEVER),
    ("fe80::1", NEVER, NEVER, NEVER),
    ("fe80::a9fe:a9fe", NEVER, NEVER, NEVER),
    ("fe80::1%eth0", NEVER, NEVER, NEVER),
    ("fd00:ec2::254", NEVER, NEVER, NEVER),
    ("fd00:ec2::23", NEVER, NEVER, NEVER),
    ("fd20:ce::254", NEVER, NEVER, NEVER),
    ("fd00:42::42", NEVER, NEVER, NEVER),
    ("100.100.100.200", NEVER, NEVER, NEVER),
    ("168.63.129.16", NEVER, NEVER, NEVER),
    ("192.0.0.192", NEVER, NEVER, NEVER),
    ("::ffff:169.254.169.254", NEVER, NEVER, NEVER),
    ("::ffff:a9fe:a9fe", NEVER, NEVER, NEVER),
    ("64:ff9b::a9fe:a9fe", NEVER, NEVER, NEVER),
    ("64:ff9b::168.63.129.16", NEVER, NEVER, NEVER),
    ("64:ff9b:1::a9fe:a9fe", NEVER, NEVER, NEVER),
    ("2002:a9fe:a9fe::1", NEVER, NEVER, NEVER),
    ("::a9fe:a9fe", NEVER, NEVER, NEVER),
    ("::ffff:0:a9fe:a9fe", NEVER, NEVER, NEVER),
    # Nobody's, everybody's, reserved.
    ("0.0.0.0", NEVER, NEVER, NEVER),
    ("0.1.2.3", NEVER, NEVER, NEVER),
    ("::", NEVER, NEVER, NEVER),
    ("224.0.0.1", NEVER, NEVER, NEVER),
    ("239.255.255.250", NEVER, NEVER, NEVER),
    ("ff02::1", NEVER, NEVER, NEVER),
    ("ff0e::1", NEVER, NEVER, NEVER),
    ("240.0.0.1", NEVER, NEVER, NEVER),
    ("255.255.255.255", NEVER, NEVER, NEVER),
    # This machine.
    ("127.0.0.1", OK, ALLOW, OK),
    ("127.8.9.10", OK, ALLOW, ALLOW),
    ("::1", OK, ALLOW, ALLOW),
    ("::ffff:127.0.0.1", OK, ALLOW, OK),
    ("64:ff9b::7f00:1", OK, ALLOW, OK),
    ("::127.0.0.1", NEVER, NEVER, NEVER),
    # Private, carrier-grade NAT, test and documentation networks.
    ("10.1.2.3", OK, ALLOW, OK),
    ("10.2.0.1", OK, ALLOW, ALLOW),
    ("172.16.0.9", OK, ALLOW, ALLOW),
    ("172.31.255.255", OK, ALLOW, ALLOW),
    ("192.168.1.1", OK, ALLOW, ALLOW),
    ("::ffff:10.1.2.3", OK, ALLOW, OK),
    ("::ffff:192.168.1.1", OK, ALLOW, ALLOW),
    ("fd12:3456::9", OK, ALLOW, OK),
    ("fc00::9", OK, ALLOW, ALLOW),
    ("fec0::1", ALLOW, ALLOW, ALLOW),
    ("100.64.0.1", ALLOW, ALLOW, OK),
    ("100.127.255.254", ALLOW, ALLOW, OK),
    ("192.0.0.8", ALLOW, ALLOW, ALLOW),
    ("192.0.2.1", ALLOW, ALLOW, ALLOW),
    ("198.18.0.1", ALLOW, ALLOW, ALLOW),
    ("198.51.100.7", ALLOW, ALLOW, ALLOW),
    ("2001:db8::1", ALLOW, ALLOW, ALLOW),
    ("2001::1", ALLOW, ALLOW, ALLOW),
    ("3fff::1", ALLOW, ALLOW, ALLOW),
    # Public.
    ("93.184.215.14", OK, OK, OK),
    ("172.32.0.1", OK, OK, OK),
    ("2606:2800:21f::1", OK, OK, OK),
    ("::ffff:93.184.215.14", OK, OK, OK),
    ("64:ff9b::5db8:d70e", OK, OK, OK),
]
CASES = [
    (address, setting, verdict)
    for address, *verdicts in ADDRESSES
    for setting, verdict in zip(SETTINGS, verdicts, strict=True)
]


def verdict_of(policy: OutboundPolicy, *, scheme: str, host: str, port: int) -> str:
    try:
        policy.checked_addresses(scheme=scheme, host=host, port=port)
    except ConnectorError as error:
        text = str(error)
        return next((found for found in (OWN, NEVER, HTTPS, ALLOW) if found in text), text)
    return OK


def policy_of(setting: str, answers: list[str], **fields) -> OutboundPolicy:
    return OutboundPolicy(allow=SETTINGS[setting], resolver=lambda host, port: answers, **fields)


@pytest.mark.parametrize(("address", "setting", "verdict"), CASES)
def test_an_address_is_called_or_not(address, setting, verdict):
    assert verdict_of(policy_of(setting, [address]), scheme="https", host="a.example", port=443) == verdict


@pytest.mark.parametrize(("address", "setting", "verdict"), CASES)
def test_over_http_the_same_but_nothing_public(address, setting, verdict):
    is_public = verdict == OK and address in {address for address, *rest in ADDRESSES if rest == [OK, OK, OK]}
    wanted = HTTPS if is_public else verdict
    assert verdict_of(policy_of(setting, [address]), scheme="http", host="a.example", port=8000) == wanted


@pytest.mark.parametrize(("address", "setting", "verdict"), CASES)
def test_a_name_with_one_bad_address_is_as_bad_as_that_one(address, setting, verdict):
    for answers in (["93.184.215.14", address], [address, "93.184.215.14"]):
        assert verdict_of(policy_of(setting, answers), scheme="https", host="a.example", port=443) == verdict


# --- Our own database and broker, on any of this machine's addresses and under any of their names

OWN_NAMES = {"localhost": ["127.0.0.1", "::1"], "db.internal": ["10.1.0.9"], "pg.cluster": ["10.1.0.10", "10.1.0.11"]}
HERE = ["127.0.0.1", "::1", "10.1.0.5", "fe80::5%eth0", "fd12:3456::5"]


@pytest.mark.parametrize(
    ("own", "host", "port", "verdict"),
    [
        ("localhost", "127.0.0.1", 5432, OWN),
        ("localhost", "127.9.9.9", 5432, OWN),
        ("localhost", "::1", 5432, OWN),
        ("localhost", "::ffff:127.0.0.1", 5432, OWN),
        ("localhost", "10.1.0.5", 5432, OWN),
        ("localhost", "fd12:3456::5", 5432, OWN),
        ("localhost", "10.1.0.5", 8000, OK),
        ("localhost", "10.1.0.6", 5432, OK),
        ("10.1.0.5", "127.0.0.1", 5432, OWN),
        ("10.1.0.5", "fd12:3456::5", 5432, OWN),
        ("db.internal", "10.1.0.9", 5432, OWN),
        ("db.internal", "db.internal", 5432, OWN),
        ("db.internal", "127.0.0.1", 5432, OK),
        ("pg.cluster", "10.1.0.11", 5432, OWN),
        ("unknown.internal", "10.1.0.9", 5432, OK),
    ],
)
def test_our_own_servers_are_refused_on_all_their_addresses(own, host, port, verdict):
    def resolver(name, port):
        if name == "unknown.internal":
            raise OSError
        return OWN_NAMES.get(name, [name])

    policy = OutboundPolicy(
        allow=parse_networks(["10.0.0.0/8", "127.0.0.0/8", "::1", "fd00::/8"]),
        forbidden_endpoints=((own, 5432),),
        resolver=resolver,
        local_addresses=lambda: HERE,
    )
    assert verdict_of(policy, scheme="http", host=host, port=port) == verdict


@pytest.mark.parametrize(
    ("database", "broker", "environment", "found"),
    [
        ({"HOST": "db", "PORT": "6000"}, "redis://cache/0", {}, {("db", 6000), ("cache", 6379)}),
        ({"HOST": "", "OPTIONS": {"host": "db"}}, "rediss://cache:7000/0", {}, {("db", 5432), ("cache", 7000)}),
        ({"HOST": "a,b", "PORT": "1,2"}, "redis://s;redis://t:9", {}, {("a", 1), ("b", 2), ("s", 6379), ("t", 9)}),
        ({"HOST": "db", "OPTIONS": {"hostaddr": "10.0.0.9"}}, "", {}, {("db", 5432), ("10.0.0.9", 5432)}),
        ({"HOST": ""}, "amqp://queue//", {"PGHOST": "db", "PGPORT": "7"}, {("db", 7), ("queue", 5672)}),
        ({"HOST": "/var/run", "PORT": ""}, "redis+socket:///run/valkey.sock", {}, set()),
        ({"HOST": "fd12::5", "PORT": 5432}, "redis://[fd12::6]:7/1", {}, {("fd12::5", 5432), ("fd12::6", 7)}),
    ],
)  # fmt: skip
def test_our_own_servers_are_found_however_they_are_set(monkeypatch, database, broker, environment, found):
    for name in ("PGHOST", "PGHOSTADDR", "PGPORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sources, "settings", SimpleNamespace(OUTBOUND_ALLOW=[], DATABASES={"default": database}))
    sources.settings.CELERY_BROKER_URL = broker
    assert set(sources.outbound_policy().forbidden_endpoints) == found


def test_this_machines_own_addresses_are_known():
    assert "127.0.0.1" in own_addresses()


# --- Spellings that a name service or a client understands in other ways than a person


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://2130706433/", ALLOW),
        ("http://0x7f.0.0.1/", ALLOW),
        ("http://0x7f000001/", ALLOW),
        ("http://127.1/", ALLOW),
        ("http://127.0.0.1.:80/", "not known to the name service"),
        ("http://0/", NEVER),
        ("http://2852039166/", NEVER),  # 169.254.169.254
        ("http://0xa9fea9fe/", NEVER),
        ("http://169。254。169。254/", NEVER),
        ("http://user:password@169.254.169.254/", NEVER),
        ("http://93.184.215.14@169.254.169.254/", NEVER),
        ("http://a.example\\@169.254.169.254/", NEVER),
        ("http://[::ffff:169.254.169.254]/", NEVER),
        ("http://[::ffff:7f00:1]/", ALLOW),
        ("HTTP://LOCALHOST/", ALLOW),
        ("http://0177.0.0.1/", "cannot be sent as it is"),
        ("http://①②⑦.0.0.1/", "cannot be sent as it is"),
        ("http://[fe80::1%25eth0]/", "not"),
        ("ftp://127.0.0.1/", "only http:// and https://"),
        ("file:///etc/passwd", "only http:// and https://"),
        ("gopher://127.0.0.1/", "only http:// and https://"),
        ("http+unix://%2Fvar%2Frun%2Fdocker.sock/", "only http:// and https://"),
        ("unix:///var/run/docker.sock", "only http:// and https://"),
        ("//127.0.0.1/", "only http:// and https://"),
        ("http:///path", "not called"),
        ("javascript:alert(1)", "only http:// and https://"),
        ("", "only http:// and https://"),
    ],
)
def test_spellings_lead_nowhere_else(url, says):
    """With the machine's own resolver and nothing allowed, each is refused, and nothing is sent."""

    def resolver(host, port):
        return [] if host.endswith("example") else resolve(host, port)

    limits = Limits(connect_seconds=0.2, read_seconds=0.2, total_seconds=0.5, attempts=1)
    with HttpClient(OutboundPolicy(resolver=resolver), limits=limits) as http, pytest.raises(ConnectorError) as caught:
        http.get(url)
    assert says in str(caught.value)


@pytest.mark.parametrize("scheme", ["ftp", "file", "gopher", "unix", "ws", "", "HTTP"])
def test_the_policy_itself_knows_two_schemes(scheme):
    with pytest.raises(ConnectorError, match="only http:// and https://"):
        policy_of("bin/up", ["127.0.0.1"]).checked_addresses(scheme=scheme, host="a", port=80)


# --- Names that change their answer, and answers that lead elsewhere


@pytest.mark.parametrize("second", ["169.254.169.254", "10.9.9.9"])
def test_a_name_is_asked_once_a_request_and_the_connection_goes_there(second):
    """The second answer is never used; a new request is checked anew."""
    with source_server() as source:
        source.play = lambda asked: Reply("fine")
        answers = iter([["127.0.0.1"], [second]])
        policy = OutboundPolicy(allow=parse_networks(["127.0.0.1"]), resolver=lambda host, port: next(answers))
        limits = Limits(attempts=1)
        with HttpClient(policy, limits=limits) as http:
            assert http.get(f"http://gpu.example:{source.port}/").text() == "fine"
            with pytest.raises(ConnectorError):
                http.get(f"http://gpu.example:{source.port}/")
        assert len(source.asked) == 1


def test_a_retry_is_checked_anew():
    with source_server() as source:
        source.play = lambda asked: Reply(status=503)
        answers = iter([["127.0.0.1"], ["169.254.169.254"]])
        policy = OutboundPolicy(allow=parse_networks(["127.0.0.1"]), resolver=lambda host, port: next(answers))
        limits = Limits(attempts=2, first_wait_seconds=0.01)
        with HttpClient(policy, limits=limits) as http, pytest.raises(ConnectorError, match=NEVER):
            http.get(f"http://gpu.example:{source.port}/")
        assert len(source.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target",
    ["http://169.254.169.254/latest/", "http://127.0.0.1:1/", "/elsewhere", "file:///etc/passwd", "//x.example/"],
)
def test_a_redirect_is_not_followed_wherever_it_leads(status, target):
    with source_server() as source:
        source.play = lambda asked: Reply(status=status, headers={"Location": target})
        policy = OutboundPolicy(allow=parse_networks(["127.0.0.1"]))
        with HttpClient(policy) as http, pytest.raises(ConnectorError, match="not followed"):
            http.get(f"{source.url}/metrics")
        assert [asked.path for asked in source.asked] == ["/metrics"]


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    with source_server() as proxy, source_server() as source:
        source.play = lambda asked: Reply("direct")
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with HttpClient(OutboundPolicy(allow=parse_networks(["127.0.0.1"]))) as http:
            assert http.get(f"{source.url}/").text() == "direct"
        assert proxy.asked == []


def test_names_at_one_address_do_not_share_a_connection():
    """A certificate that was checked for one name says nothing of another."""
    with source_server() as source:
        source.play = lambda asked: Reply("fine")
        policy = OutboundPolicy(allow=parse_networks(["127.0.0.1"]), resolver=lambda host, port: ["127.0.0.1"])
        with HttpClient(policy) as http:
            for name in ("a.example", "b.example", "a.example"):
                http.get(f"http://{name}:{source.port}/")
            assert set(http._client._transport._inner) == {"a.example", "b.example"}


# --- Who says where


@pytest.mark.parametrize("person", ["alice", "bob", "vera", "oscar", "erin"])
def test_only_admins_say_where_a_backend_is(person, request, sign_in, api, claims, other, backend):
    """Neither by adding, testing or looking around nor by changing, on a page or over REST."""
    Backend.objects.update(default_workload=claims)
    asker = request.getfixturevalue(person)
    client, rest = sign_in(asker), api(asker, scopes=["read", "push", "manage"])
    values = {"addresses": "http://10.0.0.5:8000", "preset": "vllm", "name": "x"}
    parameters = {"addresses": ["http://10.0.0.5:8000"], "preset": "vllm"}
    whole = {"connector": "metrics_endpoint", "parameters": parameters}
    answers = [
        client.post("/backends/new/metrics_endpoint/", {**values, "do": do}).status_code
        for do in ("", "test", "discover", "add_ticked")
    ]
    answers.append(client.post(f"/backends/{backend.slug}/change/", values).status_code)
    answers.append(rest.post("/api/v1/backends/", {**whole, "name": "x"}).status_code)
    answers.append(rest.post("/api/v1/backends/test", whole).status_code)
    answers.append(rest.post("/api/v1/backends/discover", whole).status_code)
    answers.append(rest.patch(f"/api/v1/backends/{backend.slug}/", {"parameters": parameters}).status_code)
    assert set(answers) <= {403, 404}, answers
    assert Backend.objects.get().parameters == {}


def test_every_connector_asks_for_addresses_as_such():
    """What is called is declared as an address, so that its form and the rule on stored secrets see it."""
    for connector in REGISTRY:
        for parameter in connector.parameters:
            if any(word in parameter.name for word in ("address", "url", "endpoint", "host")):
                assert parameter.kind.value in ("url", "urls"), (connector.kind, parameter.name)
