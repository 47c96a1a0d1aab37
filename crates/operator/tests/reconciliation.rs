//! What is open: told by reason, item by item, to whom it concerns, until the late half closes it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use std::collections::BTreeSet;

use counterfoil_operator::Reason;
use counterfoil_operator::domain::item::Item;
use counterfoil_operator::domain::reason::Owner;
use counterfoil_operator::service::report::Asking;
use counterfoil_wire::Code;
use counterfoil_wire::cert::Grade;
use serde_json::{Value, json};
use support::{START_S, Wallet, World};

fn items(world: &World) -> Vec<Item> {
    world.service.items(&Asking { limit: 1_000, ..Asking::default() }).unwrap().items
}

fn open(world: &World) -> Vec<(Reason, u64, u64)> {
    world.service.summary().unwrap().open.iter().map(|open| (open.reason, open.count, open.amount)).collect()
}

fn known(world: &World) -> Vec<(Reason, u64, u64)> {
    let known = world.service.summary().unwrap().payments;
    assert_eq!(known.iter().map(|known| known.reason).collect::<Vec<_>>(), Reason::ALL);
    let some = known.iter().filter(|known| known.count > 0 || known.amount > 0);
    some.map(|known| (known.reason, known.count, known.amount)).collect()
}

#[test]
fn an_item_is_open_until_the_other_half_comes() {
    let world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.wallet("beta", "bob", Grade::VirtualSe, false));
    world.fund(&mut ann, 5_000);
    assert_eq!((open(&world), items(&world)), (vec![], vec![]));
    ann.pay_to(&mut bob, 300, false);
    world.wait(60);
    world.sync(&mut ann).unwrap();
    assert_eq!(open(&world), [(Reason::PayerOnly, 1, 300)]);
    assert_eq!(known(&world), [(Reason::PayerOnly, 1, 300)]);
    let found = items(&world);
    let item = &found[0];
    assert_eq!(
        (item.reason, item.owner, item.amount, item.escalated),
        (Reason::PayerOnly, Owner::Payee, 300, false)
    );
    assert_eq!((item.payer_psp.as_deref(), item.payee_psp.as_deref()), (Some("alpha"), Some("beta")));
    assert_eq!(
        (item.since_s, &item.payer, &item.payee),
        (START_S + 60, &ann.id().to_string(), &bob.id().to_string())
    );
    world.sync(&mut bob).unwrap();
    assert_eq!((open(&world), items(&world)), (vec![], vec![]));
    assert_eq!(known(&world), [(Reason::Matched, 1, 300)]);
    // The other way round.
    bob.pay_to(&mut ann, 100, false);
    world.sync(&mut ann).unwrap();
    assert_eq!(open(&world), [(Reason::PayeeOnly, 1, 100)]);
    assert_eq!(items(&world)[0].owner, Owner::Payer);
    world.sync(&mut bob).unwrap();
    assert_eq!(open(&world), []);
    world.sound();
}

#[test]
fn an_item_that_ages_becomes_the_business_of_the_next() {
    let world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    world.fund(&mut ann, 5_000);
    ann.pay_to(&mut bob, 300, false);
    world.sync(&mut ann).unwrap();
    let first = items(&world).remove(0);
    world.wait(first.due_s.unwrap() - START_S + 1);
    let second = items(&world).remove(0);
    assert_eq!((second.owner, second.escalated), (Owner::PayeePsp, true));
    world.wait(second.due_s.unwrap() - first.due_s.unwrap());
    let third = items(&world).remove(0);
    assert_eq!((third.owner, third.due_s, third.escalated), (Owner::Operator, None, true));
    // And the operator decides when the payer asks.
    world.sync(&mut ann).unwrap();
    assert_eq!((open(&world), items(&world)), (vec![], vec![]));
}

