from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from psycopg.conninfo import make_conninfo

from pytest_cdcperf.redaction import hide, hide_named, hide_url, known_secrets, redact, redact_known


class TestPlaces:
    @pytest.mark.parametrize(
        ("text", "redacted"),
        [
            ("postgresql://me:secret@host:5432/db", "postgresql://me:***@host:5432/db"),
            ("mongodb+srv://me:s%40cr/et@host/db?x=1", "mongodb+srv://me:***@host/db?x=1"),
            ("MONGODB://me:secret@h1,h2/db", "MONGODB://me:***@h1,h2/db"),
            ("redis://:secret@host", "redis://:***@host"),
            ("a://u:one@h and b://v:two@i", "a://u:***@h and b://v:***@i"),
            ("a://u:se:cr:et@h", "a://u:***@h"),
            ("mongodb://u:two words\nand a line@h/d", "mongodb://u:***@h/d"),
            ("mongodb://u:cut sho", "mongodb://u:*** sho"),
            ("GET '//u:secret@h/x'", "GET '//u:***@h/x'"),
            ("https://ghp_secret@host/x", "https://***@host/x"),
            ("mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:x,A:b&c=d",
             "mongodb://h/?authMechanismProperties=***&c=d"),
            ("host=h password=secret user=u", "host=h password=*** user=u"),
            ("password='se cr\\'et' user=u", "password=*** user=u"),
            ("PASSWORD = secret", "PASSWORD = ***"),
            ("http://h/a?x=1&access_token=secret#token=secret", "http://h/a?x=1&access_token=***#token=***"),
            ("/a?api_key=secret&b=2", "/a?api_key=***&b=2"),
            ("token=a1b2-c3", "token=***"),
            ("Authorization: Bearer secret", "Authorization: ***"),
            ("sent Bearer eyJhbGciOi.J9", "sent Bearer ***"),
            ("sent Basic dTpzZWNyZXQ=", "sent Basic ***"),
            ("Set-Cookie: sid=secret; Path=/", "Set-Cookie: ***"),
            ("{'X-Api-Key': 'se\\'cret', 'a': 'b'}", "{'X-Api-Key': ***, 'a': 'b'}"),
            ("(('authorization', 'secret'), ('a', 'b'))", "(('authorization', ***), ('a', 'b'))"),
            ("db_password   = b'secret'", "db_password   = ***"),
            ('{"client_secret": "x"}', '{"client_secret": ***}'),
            ('{\\"client_secret\\": \\"x\\"}', '{\\"client_secret\\": ***}'),
            ("{'password': 'sec...ret', 'b': 1}", "{'password': ***, 'b': 1}"),
            ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
             "-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----"),
        ],
    )  # fmt: skip
    def test_what_stands_in_the_place_of_a_secret_is_hidden(self, text, redacted):
        assert redact(text) == redacted
        assert redact(redacted) == redacted

    @pytest.mark.parametrize(
        "text",
        ["mongodb://u:pass@secret@host/db", "sslpassword=secret", "PGPASSWORD=secret", "password='pass secret"],
    )
    def test_passwords_in_stranger_forms_are_hidden(self, text):
        assert "secret" not in redact(text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "nothing to hide",
            "postgresql://me@host/db",
            "http://host:8080/path",
            "http://[::1]:8080/path",
            "mongodb://h1:27017,h2:27017/db",
            'f"http://{host}:{port}/{path}"',
            "headers={'Authorization': token, 'X-Api-Key': key}",
            "login(token=token, session=session_token)",
            "use Bearer authentication or Basic authentication",
            "password = None",
            "tokens = 5",
            "a // b: c",
        ],
    )
    def test_what_is_none_is_left_as_it_is(self, text):
        assert redact(text) == text

    @pytest.mark.parametrize(
        "word",
        ["y", "//u:", "//u:@", "password ", "'", "token='", "authorization", "bearer ", "-----BEGIN PRIVATE KEY-----",
         "a\\", "?", "token=", "https://", "basic a"],
    )  # fmt: skip
    def test_a_long_text_costs_no_more_than_its_length(self, word):
        redact(word * (500_000 // len(word)))  # quadratic, it would take hours


ODD = "Pa:ss@/wö'rd\"\\ %&=x\n9"


class TestKnown:
    @pytest.mark.parametrize(
        "write",
        [
            str,
            repr,
            json.dumps,
            quote,
            lambda value: quote(value, safe=""),
            quote_plus,
            lambda value: make_conninfo(password=value),
            lambda value: repr(make_conninfo(password=value)),
            lambda value: " ".join(value.split()),
            lambda value: "E   " + value.replace("\n", "\nE   "),
            lambda value: f"x{value}y",
        ],
    )
    def test_a_value_is_hidden_however_it_is_written(self, write):
        hide(ODD)
        shown = redact_known(f"<{write(ODD)}>")
        assert "***" in shown
        assert not any(part in shown for part in ("Pa", "%&", "9"))

    def test_a_value_that_was_shortened_is_hidden(self):
        token = "abcdefgh" * 100
        hide(token)
        assert redact_known(f"t = '{token[:100]}...{token[-100:]}'") == "t = '***...***'"
        assert redact_known("so it goes on... and on") == "so it goes on... and on"

    @pytest.mark.parametrize("value", ["a", "12345", "postgres", "Secret", "", None, "      "])
    def test_what_is_short_or_common_is_hidden_in_its_places_only(self, value):
        hide(value)
        assert known_secrets() == ()
        assert not value or redact(f"postgresql://u:{value}@h") == "postgresql://u:***@h"

    def test_six_characters_are_hidden_as_a_word_of_their_own(self):
        hide("orders")
        assert redact_known("orders, my_orders; preorders and ordersum") == "***, my_***; preorders and ordersum"
        assert redact_known(repr("\norders")) == r"'\n***'"

    def test_names_of_headers_say_which_hold_a_secret(self):
        basic = base64.b64encode(b"user:pa55word").decode()
        hide_named(
            {
                "Authorization": f"Basic {basic}",
                "X-Api-Key": "k-1234567",
                "x-token-bin": b"b-1234567",
                "x-session-token": b"t-1234567",
                "Accept": "application/json",
            }
        )
        hide_named([("cookie", "c-1234567"), ("x", 1), "odd", None])
        hide_named(None)
        hide_named(5)
        seen = redact_known(f"{basic} pa55word k-1234567 t-1234567 c-1234567 application/json")
        assert seen == "*** *** *** *** *** application/json"

    def test_a_url_says_where_its_secrets_are(self):
        hide_url(
            f"mongodb://u:{quote('pa55 wo/rd', safe='')}@h/d?tlsCertificateKeyFilePassword=cert-1&retryWrites=true"
        )
        hide_url("https://ghp_1234567@host/#token=fragment-1")
        hide_url("mongodb://u:broken\nline@h/")
        shown = redact_known("pa55 wo/rd, pa55%20wo%2Frd, cert-1, true, ghp_1234567, fragment-1, broken\\nline")
        assert shown == "***, ***, ***, true, ***, ***, ***"

    def test_the_oldest_make_room(self):
        for number in range(1000):
            hide(f"token-{number:05}")
        assert len(known_secrets()) == 500
        assert redact_known("token-00000 token-00999") == "token-00000 ***"
