//! Statements of a crowd over the API: settled together, however many come and whatever is among them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use counterfoil_operator::api::router;
use counterfoil_operator::service::Intake;
use counterfoil_operator::service::intake::{Busy, HELD_MAX, HELD_MIN};
use counterfoil_ta::api::Command;
use counterfoil_wire::{Bytes, Code};
use serde_json::{Value, json};
use support::World;
use tower::ServiceExt as _;

fn request(key: &str, statement: &[u8]) -> Request<Body> {
    let body = json!({ "statement": hex::encode(statement) }).to_string();
    Request::post("/v1/statements")
        .header("idempotency-key", key)
        .header("content-length", body.len())
        .body(body.into())
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_with_garbage_in_it_is_settled_each_as_it_deserves() {
    let world = World::new();
    let mut people: Vec<_> = (0..40).map(|at| world.person(&format!("person-{at}"))).collect();
    people.iter_mut().for_each(|person| world.fund(person, 1_000));
    for at in 0..20 {
        let [payer, payee] = people.get_disjoint_mut([at, at + 20]).unwrap();
        payer.pay_to(payee, 300, at % 2 == 0);
    }
    let api = router(world.service.clone());
    let mut sent = Vec::new();
    for (at, person) in people.iter_mut().enumerate() {
        let statement = person.message(&Command::Statement {}).unwrap().0;
        let mut bent = statement.clone();
        *bent.last_mut().unwrap() ^= 1;
        for (kind, bytes) in [("good", &statement), ("bent", &bent), ("none", &vec![0xa5; 300])] {
            let asked = api.clone().oneshot(request(&format!("{kind}-{at}"), bytes));
            sent.push((at, kind, tokio::spawn(asked)));
        }
    }
    for (at, kind, answer) in sent {
        let response = answer.await.unwrap().unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        match kind {
            "good" => {
                let settlement = hex::decode(body["settlement"].as_str().unwrap()).unwrap();
                people[at].run(&Command::Settle { settlement: Bytes(settlement) }).unwrap();
            }
            "bent" => {
                assert_eq!((status, &body["code"]), (422, &json!(Code::BadSignature.number())), "{body}")
            }
            _ => assert!((400..500).contains(&status), "{body}"),
        }
    }
    let held: u64 = people.iter_mut().map(support::Wallet::balance).sum();
    assert_eq!(held, 40_000);
    let report = world.sound();
    assert_eq!((report.payments, report.in_flight, report.cases.len()), (20, 0, 0));
    // A key names one statement, and a statement keeps its answer under every key.
    let statement = people[0].message(&Command::Statement {}).unwrap().0;
    let reused = api.clone().oneshot(request("good-1", &statement)).await.unwrap();
    assert_eq!(reused.status(), 422);
    for key in ["new", "new", "newer"] {
        assert_eq!(api.clone().oneshot(request(key, &statement)).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn who_finds_no_room_is_told_when_to_come_again() {
    let world = World::new();
    let intake = Intake::start(&world.service);
    let most = intake.admit(Some(HELD_MAX - HELD_MIN)).unwrap();
    let one = intake.admit(Some(1)).unwrap();
    let Busy { retry_after_s } = intake.admit(Some(1)).unwrap_err();
    assert!((1..=30).contains(&retry_after_s));
    drop(one);
    drop(intake.admit(Some(1)).unwrap());
    assert!(intake.admit(None).is_err(), "a body of unknown length may be a large one");
    drop(most);
    drop(intake.admit(None).unwrap());
    assert!(intake.admit(Some(usize::MAX)).is_err());
    let mut lying = request("a", &[0; 10]);
    lying.headers_mut().insert("content-length", HELD_MAX.saturating_add(1).into());
    let refused = router(world.service.clone()).oneshot(lying).await.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    let body = to_bytes(refused.into_body(), usize::MAX).await.unwrap();
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["code"], json!(Code::Busy.number()));
}
