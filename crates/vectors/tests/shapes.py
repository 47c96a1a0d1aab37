"""Judges the shapes of the vectors by the CDDL of the specification, with zcbor.

Call: shapes.py FOLDER CDDL. Prints what it judged; ends with an error at the first vector that it judges otherwise.
"""

import io
import json
import pathlib
import sys

import cbor2
import zcbor

COUNTS = {}


def count(what):
    COUNTS[what] = COUNTS.get(what, 0) + 1


def is_deterministic(data):
    """One item that fills the bytes, in its one encoding. CDDL speaks of values and cannot say this."""
    stream = io.BytesIO(data)
    try:
        item = cbor2.CBORDecoder(stream).decode()
        return stream.tell() == len(data) and cbor2.dumps(item, canonical=True) == data
    except Exception:
        return False


def is_deterministic_message(data):
    """A message, its protected header and its body."""
    if not is_deterministic(data):
        return False
    message = cbor2.loads(data)
    inner = [message[2], message[1][0]] if isinstance(message, list) and len(message) > 3 else []
    return all(is_deterministic(item) for item in inner if isinstance(item, bytes))


class Rules:
    """The CDDL."""

    def __init__(self, path):
        prelude = next(pathlib.Path(zcbor.__file__).parent.rglob("prelude.cddl")).read_text()
        self.types = zcbor.DataTranslator.from_cddl(prelude + path.read_text(), 1_000_000).my_types

    def match(self, name, data):
        try:
            self.types[name].validate_str(data)
        except Exception:
            return False
        return True


def shape(vector):
    """The rule for a message of this kind."""
    return "bundle" if vector["kind"] == "bundle" else f"{vector['kind']}-message"


def judge_messages(rules, file):
    for vector in file["valid"]:
        name, data = vector["name"], bytes.fromhex(vector["hex"])
        assert rules.match(shape(vector), data) and is_deterministic_message(data), name
        assert rules.match("message", data), name
        count("valid messages that match")
        signed = vector.get("signed")
        if signed:
            assert rules.match("header", bytes.fromhex(signed["header"])), name
            assert rules.match("sig-structure", bytes.fromhex(signed["sig_structure"])), name
            count("headers and Sig_structures that match")
    for vector in file["invalid"]:
        name, data = vector["name"], bytes.fromhex(vector["hex"])
        # From 200 on the shape is right and something else is wrong. A key that is not of the protected header's
        # algorithm is a relation between fields, which CDDL cannot say, and a length is not of the shape.
        if vector["error"] >= 200 or name.endswith("protected header with the other algorithm"):
            continue
        matches = rules.match(shape(vector), data) and is_deterministic_message(data)
        assert not matches, name
        count("messages of another shape that do not match")


def judge_certificates(rules, file):
    names = {"root": "root-cert", "authority": "authority-cert", "wallet": "wallet-cert"}
    for vector in file["valid"]:
        assert rules.match(names[vector["kind"]], bytes.fromhex(vector["hex"])), vector["name"]
        count("certificates that match")


def judge_proofs(rules, file):
    for vector in file["valid"]:
        assert rules.match("proof", bytes.fromhex(vector["hex"])), vector["name"]
        count("proofs that match")
    for vector in file["invalid"]:
        if vector["error"] < 200:
            data = bytes.fromhex(vector["hex"])
            assert not (rules.match("proof", data) and is_deterministic(data)), vector["name"]
            count("proofs of another shape that do not match")


def judge_journal(rules, file):
    for chain in file["valid"]:
        assert rules.match("statement-message", bytes.fromhex(chain["statement"])), chain["name"]
        for entry in chain["entries"]:
            assert rules.match("entry", bytes.fromhex(entry["hex"])), chain["name"]
            count("journal entries that match")


def judge_flow(rules, flow):
    for step in flow["steps"]:
        outcome, reply = cbor2.loads(bytes.fromhex(step["reply_hex"]))
        if outcome == 0 and reply[0] in (1, 2, 3):
            assert rules.match("message", reply[1]), step["note"]
            count("messages that wallets made and that match")


def main():
    folder, rules = pathlib.Path(sys.argv[1]), Rules(pathlib.Path(sys.argv[2]))
    judges = {
        "messages": judge_messages,
        "certificates": judge_certificates,
        "proofs": judge_proofs,
        "journal": judge_journal,
        "flow": judge_flow,
    }
    for path in sorted(folder.rglob("*.json")):
        file = json.loads(path.read_text())
        try:
            if file["file"] in judges:
                judges[file["file"]](rules, file)
        except AssertionError as error:
            raise SystemExit(f"{path.name}: {error}") from error
    for what, number in sorted(COUNTS.items()):
        print(f"{number:6} {what}")


main()
