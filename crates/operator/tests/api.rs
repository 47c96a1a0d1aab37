//! The API in process: problem documents, idempotency, enrolment, activation, garbage.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use counterfoil_operator::api::{BODY_MAX, router};
use counterfoil_ta::api::Command;
use counterfoil_trust::{Anchors, Revoked, SigningKey, enrolment_binding, open, seal};
use counterfoil_wire::cert::{Grade, Name, RootCert};
use counterfoil_wire::header::Signer;
use counterfoil_wire::lists::TrustList;
use counterfoil_wire::rules::Rules;
use counterfoil_wire::sync::{Enrolment, FundOrder, Settlement};
use counterfoil_wire::{Algorithm, Bytes, Code, KeyId, Nonce, Reference, Wire};
use serde_json::{Value, json};
use support::{START_S, World, amount};
use tower::ServiceExt;

struct Answer {
    status: u16,
    kind: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn message(&self, field: &str) -> Vec<u8> {
        hex::decode(self.json()[field].as_str().unwrap_or_else(|| panic!("{:?}", self.json()))).unwrap()
    }

    /// That this is the problem document of `code`, whole and without anything of the request in it.
    fn is_problem(&self, status: u16, code: Code) {
        assert_eq!(self.kind, "application/problem+json");
        let problem = self.json();
        assert_eq!((self.status, &problem["code"]), (status, &json!(code.number())), "{problem}");
        assert_eq!(problem["status"], json!(status));
        assert_eq!(problem["detail"], json!(code.what()));
        assert_eq!(problem["next"], json!(code.next()));
        assert_eq!(problem["fault"], json!(code.fault().name()));
        assert_eq!(problem["title"], json!(code.name()));
        assert_eq!(problem["type"], json!(format!("urn:counterfoil:error:{}", code.number())));
        assert_eq!(problem.as_object().unwrap().len(), 7);
    }
}

async fn send(world: &World, request: Request<Body>) -> Answer {
    let response = router(world.service.clone()).oneshot(request).await.unwrap();
    assert!(response.headers().contains_key("x-request-id"));
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec();
    Answer { status, kind: kind.unwrap_or_default(), body }
}

async fn get(world: &World, path: &str) -> Answer {
    send(world, Request::get(path).body(Body::empty()).unwrap()).await
}

async fn post(world: &World, path: &str, key: Option<&str>, body: impl Into<Body>) -> Answer {
    let mut request = Request::post(path).header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    send(world, request.body(body.into()).unwrap()).await
}

async fn as_psp(world: &World, path: &str, token: &str, body: Value) -> Answer {
    let request = Request::post(path).header("authorization", format!("Bearer {token}"));
    send(world, request.body(body.to_string().into()).unwrap()).await
}

fn scheme(world: &World) -> KeyId {
    world.service.scheme().anchors.scheme
}

fn new_key() -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa, &mut |bytes| getrandom::fill(bytes).unwrap()).unwrap()
}

fn enrolment(world: &World, key: &SigningKey, nonce: u8, account: &str, code: Option<&str>) -> Vec<u8> {
    let binding = enrolment_binding("alpha", account, code);
    let (grade, name) = (Grade::VirtualSe, Name::default());
    let element = world.element(Grade::VirtualSe);
    let body = Enrolment { nonce: Nonce([nonce; 16]), grade, name, binding, element };
    seal(&scheme(world), key, &[1; 32], &body, Signer::Key(key.public()), None).0.to_bytes()
}

fn fund_order(world: &World, key: &SigningKey, number: u32, minor: u64) -> String {
    let body = FundOrder { number, amount: amount(minor), reference: Reference([9; 32]) };
    let envelope = seal(&scheme(world), key, &[1; 32], &body, Signer::Key(key.public()), None).0;
    json!({ "order": hex::encode(envelope.to_bytes()) }).to_string()
}

fn enrol_body(account: &str, enrolment: &[u8]) -> Value {
    json!({ "psp": "alpha", "account": account, "enrolment": hex::encode(enrolment) })
}

