"""An independent judge of the vectors: nothing here comes from Counterfoil but the specification.

Envelopes are read with cbor2, headers and Sig_structures are rebuilt from spec/messages.md, signatures are checked with
cryptography (OpenSSL) and, as whole COSE_Sign1 objects with a detached payload, with cwt. What the specification asks
beyond these libraries (low s, no point of small order) is checked here.

Call: judge.py FOLDER. Prints what it judged; ends with an error at the first vector that it judges otherwise.
"""

import hashlib
import io
import json
import pathlib
import sys

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cwt import COSE, COSEKey

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# y of the eight points of small order (RFC 7748 section 7 has their u).
ORDER_8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
SMALL_ORDER = {0, 1, P - 1, ORDER_8, P - ORDER_8}

PAYMENT, RECEIPT, DECLINE, STATEMENT = 1, 2, 3, 4
COUNTS = {}


def count(what):
    COUNTS[what] = COUNTS.get(what, 0) + 1


def sha256(data):
    return hashlib.sha256(data).digest()


def decode(data):
    """One item that fills `data`, in its one encoding."""
    stream = io.BytesIO(data)
    item = cbor2.CBORDecoder(stream).decode()
    if stream.tell() != len(data):
        raise ValueError("something follows")
    if cbor2.dumps(item, canonical=True) != data:
        raise ValueError("another encoding")
    return item


def header_of(scheme, purpose, key, body_bytes, shown):
    """spec/messages.md, What is signed. `shown` is the signer's certificate as it travels, or nothing."""
    body = cbor2.loads(body_bytes)
    seq, prev, digest, extra = 0, bytes(32), sha256(body_bytes + shown), []
    if purpose == PAYMENT:
        seq, prev, extra = body[5], body[6], [body[4], body[3]]
    elif purpose == RECEIPT:
        digest, seq, prev = body
    elif purpose == DECLINE:
        digest, reason, seq, prev = body
        extra = [reason]
    elif purpose == STATEMENT:
        seq, prev = body[0], body[1]
    elif purpose == 11:
        seq = body[2]
    elif purpose in (8, 10, 12, 13, 14):
        seq = body[0]
    elif purpose != 9:
        raise ValueError("nothing that is signed")
    return header(scheme, purpose, key, seq, prev, digest, extra)


def header(scheme, purpose, key, seq, prev, digest, extra):
    return cbor2.dumps(["counterfoil/1", scheme, purpose, key, seq, prev, digest, *extra])


def protected(key):
    return cbor2.dumps({1: -8 if len(key) == 32 else -7})


def sig_structure(key, payload):
    return cbor2.dumps(["Signature1", protected(key), b"", payload])


