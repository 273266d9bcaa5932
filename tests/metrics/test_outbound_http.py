"""The only outbound client: where it may connect to, what it says when it may not, and what it never says."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from metrics.errors import ConnectorError
from metrics.http import HttpClient, Limits, OutboundPolicy, StatusError, parse_networks, redact
from tests.doubles.source_server import Reply, source_server

QUICK = Limits(connect_seconds=1, read_seconds=0.5, total_seconds=1, attempts=3, first_wait_seconds=0.01)
PRIVATE = parse_networks(["10.0.0.0/8", "fd12::/16"])


def policy(addresses, **fields):
    return OutboundPolicy(resolver=lambda host, port: addresses, **fields)


def check(addresses, *, scheme="https", host="backend.example", port=443, **fields):
    return policy(addresses, **fields).checked_addresses(scheme=scheme, host=host, port=port)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.1.1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "100.100.100.200",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "240.0.0.1",
        "255.255.255.255",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)
def test_link_local_metadata_and_multicast_are_refused_even_when_allowed(address):
    everything = parse_networks(["0.0.0.0/0", "::/0"])
    with pytest.raises(ConnectorError, match="never called") as caught:
        check([address], allow=everything)
    assert caught.value.permanent


@pytest.mark.parametrize(
    "address", ["10.0.3.7", "192.168.1.1", "172.16.0.9", "127.0.0.1", "::1", "fd12::9", "100.64.0.1"]
)
def test_private_and_loopback_addresses_need_the_allow_list_and_the_refusal_prints_the_line(address):
    allowed = parse_networks(["192.0.2.0/24"])
    with pytest.raises(ConnectorError) as caught:
        check([address], allow=allowed, scheme="http", port=8000)
    assert caught.value.permanent
    width = 128 if ":" in address else 32
    assert caught.value.hint.endswith(f"OUTBOUND_ALLOW=192.0.2.0/24,{address}/{width}")
    line = caught.value.hint.rsplit("=", 1)[1]
    assert check([address], allow=parse_networks(line.split(",")), scheme="http", port=8000) == [address]


def test_ipv4_inside_ipv6_is_judged_as_what_it_is():
    with pytest.raises(ConnectorError, match="10.0.0.5"):
        check(["::ffff:10.0.0.5"])
    assert check(["::ffff:10.0.0.5"], allow=PRIVATE) == ["::ffff:10.0.0.5"]


def test_public_addresses_are_called_over_https_only():
    assert check(["93.184.215.14"]) == ["93.184.215.14"]
    with pytest.raises(ConnectorError, match="https only"):
        check(["93.184.215.14"], scheme="http", port=80)


def test_a_name_that_also_points_inside_is_refused_whole():
    with pytest.raises(ConnectorError, match="169.254.169.254"):
        check(["93.184.215.14", "169.254.169.254"])


@pytest.mark.parametrize("own", [("localhost", 5432), ("127.0.0.1", 5432), ("db.internal", 5432)])
def test_our_own_database_is_never_called(own):
    known = {"localhost": ["127.0.0.1", "::1"], "db.internal": ["10.0.0.9"]}
    table = OutboundPolicy(
        allow=parse_networks(["127.0.0.0/8", "10.0.0.0/8"]),
        forbidden_endpoints=(own,),
        resolver=lambda host, port: known.get(host, [host]),
    )
    target = "10.0.0.9" if own[0] == "db.internal" else "127.0.0.5"
    with pytest.raises(ConnectorError, match="own database or broker"):
        table.checked_addresses(scheme="http", host=target, port=5432)
    assert table.checked_addresses(scheme="http", host=target, port=8000) == [target]


def test_other_schemes_are_not_called():
    for scheme in ("file", "ftp", "gopher"):
        with pytest.raises(ConnectorError, match="http"):
            check(["93.184.215.14"], scheme=scheme)


@pytest.fixture
def source():
    with source_server() as server:
        yield server


@pytest.fixture
def client():
    with HttpClient(OutboundPolicy(allow=parse_networks(["127.0.0.0/8"])), limits=QUICK) as http:
        yield http


def test_the_name_is_resolved_once_and_the_checked_address_is_called(source):
    """A name that points elsewhere when it is asked again cannot lead the connection there."""
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    asked = []

    def resolver(host, port):
        asked.append(host)
        return next(answers)

    source.play = lambda request: Reply("fine")
    table = OutboundPolicy(allow=parse_networks(["127.0.0.0/8"]), resolver=resolver)
    with HttpClient(table, limits=QUICK) as http:
        assert http.get(f"http://vllm.internal:{source.port}/metrics").text() == "fine"
        assert asked == ["vllm.internal"]
        assert source.asked[0].headers["Host"] == f"vllm.internal:{source.port}"
        with pytest.raises(ConnectorError, match="never called"):
            http.get(f"http://vllm.internal:{source.port}/metrics")


def test_the_next_address_is_tried_when_one_does_not_answer(source):
    source.play = lambda request: Reply("fine")
    table = OutboundPolicy(
        allow=parse_networks(["127.0.0.0/8", "::1/128"]), resolver=lambda host, port: ["::1", "127.0.0.1"]
    )
    with HttpClient(table, limits=QUICK) as http:
        assert http.get(f"http://localhost:{source.port}/").text() == "fine"


def test_transient_failures_are_tried_again_and_permanent_ones_are_not(source, client):
    replies = [Reply(status=503), Reply(status=429, headers={"Retry-After": "0"}), Reply("third time")]
    source.play = lambda request: replies[len(source.asked) - 1]
    assert client.get(source.url).text() == "third time"
    source.asked.clear()
    source.play = lambda request: Reply(status=403)
    with pytest.raises(StatusError) as caught:
        client.get(source.url)
    assert (caught.value.status, caught.value.permanent, len(source.asked)) == (403, True, 1)


def test_it_gives_up_after_its_attempts(source, client):
    source.play = lambda request: Reply(status=500)
    with pytest.raises(StatusError) as caught:
        client.get(source.url)
    assert not caught.value.permanent
    assert len(source.asked) == QUICK.attempts


def test_retry_after_may_be_a_date(source, client):
    when = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    source.play = lambda request: Reply(status=503, headers={"Retry-After": when})
    with pytest.raises(ConnectorError) as caught:
        client.get(source.url)
    assert caught.value.retry_after_seconds == pytest.approx(3600, abs=5)
    assert len(source.asked) == 1


def test_a_trickle_is_cut_off_by_the_total_time():
    """Each byte comes in time; the whole never does."""
    listener = socket.create_server(("127.0.0.1", 0))

    def trickle():
        connection, _ = listener.accept()
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            for _ in range(60):
                connection.sendall(b"x")
                threading.Event().wait(0.05)
        except OSError:
            pass
        connection.close()

    threading.Thread(target=trickle, daemon=True).start()
    limits = Limits(read_seconds=0.5, total_seconds=0.4, attempts=1)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    table = OutboundPolicy(allow=parse_networks(["127.0.0.1"]))
    with HttpClient(table, limits=limits) as http, pytest.raises(ConnectorError, match="took more than"):
        http.get(address)
    listener.close()


def test_an_unknown_certificate_is_named_and_the_hosts_name_is_asked_for(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=vllm.internal"]
        + ["-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    names = []
    context.sni_callback = lambda connection, name, context: names.append(name)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        try:
            context.wrap_socket(connection, server_side=True).close()
        except (ssl.SSLError, OSError):
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    table = OutboundPolicy(allow=parse_networks(["127.0.0.1"]), resolver=lambda host, port: ["127.0.0.1"])
    with HttpClient(table, limits=QUICK) as http, pytest.raises(ConnectorError, match="certificate") as caught:
        http.get(f"https://vllm.internal:{listener.getsockname()[1]}/")
    assert caught.value.permanent
    assert names == ["vllm.internal"]
    listener.close()


def test_https_on_a_plain_port_is_named(source, client):
    with pytest.raises(ConnectorError, match="does not speak https"):
        client.get(f"https://127.0.0.1:{source.port}/")


def test_numbers_of_json_stay_exact(source, client):
    source.play = lambda request: Reply('{"a": 0.1, "b": 9007199254740993}')
    document = client.get(source.url).json()
    assert str(document["a"]) == "0.1"
    assert document["b"] == 9007199254740993


def test_secrets_are_redacted_in_every_spelling():
    with HttpClient(OutboundPolicy()) as http:
        both = http.with_secrets(["a b/c+d", "a b"])
        assert both.redact("a b/c+d a+b%2Fc%2Bd a%20b%2Fc%2Bd a b") == "••• ••• ••• •••"
    assert redact("nothing here", ["x9"]) == "nothing here"


def test_a_secret_is_taken_out_before_a_long_answer_is_shortened(source, client):
    """Cut in the middle, it would no longer be found."""
    secret = "k" * 40
    source.play = lambda request: Reply(status=400, body=f'{{"error": "{"x" * 220}{secret}"}}')
    with pytest.raises(StatusError) as caught:
        client.with_secrets([secret]).get(source.url)
    assert "kkk" not in caught.value.message
    assert "xxx" in caught.value.message


def test_user_and_query_of_an_address_are_not_shown(client):
    with pytest.raises(ConnectorError) as caught:
        client.get("http://me:hunter2@127.0.0.1:1/metrics?token=hunter3")
    assert "hunter" not in str(caught.value)
    assert "127.0.0.1:1/metrics" in caught.value.message


@pytest.mark.parametrize("header", ["line\nbreak", "naïve"])
def test_a_header_that_cannot_be_sent_is_said(source, client, header):
    with pytest.raises(ConnectorError) as caught:
        client.get(source.url, headers={"Authorization": f"Bearer {header}"})
    assert caught.value.permanent
    assert header not in str(caught.value)