async fn enrolled(world: &World, account: &str) -> SigningKey {
    let key = new_key();
    let body = enrol_body(account, &enrolment(world, &key, 1, account, None));
    assert_eq!(post(world, "/v1/enrolments", None, body.to_string()).await.status, 201);
    key
}

#[tokio::test]
async fn the_scheme_and_its_lists_hold_under_the_root() {
    let world = World::new();
    assert_eq!(get(&world, "/healthz").await.status, 200);
    let scheme = get(&world, "/v1/scheme").await;
    let json = scheme.json();
    assert_eq!((&json["currency"], &json["sandbox"]), (&json!("EUR"), &json!(true)));
    assert_eq!(json["psps"], json!(["alpha", "beta"]));
    let root = RootCert::from_bytes(&scheme.message("root")).unwrap();
    let mut anchors = Anchors::new(root).unwrap();
    assert_eq!(json["root_fingerprint"], json!(anchors.scheme.to_string()));
    let trust = get(&world, "/v1/trust-list").await;
    assert_eq!(trust.kind, "application/cbor");
    assert_eq!(open::<TrustList>(&trust.body).unwrap().body.authorities.len(), 5);
    assert!(anchors.adopt(&trust.body).unwrap());
    let rules = open::<Rules>(&get(&world, "/v1/rules").await.body).unwrap();
    anchors.check_signer(&rules.header.key, START_S).unwrap();
    rules.check_signature(&anchors.scheme).unwrap();
    let mut revoked = Revoked::empty();
    assert!(revoked.adopt(&anchors, &get(&world, "/v1/revocation-list").await.body, START_S).unwrap());
}

#[tokio::test]
async fn an_enrolment_is_done_once() {
    let world = World::new();
    let key = new_key();
    let body = enrol_body("ann", &enrolment(&world, &key, 1, "ann", None)).to_string();
    let first = post(&world, "/v1/enrolments", None, body.clone()).await;
    assert_eq!((first.status, first.kind.as_str()), (201, "application/json"));
    let again = post(&world, "/v1/enrolments", None, body).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    let settlement = open::<Settlement>(&first.message("settlement")).unwrap().body;
    assert_eq!((settlement.acked_seq, settlement.nonce), (0, Nonce([1; 16])));
    assert!(settlement.spent_start.unwrap().minor() < 1 << 31);
    let other = enrol_body("ann", &enrolment(&world, &key, 2, "ann", None)).to_string();
    post(&world, "/v1/enrolments", None, other).await.is_problem(409, Code::KeyEnrolled);
}

#[tokio::test]
async fn what_an_enrolment_must_not_be() {
    let world = World::with(|options| {
        options.rules = counterfoil_wire::rules::Preset::DigitalEuro.rules();
    });
    let key = new_key();
    let good = enrolment(&world, &key, 1, "ann", None);
    let ask = |body: Value| post(&world, "/v1/enrolments", None, body.to_string());
    ask(enrol_body("ann", &good)).await.is_problem(422, Code::GradeRefused);
    let mut unknown = enrol_body("ann", &good);
    unknown["psp"] = json!("gamma");
    ask(unknown).await.is_problem(404, Code::UnknownPsp);
    for account in ["", " ann", "scheme guarantee fund", "a\u{0}", &"a".repeat(65)] {
        ask(enrol_body(account, &good)).await.is_problem(400, Code::ValueOutOfRange);
    }
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    ask(enrol_body("ann", &forged)).await.is_problem(422, Code::BadSignature);
    let order = FundOrder { number: 1, amount: amount(1), reference: Reference([0; 32]) };
    let order = seal(&scheme(&world), &key, &[1; 32], &order, Signer::Key(key.public()), None).0.to_bytes();
    ask(enrol_body("ann", &order)).await.is_problem(400, Code::WrongKind);
}