#[test]
fn pages_have_every_item_once_and_filters_leave_some_out() {
    let world = World::new();
    let mut payers: Vec<Wallet> = (0..6).map(|at| world.person(&format!("payer-{at}"))).collect();
    let (mut bob, mut eve) = (world.person("bob"), world.wallet("beta", "eve", Grade::VirtualSe, false));
    for payer in &mut payers {
        world.fund(payer, 5_000);
        for at in 0..5 {
            payer.pay_to(if at == 0 { &mut eve } else { &mut bob }, 10, false);
        }
        world.sync(payer).unwrap();
    }
    assert_eq!(open(&world), [(Reason::PayerOnly, 30, 300)]);
    let pages = |asking: Asking| {
        let (mut found, mut asking) = (Vec::new(), asking);
        loop {
            let page = world.service.items(&asking).unwrap();
            assert!(page.items.len() <= asking.limit);
            found.extend(page.items.into_iter().map(|item| item.payment));
            asking.after = page.next;
            if page.next.is_none() {
                return found;
            }
        }
    };
    for limit in [1, 7, 30, 31] {
        let found = pages(Asking { limit, ..Asking::default() });
        assert_eq!((found.len(), found.iter().collect::<BTreeSet<_>>().len()), (30, 30), "{limit}");
    }
    let of = |psp: Option<&str>, reason, older_than_s| {
        pages(Asking { psp: psp.map(str::to_owned), reason, older_than_s, limit: 4, ..Asking::default() })
            .len()
    };
    assert_eq!(
        (of(Some("beta"), None, 0), of(Some("alpha"), None, 0), of(Some("none"), None, 0)),
        (6, 30, 0)
    );
    assert_eq!((of(None, Some(Reason::PayerOnly), 0), of(None, Some(Reason::Late), 0)), (30, 0));
    assert_eq!(of(None, None, 1), 0);
    world.wait(1);
    assert_eq!(of(None, None, 1), 30);
}

#[tokio::test]
async fn over_http_the_operator_sees_all_and_a_psp_its_own() {
    let world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    world.fund(&mut ann, 5_000);
    ann.pay_to(&mut bob, 300, false);
    ann.pay_to(&mut bob, 300, false);
    world.sync(&mut ann).unwrap();
    let token = |name: &str| std::fs::read_to_string(world.path.join("keys").join(name)).unwrap();
    let (operator, alpha, beta) =
        (token("operator.token"), token("psp-alpha.token"), token("psp-beta.token"));
    let (status, summary) = world.get("/v1/reconciliation", &operator).await;
    let due =
        json!([{ "reason": "payer-only", "owner": "payee", "count": 2, "amount": 600, "oldest_s": START_S }]);
    assert_eq!((status, &summary["open"], &summary["cases"]), (200, &due, &json!([])));
    let (_, page) = world.get("/v1/reconciliation/items?reason=payer-only&limit=1", &operator).await;
    assert_eq!(
        (page["items"].as_array().unwrap().len(), page["items"][0]["amount"].as_u64()),
        (1, Some(300))
    );
    let next = page["next"].as_str().unwrap();
    let (_, page) = world.get(&format!("/v1/reconciliation/items?after={next}"), &operator).await;
    assert_eq!((page["items"].as_array().unwrap().len(), &page["next"]), (1, &Value::Null));
    let own = |psp: &str| format!("/v1/psp/{psp}/reconciliation/items");
    assert_eq!(world.get(&own("alpha"), &alpha).await.1["items"].as_array().unwrap().len(), 2);
    // What it asks for beyond its own it does not get.
    let (_, page) = world.get(&format!("{}?psp=alpha", own("beta")), &beta).await;
    assert_eq!(page["items"], json!([]));
    for (path, token, code) in [
        ("/v1/reconciliation", "", Code::OperatorUnauthorised),
        ("/v1/reconciliation/items", &alpha, Code::OperatorUnauthorised),
        (&own("alpha"), &beta, Code::PspUnauthorised),
        (&own("alpha"), &operator, Code::PspUnauthorised),
        ("/v1/reconciliation/items?limit=-1", &operator, Code::ValueOutOfRange),
        ("/v1/reconciliation/items?reason=none", &operator, Code::ValueOutOfRange),
        ("/v1/reconciliation/items?after=a5", &operator, Code::ValueOutOfRange),
        ("/v1/reconciliation/items?spelled=wrong", &operator, Code::ValueOutOfRange),
    ] {
        let (status, problem) = world.get(path, token).await;
        assert_eq!(problem["code"], json!(code.number()), "{path} {problem}");
        assert_eq!(problem["status"], json!(status));
        assert_eq!(status == 401, code != Code::ValueOutOfRange, "{path} {status}");
    }
}
