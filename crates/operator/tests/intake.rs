//! Statements of a crowd over the API: settled together, however many come and whatever is among them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use counterfoil_operator::api::{BODY_MAX, router};
use counterfoil_operator::service::Intake;
use counterfoil_operator::service::intake::{Arrival, Busy, HELD_MAX, HELD_MIN};
use counterfoil_ta::api::Command;
use counterfoil_wire::{Bytes, Code, Digest};
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
    let other = people[1].message(&Command::Statement {}).unwrap().0;
    let arrival = |statement: &[u8], request: u8| Arrival {
        statement: statement.to_vec(),
        key: Digest([7; 32]),
        request: Digest([request; 32]),
    };
    let both =
        world.service.settle_arrivals(&[arrival(&statement, 1), arrival(&other, 2), arrival(&statement, 1)]);
    assert_eq!(both[1].as_ref().unwrap_err().code(), Code::IdempotencyReused);
    assert!(both[0].is_ok() && both[2].is_ok());
    for key in ["new", "new", "newer"] {
        assert_eq!(api.clone().oneshot(request(key, &statement)).await.unwrap().status(), 200);
    }
}

#[test]
fn what_was_answered_is_answered_while_somebody_else_has_the_turn() {
    let world = World::new();
    let mut ann = world.person("ann");
    let statement = ann.message(&Command::Statement {}).unwrap().0;
    let settled = world.service.settle(&statement).unwrap();
    let turn = std::fs::File::options().write(true).open(world.path.join("lock")).unwrap();
    turn.lock().unwrap();
    let (again, answer) = std::sync::mpsc::channel();
    let service = world.service.clone();
    std::thread::spawn(move || again.send(service.settle(&statement)));
    let answered = answer.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(answered.unwrap(), settled);
}

#[tokio::test]
async fn there_is_room_for_so_much_and_it_is_given_back() {
    let world = World::new();
    let intake = Intake::start(&world.service);
    let mut rooms: Vec<_> = (0..HELD_MAX / HELD_MIN).map(|_| intake.admit(1).unwrap()).collect();
    let Busy { retry_after_s } = intake.admit(1).unwrap_err();
    assert!((1..=30).contains(&retry_after_s));
    rooms.pop();
    assert!(intake.admit(BODY_MAX).is_err());
    drop(intake.admit(1).unwrap());
    drop(rooms);
    drop(intake.admit(HELD_MAX).unwrap());
    assert!(intake.admit(usize::MAX).is_err());
    assert_eq!(intake.load(), (0, 0));
}

#[tokio::test]
async fn who_finds_no_room_is_told_when_to_come_again_before_the_body_is_read() {
    let world = World::new();
    let api = router(world.service.clone());
    // Bodies that are announced and never come.
    let endless = || {
        let mut request = request("a", &[0; 10]);
        request.headers_mut().remove("content-length");
        *request.body_mut() =
            Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, Infallible>>());
        request
    };
    let held: Vec<_> =
        (0..HELD_MAX / BODY_MAX).map(|_| tokio::spawn(api.clone().oneshot(endless()))).collect();
    // Each goes as far as it can.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(held.iter().all(|request| !request.is_finished()));
    let refused = api.clone().oneshot(endless()).await.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    let body = to_bytes(refused.into_body(), usize::MAX).await.unwrap();
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["code"], json!(Code::Busy.number()));
    held.iter().for_each(tokio::task::JoinHandle::abort);
    // A header that says less than comes makes no more room: how the body is framed counts.
    let lying = || {
        let mut request = endless();
        request.headers_mut().insert("content-length", 1.into());
        request
    };
    let api = router(world.service.clone());
    let held: Vec<_> = (0..HELD_MAX / BODY_MAX).map(|_| tokio::spawn(api.clone().oneshot(lying()))).collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(api.clone().oneshot(lying()).await.unwrap().status(), 429);
    held.iter().for_each(tokio::task::JoinHandle::abort);
    // A body that is too long is another matter.
    let mut long = request("a", &[0; 10]);
    long.headers_mut().insert("content-length", (BODY_MAX + 1).into());
    *long.body_mut() = vec![b' '; BODY_MAX + 1].into();
    let refused = router(world.service.clone()).oneshot(long).await.unwrap();
    assert_eq!(refused.status(), 413);
}