#[tokio::test]
async fn garbage_is_answered_with_problems() {
    let world = World::new();
    for path in ["/v1/enrolments", "/v1/fundings", "/v1/statements"] {
        for body in ["", "{", "[]", "{\"order\":1}", "\u{0}"] {
            post(&world, path, Some("k"), body).await.is_problem(400, Code::NotAMessage);
        }
    }
    for (hex, code) in [("zz", Code::NotAMessage), ("", Code::Truncated), ("8301", Code::NotAMessage)] {
        let body = json!({ "statement": hex }).to_string();
        post(&world, "/v1/statements", Some("k"), body).await.is_problem(400, code);
    }
    let long = vec![b' '; BODY_MAX + 1];
    post(&world, "/v1/statements", Some("k"), long).await.is_problem(413, Code::TooLong);
    get(&world, "/v1/nothing").await.is_problem(404, Code::RouteUnknown);
    get(&world, "/v1/fundings").await.is_problem(405, Code::RouteUnknown);
    get(&world, "/v1/revocation-list/x").await.is_problem(400, Code::ValueOutOfRange);
    get(&world, "/v1/crl/gamma/eddsa").await.is_problem(404, Code::UnknownPsp);
    get(&world, "/v1/crl/alpha/rsa").await.is_problem(404, Code::UnsupportedAlgorithm);
    get(&world, "/v1/certificates/gamma/eddsa").await.is_problem(404, Code::UnknownPsp);
    let method = Request::builder().method(Method::DELETE).uri("/v1/rules");
    send(&world, method.body(Body::empty()).unwrap()).await.is_problem(405, Code::RouteUnknown);
}

#[tokio::test]
async fn a_funding_is_done_once_under_its_key() {
    let world = World::new();
    let key = enrolled(&world, "ann").await;
    let order = fund_order(&world, &key, 1, 400);
    post(&world, "/v1/fundings", None, order.clone()).await.is_problem(400, Code::IdempotencyMissing);
    let first = post(&world, "/v1/fundings", Some("a"), order.clone()).await;
    assert_eq!((first.status, &first.json()["granted"]), (201, &json!(true)));
    let kept = post(&world, "/v1/fundings", Some("a"), order.clone()).await;
    let redone = post(&world, "/v1/fundings", Some("b"), order).await;
    assert_eq!((&kept.body, &redone.body), (&first.body, &first.body));
    let second = fund_order(&world, &key, 2, 100);
    post(&world, "/v1/fundings", Some("a"), second.clone()).await.is_problem(422, Code::IdempotencyReused);
    let other = fund_order(&world, &key, 1, 401);
    post(&world, "/v1/fundings", Some("c"), other).await.is_problem(422, Code::IdempotencyReused);
    let ahead = fund_order(&world, &key, 3, 100);
    post(&world, "/v1/fundings", Some("d"), ahead).await.is_problem(400, Code::ValueOutOfRange);
    // The account holds 996.00 more; a refusal uses the number up.
    let large = fund_order(&world, &key, 2, 99_601);
    for _ in 0..2 {
        post(&world, "/v1/fundings", Some("e"), large.clone()).await.is_problem(422, Code::RailRefused);
    }
    assert_eq!(
        post(&world, "/v1/fundings", Some("f"), fund_order(&world, &key, 3, 99_600)).await.status,
        201
    );
    let report = world.sound();
    assert_eq!((report.funded, report.float_on_rail), (100_000, Some(100_000)));
    let stranger = fund_order(&world, &new_key(), 1, 1);
    post(&world, "/v1/fundings", Some("g"), stranger).await.is_problem(404, Code::UnknownWallet);
}

#[tokio::test]
async fn a_statement_over_http_is_answered_alike() {
    let world = World::new();
    let mut ann = world.person("ann");
    let statement = ann.message(&Command::Statement {}).unwrap();
    let body = json!({ "statement": hex::encode(&statement.0) }).to_string();
    post(&world, "/v1/statements", None, body.clone()).await.is_problem(400, Code::IdempotencyMissing);
    let first = post(&world, "/v1/statements", Some("a"), body.clone()).await;
    let again = post(&world, "/v1/statements", Some("b"), body).await;
    assert_eq!((first.status, &first.body), (200, &again.body));
    ann.run(&Command::Settle { settlement: Bytes(first.message("settlement")) }).unwrap();
}

