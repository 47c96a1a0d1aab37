#![allow(warnings)]
mod common;
use common::*;
use counterfoil_trust::*;
use counterfoil_wire::header::Signer;
use counterfoil_wire::message::Payment;
use counterfoil_wire::Wire;
use std::time::Instant;
#[test]
fn cost() {
    for alg in BOTH {
        let scheme = Scheme::new(alg, alg);
        let anchors = scheme.anchors();
        let key = signing_key(alg, 9);
        let p = payment(scheme.issuer.key, 7, 500, 20);
        let bytes = seal(&scheme.id(), &key, &HEDGE, &p, Signer::Cert(scheme.wallet(&key)), None).0.to_bytes();
        let sig = key.sign(&[0; 250], &HEDGE);
        let cert = scheme.wallet(&key);
        let (mut bare, mut full, mut tbs, mut opn, mut sign) = (f64::MAX, f64::MAX, f64::MAX, f64::MAX, f64::MAX);
        for _ in 0..31 {
            let n = 60;
            let t = Instant::now();
            for _ in 0..n { verify(&key.public(), &[0; 250], &sig).unwrap(); verify(&key.public(), &[0; 250], &sig).unwrap(); }
            bare = bare.min(t.elapsed().as_secs_f64() / n as f64);
            let t = Instant::now();
            for _ in 0..n {
                let o = open_message::<Payment>(&bytes).unwrap();
                let Signer::Cert(c) = &o.envelope.signer else { panic!() };
                anchors.check_wallet(c, None, NOW_S).unwrap();
                o.check_signature(&anchors.scheme).unwrap();
            }
            full = full.min(t.elapsed().as_secs_f64() / n as f64);
            let t = Instant::now();
            for _ in 0..n { std::hint::black_box(x509::wallet_tbs(&cert, &scheme.issuer)); }
            tbs = tbs.min(t.elapsed().as_secs_f64() / n as f64);
            let t = Instant::now();
            for _ in 0..n { std::hint::black_box(open_message::<Payment>(&bytes).unwrap()); }
            opn = opn.min(t.elapsed().as_secs_f64() / n as f64);
            let t = Instant::now();
            for _ in 0..n { std::hint::black_box(key.sign(&[0; 250], &HEDGE)); }
            sign = sign.min(t.elapsed().as_secs_f64() / n as f64);
        }
        println!("{alg:?} bytes {} bare2 {:.1} full {:.1} ratio {:.3} tbs {:.1} open {:.1} sign {:.1} us", bytes.len(), bare*1e6, full*1e6, full/bare, tbs*1e6, opn*1e6, sign*1e6);
    }
}
