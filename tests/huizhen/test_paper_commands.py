"""`huizhen verify-receipt` and `huizhen keys certificate`, as an operator or a patient's lawyer types them."""

import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.consent.test_receipt import case as case  # noqa: PLC0414 a fixture
from tests.huizhen.test_commands import _elsewhere as _elsewhere  # noqa: PLC0414 a fixture
from tests.huizhen.test_commands import founded, run
from tests.support.authorities import LocalCA, issue
from tests.support.receipts import Case


@pytest.mark.parametrize("words", [["verify-receipt"], ["keys", "certificate"]])
def test_the_commands_have_help_worth_reading(words: list[str]) -> None:
    assert len(run(*words, "--help").split()) > 25


def test_a_receipt_on_the_command_line(case: Case) -> None:
    Path("receipt.json").write_bytes(case.sealed())
    Path("institution.vkeys").write_text("\n".join([*case.log.vkeys, ""]))
    said = run("verify-receipt", "receipt.json", "--key", case.log.vkeys[0])
    assert "OK" in said and "refused: rec_av" in said and case.record.id in said
    assert "OK" in run("verify-receipt", "receipt.json", "--key", "institution.vkeys")
    report = json.loads(run("verify-receipt", "receipt.json", "--key", "institution.vkeys", "--json"))
    assert report["ok"] and report["facts"]["permitted"] == "treat"
    Path("receipt.json").write_bytes(case.with_record(refused=[]))
    said = run("verify-receipt", "receipt.json", "--key", "institution.vkeys", status=1)
    assert "receipt.leaf" in said and "not proved" in said and "OK" not in said
    assert not json.loads(run("verify-receipt", "receipt.json", "--key", "institution.vkeys", "--json", status=1))["ok"]
    for missing in (("none.json", "--key", "institution.vkeys"), ("receipt.json", "--key", "none")):
        assert "No such file" in run("verify-receipt", *missing, status=1)
    (Path("root.pem")).write_bytes(LocalCA().root_pem)
    roots = ("--ca-root", "root.pem", "--tsa-root", "root.pem")
    Path("receipt.json").write_bytes(case.sealed())
    assert "OK" in run("verify-receipt", "receipt.json", "--key", "institution.vkeys", *roots)


def test_a_certificate_from_request_to_installation() -> None:
    house = founded()
    assert "self-made" in run("keys", "certificate", house, "--data", "data")
    assert "request in" in run("keys", "certificate", house, "--data", "data", "--request", "r.csr")
    request, ca = x509.load_pem_x509_csr(Path("r.csr").read_bytes()), LocalCA()
    own = issue("hospital", request.public_key(), ca)
    Path("chain.pem").write_bytes(own.public_bytes(serialization.Encoding.PEM) + ca.root_pem)
    assert "CN=Test CA" in run("keys", "certificate", house, "--data", "data", "--install", "chain.pem")
    Path("chain.pem").write_bytes(ca.root_pem)
    said = run("keys", "certificate", house, "--data", "data", "--install", "chain.pem", status=1)
    assert "paper.certificate_unusable" in said
    run("keys", "certificate", house, "--data", "data", "--install", "none.pem", status=1)
    assert "no institution" in run("keys", "certificate", "0" * 32, "--data", "data", status=1)


def test_a_certificate_for_the_seal() -> None:
    house, seal = founded(), ("--seal", "--data", "data")
    assert "no certificate" in run("keys", "certificate", house, *seal)
    assert "request in" in run("keys", "certificate", house, *seal, "--request", "s.csr")
    request, ca = x509.load_pem_x509_csr(Path("s.csr").read_bytes()), LocalCA()
    own = issue("hospital", request.public_key(), ca)
    Path("seal.pem").write_bytes(own.public_bytes(serialization.Encoding.PEM) + ca.root_pem)
    assert "x5t#S256" in run("keys", "certificate", house, *seal, "--install", "seal.pem")
    assert "CN=Test CA" in run("keys", "certificate", house, *seal)
    Path("seal.pem").write_bytes(ca.root_pem)
    assert "another key" in run("keys", "certificate", house, *seal, "--install", "seal.pem", status=1)
    run("keys", "certificate", house, *seal, "--install", "none.pem", status=1)
    assert "no institution" in run("keys", "certificate", "0" * 32, *seal, status=1)