#[tokio::test]
async fn outside_a_sandbox_a_code_of_the_psp_is_needed_once() {
    let world = World::production();
    let token = std::fs::read_to_string(world.path.join("keys/psp-alpha.token")).unwrap();
    let path = "/v1/psp/alpha/activations";
    for bad in ["", "0", &std::fs::read_to_string(world.path.join("keys/psp-beta.token")).unwrap()] {
        let refused = as_psp(&world, path, bad, json!({ "account": "ann" })).await;
        refused.is_problem(401, Code::PspUnauthorised);
    }
    let made = as_psp(&world, path, &token, json!({ "account": "ann" })).await;
    assert_eq!((made.status, made.json()["expires_at_s"].as_u64()), (201, Some(u64::from(START_S) + 86_400)));
    let code = made.json()["activation_code"].clone();
    let (first, second) = (new_key(), new_key());
    let body = |key: &SigningKey, account: &str, code: Option<&Value>| {
        let text = code.map(|code| code.as_str().unwrap());
        let mut body = enrol_body(account, &enrolment(&world, key, 1, account, text));
        if let Some(code) = code {
            body["activation_code"] = code.clone();
        }
        body.to_string()
    };
    let ask = async |key: &SigningKey, account: &str, code: Option<&Value>| {
        post(&world, "/v1/enrolments", None, body(key, account, code)).await
    };
    ask(&first, "ann", None).await.is_problem(403, Code::ActivationRefused);
    ask(&first, "ann", Some(&json!("wrong"))).await.is_problem(403, Code::ActivationRefused);
    ask(&first, "bob", Some(&code)).await.is_problem(403, Code::ActivationRefused);
    let same = body(&first, "ann", Some(&code));
    // The same enrolment is answered again, another is not let in.
    for _ in 0..2 {
        assert_eq!(post(&world, "/v1/enrolments", None, same.clone()).await.status, 201);
    }
    ask(&second, "ann", Some(&code)).await.is_problem(403, Code::ActivationRefused);
    let late = as_psp(&world, path, &token, json!({ "account": "ann" })).await.json();
    world.wait(86_401);
    ask(&second, "ann", Some(&late["activation_code"])).await.is_problem(403, Code::ActivationRefused);
}

#[tokio::test]
async fn a_challenge_is_anybodys_to_ask_for() {
    let world = World::new();
    let asked = post(&world, "/v1/enrolments/challenge", None, String::new()).await;
    assert_eq!((asked.status, &asked.json()["expires_at_s"]), (201, &json!(START_S + 600)));
    assert_eq!(asked.json()["challenge"].as_str().unwrap().len(), 32);
    let garbage = json!({ "psp": "alpha", "account": "ann", "enrolment": "00", "attestation": ["zz"] });
    post(&world, "/v1/enrolments", None, garbage.to_string()).await.is_problem(400, Code::NotAMessage);
    // A list of nothings would take many times its length in memory.
    let long =
        json!({ "psp": "alpha", "account": "ann", "enrolment": "00", "attestation": vec![""; 100_000] });
    post(&world, "/v1/enrolments", None, long.to_string()).await.is_problem(413, Code::TooLong);
}

#[tokio::test]
async fn an_intercepted_enrolment_serves_nobody_else() {
    let world = World::production();
    let code =
        |psp: &str, account| world.service.create_activation(psp, account, "").unwrap().activation_code;
    let (anns, more_of_anns) = (code("alpha", "ann"), code("alpha", "ann"));
    let (mallorys, elsewhere) = (code("alpha", "mallory"), code("beta", "ann"));
    let key = new_key();
    let bytes = enrolment(&world, &key, 1, "ann", Some(&anns));
    let ask = async |psp: &str, account: &str, code: Option<&str>| {
        let body = json!({ "psp": psp, "account": account, "activation_code": code, "enrolment": hex::encode(&bytes) });
        post(&world, "/v1/enrolments", None, body.to_string()).await
    };
    let others = [
        ("alpha", "mallory", Some(mallorys.as_str())),
        ("alpha", "ann", Some(&more_of_anns)),
        ("beta", "ann", Some(&elsewhere)),
        ("alpha", "ann", None),
    ];
    for (psp, account, code) in others {
        ask(psp, account, code).await.is_problem(403, Code::EnrolmentMismatch);
    }
    let first = ask("alpha", "ann", Some(&anns)).await;
    assert_eq!(first.status, 201);
    // Nor does anybody else get the answer that was given to her.
    for (psp, account, code) in others {
        ask(psp, account, code).await.is_problem(403, Code::EnrolmentMismatch);
    }
    assert_eq!(ask("alpha", "ann", Some(&anns)).await.body, first.body);
    // The codes that were tried are not used up.
    let mallory = enrolment(&world, &new_key(), 1, "mallory", Some(&mallorys));
    world.enrol("alpha", "mallory", Some(&mallorys), &mallory).unwrap();
}