def library_accepts(key, payload, signature):
    """What cryptography says, without further rules."""
    message = sig_structure(key, payload)
    try:
        if len(key) == 32:
            ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        else:
            r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
            public.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def cwt_accepts(key, payload, signature):
    """What cwt says of the COSE_Sign1 as a whole."""
    try:
        if len(key) == 32:
            cose_key = COSEKey.new({1: 1, 3: -8, -1: 6, -2: key})
        else:
            numbers = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key).public_numbers()
            x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
            cose_key = COSEKey.new({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        message = cbor2.dumps(cbor2.CBORTag(18, [protected(key), {}, None, signature]))
        return COSE.new().decode(message, cose_key, detached_payload=payload) == payload
    except Exception as error:  # cwt wraps what its libraries raise
        if type(error).__name__ in ("VerifyError", "DecodeError", "ValueError", "InvalidSignature"):
            return False
        raise


def is_strict(key, signature):
    """What the specification asks beyond the equation."""
    if len(key) == 32:
        for point in (key, signature[:32]):
            y = int.from_bytes(point, "little") & (2**255 - 1)
            if y >= P or y in SMALL_ORDER:
                return False
        return int.from_bytes(signature[32:], "little") < L
    return 0 < int.from_bytes(signature[32:], "big") <= N // 2


def holds(key, payload, signature):
    accepted = library_accepts(key, payload, signature)
    by_cwt = cwt_accepts(key, payload, signature)
    assert accepted == by_cwt, "cryptography and cwt do not agree"
    count("signatures judged by both libraries")
    return accepted and is_strict(key, signature)


class Envelope:
    """A message taken apart."""

    def __init__(self, data, scheme):
        items = decode(data)
        self.purpose, cose, self.body, signer = items[:4]
        self.issuer = items[4] if len(items) > 4 else None
        protected_bytes, unprotected, payload, self.signature = cose
        assert unprotected == {} and payload is None
        self.key, shown = (signer[7], cbor2.dumps(signer)) if isinstance(signer, list) else (signer, b"")
        assert protected_bytes == protected(self.key)
        self.header = header_of(scheme, self.purpose, self.key, self.body, shown)

    def holds(self):
        return holds(self.key, self.header, self.signature)

    def id(self):
        return sha256(self.header)


def judge_messages(file):
    scheme = bytes.fromhex(file["context"]["scheme"])
    root = decode(bytes.fromhex(file["context"]["root"]))
    assert sha256(root[3]) == scheme
    for vector in file["valid"]:
        data = bytes.fromhex(vector["hex"])
        if vector["kind"] == "gossip":
            for at, half in halves_of_gossip(decode(data)):
                assert holds(*half_parts(scheme, at, half)), vector["name"]
            count("gossip")
            continue
        if vector["kind"] == "bundle":
            _, message, gossip = decode(data)
            assert Envelope(message, scheme).holds(), vector["name"]
            for at, half in halves_of_gossip(decode(gossip)):
                assert holds(*half_parts(scheme, at, half)), vector["name"]
            count("bundles")
            continue
        envelope, signed = Envelope(data, scheme), vector["signed"]
        for name, ours in (
            ("header", envelope.header),
            ("sig_structure", sig_structure(envelope.key, envelope.header)),
            ("id", envelope.id()),
            ("key", envelope.key),
            ("signature", envelope.signature),
        ):
            assert signed[name] == ours.hex(), f"{vector['name']}: {name}: {ours.hex()}"
        assert envelope.holds(), vector["name"]
        count("valid messages accepted")
    for vector in file["invalid"]:
        name, error, data = vector["name"], vector["error"], bytes.fromhex(vector["hex"])
        if error < 200 or vector["kind"] == "gossip":
            continue
        envelope = Envelope(data, scheme)
        if error == 200:
            assert not envelope.holds(), name
            count("messages with a bad signature refused")
            if vector.get("strict"):
                assert library_accepts(envelope.key, envelope.header, envelope.signature), name
                count("of these, accepted by a library that is not strict")
        else:
            # Nothing is wrong with these but who signed them, when, or what they say.
            assert envelope.holds(), name
            count("messages refused for another reason, signature good")


def halves_of_gossip(message):
    _, (_, _, proofs, headers) = message
    for cert, first, second in proofs:
        yield cert[7], first
        yield cert[7], second
    for key, half in headers:
        yield key, half


def half_parts(scheme, key, half):
    purpose, seq, prev, digest, extra, signature = half
    extra = [] if extra is None else extra if isinstance(extra, list) else [extra]
    return key, header(scheme, purpose, key, seq, prev, digest, extra), signature


def shows(first, second):
    """What two halves under one key show, if their signatures hold."""
    if first[:5] == second[:5]:
        return None
    for purpose, _, _, _, extra, _ in (first, second):
        if purpose not in (PAYMENT, RECEIPT, DECLINE, STATEMENT) or (purpose == PAYMENT and extra[1] > extra[0]):
            return None
    if first[1] == second[1]:
        return "fork"
    if first[0] == second[0] == PAYMENT:
        (a_to, a), (b_to, b) = first[4], second[4]
        return "overlap" if max(a_to - a, b_to - b) < min(a_to, b_to) else None
    if {first[0], second[0]} == {RECEIPT, DECLINE} and first[3] == second[3]:
        return "equivocation"
    return None


def judge_proofs(file):
    schemes = {"eddsa": file["context"]["scheme"], "es256": file["context_es256"]["scheme"]}
    for vector in file["valid"]:
        scheme = bytes.fromhex(schemes[vector["algorithm"]])
        cert, *halves = decode(bytes.fromhex(vector["hex"]))
        assert shows(*halves) == vector["shows"], vector["name"]
        for half, expected in zip(halves, vector["headers"]):
            parts = half_parts(scheme, cert[7], half)
            assert parts[1].hex() == expected and holds(*parts), vector["name"]
        count("proofs accepted")
    for vector in file["invalid"]:
        if vector["error"] < 200:
            continue
        scheme = bytes.fromhex(schemes[vector["algorithm"]])
        cert, *halves = decode(bytes.fromhex(vector["hex"]))
        signed = all(holds(*half_parts(scheme, cert[7], half)) for half in halves)
        shown = shows(*halves)
        if vector["error"] == 211:
            assert shown is None, vector["name"]
        else:
            assert shown is not None and signed == (vector["error"] != 200), vector["name"]
        count("proofs refused")


def judge_journal(file):
    scheme = bytes.fromhex(file["context"]["scheme"])
    for chain in file["valid"]:
        statement = Envelope(bytes.fromhex(chain["statement"]), scheme)
        assert statement.holds()
        body = cbor2.loads(statement.body)
        seq, prev = body[2], body[3]
        for entry, expected in zip(body[4], chain["entries"], strict=True):
            seq += 1
            purpose, extra, data = entry[0], [], cbor2.dumps(entry)
            assert data.hex() == expected["hex"]
            digest = sha256(data)
            if purpose == PAYMENT:
                ours = Envelope(entry[1], scheme).header
            else:
                if purpose in (RECEIPT, DECLINE):
                    digest, extra = Envelope(entry[1], scheme).id(), entry[2:]
                elif purpose == STATEMENT:
                    digest = entry[1]
                ours = header(scheme, purpose, statement.key, seq, prev, digest, extra)
            prev = sha256(ours)
            assert (seq, ours.hex(), prev.hex()) == (expected["seq"], expected["header"], expected["id"]), chain["name"]
            count("journal entries chained")
        assert prev == body[1] and seq + 1 == body[0] and statement.id().hex() == chain["head"], chain["name"]


def judge_flow(flow, scheme):
    for step in flow["steps"]:
        outcome, reply = decode(bytes.fromhex(step["reply_hex"]))
        if outcome == 1:
            assert step["reply"] == {"error": reply}
            count("steps refused")
        elif reply[0] in (1, 2, 3):
            message = decode(reply[1])
            if message[0] == 15:
                for key, half in halves_of_gossip(message):
                    assert holds(*half_parts(scheme, key, half)), step["note"]
            else:
                assert Envelope(reply[1], scheme).holds(), step["note"]
            count("messages that wallets made accepted")


def judge_types(file):
    for vector in file["valid"]:
        item, value = decode(bytes.fromhex(vector["hex"])), vector["value"]
        if isinstance(value, str) and isinstance(item, bytes):
            item = item.hex()
        simple = isinstance(value, (int, list)) or value is None or (isinstance(value, str) and isinstance(item, str))
        assert not simple or item == value, vector["name"]
        count("values decoded")
    for vector in file["invalid"]:
        try:
            decode(bytes.fromhex(vector["hex"]))
            well_formed = True
        except Exception:
            well_formed = False
        # Cut, followed by something, or in another encoding: whatever the type.
        if vector["error"] in (101, 102, 103):
            assert not well_formed, vector["name"]
            count("bytes that are no deterministic CBOR refused")


def main():
    folder = pathlib.Path(sys.argv[1])
    files = {path.stem: json.loads(path.read_text()) for path in sorted(folder.rglob("*.json"))}
    # The flows' scheme is that of the root with which the first wallet is enrolled.
    enrolment = files["setup"]["steps"][0]["command"]
    flows_scheme = sha256(bytes.fromhex(enrolment["root"]["key"]))
    judges = {"messages": judge_messages, "proofs": judge_proofs, "journal": judge_journal, "types": judge_types}
    for name, file in files.items():
        try:
            if file["file"] == "flow":
                judge_flow(file, flows_scheme)
            elif file["file"] in judges:
                judges[file["file"]](file)
        except AssertionError as error:
            raise SystemExit(f"{name}: {error}") from error
    for what, number in sorted(COUNTS.items()):
        print(f"{number:6} {what}")


main()