#[tokio::test]
async fn a_psp_unblocks_its_own_wallets_alone() {
    let world = World::new();
    let mut ann = world.person("ann");
    let token =
        |psp: &str| std::fs::read_to_string(world.path.join(format!("keys/psp-{psp}.token"))).unwrap();
    let path = |psp: &str| format!("/v1/psp/{psp}/wallets/{}/unblock", "KEY");
    let id = ann.id().to_string();
    let ask = async |psp: &str, token: &str, id: &str| {
        as_psp(&world, &path(psp).replace("KEY", id), token, json!({})).await
    };
    assert_eq!(ask("alpha", &token("alpha"), &id).await.status, 204);
    ask("beta", &token("beta"), &id).await.is_problem(404, Code::UnknownWallet);
    ask("alpha", &token("beta"), &id).await.is_problem(401, Code::PspUnauthorised);
    ask("alpha", &token("alpha"), "00").await.is_problem(404, Code::UnknownWallet);
}

#[tokio::test]
async fn a_production_operator_takes_no_claimed_grade_and_no_name_but_the_psps() {
    let world = World::production();
    let enrol = |grade: Grade, name: &str, code: &str| {
        let key = new_key();
        let binding = enrolment_binding("alpha", "cafe", Some(code));
        let element = world.element(grade);
        let body =
            Enrolment { nonce: Nonce([9; 16]), grade, name: Name::new(name).unwrap(), binding, element };
        let signer = Signer::Key(key.public());
        let bytes = seal(&scheme(&world), &key, &[1; 32], &body, signer, None).0.to_bytes();
        world.enrol("alpha", "cafe", Some(code), &bytes).map_err(|refusal| refusal.code())
    };
    let code = world.service.create_activation("alpha", "cafe", "Café Blau").unwrap().activation_code;
    assert_eq!(enrol(Grade::Terminal, "Café Rot", &code), Err(Code::ActivationRefused));
    assert_eq!(enrol(Grade::Terminal, "", &code), Err(Code::ActivationRefused));
    enrol(Grade::Terminal, "Café Blau", &code).unwrap();
    let code = world.service.create_activation("alpha", "cafe", "").unwrap().activation_code;
    assert_eq!(enrol(Grade::Hardware, "", &code), Err(Code::GradeRefused));
    assert_eq!(enrol(Grade::VirtualSeBound, "", &code), Err(Code::GradeRefused));
    enrol(Grade::VirtualSe, "", &code).unwrap();
    let named = world.service.create_activation("alpha", "cafe", "Ann").unwrap().activation_code;
    assert_eq!(enrol(Grade::VirtualSe, "Ann", &named), Err(Code::ValueOutOfRange));
}

#[tokio::test]
async fn a_psp_closes_its_own_wallets_and_sees_what_they_hold() {
    let world = World::new();
    let key = enrolled(&world, "ann").await;
    let order = fund_order(&world, &key, 1, 700);
    assert_eq!(post(&world, "/v1/fundings", Some("k"), order).await.status, 201);
    let id = counterfoil_trust::key_id(&key.public()).to_string();
    let token =
        |psp: &str| std::fs::read_to_string(world.path.join(format!("keys/psp-{psp}.token"))).unwrap();
    let path = |psp: &str, id: &str| format!("/v1/psp/{psp}/wallets/{id}");
    let show = async |psp: &str, token: &str, id: &str| {
        let request = Request::get(path(psp, id)).header("authorization", format!("Bearer {token}"));
        send(&world, request.body(Body::empty()).unwrap()).await
    };
    let close = async |psp: &str, token: &str, id: &str| {
        as_psp(&world, &format!("{}/close", path(psp, id)), token, json!({})).await
    };
    for (psp, by, id, status, code) in [
        ("alpha", "beta", id.as_str(), 401, Code::PspUnauthorised),
        ("beta", "beta", id.as_str(), 404, Code::UnknownWallet),
        ("alpha", "alpha", "00", 404, Code::UnknownWallet),
    ] {
        close(psp, &token(by), id).await.is_problem(status, code);
        show(psp, &token(by), id).await.is_problem(status, code);
    }
    let before = show("alpha", &token("alpha"), &id).await.json();
    assert_eq!((&before["closed_at_s"], &before["unspent"]), (&json!(null), &json!(700)));
    assert_eq!((&before["account"], &before["awaited"]), (&json!("ann"), &json!([])));
    let first = close("alpha", &token("alpha"), &id).await;
    assert_eq!((first.status, first.kind.as_str()), (200, "application/json"));
    world.wait(60);
    let again = close("alpha", &token("alpha"), &id).await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    let closed = first.json();
    assert_eq!((&closed["closed_at_s"], &closed["due"]), (&json!(START_S), &json!(false)));
    assert_eq!((&closed["funded"], &closed["returned"]), (&json!(700), &json!(0)));
    assert_eq!(closed["awaited"][0]["what"], json!("claims"));
    assert_eq!(closed["awaited"][0]["until_s"], closed["due_s"]);
    let order = fund_order(&world, &key, 2, 700);
    post(&world, "/v1/fundings", Some("k2"), order).await.is_problem(409, Code::WalletClosed);
    let unblock = format!("{}/unblock", path("alpha", &id));
    as_psp(&world, &unblock, &token("alpha"), json!({})).await.is_problem(409, Code::WalletClosed);
    world.wait(u32::try_from(closed["due_s"].as_u64().unwrap()).unwrap() - START_S);
    world.jobs();
    let after = show("alpha", &token("alpha"), &id).await.json();
    assert_eq!(
        (&after["returned"], &after["unspent"], &after["due"]),
        (&json!(700), &json!(0), &json!(true))
    );
}

#[tokio::test]
async fn what_happens_is_counted_for_whoever_watches() {
    let world = World::new();
    get(&world, "/healthz").await;
    get(&world, "/v1/psp/ann/wallets/bob").await;
    get(&world, "/nowhere").await;
    let mut ann = world.person("ann");
    let statement = ann.message(&Command::Statement {}).unwrap();
    let body = json!({ "statement": hex::encode(&statement.0) }).to_string();
    post(&world, "/v1/statements", Some("a"), body).await;
    post(&world, "/v1/statements", Some("b"), json!({ "statement": "a5" }).to_string()).await;
    let answer = get(&world, "/metrics").await;
    assert_eq!(answer.kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = String::from_utf8(answer.body).unwrap();
    for line in [
        "counterfoil_http_requests_total{route=\"/healthz\",method=\"GET\",status=\"200\"} 1",
        "counterfoil_http_requests_total{route=\"/v1/psp/{psp}/wallets/{key_id}\",method=\"GET\",status=\"401\"} 1",
        "counterfoil_http_requests_total{route=\"none\",method=\"GET\",status=\"404\"} 1",
        "counterfoil_statements_total{outcome=\"settled\"} 1",
        "counterfoil_statements_total{outcome=\"refused\"} 1",
        "counterfoil_intake_held_bytes 0",
        "counterfoil_intake_waiting 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
    assert!(!text.contains("ann") && text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test]
async fn the_api_describes_itself() {
    let world = World::new();
    let document = get(&world, "/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 25);
    for (path, methods) in paths {
        for (method, about) in methods.as_object().unwrap() {
            assert!(!about["summary"].as_str().unwrap().is_empty(), "{method} {path}");
            let problem = &about["responses"]["default"]["content"]["application/problem+json"]["schema"];
            assert_eq!(problem["$ref"], "#/components/schemas/Problem", "{method} {path}");
            let guarded = ["/psp/", "/reconciliation", "/cases"].iter().any(|part| path.contains(part));
            assert_eq!(about["security"].is_array(), guarded, "{method} {path}");
        }
    }
}
